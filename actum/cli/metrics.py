"""`actum metrics`: the nine numbers, and what is behind them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from actum.cli.options import Json, log_of
from actum.cli.output import console, print_json, progress, say

if TYPE_CHECKING:
    from actum.events import RecordedEvent
    from actum.eventstore import EventStore
    from actum.metrics import Fold

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    app.command("metrics")(metrics)


def metrics(
    workflow: Annotated[str | None, typer.Option(help="Only this workflow.")] = None,
    window: Annotated[str | None, typer.Option(help="7d, 24h, … or FROM/TO in ISO 8601. Default: all time.")] = None,
    as_of: Annotated[int | None, typer.Option(min=0, help="What was known at this position of the log.")] = None,
    by: Annotated[str | None, typer.Option(help="One report for each value of this label, e.g. workflow.")] = None,
    target: Annotated[float, typer.Option(min=0.0, max=1.0, help="The pass rate that PC asks about.")] = 0.95,
    explain: Annotated[str | None, typer.Option(help="Open one metric: formula, counts, the events behind it.")] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Go on from what this file remembers of the log, and renew it: all time only.")
    ] = None,
    json: Json = False,
) -> None:
    """Compute SR, CR, HIR, PC, MA, TCL, WCT, MTTE and RSR from the log."""
    from actum.cli.metrics_view import render, render_explain
    from actum.errors import BadInput
    from actum.metrics import Fold, Window, compute

    if cache is not None and (window or workflow or explain or as_of is not None):
        raise BadInput("--cache is for the whole log: not with --window, --workflow, --as-of or --explain")
    with log_of() as store:
        end = store.head() if as_of is None else min(as_of + 1, store.head())
        asked = None if window is None else Window.parse(window, time.time_ns() // 1000)
        with progress("reading the log", hidden=json) as bar:
            task = bar.add_task("read", total=end)

            def counted(after: int = -1) -> Iterator[RecordedEvent]:
                for number, event in enumerate(store.read(after, end - 1 - after, payloads=False), after + 1):
                    if number % 5_000 == 0:
                        bar.update(task, completed=number)
                    yield event

            if cache is None:
                report = compute(
                    counted(), window=asked, workflow=workflow, as_of=end - 1, target=target, by=by, explain=explain
                )
            else:
                fold = _remembered(cache, store) or Fold()
                before = fold.position
                report = compute(counted(before), target=target, by=by, onto=fold)
                if fold.position > before:
                    _remember(cache, store, fold)
        if explain is not None:
            why = report.explain(explain)
            print_json(why) if json else render_explain(why, console())
        elif json:
            print_json(report.to_json())
        else:
            render(report.to_json(), console())


def _remembered(cache: Path, store: EventStore) -> Fold | None:
    from actum.eventstore.snapshots import load_snapshot
    from actum.metrics.frozen import code_digest, thaw

    found = load_snapshot(cache, store, code_digest())
    fold = None if found is None else thaw(found.state)
    return fold if found is not None and fold is not None and fold.position == found.position else None


def _remember(cache: Path, store: EventStore, fold: Fold) -> None:
    from actum.eventstore.snapshots import Snapshot, save_snapshot
    from actum.metrics.frozen import code_digest, freeze

    if not save_snapshot(cache, store, code_digest(), Snapshot(fold.position, freeze(fold))):
        say(f"{cache} cannot be written; the next report reads the whole log again")
