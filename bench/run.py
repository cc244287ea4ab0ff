"""Runs every workload for actum and for DBOS in turns, writes medians and ratios, and renews the README's figures.

`python -m bench.run [--rounds N] [--quick]`. Nothing else should run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.report import renew_readme

RESULTS = Path(__file__).parent / "results" / "sqlite.json"
Figures = dict[str, float]


def load(peer: str, folder: Path, workload: str, *words: object, hold: bool = False) -> subprocess.Popen[str]:
    """Start one side of a workload in a process of its own."""
    environment = dict(os.environ, BENCH_HOLD="1" if hold else "0")
    command = [sys.executable, "-m", f"bench.{peer}_load", workload, str(folder), *map(str, words)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True, cwd=RESULTS.parents[2]
    )


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
        raise SystemExit(f"a load ended with {process.returncode}")
    return found


def killed_and_resumed(peer: str, folder: Path, workflow: str, count: int, steps: int) -> Figures:
    """Bring executions to their gate, kill -9, and time a new process from its start until all are done."""
    first = load(peer, folder, "hold", workflow, count, steps, hold=True)
    written = figures_of(first, "READY")
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    began = time.perf_counter()
    second = load(peer, folder, "recover", count)
    figures_of(second, "DONE")
    took = time.perf_counter() - began
    second.wait()
    return {"recovered_s": took, "written_s": written["written_s"]}


def once(peer: str, quick: bool) -> dict[str, Figures]:
    """One round of everything for one side."""
    part = 4 if quick else 1
    found: dict[str, Figures] = {}

    def fresh() -> Path:
        return Path(tempfile.mkdtemp(prefix=f"bench-{peer}-"))

    ours = peer == "actum"
    few, many = (200, 3000) if ours else (60, 100)
    for name, workflow, count, at_once in (
        ("sequence_1", "sequence", few, 1),
        ("sequence_50", "sequence", many, 50),
        ("small_50", "small", many // 4, 50),
        ("fan_out_1", "fan_out", few, 1),
        ("fan_out_50", "fan_out", many // 2, 50),
    ):
        folder = fresh()
        found[name] = figures_of(load(peer, folder, "executions", workflow, max(50, count // part), at_once, 10))
        if ours and name == "sequence_50":
            found["verify"] = figures_of(load(peer, folder, "verify"))
        shutil.rmtree(folder)
    for name, count in (("recover_100", 100), ("recover_1000", 1000)):
        if quick and count > 100:
            continue
        folder = fresh()
        found[name] = killed_and_resumed(peer, folder, "half_way", count, 10)
        shutil.rmtree(folder)
    folder = fresh()
    found["long_10000"] = killed_and_resumed(peer, folder, "long_run", 1, 10_000)
    found["rebuild_10000"] = figures_of(load(peer, folder, "rebuild", "e0"))
    shutil.rmtree(folder)
    if ours:
        for batch, callers in ((1, 1), (10, 1), (100, 1), (1, 8), (10, 8)):
            folder = fresh()
            name = f"append_{batch}" if callers == 1 else f"append_{batch}_by_{callers}"
            found[name] = figures_of(load(peer, folder, "append", batch, callers, 0.5 if quick else 2))
            shutil.rmtree(folder)
        found["import"] = {"import_s": import_seconds()}
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
    words.add_argument("--rounds", type=int, default=3)
    words.add_argument("--quick", action="store_true", help="smaller loads, one round, nothing written")
    asked = words.parse_args()
    rounds: dict[str, list[dict[str, Figures]]] = {"actum": [], "dbos": []}
    for number in range(1 if asked.quick else asked.rounds):
        for peer in rounds:
            print(f"round {number + 1}: {peer}", file=sys.stderr, flush=True)
            rounds[peer].append(once(peer, asked.quick))
    result = {
        "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {
            "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
            "fdatasync_4k_ms": round(sync_ms(tempfile.gettempdir()), 3),
            "load_1min": os.getloadavg()[0],
        },
        "versions": {
            "python": platform.python_version(),
            "sqlite": sqlite3.sqlite_version,
            "actum": version("actum"),
            "dbos": version("dbos"),
        },
        "settings": {
            "actum": "SQLite WAL, synchronous=FULL, page size 8192; salted digests, chain, tree and views on",
            "dbos": "library defaults: SQLite rollback journal, synchronous=FULL; the last result of a step",
            "steps": "no-op async steps, one integer in and out; each side in processes of its own, in turns",
            "rounds": len(rounds["actum"]),
        },
        "actum": medians(rounds["actum"]),
        "dbos": medians(rounds["dbos"]),
    }
    if asked.quick:
        json.dump(result, sys.stdout, indent=1)
        return
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    renew_readme()


if __name__ == "__main__":
    main()
