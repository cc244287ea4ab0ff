"""Finding the code that a definition names, before anything runs."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from actum.engine.graphs.graph import Code
from actum.engine.graphs.place import Place
from actum.errors import near_miss

__all__ = ["CodeFinder"]

_MISSING: Final = object()


class CodeFinder:
    """Imports for one definition: where it looks, and what the modules of the definition are called here."""

    def __init__(self, base: Path | None, modules: Mapping[str, str]) -> None:
        self._first, self._last = _folders(base)
        self._modules = modules
        self._loaded: dict[str, ModuleType] = {}

    def find(self, code: Code, place: Place) -> Any:
        """The function, class or object. Raises `DefinitionError`, with the nearest name there is."""
        if code.thing is not None:
            return code.thing
        module_name, _, path = code.ref.partition(":")
        if "<" in path:
            raise place.error(
                f"{path!r} is defined inside a function, where it cannot be found again; move it to its module's top"
            )
        module_name = self._here(module_name)
        if module_name == "__main__":
            raise place.error(f"{code.ref!r} was defined in a script; move it into a module, to find it elsewhere too")
        found: Any = self._module(module_name, place)
        walked = module_name
        for name in path.split("."):
            inner = getattr(found, name, _MISSING)
            if inner is _MISSING:
                hint = near_miss(name, [known for known in dir(found) if not known.startswith("__")])
                raise place.error(f"{walked!r} has no {name!r}{hint}")
            found, walked = inner, f"{walked}.{name}"
        return found

    def _here(self, module: str) -> str:
        """What the definition's module is called here: the longest renamed prefix counts."""
        parts = module.split(".")
        for end in range(len(parts), 0, -1):
            renamed = self._modules.get(".".join(parts[:end]))
            if renamed is not None:
                return ".".join([renamed, *parts[end:]])
        return module

    def _module(self, name: str, place: Place) -> ModuleType:
        if name not in self._loaded:
            with _searching(self._first, self._last), _own_copy(name):
                self._loaded[name] = self._import(name, place)
        return self._loaded[name]

    def _import(self, name: str, place: Place) -> ModuleType:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as exc:
            if exc.name is None or not (name == exc.name or name.startswith(f"{exc.name}.")):
                raise place.error(f"module {name!r} cannot be imported: {exc}") from exc
            looked = ", ".join([*self._first, "sys.path", *self._last])
            hint = near_miss(exc.name, self._neighbours(exc.name))
            raise place.error(f"there is no module {exc.name!r}{hint} (looked in {looked})") from None
        except (Exception, SystemExit) as exc:
            last = traceback.extract_tb(exc.__traceback__)[-1]
            said = f"{type(exc).__name__}: {exc}"
            raise place.error(f"module {name!r} cannot be imported: {said} ({last.filename}:{last.lineno})") from exc

    def _neighbours(self, name: str) -> list[str]:
        """Modules with which the missing one may have been meant."""
        parent, _, _ = name.rpartition(".")
        folders = [*self._first, *self._last]
        if parent and parent in sys.modules:
            folders = list(getattr(sys.modules[parent], "__path__", []))
        prefix = f"{parent}." if parent else ""
        return [prefix + module.name for module in pkgutil.iter_modules(folders)]


def _folders(base: Path | None) -> tuple[list[str], list[str]]:
    """Where to look before everything else, and after it. A definition is often kept in a folder beside its code."""
    cwd = str(Path.cwd())
    if base is None:
        return [cwd], []
    folder = base.resolve()
    return [str(folder)], list(dict.fromkeys((str(folder.parent), cwd)))


@contextmanager
def _searching(first: list[str], last: list[str]) -> Iterator[None]:
    before = list(sys.path)
    sys.path[:] = [*first, *before, *(folder for folder in last if folder not in before)]
    importlib.invalidate_caches()
    try:
        yield
    finally:
        added = {*first, *last} - set(before)
        sys.path[:] = [*before, *(folder for folder in sys.path if folder not in before and folder not in added)]


@contextmanager
def _own_copy(name: str) -> Iterator[None]:
    """Import a module of which another folder's namesake is loaded already, as every project's `steps` may be.

    What was imported first keeps its name in `sys.modules`; the other one lives in the graph that asked for it.
    """
    if not _other_is_loaded(name):
        yield
        return
    top = name.partition(".")[0]
    theirs = {key: module for key, module in sys.modules.items() if key == top or key.startswith(f"{top}.")}
    for key in theirs:
        del sys.modules[key]
    try:
        yield
    finally:
        for key in [key for key in sys.modules if key == top or key.startswith(f"{top}.")]:
            del sys.modules[key]
        sys.modules.update(theirs)


def _other_is_loaded(name: str) -> bool:
    """Whether a fresh import would find another file than the one that is loaded under this name."""
    parts = name.split(".")
    path: Any = None
    for end in range(1, len(parts) + 1):
        loaded = sys.modules.get(".".join(parts[:end]))
        if loaded is None:
            return False
        spec = PathFinder.find_spec(".".join(parts[:end]), path)
        known = getattr(loaded, "__spec__", None)
        if spec is None or known is None:
            return False
        if spec.origin is not None and spec.origin != known.origin:
            return True
        path = spec.submodule_search_locations
        if path is None:
            return False
    return False
