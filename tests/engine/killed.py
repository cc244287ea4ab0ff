"""Processes that are killed, on any store; and what is left of them, for the checker of promises."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

from actum.eventstore import open_store
from actum.testing.simulation.effects import Effect
from actum.testing.simulation.promises import Guard, Record, check_promises

__all__ = ["ENDS", "MODES", "NEVER", "Kill", "Nursery"]

MODES: Final = ("before", "after")
"""Just before the append reaches the store; when it is durable and the engine has not heard of it."""
ENDS: Final = {
    "order": [6, 22, "quick", 5, 3],
    "trip": ["failed", "OSError", "step 'board': no seats"],
    "release": [["shipped for p-1", 7], 2],
    "lines": 18,
}
UNDONE: Final = ["hotel", "train"]
"""What `trip` undoes, in order: nothing from before its pivot."""


class Kill(NamedTuple):
    """At this append of the process, in this way."""

    at: int
    mode: str = "before"


NEVER = Kill(0, "never")


class Nursery:
    """Processes on one store. Each set is one execution of every flow, under the set's name."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._journal = folder / "journal"
        self.sets: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("crash_worker.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        self._process.communicate(timeout=60)

    def begin(self, kills: list[Kill]) -> list[bool]:
        """A new set for each kill, in processes side by side that look after nothing else; which were killed."""
        jobs = []
        for kill in kills:
            self.sets.append(f"{len(self.sets)}")
            jobs.append(self._job([self.sets[-1]], kill, recover=False))
        return [code == -9 for code in self._run(jobs)]

    def recover(self, *kills: Kill) -> list[bool]:
        """Processes side by side that each see all sets to their ends, unless they are killed; which were."""
        return [code == -9 for code in self._run([self._job(self.sets, kill, recover=True) for kill in kills])]

    def _job(self, sets: list[str], kill: Kill, recover: bool) -> dict[str, Any]:
        return {
            "url": self._url,
            "journal": str(self._journal),
            "sets": sets,
            "kill_at": kill.at,
            "mode": kill.mode,
            "recover": recover,
        }

    def _run(self, jobs: list[dict[str, Any]]) -> list[int]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(jobs) + "\n")
        self._process.stdin.flush()
        codes: list[int] = json.loads(self._process.stdout.readline())
        assert set(codes) <= {0, -9}, f"processes ended with {codes}; their tracebacks are above"
        return codes

    def check(self) -> Record:
        """Every set came to the ends that it has without a kill, and every promise held on the way."""
        journal = [json.loads(line) for line in self._journal.read_text().splitlines()]
        ended = journal[-1][1]
        assert ended == {f"{name}-{flow}": end for name in self.sets for flow, end in ENDS.items()}
        effects: dict[tuple[Any, ...], Effect] = {}
        all_: list[Effect] = []
        acknowledged = []
        for what, *rest in journal:
            if what == "effect":
                execution, key, attempt, worker, known = rest
                all_.append(Effect(execution, key, attempt, worker, known))
                effects[execution, key, attempt] = all_[-1]
            elif what == "done":
                effects[tuple(rest)].done = True
            elif what == "durable":
                acknowledged.append((rest[0], rest[1]))
        store = open_store(self._url)
        try:
            record = Record(store, all_, acknowledged, guards=[Guard("ship", "ok")])
            assert all(rest[0] <= len(record.log) for what, *rest in journal if what == "opened")
            check_promises(record)
            for name in self.sets:
                events = store.read_stream(f"execution/{name}-trip")
                done = [event.value() for event in events if event.type == "step.completed"]
                undone = [event.facts["occurrence"] for event in events if event.type == "compensation.completed"]
                booked = [value for value in done if value is not None]
                assert [booked[nth] for nth in undone] == UNDONE
        finally:
            store.close()
        return record
