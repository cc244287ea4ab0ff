"""`actum export`: the numbers for other systems."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from actum.cli.options import log_of

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    export = typer.Typer(help="The numbers for other systems.", no_args_is_help=True)
    export.command("prometheus")(prometheus)
    app.add_typer(export, name="export")


def prometheus(
    window: Annotated[
        list[str] | None, typer.Option(help="Also the ratios of this window (24h, 7d, …); may be repeated.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Print once and end: all there is in this release.")] = True,
) -> None:
    """Print the metrics as Prometheus text: for a textfile collector, or to look at."""
    from actum.exporters.registry import open_exporter
    from actum.metrics import Window, compute, snapshot

    exporter = open_exporter("prometheus")
    now_us = time.time_ns() // 1000
    with log_of() as store:
        end = store.head()
        windows = [Window.parse(text, now_us) for text in window or ()]
        whole, *parts = [
            compute(store.read(limit=end, payloads=False), window=asked, as_of=end - 1) for asked in (None, *windows)
        ]
    sys.stdout.buffer.write(exporter.render(snapshot(whole, parts)))
    sys.stdout.buffer.flush()
