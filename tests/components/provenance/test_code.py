import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tfx_trust.components.mlmd import Execution
from tfx_trust.components.provenance import repository as repository_module
from tfx_trust.components.provenance.code import code_of, folder_of
from tfx_trust.components.provenance.hashing import tree_digest
from tfx_trust.components.provenance.modules import module_files
from tfx_trust.components.provenance.repository import look_up, repository_of, without_user
from tfx_trust.components.provenance.wheels import check_wheel

TRAINER = "tfx.components.trainer.component.Trainer"


def execution(number: int = 1, type_name: str = TRAINER, **parameters: str | int | float) -> Execution:
    return Execution(number, type_name, "", "COMPLETE", 0, 0, dict(parameters))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "userpackage"
    (folder / "deep").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (folder / "deep" / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (folder / "model.py").write_text("from .deep import layers\nraise RuntimeError('imported')\n")
    (folder / "deep" / "layers.py").write_text("from userpackage import constants\n")
    (folder / "constants.py").write_text("SIZE = 1\n")
    (folder / "unrelated.py").write_text("A = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "userpackage"]:
        del sys.modules[name]


# Functions by dotted path


def test_a_function_s_module_is_hashed_with_what_it_imports_and_nothing_is_run(package: Path) -> None:
    found = code_of([execution(7, run_fn="userpackage.model.run_fn")])
    (entry,) = found.entries
    assert (entry.parameter, entry.reference, entry.execution) == ("run_fn", "userpackage.model.run_fn", 7)
    assert [file.path for file in entry.files] == [
        "userpackage/__init__.py",
        "userpackage/constants.py",
        "userpackage/deep/__init__.py",
        "userpackage/deep/layers.py",
        "userpackage/model.py",
    ]
    assert entry.files[1].sha256 == sha256(b"SIZE = 1\n")
    assert entry.tree == tree_digest(entry.files)
    assert not found.unknowns
    assert not any(name.startswith("userpackage") for name in sys.modules)


def test_a_module_within_a_folder_without_init_is_found_without_importing_its_parents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outer" / "inner" / "innermost").mkdir(parents=True)
    (tmp_path / "outer" / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (tmp_path / "outer" / "inner" / "innermost" / "model.py").write_text("import outer.other\n")
    (tmp_path / "outer" / "other.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    assert list(module_files("outer.inner.innermost.model")) == ["outer.inner.innermost.model", "outer.other"]


def test_a_module_that_is_a_symbolic_link_is_followed(package: Path, tmp_path: Path) -> None:
    (package / "constants.py").rename(tmp_path / "elsewhere.py")
    (package / "constants.py").symlink_to(tmp_path / "elsewhere.py")
    (entry,) = code_of([execution(run_fn="userpackage.model.run_fn")]).entries
    assert "userpackage/constants.py" in [file.path for file in entry.files]


def test_code_that_cannot_be_parsed_is_hashed_all_the_same(package: Path) -> None:
    (package / "model.py").write_text("def run_fn(:\n")
    (entry,) = code_of([execution(run_fn="userpackage.model.run_fn")]).entries
    assert [file.path for file in entry.files] == ["userpackage/model.py"]


@pytest.mark.parametrize("reference", ["nowhere.at.all.run_fn", "math.sqrt", "userpackage.nothing.run_fn"])
def test_code_that_is_not_here_is_unknown(package: Path, reference: str) -> None:
    found = code_of([execution(run_fn=reference), execution(2, trainer_fn=reference)])
    assert [entry.files for entry in found.entries] == [[], []]
    assert [(item.what, item.subject) for item in found.unknowns] == [("code", reference)]
    assert "no Python source of module" in found.unknowns[0].why


def test_parameters_that_name_no_code_are_passed_over() -> None:
    found = code_of(
        [execution(run_fn="", preprocessing_fn="null", train_args='{"splits": []}', num_steps=3, rate=0.1)]
    )
    assert not found.entries
    assert not found.unknowns


def test_a_function_without_its_module_is_unknown() -> None:
    found = code_of([execution(run_fn="run_fn")])
    assert found.unknowns[0].why == "parameter run_fn names a function without its module"


def test_the_user_s_own_component_and_metrics_count_as_code(package: Path) -> None:
    metrics = {"metrics_specs": [{"metrics": [{"class_name": "A", "module": "userpackage.constants"}]}]}
    metrics["metrics_specs"][0]["metrics"].append(
        {"class_name": "AUC", "module": "tensorflow_model_analysis.metrics"}
    )
    found = code_of([execution(3, "userpackage.deep.layers.MyEvaluator", eval_config=json.dumps(metrics))])
    assert [(entry.parameter, entry.reference) for entry in found.entries] == [
        ("eval_config", "userpackage.constants"),
        ("component", "userpackage.deep.layers.MyEvaluator"),
    ]
    assert all(entry.files for entry in found.entries)


def test_a_reference_never_shows_a_password() -> None:
    found = code_of([execution(module_file="ftp://root:hunter2@host/model.py")])
    assert "hunter2" not in str(found)


# Files


def test_a_module_file_and_a_schema_file_are_hashed_where_they_lie_now(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "model.py").write_bytes(b"x = 1\n")
    (tmp_path / "new" / "schema.pbtxt").write_bytes(b"feature {}\n")
    executions = [
        execution(1, module_file="/old/model.py"),
        execution(2, "tfx.ImportSchemaGen", schema_file="/old/schema.pbtxt"),
    ]
    found = code_of(executions, rewrite=[("/old", str(tmp_path / "new"))])
    assert [
        (entry.reference, [(file.path, file.sha256) for file in entry.files]) for entry in found.entries
    ] == [
        ("/old/model.py", [("model.py", sha256(b"x = 1\n"))]),
        ("/old/schema.pbtxt", [("schema.pbtxt", sha256(b"feature {}\n"))]),
    ]


def test_a_module_file_that_is_gone_is_unknown(tmp_path: Path) -> None:
    found = code_of([execution(module_file=str(tmp_path / "model.py"))])
    assert "there is nothing" in found.unknowns[0].why


# Wheels


def wheel(folder: Path, modules: Mapping[str, bytes], *, version: str | None = None) -> Path:
    digest = hashlib.sha256()
    for name, content in sorted(modules.items()):
        for part in (name.encode(), content):
            digest.update(len(part).to_bytes(8, "big") + part)
    packaged = {name: content for name, content in modules.items() if name != "__init__.py"}
    told = version or digest.hexdigest()
    info = f"tfx_user_code_Trainer-0.0+{told}.dist-info"
    rows = [
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip('=')},{len(content)}"
        for name, content in packaged.items()
    ]
    path = folder / f"tfx_user_code_Trainer-0.0+{told}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as file:
        for name, content in packaged.items():
            file.writestr(name, content)
        file.writestr(f"{info}/RECORD", "\n".join([*rows, f"{info}/RECORD,,"]) + "\n")
    return path


def rewrite_member(path: Path, name: str, content: bytes | None) -> None:
    with zipfile.ZipFile(path) as file:
        members = {item: file.read(item) for item in file.namelist()}
    members.pop(name, None)
    if content is not None:
        members[name] = content
    with zipfile.ZipFile(path, "w") as file:
        for item, held in members.items():
            file.writestr(item, held)


def test_a_wheel_is_hashed_and_agrees_with_its_name(tmp_path: Path) -> None:
    path = wheel(tmp_path, {"model.py": b"x = 1\n", "features.py": b"y = 1\n"})
    found = code_of([execution(module_path=f"model@{path}")])
    (entry,) = found.entries
    assert [(file.path, file.sha256) for file in entry.files] == [(path.name, sha256(path.read_bytes()))]
    assert not found.changes
    assert not found.unknowns


def test_an_empty_init_beside_the_modules_is_no_fault(tmp_path: Path) -> None:
    path = wheel(tmp_path, {"model.py": b"x = 1\n", "__init__.py": b""})
    assert check_wheel(str(path), "w", "") == ([], [])


@pytest.mark.parametrize(
    ("member", "content", "kind"),
    [("model.py", b"x = 2\n", "changed"), ("more.py", b"", "added"), ("model.py", None, "missing")],
)
def test_a_wheel_that_was_edited_is_found_out(
    tmp_path: Path, member: str, content: bytes | None, kind: str
) -> None:
    path = wheel(tmp_path, {"model.py": b"x = 1\n"})
    rewrite_member(path, member, content)
    found = code_of([execution(module_path=f"model@{path}")], found="2026-11-25T12:00:00+00:00")
    (change,) = found.changes
    assert (change.path, change.kind) == (f"{path.name}/{member}", kind)
    assert change.before == (None if kind == "added" else sha256(b"x = 1\n"))
    assert change.now == (None if content is None else sha256(content))
    assert [item.what for item in found.unknowns] == ["wheel"]


def test_a_wheel_that_was_packaged_anew_under_the_old_name_is_told(tmp_path: Path) -> None:
    path = wheel(tmp_path, {"model.py": b"x = 2\n"}, version="0" * 64)
    found = code_of([execution(module_path=f"model@{path}")])
    assert not found.changes
    assert "do not give the digest in its name" in found.unknowns[0].why


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04"])
def test_what_is_no_wheel_is_unknown(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model-0.0-py3-none-any.whl"
    path.write_bytes(content)
    found = code_of([execution(module_path=f"model@{path}")])
    assert "the wheel cannot be opened" in found.unknowns[0].why


# Folders


def test_the_folder_of_the_code_is_that_of_its_function(package: Path, tmp_path: Path) -> None:
    assert folder_of(execution(run_fn="userpackage.deep.layers.run_fn")) == str(package / "deep")
    (tmp_path / "model.py").write_text("")
    assert folder_of(execution(module_file=str(tmp_path / "model.py"))) == str(tmp_path)
    assert folder_of(execution(run_fn="nowhere.run_fn")) is None
    assert folder_of(execution(run_fn="pydantic.main.create_model")) is None


# Repositories


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    folder = tmp_path / "repo"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    git(folder, "config", "user.email", "ann@example.org")
    git(folder, "config", "user.name", "Ann")
    (folder / "model.py").write_text("x = 1\n")
    (folder / ".gitignore").write_text("ignored/\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout.strip()


def everything(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_clean_repository_is_told(repo: Path) -> None:
    git(repo, "remote", "add", "origin", "https://ann:hunter2@git.example.org/people/census.git")
    (repo / "deep").mkdir()
    found = repository_of(repo / "deep")
    assert found is not None
    assert found.commit == git(repo, "rev-parse", "HEAD")
    assert found.branch == "main"
    assert found.remote == "https://git.example.org/people/census.git"
    assert (found.dirty, found.changed, found.diff_sha256) == (False, [], None)
    assert repository_of(repo / "model.py") == found


def test_changes_are_named_and_hashed_and_nothing_is_written(repo: Path) -> None:
    (repo / "model.py").write_text("x = 2\n")
    (repo / "new file.py").write_text("secret content\n")
    (repo / "ignored").mkdir()
    (repo / "ignored" / "x.py").write_text("")
    before = everything(repo)
    found = repository_of(repo)
    assert everything(repo) == before
    assert found is not None
    assert found.dirty
    assert found.changed == ["model.py", "new file.py"]
    told = subprocess.run(
        ["git", "-C", str(repo), "diff", "--binary", "--full-index", "HEAD"], check=True, capture_output=True
    ).stdout
    assert found.diff_sha256 == sha256(told)


def test_the_digest_of_changes_is_the_same_under_any_configuration(repo: Path) -> None:
    (repo / "model.py").write_text("x = 2\n" * 50)
    first = repository_of(repo)
    for name, value in {
        "diff.noprefix": "true",
        "diff.context": "9",
        "diff.mnemonicPrefix": "true",
        "diff.external": "/bin/false",
        "color.ui": "always",
        "core.pager": "/bin/false",
        "diff.algorithm": "patience",
        "core.fsmonitor": "/bin/false",
        "status.showUntrackedFiles": "no",
    }.items():
        git(repo, "config", name, value)
    assert repository_of(repo) == first


def test_untracked_files_alone_make_it_dirty_and_are_only_named(repo: Path) -> None:
    (repo / "notes").mkdir()
    (repo / "notes" / "a.txt").write_text("a")
    found = repository_of(repo)
    assert found is not None
    assert (found.dirty, found.changed, found.diff_sha256) == (True, ["notes/"], None)


def test_a_detached_head_has_no_branch(repo: Path) -> None:
    git(repo, "checkout", "-q", "--detach")
    found = repository_of(repo)
    assert found is not None
    assert found.branch is None


def test_a_shallow_clone_and_a_work_tree_are_repositories(repo: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{repo}", "shallow")
    git(repo, "worktree", "add", "-q", str(tmp_path / "tree"), "-b", "other")
    shallow, tree = repository_of(tmp_path / "shallow"), repository_of(tmp_path / "tree")
    assert shallow is not None
    assert tree is not None
    assert shallow.commit == tree.commit == git(repo, "rev-parse", "HEAD")
    assert tree.branch == "other"


def test_a_submodule_with_other_content_shows(repo: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", str(repo), "library")
    git(
        repo,
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        str(tmp_path / "library"),
        "lib",
    )
    git(repo, "commit", "-q", "-m", "with a library")
    (repo / "lib" / "model.py").write_text("x = 3\n")
    outer, inner = repository_of(repo), repository_of(repo / "lib")
    assert outer is not None
    assert inner is not None
    assert outer.changed == ["lib"]
    assert inner.changed == ["model.py"]


def test_another_repository_that_the_environment_names_is_not_looked_at(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = repository_of(repo)
    git(tmp_path, "clone", "-q", str(repo), "other")
    (tmp_path / "other" / "model.py").write_text("x = 9\n")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "other"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "/bin/false")
    assert repository_of(repo) == expected


def test_what_is_no_repository_has_a_reason(repo: Path, tmp_path: Path) -> None:
    (repo / "ignored").mkdir()
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "-q")
    bare = tmp_path / "bare"
    git(tmp_path, "clone", "-q", "--bare", str(repo), str(bare))
    for place, said in {
        tmp_path: "lies in no git repository",
        repo / "ignored": "is ignored by the git repository",
        empty: "has no commit yet",
        bare: "lies in no git repository",
        tmp_path / "gone" / "deeper": "is no folder here",
        repo / ".git": "lies in no git repository",
    }.items():
        found, why = look_up(place)
        assert found is None
        assert said in why


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_a_repository_that_git_does_not_trust_is_told(repo: Path) -> None:
    for path in (repo, repo / ".git"):
        os.chown(path, 65534, 65534)
    found, why = look_up(repo)
    assert found is None
    assert "safe.directory" in why


def test_without_git_there_is_a_reason(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repo))
    assert look_up(repo) == (None, "git is not installed here")


def test_a_git_that_does_not_answer_is_not_waited_for(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "bin" / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(repository_module, "_SECONDS", 0.2)
    assert "did not answer" in look_up(repo)[1]


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://ann:hunter2@git.example.org/a/b.git", "https://git.example.org/a/b.git"),
        ("https://hunter2@git.example.org/a/b.git", "https://git.example.org/a/b.git"),
        ("https://ann:hunter2/x@git.example.org/a.git", "https://git.example.org/a.git"),
        (
            "https://git.example.org/a.git?private_token=hunter2",
            "https://git.example.org/a.git?private_token=***",
        ),
        ("ssh://git@git.example.org:2222/a/b.git", "ssh://git.example.org:2222/a/b.git"),
        ("git@git.example.org:a/b.git", "git.example.org:a/b.git"),
        ("/srv/git/a.git", "/srv/git/a.git"),
        ("../a.git", "../a.git"),
    ],
)
def test_an_address_is_shown_without_user_password_and_token(address: str, shown: str) -> None:
    assert without_user(address) == shown
