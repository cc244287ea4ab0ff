"""`actum metrics`: the nine numbers, and what is behind them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from actum.cli.options import Json, log_of
from actum.cli.output import console, print_json, progress

if TYPE_CHECKING:
    from actum.events import RecordedEvent

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
    json: Json = False,
) -> None:
    """Compute SR, CR, HIR, PC, MA, TCL, WCT, MTTE and RSR from the log."""
    from actum.cli.metrics_view import render, render_explain
    from actum.metrics import Window, compute

    with log_of() as store:
        end = store.head() if as_of is None else min(as_of + 1, store.head())
        asked = None if window is None else Window.parse(window, time.time_ns() // 1000)
        with progress("reading the log", hidden=json) as bar:
            task = bar.add_task("read", total=end)

            def counted() -> Iterator[RecordedEvent]:
                for number, event in enumerate(store.read(limit=end, payloads=False)):
                    if number % 5_000 == 0:
                        bar.update(task, completed=number)
                    yield event

            report = compute(
                counted(), window=asked, workflow=workflow, as_of=end - 1, target=target, by=by, explain=explain
            )
        if explain is not None:
            why = report.explain(explain)
            print_json(why) if json else render_explain(why, console())
        elif json:
            print_json(report.to_json())
        else:
            render(report.to_json(), console())
