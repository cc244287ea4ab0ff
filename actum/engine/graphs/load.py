"""From files, texts and dicts to graphs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from actum.engine.graphs.check import check, place_of, problems
from actum.engine.graphs.graph import Graph
from actum.engine.graphs.place import Place
from actum.engine.graphs.source import read_file, read_text
from actum.engine.payloads.json_values import plain
from actum.errors import DefinitionError

__all__ = ["find_problems", "load_graph", "read_graph"]


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
    within: tuple[Path, ...] = ()
    if isinstance(source, Mapping):
        raw = plain(dict(source), Place(name))
    elif isinstance(source, str) and ("\n" in source or source.lstrip().startswith("{")):
        raw = read_text(source, name)
    else:
        path = Path(source)
        name = str(path)
        raw = read_file(path)
        within = (path.resolve(),)
        base = base or path.resolve().parent
    from actum.engine.graphs.reading import graph_of  # pydantic is loaded when the first definition is

    folder = within[0].parent if within else None if base is None else Path(base)
    graph = graph_of(raw, Place(name), None if base is None else Path(base), _renamed(modules, name), folder, within)
    check(graph)
    return graph


def find_problems(
    path: str | Path, *, modules: Mapping[str, str] | None = None, code: bool = False
) -> tuple[Graph | None, list[DefinitionError]]:
    """A definition file, and everything that is wrong with it; the graph only when that is nothing.

    A text that cannot be read, or has another structure, hides what else may be wrong. With `code`, it is also seen
    whether the code of each step is there and can be called with what the step gives it, which imports it.
    """
    name = str(path)
    found: list[DefinitionError] = []
    try:
        raw = read_file(Path(path))
        from actum.engine.graphs.reading import graph_of

        folder = Path(path).resolve().parent
        within = (Path(path).resolve(),)
        graph = graph_of(raw, Place(name), folder, _renamed(modules, name), folder, within, found)
    except DefinitionError as exc:
        return None, found or [exc]
    # For a step that could not be read something stands in, of which nothing is to be said.
    unread = {one.path.partition("]")[0] for one in found if one.path.startswith("$.steps[")}
    found += [one for one in problems(graph) if one.path.partition("]")[0] not in unread]
    if not found and code:
        from actum.engine.graphs.code import CodeFinder
        from actum.engine.graphs.steps import runnable

        finder = CodeFinder(graph.base, graph.modules)
        for index, step in enumerate(graph.steps):
            try:
                if step.run is not None:
                    runnable(graph, step, finder, place_of(graph, index))
            except DefinitionError as exc:
                found.append(exc)
    return (None, found) if found else (graph, found)


def _renamed(modules: Mapping[str, str] | None, source: str) -> dict[str, str]:
    renamed = dict(modules or {})
    for key, value in renamed.items():
        if not key or not value:
            raise Place(source, "modules").error(f"renames {key!r} to {value!r}; both must be module names")
    return renamed
