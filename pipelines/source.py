"""User code as the pipeline refers to it: by dotted path, with a digest so that edits are seen.

TFX can package a ``module_file``, but then takes every ``.py`` beside it into the cache key; a
dotted path it takes at its word, so that edited code is served from the cache of the old. So the
digest of the code goes into the node's executor specification, which is part of TFX's cache key.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfx_trust.components.errors import UsageError
from tfx_trust.components.provenance.modules import file_of, module_files

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
    path = file_of(module)
    if path is None or name not in _top_level_names(path):
        raise UsageError(f"{function!r}: {module} defines no {name!r} at its top level")
    return function


def source_digest(dotted: str) -> str:
    """sha256 over the module of a dotted path and the modules of the same package that it imports.

    Imports are followed as :func:`~tfx_trust.components.provenance.modules.module_files` does.

    Raises
    ------
    UsageError
        If there is no Python source to be read.
    """
    module = dotted.rpartition(".")[0]
    if file_of(module) is None:
        raise UsageError(f"{dotted}: the source of {module} cannot be read; give a function of a .py module")
    digest = hashlib.sha256()
    for name, path in module_files(module).items():
        digest.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


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
