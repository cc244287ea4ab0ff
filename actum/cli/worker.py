"""`actum worker`: a process that takes what is due and finishes it, for as long as it lives."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actum.cli.exits import INTERRUPTED
from actum.cli.options import log_of
from actum.cli.output import console, how_many, print_json, say, status_text, table
from actum.cli.pools import ResourcesFile, loaded
from actum.errors import BadInput

if TYPE_CHECKING:
    from actum.engine.definitions import Code
    from actum.engine.resources import Resources
    from actum.eventstore import EventStore

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    app.command("worker")(worker)


def worker(
    concurrency: Annotated[
        int, typer.Option(min=1, help="How many executions are under way at once; what waits does not count.")
    ] = 50,
    workflow: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Take only executions of this workflow. Repeatable.")
    ] = None,
    modules: Annotated[
        list[str] | None,
        typer.Option(metavar="MODULE", help="Take only executions of the workflows in this module. Repeatable."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Its name; started again under it, it takes its own back at once.")
    ] = None,
    drain_timeout: Annotated[
        str, typer.Option(metavar="TIME", help="How long attempts under way may go on when it is told to stop.")
    ] = "30s",
    schedules: Annotated[
        bool, typer.Option("--schedules", help="Begin what schedules say, too; any number of workers may.")
    ] = False,
    resources: ResourcesFile = None,
    status: Annotated[bool, typer.Option("--status", help="Say who works, what is due, and what is parked.")] = False,
    json: Annotated[bool, typer.Option("--json", help="With --status: one JSON document on stdout.")] = False,
) -> None:
    """Take executions that nobody runs, and finish them, until told to stop.

    SIGTERM or Ctrl-C once: it takes nothing new, lets attempts under way end, and lets go of the rest, which another
    worker may take at once. A second time: it leaves at once, as if it had crashed.
    """
    from actum.engine.durations import seconds

    if status:
        with log_of() as store:
            _status(store, json)
        return
    if json:
        raise BadInput("--json is for --status")
    if name is not None and (not name.isprintable() or "/" in name or not 0 < len(name) <= 64 or name.startswith(".")):
        raise BadInput(f"--name is 1 to 64 printable characters without '/', not {name!r}")
    limit_s = seconds(drain_timeout)
    code = [one for module in modules or [] for one in _workflows_of(module)]
    wanted = [*(workflow or []), *(one.name for one in code)]
    shared = loaded(resources)
    _log_to_stderr()
    with log_of(writes=True) as store:
        cut_off, hurried = asyncio.run(
            _work(store, name, concurrency, wanted or None, code, limit_s, schedules, shared)
        )
    sys.stdout.flush()
    sys.stderr.flush()
    if cut_off or hurried:  # a thread that runs a step cannot be ended, and would be waited for
        os._exit(INTERRUPTED if hurried else 0)


def _workflows_of(module: str) -> list[Code]:
    from actum.engine.functions.workflow import Workflow
    from actum.engine.graphs.graph import Graph

    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found = importlib.import_module(module)
    except ImportError as exc:
        raise BadInput(f"--modules: {module!r} cannot be imported: {exc}") from exc
    code: list[Code] = [one for one in vars(found).values() if isinstance(one, (Workflow, Graph))]
    if not code:
        raise BadInput(f"--modules: there is no @workflow and no Graph in {module!r}")
    return code


async def _work(
    store: EventStore,
    name: str | None,
    concurrency: int,
    workflows: list[str] | None,
    code: list[Code],
    limit_s: float,
    schedules: bool,
    shared: Resources | None,
) -> tuple[int, bool]:
    """How many attempts were cut off, and whether it was told twice to stop."""
    from actum.engine import Engine
    from actum.engine.runtime.worker import Worker

    async with Engine(store, worker=name, resources=shared) as engine:
        engine.register(*code)
        worker = Worker(engine, concurrency=concurrency, workflows=workflows, drain_timeout_s=limit_s)
        running = asyncio.create_task(worker.run())
        planning = asyncio.create_task(engine.run_schedules()) if schedules else None
        told: list[int] = []

        def stop() -> None:
            told.append(1)
            if len(told) > 1:
                running.cancel()
            worker.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            engine.loop.add_signal_handler(number, stop)
        try:
            return await running, False
        except asyncio.CancelledError:
            return 0, True
        finally:
            if planning is not None:
                planning.cancel()
                with suppress(asyncio.CancelledError):
                    await planning


# -- log lines -------------------------------------------------------------------------------------------------------


class _Fields(logging.Formatter):
    """One line an event: time, level, what happened, then its fields as name=value."""

    _OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}

    def format(self, record: logging.LogRecord) -> str:
        fields = [f"{name}={_word(value)}" for name, value in vars(record).items() if name not in self._OWN]
        line = " ".join((self.formatTime(record), record.levelname, record.getMessage(), *fields))
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _word(value: object) -> str:
    text = str(value)
    return repr(text) if not text or any(c.isspace() or c in "'\"=" for c in text) else text


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_Fields())
    log = logging.getLogger("actum")
    log.addHandler(handler)
    log.setLevel(logging.INFO)


# -- what there is ---------------------------------------------------------------------------------------------------


def _status(store: EventStore, json: bool) -> None:
    from actum.engine.runtime.fleet import fleet

    found = fleet(store)
    if json:
        print_json(found)
        return
    out = console()
    if found["workers"]:
        rows = [
            (
                one["worker"],
                "–" if one["host"] is None else f"{one['host']}, {one['pid']}",
                (one["since"] or "")[:19].replace("T", " "),
                "–" if one["lease_left_s"] is None else f"{one['lease_left_s']:.1f} s",
                str(one["held"]),
                "–" if one["under_way"] is None else str(one["under_way"]),
                (one["progress_at"] or "–")[:19].replace("T", " "),
            )
            for one in found["workers"]
        ]
        columns = ("worker", "host, process", "since (UTC)", "lease left", "holds", "under way", "last end (UTC)")
        out.print(table(None, columns, rows, "lease left,holds,under way"))
    else:
        say("no worker is alive")
    _list("due, and nobody's", found["due"], "why", "nothing is due that no worker has")
    _list("parked", found["parked"], "reason", "nothing is parked")


def _list(title: str, rows: list[dict[str, Any]], why: str, none: str) -> None:
    if not rows:
        say(none)
        return
    out = console()
    out.print()
    shown = [(row["id"], row["workflow"], status_text(row["status"]), row[why]) for row in rows]
    out.print(table(f"{title}: {how_many(len(rows), 'execution')}", ("id", "workflow", "status", why), shown))
