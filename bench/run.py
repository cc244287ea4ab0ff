"""Runs every workload for actum, DBOS and LangGraph in turns, writes medians, and renews the README's figures.

`python -m bench.run [--on sqlite|postgresql] [--rounds N] [--quick]` writes `bench/results/sqlite.json` or
`bench/results/engine_postgresql.json`. Each load is a process of its own with a database of its own. Nothing else
should run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from actum.testing.postgres import ask, database
from bench.common import RESULTS, about_here, keep
from bench.report import renew_readme

PEERS = ("actum", "dbos", "langgraph")
SETTINGS = {
    "sqlite": {
        "actum": "SQLite WAL, synchronous=FULL, page size 8192; salted digests, chain, tree and views on",
        "dbos": "library defaults: SQLite rollback journal, synchronous=FULL; the last result of a step",
        "langgraph": "graph API, AsyncSqliteSaver: WAL, synchronous=FULL, durability=sync; a snapshot after each step",
    },
    "postgresql": {
        "actum": "fsync on; positions, salted digests, chain, tree and views on",
        "dbos": "library defaults; the last result of a step",
        "langgraph": "graph API, AsyncPostgresSaver, a pool of up to 20, durability=sync; a snapshot after each step",
    },
}
Figures = dict[str, float]


class Bench:
    """One round of the workloads of one side on one kind of database."""

    def __init__(self, peer: str, store: str, part: int) -> None:
        self.peer = peer
        self.store = store
        self.part = part
        """Every count is divided by this."""
        self.found: dict[str, Figures] = {}

    def once(self) -> dict[str, Figures]:
        ours = self.peer == "actum"
        few, many = (200, 3000) if ours else (60, 100)
        loads = [
            ("sequence_1", "sequence", few, 1),
            ("sequence_50", "sequence", many, 50),
            ("small_50", "small", many // 4, 50),
            ("fan_out_1", "fan_out", few, 1),
            ("fan_out_50", "fan_out", many // 2, 50),
        ]
        for name, workflow, count, at_once in loads:
            if workflow == "small" and self.peer == "langgraph":
                continue
            with self.fresh() as url:
                count = max(50, count // self.part)
                self.found[name] = figures_of(self.load(url, "executions", workflow, count, at_once, 10))
                if ours and name == "sequence_50":
                    self.found["verify"] = figures_of(self.load(url, "verify"))
        with self.fresh() as url:
            self.found["latency"] = figures_of(self.load(url, "latency", 2000 // self.part))
        with self.fresh() as url:
            self.found["waiting"] = figures_of(self.load(url, "waiting", 1000 // self.part))
        for count in (100, 1000):
            if count // self.part >= 100:
                with self.fresh() as url:
                    self.found[f"recover_{count}"] = self.killed_and_resumed(url, "half_way", count, 10)
        for steps in (10_000, 100_000) if ours else (10_000,):
            if steps // self.part >= 10_000:
                with self.fresh() as url:
                    self.found[f"long_{steps}"] = self.killed_and_resumed(url, "long_run", 1, steps)
                    self.found[f"rebuild_{steps}"] = figures_of(self.load(url, "rebuild", "e0", steps))
        if ours and self.store == "sqlite":
            for batch, callers in ((1, 1), (10, 1), (100, 1), (1, 8), (10, 8)):
                with self.fresh() as url:
                    name = f"append_{batch}" if callers == 1 else f"append_{batch}_by_{callers}"
                    self.found[name] = figures_of(self.load(url, "append", batch, callers, 2 / self.part))
            self.found["import"] = {"import_s": import_seconds()}
        return self.found

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """The URL of a new database."""
        if self.store == "postgresql":
            with database() as url:
                yield url
            return
        with tempfile.TemporaryDirectory(prefix=f"bench-{self.peer}-") as folder:
            yield f"sqlite:///{folder}/{self.peer}.db"

    def load(self, url: str, workload: str, *words: object, hold: bool = False) -> subprocess.Popen[str]:
        """Start one side of a workload in a process of its own."""
        environment = dict(os.environ, BENCH_HOLD="1" if hold else "0")
        command = [sys.executable, "-m", f"bench.{self.peer}_load", workload, url, *map(str, words)]
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True, cwd=RESULTS.parents[1]
        )

    def killed_and_resumed(self, url: str, workflow: str, count: int, steps: int) -> Figures:
        """Bring executions to their gate, kill -9, and time a new process from its start until all are done."""
        first = self.load(url, "hold", workflow, count, steps, hold=True)
        written = figures_of(first, "READY")
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
        began = time.perf_counter()
        second = self.load(url, "recover", count, workflow, steps)
        figures_of(second, "DONE")
        took = time.perf_counter() - began
        second.wait()
        return {"recovered_s": took, "written_s": written["written_s"]}


def figures_of(process: subprocess.Popen[str], until: str | None = None) -> Figures:
    """The figures a load prints, up to a word or to its end."""
    found: Figures = {}
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("FIGURES "):
            found |= json.loads(line.removeprefix("FIGURES "))
        if until is not None and line.startswith(until):
            return found
    if process.wait() != 0 or until is not None:
        raise SystemExit(f"a load ended with {process.returncode}: {process.args!r}")
    return found


def import_seconds() -> float:
    """`import actum` in a new interpreter, measured inside it."""
    code = "import time; t = time.perf_counter(); import actum; print(time.perf_counter() - t)"
    return statistics.median(
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(5)
    )


def sync_ms(folder: str) -> float:
    """The median time of an append of 4 KiB with fdatasync: what this disk makes everybody wait for."""
    took = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(200):
            file.write(b"x" * 4096)
            file.flush()
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
    return statistics.median(took) * 1000


def medians(rounds: list[dict[str, Figures]]) -> dict[str, dict[str, Any]]:
    """Per figure: the median, and all of the rounds."""
    return {
        name: {
            figure: {
                "median": statistics.median(r[name][figure] for r in rounds),
                "rounds": [r[name][figure] for r in rounds],
            }
            for figure in rounds[0][name]
        }
        for name in rounds[0]
    }


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--on", choices=tuple(SETTINGS), default="sqlite", help="the kind of database")
    words.add_argument("--rounds", type=int, default=3)
    words.add_argument("--quick", action="store_true", help="smaller loads, one round, nothing written")
    asked = words.parse_args()
    rounds: dict[str, list[dict[str, Figures]]] = {peer: [] for peer in PEERS}
    for number in range(1 if asked.quick else asked.rounds):
        for peer, found in rounds.items():
            began = time.perf_counter()
            found.append(Bench(peer, asked.on, 10 if asked.quick else 1).once())
            print(f"round {number + 1}: {peer}, {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    about = about_here("dbos", "langgraph", "langgraph-checkpoint-sqlite", "langgraph-checkpoint-postgres")
    about["machine"]["fdatasync_4k_ms"] = round(sync_ms(tempfile.gettempdir()), 3)
    settings = {
        **SETTINGS[asked.on],
        "steps": "no-op async steps, one integer in and out; each side in processes of its own, in turns",
        "rounds": len(rounds["actum"]),
    }
    if asked.on == "postgresql":
        ((settings["server"],),) = ask(_any_url(), "SELECT version()")
    result = {**about, "settings": settings, **{peer: medians(found) for peer, found in rounds.items()}}
    if asked.quick:
        json.dump(result, sys.stdout, indent=1)
        return
    keep("sqlite.json" if asked.on == "sqlite" else "engine_postgresql.json", result)
    renew_readme()


def _any_url() -> str:
    from actum.testing.postgres import SERVER

    return SERVER


if __name__ == "__main__":
    main()
