"""`actum import`: records of work that ran elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from actum.cli.options import Json, current, log_of, use
from actum.cli.output import console, how_many, print_json, progress, say, table

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    app.command("import")(import_)


def import_(
    format_: Annotated[str, typer.Argument(metavar="FORMAT", help="tau-bench, tau2-bench or xes.")],
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Plain or .gz.")],
    mapping: Annotated[
        Path | None, typer.Option(help="YAML: what compensates, who is a person, what an outcome is.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read everything, write nothing.")] = False,
    json: Json = False,
) -> None:
    """Make executions of foreign records. Importing the same again adds nothing; a file with an error adds nothing."""
    from actum.evidence.importers import read_files
    from actum.wiring import is_there

    if dry_run and not is_there(current()):
        use(replace(current(), store="memory://"))  # an empty log to compare with; making a file would be writing
    with progress(f"importing {format_}") as bar:
        task = bar.add_task("import", total=None)

        def seen(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        with (
            read_files(format_, files, mapping, progress=seen) as foreign,  # may refuse: no store is made before
            log_of(writes=not dry_run) as store,
        ):
            report = foreign.into(store, dry_run=dry_run, progress=seen)
    answer = report.to_json()
    if json:
        print_json(answer)
        return
    out = console()
    verb = "would be imported" if dry_run else "imported"
    imported, read = how_many(answer["executions"], "execution"), how_many(answer["events"], "source event")
    out.print(f"{imported} {verb}, from {read}", markup=False)
    if answer["already_there"]:
        out.print(f"{how_many(answer['already_there'], 'execution')} there already", style="dim")
    if answer["left_out"]:
        rows = [(str(item["count"]), item["reason"], str(item["first"])) for item in answer["left_out"]]
        out.print(table("left out", ("count", "reason", "first"), rows, "count"))
    if not dry_run and answer["executions"]:
        say("look at them with: actum executions list, actum metrics")
