"""What is printed: one JSON document on stdout with `--json`, tables for people without, messages on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

__all__ = [
    "STATUS_STYLE",
    "console",
    "duration",
    "err",
    "how_many",
    "print_json",
    "progress",
    "say",
    "status_text",
    "table",
]

STATUS_STYLE = {
    "completed": "green",
    "success": "green",
    "granted": "green",
    "verified": "bold green",
    "running": "cyan",
    "waiting": "yellow",
    "compensating": "magenta",
    "paused": "yellow",
    "parked": "bold yellow",
    "skipped": "dim",
    "failed": "red",
    "rejected": "red",
    "expired": "red",
    "cancelled": "dim",
}


def console() -> Console:
    """Where people read: stdout. Made anew each time, so that it follows a redirected stdout."""
    if sys.stdout.isatty() or "COLUMNS" in os.environ:
        return Console(highlight=False)
    return Console(highlight=False, width=200)  # in a pipe, nothing is cut off to fit a screen that is not there


def err() -> Console:
    """Where messages go: stderr."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def say(message: str) -> None:
    """A message beside the answer."""
    err().print(message, markup=False)


def print_json(value: Any) -> None:
    """One JSON document on stdout, indented for a person at a terminal."""
    option = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    sys.stdout.buffer.write(orjson.dumps(value, option=option))
    sys.stdout.buffer.flush()


def table(
    title: str | None,
    columns: Sequence[str],
    rows: Sequence[Sequence[str | Text]],
    right: str = "",
    whole: str = "",
) -> Table:
    """A plain table. Columns named in `right` (comma separated) are aligned to the right.

    Where the screen is narrow columns fold, all but those named in `whole`; nothing is cut off.
    """
    made = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    to_right, unfolded = set(right.split(",")), set(whole.split(","))
    for column in columns:
        made.add_column(
            column,
            justify="right" if column in to_right else "left",
            header_style="dim",
            overflow="fold",
            no_wrap=column in unfolded,
        )
    for row in rows:
        made.add_row(*row)
    return made


def status_text(status: str) -> Text:
    return Text(status, style=STATUS_STYLE.get(status, ""))


def how_many(number: int, noun: str, plural: str = "") -> str:
    """`1 task`, `1,200 tasks`, `0 retries`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def duration(us: int | None) -> str:
    """A duration in the unit that reads best."""
    if us is None:
        return "–"
    if us < 1_000:
        return f"{us} µs"
    if us < 1_000_000:
        return f"{us / 1_000:.1f} ms"
    if us < 120_000_000:
        return f"{us / 1_000_000:.2f} s"
    minutes, seconds = divmod(us // 1_000_000, 60)
    if minutes < 120:
        return f"{minutes} min {seconds:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


@contextmanager
def progress(what: str, *, hidden: bool = False) -> Iterator[Progress]:
    """A progress bar on stderr; nothing where nobody watches."""
    shown = err()
    with Progress(
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=shown,
        transient=True,
        disable=hidden or not shown.is_terminal,
    ) as bar:
        yield bar
