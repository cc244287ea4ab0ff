"""Ten million archived events: a report over all of them, and proving them, with the memory that each takes.

`python -m bench.archive [--rounds N] [--quick] [--folder FOLDER]`. The segments are real: 65,536 chained headers each,
in a tree that a checkpoint signs; payloads, which nobody asks here, are left out. They take 150 bytes an event, in a
temporary folder or in one that is kept. `--quick` has a million events and writes no result. Nothing else should run on
the machine meanwhile.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from itertools import islice
from multiprocessing import Pool
from pathlib import Path
from random import Random
from typing import Any

import orjson

from actum.archive import SEGMENT_EVENTS, Analytics, Segment, check_archive, open_place
from actum.archive.reading import ArchivedEvents
from actum.archive.segment import write_segment
from actum.archive.tiles import put_tiles
from actum.events import leaf_hash, to_text, to_us
from actum.events.catalog import validate_facts
from actum.events.checkpoint import Checkpoint, SigningKey, sign
from actum.events.merkle import Frontier, inclusion_proof, root_of
from actum.eventstore import RawEvent, open_store
from bench.common import emit, measured, word
from bench.run import RESULTS, Figures, figures_of, medians, sync_ms

KEY = SigningKey.generate("actum/default", seed=bytes(32))
NOON = to_us("2026-11-21T12:00:00.000000Z")
STEPS = 10
SIZE = 2 + 2 * STEPS
"""Events of one execution: started, ten steps that start and end, completed or failed."""
WORKFLOWS = ("checkout", "refund", "onboarding", "claims", "triage", "summary", "reconcile", "translate")
TOOLS = ("ledger", "search", "bank", "mail", "directory")

EXECUTIONS = """
    WITH started AS (SELECT stream, workflow FROM events WHERE type = 'execution.started'),
         ended AS (SELECT stream, outcome, duration_us FROM events
                   WHERE type IN ('execution.completed', 'execution.failed', 'execution.cancelled'))
    SELECT workflow, count(*) AS ended, count(*) FILTER (outcome = 'success') AS good,
           quantile_disc(duration_us, [0.5, 0.9, 0.95, 0.99]) AS completion_us
    FROM ended JOIN started USING (stream) GROUP BY workflow ORDER BY workflow"""
TOOL_CALLS = """
    WITH started AS (SELECT stream, workflow FROM events WHERE type = 'execution.started'),
         called AS (SELECT stream, outcome, duration_us FROM events WHERE tool IS NOT NULL
                    AND type IN ('step.completed', 'step.failed', 'step.timed_out', 'tool.returned'))
    SELECT workflow, count(*) AS calls, count(*) FILTER (outcome <> 'success') AS failed,
           quantile_disc(duration_us, [0.5, 0.9, 0.95, 0.99]) AS latency_us
    FROM called JOIN started USING (stream) GROUP BY workflow ORDER BY workflow"""


# -- a log that nobody had to run -------------------------------------------------------------------------------------


def happenings(chance: Random, workflow: str) -> Iterator[tuple[str, dict[str, Any], int]]:
    """What happens in one execution: types, facts, and after how many microseconds."""
    good = chance.random() < 0.93
    took = 0
    yield "execution.started", {"workflow": workflow, "kind": "function"}, took
    for number in range(STEPS):
        step: dict[str, Any] = {"step": f"step-{number}", "occurrence": 0, "attempt": 1}
        if number % 2 == 0:
            step["tool"] = TOOLS[number // 2]
        yield "step.started", step, took
        duration = int(chance.lognormvariate(11, 1))
        took += duration
        if good or number < STEPS - 1:
            yield "step.completed", step | {"outcome": "success", "duration_us": duration}, took
        else:
            failed = {"outcome": "failure", "error_type": "Declined", "final": True, "duration_us": duration}
            yield "step.failed", step | failed, took
    ended = {"duration_us": took, "active_us": took}
    if good:
        yield "execution.completed", ended | {"outcome": "success"}, took
    else:
        yield "execution.failed", ended | {"outcome": "failure", "error_type": "Declined"}, took


def headers(execution: int) -> Iterator[RawEvent]:
    """The chained headers of one execution, as a store would have them."""
    chance = Random(execution)
    stream = f"execution/{chance.randbytes(16).hex()}"
    began = NOON + execution * 1_000
    prev: bytes | None = None
    for index, (type_, facts, after_us) in enumerate(happenings(chance, WORKFLOWS[execution % len(WORKFLOWS)])):
        name = chance.randbytes(16).hex()
        head: dict[str, Any] = {
            "actor": {"kind": "worker", "ref": f"w-{execution % 16}"},
            "at": to_text(began + after_us),
            "facts": facts,
            "id": f"{name[:8]}-{name[8:12]}-7{name[13:16]}-a{name[17:20]}-{name[20:]}",
            "payload": {"class": "business", "digest": f"hmac-sha256:{chance.randbytes(32).hex()}", "size": 96},
            "recorded_at": to_text(began + after_us + 900),
            "schema": 1,
            "stream": stream,
            "tenant": "default",
            "type": type_,
            "v": 1,
            "version": index,
        }
        if prev is not None:
            head["prev"] = prev.hex()
        header = orjson.dumps(head, option=orjson.OPT_SORT_KEYS)
        prev = leaf_hash(header)
        yield RawEvent(execution * SIZE + index, stream, index, head["id"], type_, header, None, None)


def events_of(segment: int) -> Iterator[RawEvent]:
    """The events of one segment of the log, in which the executions stand one after the other."""
    first = segment * SEGMENT_EVENTS
    execution, skipped = divmod(first, SIZE)
    log = (event for number in range(execution, 1 << 40) for event in headers(number))
    return islice(log, skipped, skipped + SEGMENT_EVENTS)


def root(segment: int) -> bytes:
    frontier = Frontier()
    frontier.extend([leaf_hash(event.header) for event in events_of(segment)])
    return frontier.root()


def write(folder: Path, roots: list[bytes], note: str, segment: int) -> None:
    proof = inclusion_proof(roots, segment, len(roots))
    about = Segment("default", segment * SEGMENT_EVENTS, SEGMENT_EVENTS, roots[segment], proof, note)
    write_segment(folder / about.name, about, events_of(segment))


def generate(folder: Path, segments: int) -> None:
    """Two passes, since every segment holds the proof that leads to the root of all."""
    for event in headers(0):
        validate_facts(event.type, orjson.loads(event.header)["facts"])
    with Pool() as pool:
        roots = pool.map(root, range(segments), 1)
        note = sign(Checkpoint("actum/default", segments * SEGMENT_EVENTS, root_of(roots)), KEY)
        pool.map(partial(write, folder, roots, note), range(segments), 1)
        pool.map(partial(tile, folder), range(segments), 1)


def tile(folder: Path, segment: int) -> None:
    """The complete hash tiles of one segment, as `actum archive run` puts them beside it."""
    place, first = open_place(str(folder)), segment * SEGMENT_EVENTS
    rows = ArchivedEvents(place, "default").between(first, first + SEGMENT_EVENTS, payloads=False)
    put_tiles(place, "default", first, [leaf_hash(row.header) for row in rows])


# -- what is measured, each in a process of its own --------------------------------------------------------------------


def report(folder: Path) -> None:
    """Success rate, completion times and tool latencies of every workflow, over all events."""
    with measured() as opening:
        analytics = Analytics(open_place(str(folder)), open_store("memory://"))
    with analytics:
        for name in ("first", "again"):
            with measured() as asking:
                executions = analytics.query(EXECUTIONS)[1]
                calls = analytics.query(TOOL_CALLS)[1]
            emit(**{f"{name}_s": asking.wall_s, f"{name}_cpu_s": asking.cpu_s})
    assert len(executions) == len(calls) == len(WORKFLOWS)
    emit(open_s=opening.wall_s, executions=sum(r[1] for r in executions), tool_calls=sum(r[1] for r in calls))


def prove(folder: Path) -> None:
    with measured() as proving:
        found = check_archive(open_place(str(folder)), "default", [KEY.verifier()])
    assert found.verdict == "verified", found
    emit(prove_s=proving.wall_s, events_per_s=found.events / proving.wall_s)


MEASURES: dict[str, Callable[[Path], None]] = {"report": report, "prove": prove}


def measure(what: str, folder: Path) -> Figures:
    command = [sys.executable, "-m", "bench.archive", what, str(folder)]
    return figures_of(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=RESULTS.parents[2]))


def all_of(base: Path, events: int, rounds: int) -> dict[str, Any]:
    """The medians for an archive of about so many events: whole segments, generated when they are not there."""
    segments = round(events / SEGMENT_EVENTS)
    folder = base / str(segments * SEGMENT_EVENTS)
    if not folder.exists():
        part = Path(tempfile.mkdtemp(dir=base))
        generate(part, segments)
        part.rename(folder)
    size = sum(file.stat().st_size for file in folder.glob("*.parquet"))
    taken = [{"report": measure("report", folder)} for _ in range(rounds)]
    proved = [{"prove": measure("prove", folder)}]  # minutes, and it is the memory that is asked for
    events = segments * SEGMENT_EVENTS
    return {"events": events, "bytes_per_event": size / events, **medians(taken), **medians(proved)}


def main() -> None:
    if word(1) in MEASURES:
        MEASURES[word(1)](Path(word(2)))
        emit(peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--rounds", type=int, default=3)
    words.add_argument("--quick", action="store_true", help="a million events, nothing written")
    words.add_argument("--folder", type=Path, help="where to keep the segments for the next time")
    asked = words.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-archive-") as temporary:
        result = results(asked.folder or Path(temporary), asked.rounds, quick=asked.quick)
    if asked.quick:
        json.dump(result, sys.stdout, indent=1)
    else:
        RESULTS.with_name("archive.json").write_text(json.dumps(result, indent=1) + "\n")


def results(base: Path, rounds: int, *, quick: bool) -> dict[str, Any]:
    return {
        "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {
            "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
            "fdatasync_4k_ms": round(sync_ms(tempfile.gettempdir()), 3),
            "load_1min": os.getloadavg()[0],
        },
        "versions": {"python": platform.python_version(), **{n: version(n) for n in ("actum", "duckdb", "pyarrow")}},
        "settings": {
            "segments": f"{SEGMENT_EVENTS} events each, format 2, zstd, headers only",
            "report": "per workflow: executions, successes, completion p50 p90 p95 p99; tool calls, failures, latency "
            "p50 p90 p95 p99; exact (quantile_disc); `again` is the same in the same process",
            "rounds": rounds,
        },
        "1e6": all_of(base, 1_000_000, rounds),
        **({} if quick else {"1e7": all_of(base, 10_000_000, rounds)}),
    }


if __name__ == "__main__":
    main()
