"""`actum workflow import --from`: definitions of other engines, checked, bound to functions, and published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from actum.cli.options import current, log_of, use
from actum.cli.output import how_many, print_json, say
from actum.errors import BadInput, DefinitionError, near_miss

if TYPE_CHECKING:
    from actum.engine.foreign import Foreign
    from actum.eventstore import EventStore

__all__ = ["TaskFile", "Tasks", "bindings_of", "import_foreign"]

LANGUAGES: Final = {"asl": "asl", "serverless-workflow": "serverless"}

Tasks = Annotated[
    list[str] | None,
    typer.Option(
        "--task", metavar="NAME=MODULE:FUNCTION", help="Which function does what the definition calls NAME. Repeatable."
    ),
]
TaskFile = Annotated[
    Path | None, typer.Option("--tasks", metavar="FILE", help="JSON or YAML: NAME: module:function, for many tasks.")
]


def bindings_of(words: Sequence[str] | None, file: Path | None) -> dict[str, str]:
    """What `--task` and `--tasks` say: by the name in the definition, `module:function`. Raises `BadInput`."""
    found: dict[str, str] = {}
    if file is not None:
        from actum.engine.graphs.source import read_file

        raw = read_file(file)
        if not isinstance(raw, dict) or not all(isinstance(value, str) for value in raw.values()):
            raise BadInput(f"{file}: is no mapping of names to module:function")
        found |= raw
    for word in words or ():
        name, _, target = word.rpartition("=")
        if not name or ":" not in target.strip(":"):
            raise BadInput(f"--task: {word!r} is not NAME=module:function")
        found[name] = target
    return found


def import_foreign(
    language: str,
    files: Sequence[Path],
    tasks: Mapping[str, str],
    *,
    name: str | None = None,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """Check the files, publish those that can run, print the report, and leave with 1 when one was refused."""
    if language not in LANGUAGES:
        raise BadInput(
            f"--from: there is no {language!r}{near_miss(language, LANGUAGES)}; known: {', '.join(LANGUAGES)}"
        )
    if name is not None and len(files) != 1:
        raise BadInput(f"--name: one name cannot be that of {how_many(len(files), 'file')}")
    report: dict[str, list[dict[str, Any]]] = {"added": [], "changed": [], "unchanged": [], "refused": []}
    known: set[str] = set()
    sound: list[tuple[Path, Foreign]] = []
    for file in files:
        code = _read(file, language, tasks, name, known, report["refused"], dry_run)
        if code is not None:
            sound.append((file, code))
    for one in tasks:
        if one not in known and not report["refused"]:
            raise BadInput(f"--task: no task is called {one!r}{near_miss(one, known)}")
    from actum.wiring import is_there

    if dry_run and not is_there(current()):
        use(replace(current(), store="memory://"))  # an empty log to compare with; making a file would be writing
    with log_of(writes=not dry_run) as store:
        for file, code in sound:
            what = _publish(store, code, dry_run)
            missing = list(code.unbound())
            entry = {"file": str(file), "workflow": code.name, "definition": code.digest}
            report[what].append({**entry, "notes": code.notes(), "unbound": missing})
    if json:
        print_json({"dry_run": dry_run, **report})
    else:
        _tell(report, dry_run)
    raise typer.Exit(1 if report["refused"] else 0)


def _read(
    file: Path,
    language: str,
    tasks: Mapping[str, str],
    name: str | None,
    known: set[str],
    refused: list[dict[str, Any]],
    dry_run: bool,
) -> Foreign | None:
    """The definition with what it can use of the bindings, built unless this is only a look; None when refused."""
    from actum.engine.foreign.load import problems_in, read_foreign

    try:
        found, problems = problems_in(file)
        if found != LANGUAGES[language]:
            other = next((key for key, value in LANGUAGES.items() if value == found), "none that is known here")
            problems = [("$", f"its language is not {language} but {other}")]
        if problems:
            said = [{"path": path, "problem": text} for path, text in problems]
            refused.append({"file": str(file), "problems": said})
            return None
        names = read_foreign(file).task_names()
        known |= names
        own = {key: target for key, target in tasks.items() if key in names}
        code = read_foreign(file, tasks=own, name=name)
        if not dry_run:
            code.build()
    except DefinitionError as exc:
        refused.append({"file": str(file), "problems": [{"path": exc.path, "problem": exc.problem}]})
        return None
    return code


def _publish(store: EventStore, code: Foreign, dry_run: bool) -> str:
    from actum.cli.erase import person
    from actum.engine.publishing import publish
    from actum.engine.runtime.ports import World
    from actum.events import to_text

    published = [
        event.facts["definition"]
        for event in store.read_stream(f"workflow/{code.name}")
        if event.type == "workflow.published"
    ]
    if code.digest in published:
        return "unchanged"
    if not dry_run:
        publish(store, code, to_text(World().now_us()), person())
    return "changed" if published else "added"


def _tell(report: Mapping[str, list[dict[str, Any]]], dry_run: bool) -> None:
    for what, ones in report.items():
        for one in ones:
            typer.echo(f"{what:9}  {one['file']}" + (f"  {one['workflow']}" if "workflow" in one else ""))
            for problem in one.get("problems", ()):
                typer.echo(f"           {problem['path']}: {problem['problem']}")
            for path in one.get("unbound", ()):
                typer.echo(f"           {path}: no function is bound to this task yet")
            for note in one.get("notes", ()):
                typer.echo(f"           {note}")
    said = ", ".join(f"{len(ones)} {what}" for what, ones in report.items())
    say(said + ("; nothing was written" if dry_run else ""))
