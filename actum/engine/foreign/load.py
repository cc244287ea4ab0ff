"""From files, texts and dicts to foreign code: which language it is, what is wrong with it, what it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from actum.engine.foreign.code import Foreign
from actum.engine.foreign.tasks import bindings
from actum.engine.graphs.graph import Code
from actum.engine.graphs.place import Place
from actum.engine.graphs.source import read_file, read_text
from actum.engine.payloads.json_values import plain
from actum.errors import DefinitionError

__all__ = ["language_of", "load_foreign", "load_published", "problems_in", "read_foreign"]


def language_of(raw: Any) -> str | None:
    """Whose language a definition is written in: `asl`, `serverless`, or none that is known here."""
    if not isinstance(raw, dict):
        return None
    if "StartAt" in raw or "States" in raw:
        return "asl"
    if isinstance(raw.get("document"), dict) and "dsl" in raw["document"]:
        return "serverless"
    return None


def load_foreign(
    source: str | Path | Mapping[str, Any],
    *,
    tasks: Mapping[str, Callable[..., Any] | str] | None = None,
    name: str | None = None,
    base: str | Path | None = None,
) -> Foreign:
    """Another engine's definition, known to be able to run: sound, all of it mapped, its functions found.

    `source` is a JSON or YAML file, the text of one, or the dict itself, in the Amazon States Language or in
    Serverless Workflow 1.0. `tasks` binds what its tasks are called to functions, or to `"module:name"` looked for in
    `base`, by default the file's folder. `name` is what executions are listed under; by default what the definition
    calls itself, or its file.

    Raises `DefinitionError`, which names the source, the place in it, and what is wrong or does not exist here.
    """
    return read_foreign(source, tasks=tasks, name=name, base=base).build()


def problems_in(file: Path) -> tuple[str | None, list[tuple[str, str]]]:
    """The language of a file, and all that is wrong with it or does not exist here: JSON path and words of each."""
    raw = read_file(file)
    language = language_of(raw)
    if language == "asl":
        from actum.engine.foreign.asl.lint import lint, unmapped

        return language, [(one.path, one.text) for one in lint(raw, str(file)) or unmapped(raw, str(file))]
    if language == "serverless":
        from actum.engine.foreign.serverless.check import check

        return language, [(one.path, one.text) for one in check(raw, str(file))]
    return None, []


def read_foreign(
    source: str | Path | Mapping[str, Any],
    *,
    tasks: Mapping[str, Callable[..., Any] | str] | None = None,
    name: str | None = None,
    base: str | Path | None = None,
) -> Foreign:
    """The same without its functions: for looking at a definition where they are not there."""
    called = "(a definition)"
    stem = "workflow"
    if isinstance(source, Mapping):
        raw = plain(dict(source), Place(called))
    elif isinstance(source, str) and ("\n" in source or source.lstrip().startswith("{")):
        raw = read_text(source, called)
    else:
        path = Path(source)
        called = str(path)
        stem = path.name.partition(".")[0]
        raw = read_file(path)
        base = base or path.resolve().parent
    return _made(raw, called, name, stem, bindings(tasks, Place(called)), None if base is None else Path(base))


def load_published(published: Mapping[str, Any], base: str) -> Foreign:
    """What `to_json` gave, built again."""
    tasks = {name: Code(ref) for name, ref in published["tasks"].items()}
    source = f"the published {published['name']!r}"
    return _made(published["definition"], source, published["name"], "", tasks, Path(base)).build()


def _made(raw: Any, source: str, name: str | None, stem: str, tasks: dict[str, Code], base: Path | None) -> Foreign:
    language = language_of(raw)
    if language == "asl":
        from actum.engine.foreign.asl.machine import state_machine

        return state_machine(raw, name or stem, tasks, base, source)
    if language == "serverless":
        from actum.engine.foreign.serverless.document import serverless_workflow

        return serverless_workflow(raw, name, tasks, base, source)
    raise DefinitionError(
        source,
        "$",
        "is neither a state machine (StartAt, States) nor a Serverless Workflow (document.dsl); "
        "an actum graph is loaded with load_graph",
    )
