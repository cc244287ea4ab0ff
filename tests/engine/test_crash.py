"""kill -9 at every append: real processes on a real SQLite file, and what the next process makes of what is left."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from actum.events import RecordedEvent
from actum.eventstore import open_store
from tests.engine.world import sound

pytestmark = pytest.mark.slow

MODES = ("before", "after")
"""Just before the append reaches the store; when it is durable and the engine has not heard of it."""


class Kill(NamedTuple):
    """At this append of the process, in this way."""

    at: int
    mode: str


NEVER = Kill(0, "never")


class Nursery:
    """Runs processes one after the other, each on the store of the folder it is given."""

    def __init__(self, empty: Path) -> None:
        self._empty = empty
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("crash_worker.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        self._process.communicate(timeout=60)

    def finish(self, folder: Path, *kills: Kill, rivals: int = 1) -> Story:
        """One process for each kill; then so many at once that finish. A process may get by without its kill."""
        folder.mkdir()
        shutil.copy(self._empty, folder / "log.db")
        killed = 0
        for kill in kills:
            (code,) = self._run(folder, [kill])
            assert code in (0, -9), f"a process ended with {code}; its traceback is above"
            killed += code == -9
        assert self._run(folder, [NEVER] * rivals) == [0] * rivals
        return Story(folder, killed)

    def _run(self, folder: Path, kills: list[Kill]) -> list[int]:
        """Processes side by side, and how each ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        where = {"url": f"sqlite:///{folder}/log.db", "lines": f"{folder}/journal"}
        self._process.stdin.write(
            json.dumps([{**where, "kill_at": kill.at, "mode": kill.mode} for kill in kills]) + "\n"
        )
        self._process.stdin.flush()
        codes: list[int] = json.loads(self._process.stdout.readline())
        return codes


class Story:
    """What is left when all is done: the log, and the journal of every process that wrote to it."""

    def __init__(self, folder: Path, killed: int) -> None:
        self.killed = killed
        """How many of its processes were killed."""
        self.journal = [json.loads(line) for line in (folder / "journal").read_text().splitlines()]
        store = open_store(f"sqlite:///{folder}/log.db")
        try:
            self.log = list(store.read())
            sound(store)
        finally:
            store.close()

    def ends(self) -> Any:
        """What every execution came to, and what was undone, in order."""
        undone = [(e.stream, e.facts["occurrence"]) for e in self.log if e.type == "compensation.completed"]
        return self.journal[-1], undone

    def check(self) -> None:
        """Nothing durable is lost, and every effect stands between its start and its end, once."""
        positions: dict[tuple[str, str, str, int], int] = {}
        for event in self.log:
            if event.type in ("step.started", "step.completed", "compensation.started", "compensation.completed"):
                positions[_about(event)] = event.position
        done = {about[:3]: place for about, place in positions.items() if about[0] == "completed"}
        (granted,) = (event.position for event in self.log if event.type == "approval.granted")
        known: set[int] = set()
        """Positions that this process, or one before it, may take for durable."""
        for what, *rest in self.journal:
            if what == "opened":
                assert rest[0] <= len(self.log)
                known.update(range(rest[0]))
            elif what == "durable":
                first, ids = rest
                assert [event.id for event in self.log[first : first + len(ids)]] == ids, "durable, and gone"
                known.update(range(first, first + len(ids)))
            elif what == "effect":
                execution, key, attempt = rest
                started = positions.get(("started", execution, key, attempt))
                assert started in known, f"{rest} before its start was durable"
                assert done.get(("completed", execution, key)) not in known, f"{rest} after it had completed"
                assert key != "ship#0" or granted in known, "shipped without a decision"
        made = Counter(tuple(rest) for what, *rest in self.journal if what == "effect")
        assert set(made.values()) == {1}
        for kind, execution, key, attempt in positions:
            if kind == "completed":
                assert (execution, key, attempt) in made, f"{key} completed and was never done"


def _about(event: RecordedEvent) -> tuple[str, str, str, int]:
    facts = event.facts
    noun, _, verb = event.type.partition(".")
    scope = f"{facts['scope']}/" if "scope" in facts else ""
    key = f"{scope}{facts['step']}#{facts['occurrence']}" + ("/undo" if noun == "compensation" else "")
    return verb, event.stream.removeprefix("execution/"), key, facts["attempt"]


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    empty = tmp_path_factory.mktemp("empty") / "log.db"
    open_store(f"sqlite:///{empty}").close()
    nursery = Nursery(empty)
    yield nursery
    nursery.close()


@pytest.fixture(scope="module")
def undisturbed(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The same work in one process that nobody kills."""
    story = nursery.finish(tmp_path_factory.mktemp("undisturbed") / "run")
    story.check()
    return story


def test_without_a_kill_all_come_to_their_ends(undisturbed: Story) -> None:
    """What the stories of the killed are held against."""
    ends, undone = undisturbed.ends()

    assert ends == [
        "ended",
        {
            "order": [6, 22, 3],
            "trip": ["failed", "OSError", "step 'board': no seats"],
            "release": "shipped for p-1",
        },
    ]
    assert undone == [("execution/trip", 2), ("execution/trip", 1), ("execution/trip", 0)]


@pytest.mark.parametrize("mode", MODES)
def test_a_kill_at_any_append_changes_nothing(nursery: Nursery, undisturbed: Story, tmp_path: Path, mode: str) -> None:
    """Same outputs, same compensations in the same order; nothing durable is lost and nothing done is done again."""
    for nth in count(1):
        story = nursery.finish(tmp_path / str(nth), Kill(nth, mode))
        story.check()
        assert story.ends() == undisturbed.ends(), f"killed {mode} append {nth}"
        if not story.killed:
            break

    assert nth > 25, "there is more to this than so few appends"


@pytest.mark.parametrize("mode", MODES)
def test_a_kill_during_recovery_changes_nothing(
    nursery: Nursery, undisturbed: Story, tmp_path: Path, mode: str
) -> None:
    """Whoever recovers may be killed as well, early or late, and so may the next."""
    other = MODES[mode == "before"]
    killed = Counter[int]()
    for nth, again in zip(range(1, 31, 3), (1, 2, 3, 5, 8, 1, 2, 4, 6, 3), strict=True):
        story = nursery.finish(tmp_path / f"{nth}-{again}", Kill(nth, mode), Kill(again, other), Kill(2, mode))
        story.check()
        assert story.ends() == undisturbed.ends(), f"killed {mode} append {nth}, then {other} {again}, then {mode} 2"
        killed[story.killed] += 1

    assert killed[3] >= 5, killed


@pytest.mark.parametrize("nth", [4, 9, 14])
def test_two_that_recover_at_once_are_one(nursery: Nursery, undisturbed: Story, tmp_path: Path, nth: int) -> None:
    """Each execution has one owner at a time: nobody's step runs in both, and both hear the same results."""
    story = nursery.finish(tmp_path / "rivals", Kill(nth, "before"), rivals=2)
    story.check()

    assert story.ends() == undisturbed.ends()
    assert [line for line in story.journal if line[0] == "ended"] == [story.journal[-1]] * 2
