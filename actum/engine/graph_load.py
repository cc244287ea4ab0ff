"""From files, texts and dicts to graphs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from actum.engine.graph import Graph
from actum.engine.graph_check import check
from actum.engine.graph_source import read_file, read_text
from actum.engine.json_values import plain
from actum.engine.place import Place

__all__ = ["load_graph", "read_graph"]


def load_graph(
    source: str | Path | Mapping[str, Any],
    *,
    base: str | Path | None = None,
    modules: Mapping[str, str] | None = None,
) -> Graph:
    """A graph that is known to be able to run: its definition is sound and its code is there.

    `source` is a JSON or YAML file, the text of one (anything with a line break, or that begins with `{`), or
    the dict itself. The modules of its steps are looked for in `base` first (by default the file's folder, or
    the working directory when there is no file), then as always, then in the folder above it. `modules` renames
    modules by prefix, for definitions that were written for another place:
    `{"tests.pipelines": "examples.ia_modules"}`.

    Raises `DefinitionError`, which names the source, the place in it, and what is wrong.
    """
    return read_graph(source, base=base, modules=modules).build()


def read_graph(
    source: str | Path | Mapping[str, Any],
    *,
    base: str | Path | None = None,
    modules: Mapping[str, str] | None = None,
) -> Graph:
    """The same without importing any code: for looking at a definition where its code is not there."""
    name = "(a definition)"
    if isinstance(source, Mapping):
        raw = plain(dict(source), Place(name))
    elif isinstance(source, str) and ("\n" in source or source.lstrip().startswith("{")):
        raw = read_text(source, name)
    else:
        path = Path(source)
        name = str(path)
        raw = read_file(path)
        base = base or path.resolve().parent
    from actum.engine.graph_reading import graph_of  # pydantic is loaded when the first definition is

    graph = graph_of(raw, name, None if base is None else Path(base), _renamed(modules, name))
    check(graph)
    return graph


def _renamed(modules: Mapping[str, str] | None, source: str) -> dict[str, str]:
    renamed = dict(modules or {})
    for key, value in renamed.items():
        if not key or not value:
            raise Place(source, "modules").error(f"renames {key!r} to {value!r}; both must be module names")
    return renamed
