"""Source files of a module and of what it imports from its own package, found without running any of it."""

from __future__ import annotations

import ast
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path


def module_files(module: str) -> dict[str, Path]:
    """Source file by module: those of `module` and of the modules of the same package that it imports.

    Imports are followed statically, within the top-level package (for ``tfx_trust`` and other namespace
    packages: within the first two levels; for a module outside any package: within its folder), so that
    versions of libraries do not count. Empty where there is no Python source.
    """
    own = file_of(module)
    folder = own.parent if own is not None and "." not in module and own.name != "__init__.py" else None
    boundary = _boundary(module)
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        path = file_of(name)
        if path is None:
            continue
        found[name] = path
        for item in _imports(name, path):
            target = file_of(item) if folder is not None else None
            if (item + ".").startswith(boundary + ".") or (target is not None and target.parent == folder):
                waiting.append(item)
    return dict(sorted(found.items()))


def file_of(module: str) -> Path | None:
    """The source file of a module; none where there is no such module, or no Python source of it."""
    spec = _spec_of(module)
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin)


def relative_name(module: str, path: Path) -> str:
    """Where a module's file lies in its distribution.

    Examples
    --------
    >>> relative_name("census.model", Path("/src/census/model.py"))
    'census/model.py'
    >>> relative_name("census", Path("/src/census/__init__.py"))
    'census/__init__.py'
    """
    place = module.replace(".", "/")
    return f"{place}/__init__.py" if path.name == "__init__.py" else f"{place}.py"


def _spec_of(module: str) -> importlib.machinery.ModuleSpec | None:
    """As importlib finds it, but the packages that it lies in are not imported for that."""
    path: list[str] | None = None
    spec = None
    parts = module.split(".")
    for count, part in enumerate(parts, start=1):
        name = ".".join(parts[:count])
        folders = [] if path is None else [os.path.join(parent, part) for parent in path]
        spec = _known(name) or _found(name, path, folders)
        if spec is None:
            return None
        if count < len(parts):
            path = _inside(spec, folders)
            if not path:
                return None
    return spec


def _known(name: str) -> importlib.machinery.ModuleSpec | None:
    return getattr(sys.modules.get(name), "__spec__", None)


def _found(
    name: str, path: list[str] | None, folders: Iterable[str]
) -> importlib.machinery.ModuleSpec | None:
    for finder in sys.meta_path:
        find_spec = getattr(finder, "find_spec", None)
        try:
            spec = find_spec(name, path) if find_spec and name else None
        except KeyError:
            # A namespace within a package asks its parent, which is not imported.
            spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = [folder for folder in folders if os.path.isdir(folder)]
        except (ImportError, ValueError):
            continue
        if isinstance(spec, importlib.machinery.ModuleSpec):
            return spec
    return None


def _inside(spec: importlib.machinery.ModuleSpec, folders: Iterable[str]) -> list[str]:
    """The folders that a package's modules lie in; none of what is no package."""
    try:
        return list(spec.submodule_search_locations or ())
    except KeyError:
        return [folder for folder in folders if os.path.isdir(folder)]


def _boundary(module: str) -> str:
    top = module.split(".")[0]
    spec = _spec_of(top)
    is_namespace = spec is not None and spec.origin is None
    return ".".join(module.split(".")[:2]) if is_namespace else top


def _imports(module: str, path: Path) -> Iterator[str]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            try:
                base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            except ImportError:
                continue
            # `from package import name`: the name may be a module of its own.
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
