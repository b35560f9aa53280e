#!/bin/sh
# Makes .venv: picks the interpreter, and with it the TFX that this machine can run, then installs uv.lock.
#
#   tools/setup.sh            set up; returns at once when there is nothing to do
#   tools/setup.sh --check    only say what would be used, or what is missing
#
# PYTHON=/path/to/python overrides the choice. Exit status: 0 ready, 1 failed, 2 something is missing.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd -P)
cd "$root"
stamp=.venv/.tfx-trust-setup
needed_kb=4000000
failed=

# An interpreter is asked itself: a name on PATH may be a stub, and only a plain CPython finds wheels.
# Prints "version headers|no-headers path", the path being the one behind a virtual environment or shim.
probe_code='
import os, sys, sysconfig
if sys.implementation.name == "cpython" and not sys.abiflags and sysconfig.get_platform() == "linux-x86_64":
    header = os.path.join(sysconfig.get_path("include"), "Python.h")
    print("%d.%d.%d" % sys.version_info[:3], "headers" if os.path.exists(header) else "no-headers",
          os.path.realpath(getattr(sys, "_base_executable", sys.executable)))
'

probe() {
    if [ -x "$1" ] && [ ! -d "$1" ]; then "$1" -I -S -c "$probe_code" </dev/null 2>/dev/null || :; fi
}

problem() {
    printf 'setup: %s\n' "$1" >&2
    failed=yes
}

die() {
    printf 'setup: %s\n' "$1" >&2
    exit 1
}

# TFX 1.21's compiled parts need glibc 2.39; TFX 1.16's exist for Python 3.10 and 3.11 only.
tfx_for() {
    case $1 in
        3.13.* | 3.12.*) echo 1.21 ;;
        *) echo 1.16 ;;
    esac
}

glibc_version() {
    if [ -n "${TFX_TRUST_GLIBC:-}" ]; then # lets the tests stand on another system
        echo "$TFX_TRUST_GLIBC"
    else
        getconf GNU_LIBC_VERSION 2>/dev/null | cut -d' ' -f2
    fi
}

versions_for_glibc() {
    minor=${1#*.}
    if [ "${1%%.*}" -gt 2 ] || [ "${minor%%.*}" -ge 39 ]; then echo 3.13 3.12 3.11 3.10; else echo 3.11 3.10; fi
}

interpreters() {
    (
        IFS=:
        for dir in $PATH; do
            for name in python3.13 python3.12 python3.11 python3.10 python3 python; do probe "$dir/$name"; done
        done
    )
    for path in "${PYENV_ROOT:-${HOME:-}/.pyenv}"/versions/3.1[0-3].*/bin/python \
        "${UV_PYTHON_INSTALL_DIR:-${XDG_DATA_HOME:-${HOME:-}/.local/share}/uv/python}"/cpython-3.1[0-3].*/bin/python3; do
        probe "$path"
    done
}

# first VERSION KIND: the first interpreter of that minor version in $found, as "version path".
first() {
    printf '%s\n' "$found" | while read -r version kind path; do
        case $version in "$1".*) if [ "$kind" = "$2" ]; then echo "$version $path" && break; fi ;; esac
    done
}

accept() { # "version path"
    python_version=${1%% *}
    python=${1#* }
    tfx=$(tfx_for "$python_version")
}

# Sets python, python_version and tfx, or reports why it cannot.
choose_python() {
    python=
    glibc=$(glibc_version)
    if [ -z "$glibc" ]; then
        problem "no glibc here, and TFX is published for nothing else: use the container (docs/install.md)"
        return
    fi
    wanted=$(versions_for_glibc "$glibc")
    if [ -n "${PYTHON:-}" ]; then
        found=$(probe "$(command -v "$PYTHON" || echo "$PYTHON")")
        [ -n "$found" ] || { problem "PYTHON=$PYTHON is no CPython that runs here: name another, or leave PYTHON unset"; return; }
    else
        found=$(interpreters)
    fi
    for version in $wanted; do
        match=$(first "$version" headers)
        if [ -n "$match" ]; then accept "$match" && return; fi
    done
    for version in $wanted; do
        match=$(first "$version" no-headers)
        if [ -n "$match" ]; then
            problem "no Python.h for ${match#* } (needed to compile pyfarmhash): install its headers, e.g. apt-get install python$version-dev"
            return
        fi
    done
    seen=$(printf '%s\n' "$found" | cut -d' ' -f1 | sort -u | tr '\n' ' ')
    seen=${seen% }
    if [ -n "${PYTHON:-}" ]; then
        problem "PYTHON=$PYTHON is Python $seen, and TFX on this system (glibc $glibc) needs one of $wanted: name another, or leave PYTHON unset"
    elif [ "$wanted" = "3.11 3.10" ]; then
        problem "no Python 3.11 or 3.10 (found: ${seen:-none}), and glibc $glibc runs no TFX for a newer one: install one, e.g. 'uv python install 3.11', or use the container (docs/install.md)"
    else
        problem "no Python 3.13, 3.12, 3.11 or 3.10 (found: ${seen:-none}): install one with headers and venv, e.g. apt-get install python3 python3-dev python3-venv"
    fi
}

uv_works() {
    case $("$1" --version 2>/dev/null) in
        "uv 0."[0-5].*) false ;; # too old to read dependency groups and this lock
        "uv "*) true ;;
        *) false ;;
    esac
}

# Sets uv, empty when it has to be installed first.
choose_uv() {
    for uv in "$(command -v uv || :)" .uv/venv/bin/uv; do
        if [ -n "$uv" ] && uv_works "$uv"; then return; fi
    done
    uv=
    if [ -n "$python" ] && ! "$python" -I -c 'import ensurepip, venv' 2>/dev/null; then
        problem "no uv, and $python cannot make an environment to install it into: install uv, or the venv module, e.g. apt-get install python3-venv"
    fi
}

check() {
    case "$(uname -s) $(uname -m)" in
        "Linux x86_64") ;;
        *)
            problem "TFX is published for Linux on x86_64 only, this is $(uname -s) on $(uname -m): use the container (docs/install.md)"
            exit 2
            ;;
    esac
    choose_python
    compiler=
    for name in ${CXX:-c++ g++ clang++}; do
        if command -v "$name" >/dev/null; then compiler=$name && break; fi
    done
    [ -n "$compiler" ] || problem "no C++ compiler (needed to compile pyfarmhash): install one, e.g. apt-get install g++"
    choose_uv
    if [ ! -d .venv ]; then
        free_kb=$(df -Pk . | awk 'NR == 2 { print $4 }')
        [ "${free_kb:-$needed_kb}" -ge $needed_kb ] ||
            problem "$((free_kb / 1000)) MB free in $root: make room, the environment takes about $((needed_kb / 1000)) MB"
    fi
    [ -z "$failed" ] || exit 2
}

# The folder is part of the key: the scripts of an environment hold its path.
key() {
    { echo "$root" && cat uv.lock pyproject.toml setup.py; } | sha256sum | cut -d' ' -f1
}

ready() {
    [ -f $stamp ] && [ -x .venv/bin/tfx-trust ] || return 1
    { read -r stamp_key && read -r stamp_python && read -r summary; } <$stamp || return 1
    [ "$stamp_key" = "$(key)" ] || return 1
    if [ -n "${PYTHON:-}" ]; then
        asked=$(probe "$(command -v "$PYTHON" || echo "$PYTHON")")
        [ "${asked#* * }" = "$stamp_python" ] || return 1
    fi
    .venv/bin/python -I -S -c '' 2>/dev/null
}

# A kept environment must live here and stand on the chosen interpreter; uv repairs everything else.
discard_unusable_environment() {
    [ -e .venv ] || return 0
    base=$(probe .venv/bin/python)
    if [ "${base#* * }" != "$python" ] || ! grep -qF "$root/.venv" .venv/bin/activate 2>/dev/null; then
        echo "setup: .venv belongs to another interpreter or folder, it is made anew" >&2
        rm -rf .venv
    fi
}

install_uv() {
    echo "setup: installing uv into .uv"
    rm -rf .uv/venv
    { "$python" -m venv .uv/venv && .uv/venv/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.8,<1'; } ||
        die "uv could not be installed (see above): put uv on PATH, or mend the network and run this again"
    uv=.uv/venv/bin/uv
}

say_ready() {
    echo "setup: $summary is ready in .venv"
}

# Settings of the caller's shell that would send the packages elsewhere or change what is installed.
unset VIRTUAL_ENV CONDA_PREFIX PYTHONHOME PYTHONPATH PIP_USER PIP_TARGET PIP_PREFIX
unset UV_PROJECT UV_PYTHON UV_SYSTEM_PYTHON UV_LOCKED UV_NO_EDITABLE UV_NO_DEV UV_NO_DEFAULT_GROUPS UV_NO_GROUP
export UV_PROJECT_ENVIRONMENT=.venv UV_PYTHON_DOWNLOADS=never

case ${1:-} in
    "") ;;
    --check)
        check
        echo "setup: Python $python_version ($python), TFX $tfx, uv: ${uv:-to be installed into .uv}"
        exit
        ;;
    *) die "unknown argument $1: only --check is known" ;;
esac

# In braces, the rest is read before it runs: the script may be edited meanwhile.
{
    if ready; then
        say_ready
        exit
    fi
    check
    mkdir -p .uv
    if command -v flock >/dev/null; then
        exec 9>.uv/lock
        flock 9
        # Another call may have done the work meanwhile.
        if ready; then
            say_ready
            exit
        fi
    fi
    summary="Python $python_version, TFX $tfx"
    echo "setup: $summary ($python)"
    discard_unusable_environment
    [ -d .venv ] || echo "setup: the first time, about 1 GB of packages is downloaded (less if uv has them cached)"
    rm -f $stamp
    [ -n "$uv" ] || install_uv
    quiet=--quiet
    [ ! -t 2 ] || quiet= # somebody is watching: show the progress
    # shellcheck disable=SC2086
    "$uv" sync $quiet --frozen --compile-bytecode --python "$python" ||
        die "the packages could not be installed (see above): run this again once that is mended"
    { key && echo "$python" && echo "$summary"; } >$stamp.new
    mv $stamp.new $stamp
    say_ready
    exit
}
