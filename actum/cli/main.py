"""The `actum` command: what every subcommand shares. Each noun has a file of its own, imported when it is used."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated

import typer

from actum.cli import (
    approvals,
    archive,
    checkpoint,
    db,
    demo,
    erase,
    events,
    executions,
    export,
    hold,
    imports,
    keys,
    metrics,
    pools,
    proof,
    relay,
    retention,
    run,
    schedules,
    seal,
    simulate,
    verify,
    worker,
    workflow,
)
from actum.cli.exits import DONE, INTERRUPTED, exit_code
from actum.cli.options import use
from actum.errors import ActumError
from actum.settings import Settings

__all__ = ["app", "main"]

app = typer.Typer(
    name="actum",
    help="Durable work on one tamper-evident log: run it, look at it, measure it, prove it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"actum {version('actum')}")
        raise typer.Exit


@app.callback()
def _root(
    store: Annotated[
        str | None, typer.Option(help="Which log: a store URL. Default: ACTUM_STORE, or sqlite:///actum.db.")
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="Whose log. Default: ACTUM_TENANT, or default.")] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    given = Settings.read()
    use(replace(given, store=store or given.store, tenant=tenant or given.tenant))


@contextmanager
def errors_as_exits() -> Iterator[None]:
    """Say an error that was raised on purpose in one paragraph, and leave with its code; a bug gets its traceback."""
    try:
        yield
    except ActumError as exc:
        sys.stdout.flush()
        typer.echo(f"actum: {exc}", err=True)
        raise SystemExit(exit_code(exc)) from None
    except KeyboardInterrupt:
        typer.echo("actum: interrupted; what was recorded is safe, and `actum resume` goes on from there", err=True)
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError:
        sys.stderr.close()
        raise SystemExit(DONE) from None


for _noun in (
    demo,
    run,
    worker,
    pools,
    workflow,
    executions,
    events,
    approvals,
    schedules,
    imports,
    metrics,
    verify,
    seal,
    proof,
    checkpoint,
    keys,
    export,
    archive,
    relay,
    erase,
    hold,
    retention,
    simulate,
    db,
):
    _noun.register(app)


def main() -> None:
    """The entry point of the `actum` script."""
    with errors_as_exits():
        app()
