"""The user's code: found by the parameters of executions that name it, and hashed without being run."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tfx_trust.components.errors import InputError
from tfx_trust.components.mlmd import Execution, Prefixes, rewritten
from tfx_trust.components.provenance.hashing import digest_files, tree_digest
from tfx_trust.components.provenance.masking import mask_text
from tfx_trust.components.provenance.modules import module_files, relative_name
from tfx_trust.components.provenance.record import Change, CodeEntry, FileEntry, Unknown
from tfx_trust.components.provenance.repository import repository_of
from tfx_trust.components.provenance.wheels import check_wheel

__all__ = ["Code", "code_of", "folder_of", "repository_of"]

_FILES = ("module_file", "schema_file")
_WHEEL = "module_path"
_EVALUATION = "eval_config"
_COMPONENT = "component"
# Packages whose version, which the environment has, says what their code is.
_LIBRARIES = ("tfx", "tfx_trust", "tfx_addons", "tensorflow_model_analysis", "tensorflow", "keras")
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_INSTALLED = ("site-packages", "dist-packages")


@dataclass
class Code:
    """The code of some executions."""

    entries: list[CodeEntry] = field(default_factory=list)
    """In the order of the executions, then of the parameters."""
    changes: list[Change] = field(default_factory=list)
    """Wheels that are not what they were when they were packaged."""
    unknowns: list[Unknown] = field(default_factory=list)
    """What could not be read."""


@dataclass(frozen=True)
class _Named:
    """A piece of code that a parameter names."""

    parameter: str
    reference: str
    kind: str
    place: str


def code_of(executions: Iterable[Execution], *, rewrite: Prefixes = (), found: str = "") -> Code:
    """The code that parameters name, as it is now.

    Functions and modules by dotted path, with what they import from their own package; module files; the
    wheels that TFX packages them in; modules of an Evaluator's own metrics; schema files; and the modules of
    the user's own components.

    Parameters
    ----------
    executions
        With their parameters as the store has them.
    rewrite
        Prefixes of places, if files were moved.
    found
        When it is looked at; ISO 8601.
    """
    code = Code()
    read: dict[_Named, tuple[list[FileEntry], str]] = {}
    for execution in sorted(executions, key=lambda item: item.id):
        for named in _named_by(execution, rewrite):
            if named not in read:
                read[named] = _read(named)
                if named.kind == "wheel" and read[named][0]:
                    told = check_wheel(named.place, mask_text(named.reference), found)
                    code.changes += told.changes
                    code.unknowns += told.unknowns
            files, why = read[named]
            entry = CodeEntry(
                parameter=named.parameter,
                reference=mask_text(named.reference),
                execution=execution.id,
                files=files,
                tree=tree_digest(files) if files else None,
            )
            code.entries.append(entry)
            if not files and all(item.subject != entry.reference for item in code.unknowns):
                code.unknowns.append(Unknown(what="code", subject=entry.reference, why=mask_text(why)))
    return code


def folder_of(execution: Execution, *, rewrite: Prefixes = ()) -> str | None:
    """The folder of an execution's function, if it is to be found here and is no installed package's."""
    for named in _named_by(execution, rewrite):
        if named.kind == "module":
            paths = [str(path.parent) for path in list(_module(named.place).values())[:1]]
        elif named.parameter == "module_file" and "://" not in named.place:
            paths = [os.path.dirname(os.path.abspath(named.place))]
        else:
            continue
        if (
            paths
            and os.path.isdir(paths[0])
            and not any(part in paths[0].split(os.sep) for part in _INSTALLED)
        ):
            return paths[0]
    return None


# What parameters name


def _named_by(execution: Execution, rewrite: Prefixes) -> Iterator[_Named]:
    given = {name: value for name, value in execution.properties.items() if _is_told(value)}
    for name, value in sorted(given.items()):
        text = str(value)
        if name in _FILES:
            yield _Named(name, text, "file", rewritten(text, rewrite))
        elif name == _WHEEL:
            yield _wheel_or_module(name, text, rewrite)
        elif name.endswith("_fn") and _DOTTED.fullmatch(text):
            yield _Named(name, text, "module", text.rpartition(".")[0])
        elif name.endswith("_fn") and not given.keys() & {"module_file", _WHEEL}:
            yield _Named(name, text, "nowhere", text)
        elif name == _EVALUATION:
            for module in sorted(set(_metric_modules(text))):
                yield _Named(name, module, "module", module)
    module = execution.type.rpartition(".")[0]
    if module and module.split(".")[0] not in _LIBRARIES:
        yield _Named(_COMPONENT, execution.type, "module", module)


def _is_told(value: Any) -> bool:
    return isinstance(value, str) and value not in ("", "null", "None")


def _wheel_or_module(name: str, text: str, rewrite: Prefixes) -> _Named:
    module, at, wheel = text.partition("@")
    if at:
        return _Named(name, text, "wheel", rewritten(wheel, rewrite))
    return _Named(name, text, "module", module)


def _metric_modules(text: str) -> Iterator[str]:
    """Modules of metrics that are not TFMA's or Keras' own."""
    try:
        waiting: list[Any] = [json.loads(text)]
    except ValueError:
        return
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            module = item.get("module")
            if isinstance(module, str) and module and module.split(".")[0] not in _LIBRARIES:
                yield module
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item


# What lies there


def _read(named: _Named) -> tuple[list[FileEntry], str]:
    """The files, or why there are none."""
    try:
        if named.kind == "module":
            return _module_entries(named.place), (
                f"no Python source of module {named.place} is to be found here; "
                "install the package that it is in, or run this where it is"
            )
        if named.kind == "nowhere":
            return [], f"parameter {named.parameter} names a function without its module"
        base = os.path.dirname(named.place) if "://" not in named.place else named.place.rpartition("/")[0]
        return digest_files([named.place], base or ".", follow=True), ""
    except InputError as error:
        return [], str(error)


def _module_entries(module: str) -> list[FileEntry]:
    names = {str(path.resolve()): relative_name(name, path) for name, path in _module(module).items()}
    files = digest_files(list(names), os.sep, follow=True)
    entries = [file.model_copy(update={"path": names[os.sep + file.path]}) for file in files]
    return sorted(entries, key=lambda file: file.path)


def _module(module: str) -> dict[str, Any]:
    """With the module itself in front."""
    files = module_files(module)
    return {module: files[module], **files} if module in files else files
