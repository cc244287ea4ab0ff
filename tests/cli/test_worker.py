"""`actum worker` as a person starts, stops and asks it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .commands import Shell

SLOW = """
import os, time
from actum import step, workflow

@step
def slow(journal: str) -> str:
    with open(journal, "a") as lines:
        lines.write("begun\\n")
    while not os.path.exists("go"):
        time.sleep(0.01)
    return "done"

@workflow
async def two_slow(ctx, journal: str) -> list:
    return [await slow(journal), await slow(journal)]
"""


class Started:
    """A worker process in the shell's folder."""

    def __init__(self, actum: Shell, *words: str) -> None:
        known = {name: value for name, value in os.environ.items() if not name.startswith("ACTUM_")}
        known |= {"PYTHONPATH": str(actum.folder), "ACTUM_STORE": "sqlite:///actum.db"}
        self._log = (actum.folder / "worker.log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "actum", "worker", *words], cwd=actum.folder, env=known, stderr=self._log
        )
        self.log = actum.folder / "worker.log"

    def tell(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        return self.process.wait(30)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._log.close()


@pytest.fixture
def start(actum: Shell) -> Iterator[Callable[..., Started]]:
    (actum.folder / "slow.py").write_text(SLOW)
    started: list[Started] = []

    def begin(*words: str) -> Started:
        started.append(Started(actum, *words))
        return started[-1]

    yield begin
    for one in started:
        one.close()


def status_of(actum: Shell, id_: str) -> Any:
    return actum("executions", "show", id_, "--json").json()


def wait_until(holds: Callable[[], Any]) -> None:
    for _ in range(600):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError("it never came to hold")


def lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_a_worker_is_seen_and_finishes_what_was_submitted(actum: Shell, start: Callable[..., Started]) -> None:
    """`--status` says what is due before, who works meanwhile; every line of the log names its execution."""
    assert actum("run", "flows:twice", "--input", "4", "--id", "t1", "--no-wait").code == 0
    before = actum("worker", "--status", "--json").json()
    assert (before["workers"], before["parked"]) == ([], [])
    assert [(one["id"], one["why"]) for one in before["due"]] == [("t1", "nobody has taken it yet")]

    worker = start("--name", "w-one")
    wait_until(lambda: status_of(actum, "t1")["status"] == "completed")
    (seen,) = actum("worker", "--status", "--json").json()["workers"]
    assert (seen["worker"], seen["pid"], seen["held"]) == ("w-one", worker.process.pid, 0)
    shown = actum("worker", "--status").out
    assert "w-one" in shown
    assert str(worker.process.pid) in shown
    worker.tell()

    assert worker.wait() == 0
    said = worker.log.read_text()
    assert "took execution=t1 workflow=twice" in said
    assert "ended execution=t1 status=completed" in said
    assert actum("worker", "--status", "--json").json()["workers"] == []


def test_told_once_it_lets_attempts_end_and_leaves_the_rest(actum: Shell, start: Callable[..., Started]) -> None:
    """The step under way is recorded, the next one is not begun; exit code 0."""
    journal = actum.folder / "journal"
    actum("run", "slow:two_slow", "--input", f'"{journal}"', "--id", "s", "--no-wait")
    worker = start()
    wait_until(lambda: lines(journal) == 1)
    worker.tell()
    wait_until(lambda: "worker stops" in worker.log.read_text())
    (actum.folder / "go").touch()

    assert worker.wait() == 0
    shown = status_of(actum, "s")
    assert shown["status"] == "running"
    assert [(one["key"], one["status"]) for one in shown["steps"]] == [("slow#0", "completed")]
    assert lines(journal) == 1
    assert actum("resume", "s", "--json").json()["output"] == ["done", "done"]


@pytest.mark.parametrize(("words", "twice", "code"), [(("--drain-timeout", "0.1s"), False, 0), ((), True, 130)])
def test_it_leaves_in_time_or_at_once(
    actum: Shell, start: Callable[..., Started], words: tuple[str, ...], twice: bool, code: int
) -> None:
    """At the limit, and at the second signal, it is gone though a thread works for ever; the attempt is in doubt."""
    journal = actum.folder / "journal"
    actum("run", "slow:two_slow", "--input", f'"{journal}"', "--id", "s", "--no-wait")
    worker = start(*words)
    wait_until(lambda: lines(journal) == 1)
    worker.tell(signal.SIGINT)
    if twice:
        wait_until(lambda: "worker stops" in worker.log.read_text())
        worker.tell(signal.SIGINT)

    assert worker.wait() == code
    assert status_of(actum, "s")["steps"][0]["status"] == "started"
    assert actum("verify").code == 0


def test_modules_say_what_it_takes(actum: Shell, start: Callable[..., Started]) -> None:
    """Executions of other workflows are left for other workers, and seen as due."""
    actum("run", "flows:twice", "--input", "4", "--id", "mine", "--no-wait")
    actum("run", "flows:guarded", "--input", "4", "--id", "mine-too", "--no-wait")
    actum("run", "slow:two_slow", "--input", '"x"', "--id", "other", "--no-wait")
    worker = start("--modules", "flows")
    wait_until(lambda: status_of(actum, "mine-too")["status"] == "waiting")
    wait_until(lambda: status_of(actum, "mine")["status"] == "completed")
    found = actum("worker", "--status", "--json").json()
    worker.tell()

    assert worker.wait() == 0
    assert [one["id"] for one in found["due"]] == ["other"]
    assert found["workers"][0]["workflows"] == ["twice", "never", "guarded", "once", "told", "spends"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--modules", "nowhere"), "'nowhere' cannot be imported"),
        (("--modules", "json"), "no @workflow and no Graph in 'json'"),
        (("--name", "a/b"), "printable characters without '/'"),
        (("--drain-timeout", "soon"), "soon"),
        (("--json",), "--json is for --status"),
        (("--concurrency", "0"), "concurrency"),
    ],
)
def test_wrong_use_is_refused(actum: Shell, words: tuple[str, ...], said: str) -> None:
    """Exit code 2, what is wrong, and no store is made."""
    ended = actum("worker", *words)

    assert ended.code == 2
    assert said in ended.err
    assert not (actum.folder / "actum.db").exists()


def test_a_name_that_is_at_work_is_refused(actum: Shell, start: Callable[..., Started]) -> None:
    """Two of one name would take each other for themselves."""
    actum("run", "flows:twice", "--input", "4", "--id", "t1")
    worker = start("--name", "w-one")
    wait_until(lambda: "worker started" in worker.log.read_text())
    second = actum("worker", "--name", "w-one")
    worker.tell()

    assert second.code == 2
    assert "'w-one' is running on this store already" in second.err
    assert worker.wait() == 0


def test_what_is_parked_is_listed_with_the_reason(actum: Shell) -> None:
    """And with the step that a person must look at."""
    actum("run", "flows:once", "--input", "1", "--id", "o")
    actum("resume", "o")

    (parked,) = actum("worker", "--status", "--json").json()["parked"]
    assert (parked["id"], parked["reason"], parked["step"]) == ("o", "in_doubt", "deadly")


def test_a_worker_carries_schedules_out_when_it_is_told_to(actum: Shell, start: Callable[..., Started]) -> None:
    """What a schedule says begins, and is finished, without anybody else."""
    actum("schedules", "define", "often", "flows:twice", "--input", "21", "--every", "1s")
    worker = start("--schedules")

    def done() -> list[dict[str, Any]]:
        rows = actum("executions", "list", "--status", "completed", "--json").json()["executions"]
        return [row for row in rows if row["id"].startswith("often@")]

    wait_until(done)
    worker.tell()

    assert worker.wait() == 0
