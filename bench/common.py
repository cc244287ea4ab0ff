"""What both loads and the runner share: timing, and one JSON line per figure on stdout."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Clock:
    """Wall and processor seconds of a `with measured()` block, once it has ended."""

    wall_s = 0.0
    cpu_s = 0.0


@contextmanager
def measured() -> Iterator[Clock]:
    clock = Clock()
    wall, cpu = time.perf_counter(), time.process_time()
    yield clock
    clock.wall_s, clock.cpu_s = time.perf_counter() - wall, time.process_time() - cpu


def emit(**figures: Any) -> None:
    """Hand figures to the runner."""
    print("FIGURES " + json.dumps(figures), flush=True)


def sqlite_bytes(path: Path) -> int:
    """The size of a database file once its write-ahead log is written back."""
    con = sqlite3.connect(path)
    try:
        con.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        con.close()
    return os.path.getsize(path)


def word(index: int, default: str = "") -> str:
    """A command line word of a load."""
    return sys.argv[index] if len(sys.argv) > index else default
