"""`actum workflow validate`, `format` and `import`: what is done to files of definitions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from actum.cli.options import Json, log_of
from actum.cli.output import how_many, print_json, say
from actum.cli.workflow_import import TaskFile, Tasks, bindings_of, import_foreign
from actum.errors import BadInput, DefinitionError

if TYPE_CHECKING:
    from actum.engine.graphs.graph import Graph
    from actum.eventstore import EventStore

__all__ = ["register"]

_SUFFIXES: Final = (".json", ".yaml", ".yml")
_NOT_OURS: Final = ("node_modules", "__pycache__")


def register(workflow: typer.Typer) -> None:
    workflow.command("validate")(validate)
    workflow.command("format")(format_)
    workflow.command("import")(import_)


# -- validate ------------------------------------------------------------------------------------------------------


def validate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Definitions: JSON or YAML.")],
    strict: Annotated[
        bool, typer.Option("--strict", help="Also import the code of the steps, and see that it can be called so.")
    ] = False,
    modules: Annotated[
        list[str] | None,
        typer.Option(metavar="OLD=NEW", help="Where the file says module OLD…, its code is in NEW… here. Repeatable."),
    ] = None,
    json: Json = False,
) -> None:
    """Say everything that is wrong with definitions. Exits with 1 when anything is."""
    from actum.cli.run import renamed
    from actum.engine.graphs.load import find_problems

    names = renamed(modules or [])
    answers: list[dict[str, Any]] = []
    for file in files:
        graph, problems = find_problems(file, modules=names, code=strict)
        answers.append(
            {
                "file": str(file),
                "ok": not problems,
                "name": graph.name if graph else None,
                "definition": graph.digest if graph else None,
                "problems": [{"path": one.path, "problem": one.problem} for one in problems],
            }
        )
    if json:
        print_json({"ok": all(one["ok"] for one in answers), "files": answers})
    else:
        for answer in answers:
            _tell(answer)
    raise typer.Exit(0 if all(one["ok"] for one in answers) else 1)


def _tell(answer: dict[str, Any]) -> None:
    if answer["ok"]:
        typer.echo(f"{answer['file']}: ok, {answer['name']} {answer['definition']}")
        return
    typer.echo(f"{answer['file']}: {how_many(len(answer['problems']), 'problem')}")
    for one in answer["problems"]:
        typer.echo(f"  {one['path']}: {one['problem']}")


# -- format --------------------------------------------------------------------------------------------------------


def format_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A definition: JSON or YAML.")],
    in_place: Annotated[bool, typer.Option("--in-place", help="Write it back, instead of to stdout.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit with 1 when it would change.")] = False,
) -> None:
    """Write a definition in the canonical dialect. It means the same: its digest does not change."""
    from actum.engine.graphs.formatting import formatted

    if in_place and check:
        raise BadInput("--in-place and --check: one writes, the other does not; give one")
    done = formatted(file)
    if check:
        if done.after != done.before:
            say(f"{file} would change")
            raise typer.Exit(1)
        return
    for comment in done.lost:
        say(f"a comment is lost with what it belonged to: # {comment}")
    if not in_place:
        typer.echo(done.after, nl=False)
    elif done.after != done.before:
        file.write_text(done.after, "utf-8")
        say(f"{file} was written anew")


# -- import --------------------------------------------------------------------------------------------------------


def import_(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="DIR|FILE…", help="Folders, searched with the folders in them; with --from: files."),
    ],
    language: Annotated[
        str | None, typer.Option("--from", help="Another engine's language: asl or serverless-workflow.")
    ] = None,
    task: Tasks = None,
    tasks: TaskFile = None,
    name: Annotated[
        str | None, typer.Option(help="With --from, for one file: what the workflow is called here.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")] = False,
    json: Json = False,
) -> None:
    """Publish every definition in these folders that is new or has changed, by its digest.

    Files that are no definitions are passed over. One that is a definition and cannot be published is refused, with
    the reason, and keeps none of the others back; the command then exits with 1.

    With `--from`, publish files that were written for another engine, as they are: each task bound to a function.
    """
    bindings = bindings_of(task, tasks)
    if language is not None:
        import_foreign(language, folders, bindings, name=name, dry_run=dry_run, json=json)
        return
    if bindings or name is not None:
        raise BadInput("--task, --tasks and --name are for another engine's definitions, which --from names")
    report: dict[str, list[dict[str, Any]]] = {"added": [], "changed": [], "unchanged": [], "refused": []}
    graphs = list(_definitions(folders, report["refused"]))
    with log_of(writes=not dry_run) as store:
        for file, graph in graphs:
            what, more = _import_one(store, graph, dry_run)
            report[what].append({"file": str(file), "workflow": graph.name, "definition": graph.digest, **more})
    if json:
        print_json({"dry_run": dry_run, **report})
    else:
        for what, ones in report.items():
            for one in ones:
                typer.echo(f"{what:9}  {one['file']}" + (f": {one['reason']}" if "reason" in one else ""))
        said = ", ".join(f"{len(ones)} {what}" for what, ones in report.items())
        say(said + ("; nothing was written" if dry_run else ""))
    raise typer.Exit(1 if report["refused"] else 0)


def _definitions(folders: list[Path], refused: list[dict[str, Any]]) -> Iterator[tuple[Path, Graph]]:
    """Every sound definition in the folders, in the order of their names; the others are refused."""
    from actum.engine.graphs.load import find_problems
    from actum.engine.graphs.source import read_file

    named: dict[str, Path] = {}
    for file in _files(folders):
        try:
            raw = read_file(file)
        except DefinitionError as exc:
            refused.append({"file": str(file), "reason": f"{exc.path}: {exc.problem}"})
            continue
        if not isinstance(raw, dict) or not isinstance(raw.get("steps"), list):
            continue
        graph, problems = find_problems(file)
        if graph is None:
            reasons = "; ".join(f"{one.path}: {one.problem}" for one in problems)
            refused.append({"file": str(file), "reason": reasons})
        elif graph.name in named:
            reason = f"is called {graph.name!r}, as {named[graph.name]} is; a workflow has one file"
            refused.append({"file": str(file), "reason": reason})
        else:
            named[graph.name] = file
            yield file, graph


def _files(folders: list[Path]) -> list[Path]:
    found: set[Path] = set()
    for folder in folders:
        if not folder.is_dir():
            raise BadInput(f"{folder} is no folder")
        for file in folder.rglob("*"):
            inside = file.relative_to(folder).parts
            hidden = any(part.startswith(".") or part in _NOT_OURS for part in inside)
            if file.suffix.lower() in _SUFFIXES and file.is_file() and not hidden:
                found.add(file)
    return sorted(found)


def _import_one(store: EventStore, graph: Graph, dry_run: bool) -> tuple[str, dict[str, Any]]:
    from actum.cli.erase import person
    from actum.engine.publishing import publish, published_as
    from actum.engine.runtime.ports import World
    from actum.events import to_text

    known = published_as(store, graph.name)
    same = next((one for one in known if one.definition == graph.digest), None)
    if same is not None and same.deprecated_at is not None:
        return "refused", {"reason": "this definition is deprecated; take that back with: actum workflow publish"}
    if same is not None and same is known[-1]:
        return "unchanged", {}
    if not dry_run:
        publish(store, graph, to_text(World().now_us()), person(), again=True)
    return ("changed", {"before": known[-1].definition}) if known else ("added", {})
