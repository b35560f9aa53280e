"""User code as the pipeline refers to it: by dotted path, with a digest so that edits are seen.

TFX can package a ``module_file``, but then takes every ``.py`` beside it into the cache key; a
dotted path it takes at its word, so that edited code is served from the cache of the old. So the
digest of the code goes into the node's executor specification, which is part of TFX's cache key.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tfx_trust.components.errors import UsageError

UserFunction = Callable[..., Any] | str


def dotted_path(function: UserFunction) -> str:
    """``package.module.function`` of a function, or of a string that is one already.

    Raises
    ------
    UsageError
        If it cannot be imported under that name in another process.

    Examples
    --------
    >>> dotted_path(dotted_path)
    'tfx_trust.pipelines.source.dotted_path'
    """
    if callable(function):
        if function.__module__ == "__main__" or not function.__qualname__.isidentifier():
            raise UsageError(
                f"{function.__qualname__} is defined in {function.__module__}: put it at the top level "
                "of an importable module, since workers of the pipeline import it by name"
            )
        return f"{function.__module__}.{function.__qualname__}"
    module, _, name = function.rpartition(".")
    try:
        found = importlib.util.find_spec(module) if module else None
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise UsageError(
            f"{function!r}: no module {module!r} can be imported; give 'package.module.function'"
        )
    path = _file_of(module)
    if path is None or name not in _top_level_names(path):
        raise UsageError(f"{function!r}: {module} defines no {name!r} at its top level")
    return function


def source_digest(dotted: str) -> str:
    """sha256 over the module of a dotted path and the modules of the same package that it imports.

    Imports are followed statically, within the top-level package (for ``tfx_trust`` and other
    namespace packages: within the first two levels; for a module outside any package: within its
    folder), so that library versions do not count.

    Raises
    ------
    UsageError
        If there is no Python source to be read.
    """
    module = dotted.rpartition(".")[0]
    if _file_of(module) is None:
        raise UsageError(f"{dotted}: the source of {module} cannot be read; give a function of a .py module")
    digest = hashlib.sha256()
    for name, path in sorted(_closure(module).items()):
        digest.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _closure(module: str) -> dict[str, Path]:
    own = _file_of(module)
    folder = own.parent if own is not None and "." not in module and own.name != "__init__.py" else None
    boundary = _boundary(module)
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _file_of(name)
        if name in found or path is None:
            continue
        found[name] = path
        for item in _imports(name, path):
            target = _file_of(item) if folder is not None else None
            if (item + ".").startswith(boundary + ".") or (target is not None and target.parent == folder):
                waiting.append(item)
    return found


def _boundary(module: str) -> str:
    top = module.split(".")[0]
    spec = importlib.util.find_spec(top)
    is_namespace = spec is not None and spec.origin is None
    return ".".join(module.split(".")[:2]) if is_namespace else top


def _file_of(module: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(module)
    except (ModuleNotFoundError, ValueError):
        return None
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin)


def _imports(module: str, path: Path) -> Iterator[str]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            # `from package import name`: the name may be a module of its own.
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _top_level_names(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.parse(path.read_bytes()).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return names
