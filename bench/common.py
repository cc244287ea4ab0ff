"""What loads and runners share: timing, one JSON line per figure on stdout, and where results are kept."""

from __future__ import annotations

import datetime
import json
import os
import platform
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


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


def bytes_of(url: str) -> int:
    """What a database takes on disk: a SQLite file with its write-ahead log written back, or tables and indexes."""
    if url.startswith("sqlite"):
        return sqlite_bytes(Path(url.removeprefix("sqlite:///")))
    from actum.testing.postgres import ask

    ask(url, "CHECKPOINT")
    ((used,),) = ask(url, "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND oid > 16384")
    return int(used)


class Stamps:
    """When each step of a workflow began: what lies between two of them is what the engine added to one step."""

    def __init__(self) -> None:
        self._at: list[int] = []

    def now(self) -> None:
        self._at.append(time.perf_counter_ns())

    def figures(self, skip: int = 20) -> dict[str, float]:
        """The middle and the slow end of what was added to a step, in milliseconds; the first few are left out."""
        gaps = sorted((after - before) / 1e6 for before, after in pairwise(self._at[skip:]))
        return {"p50_ms": gaps[len(gaps) // 2], "p99_ms": gaps[int(len(gaps) * 0.99)]}


def resident_mib() -> float:
    """Memory of this process, as the kernel counts it."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def word(index: int, default: str = "") -> str:
    """A command line word of a load."""
    return sys.argv[index] if len(sys.argv) > index else default


def about_here(*packages: str) -> dict[str, Any]:
    """When, on what machine and with which versions (of these packages, too) something is measured."""
    return {
        "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {
            "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
            "load_1min": os.getloadavg()[0],
        },
        "versions": {
            "python": platform.python_version(),
            "sqlite": sqlite3.sqlite_version,
            "actum": version("actum"),
            **{package: version(package) for package in packages},
        },
    }


def keep(name: str, result: dict[str, Any]) -> None:
    """Write a result to the folder of results."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / name).write_text(json.dumps(result, indent=1) + "\n")
