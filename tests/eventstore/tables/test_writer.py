"""The writer thread: order, groups, answers, and the end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event, current_thread
from time import sleep

import pytest

from actum.errors import StoreRefused
from actum.eventstore import Appended, Batch
from actum.eventstore.tables.writer import GROUP_EVENTS, Answer, GroupWriter
from actum.testing.builders import batch


class Commits:
    """A commit that can be held up; remembers the groups it was given and in which thread."""

    def __init__(self) -> None:
        self.go = Event()
        self.go.set()
        self.groups: list[list[Batch]] = []
        self.threads: set[str] = set()

    def __call__(self, batches: list[Batch]) -> list[Answer]:
        self.groups.append(batches)
        self.threads.add(current_thread().name)
        self.go.wait(10)
        if any(append.stream == "s/broken" for one in batches for append in one):
            raise ZeroDivisionError("a bug in the commit")
        return [Appended(0, 0, {"group": len(self.groups)}) for _ in batches]


def test_what_waits_is_committed_together_in_order() -> None:
    """While one group is being committed the next gathers; all in one thread, in the order given."""
    commits = Commits()
    writer = GroupWriter("test", commits)
    commits.go.clear()
    order: list[int] = []
    given = [batch(i) for i in range(20)]
    for i, one in enumerate(given):
        writer.append_soon(one, lambda _, i=i: order.append(i))  # type: ignore[misc]
    commits.go.set()
    writer.close()

    assert order == list(range(20))
    assert [one for group in commits.groups for one in group] == given
    assert len(commits.groups) <= 2
    assert commits.threads == {"actum-writer test"}


def test_who_was_answered_together_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a group of two one of them comes again: the other, who comes a moment later, is in the same commit."""
    groups: list[int] = []
    begun, go = Event(), Event()

    def commit(batches: list[Batch]) -> list[Answer]:
        groups.append(len(batches))
        begun.set()
        assert go.wait(60)
        if len(groups) == 2:  # from here on the moment is a minute
            sleep(0.01)
            monkeypatch.setattr("actum.eventstore.tables.writer._PATIENCE", 6_000)
        return [Appended(0, 0, {}) for _ in batches]

    writer = GroupWriter("test", commit)
    answered = [Event(), Event(), Event()]
    for i in range(3):
        writer.append_soon(batch(i), lambda _, i=i: answered[i].set())  # type: ignore[misc]
        assert begun.wait(60)  # the first is committed alone, and the other two gather
    go.set()
    for one in answered:
        assert one.wait(60)
    writer.append_soon(batch(1), lambda _: None)
    while writer._queue.qsize():  # until the writer has it, and nothing else
        sleep(0.001)
    writer.append_soon(batch(2), lambda _: None)
    writer.close()

    assert groups == [1, 2, 2]


def test_a_group_is_bounded() -> None:
    """However much waits, one commit takes little more than its limit of events."""
    commits = Commits()
    writer = GroupWriter("test", commits)
    commits.go.clear()
    names = list(range(300))
    for _ in range(30):
        writer.append_soon(batch(*names), lambda _: None)
    commits.go.set()
    writer.close()

    sizes = [sum(len(one[0].events) for one in group) for group in commits.groups]
    assert sum(sizes) == 9_000
    assert max(sizes) < GROUP_EVENTS + 300


def test_an_error_of_the_commit_is_everybodys_answer_and_the_thread_goes_on() -> None:
    """When a commit raises, each batch of its group gets the error, and the next group is committed as ever."""
    writer = GroupWriter("test", Commits())

    with pytest.raises(ZeroDivisionError, match="a bug in the commit"):
        writer.append(batch("a", stream="s/broken"))

    assert writer.append(batch("b")).first_position == 0
    writer.close()


def test_a_lone_append_does_not_wait_for_company() -> None:
    """An append alone is committed at once and alone."""
    commits = Commits()
    writer = GroupWriter("test", commits)

    assert [writer.append(batch(i)).versions["group"] for i in range(3)] == [1, 2, 3]
    writer.close()


def test_appending_and_waiting_inside_an_answer_is_refused() -> None:
    """`append` in a callback would wait for its own thread: it raises there; `append_soon` works."""
    writer = GroupWriter("test", Commits())
    said: list[object] = []
    finished = Event()

    def last(answer: object) -> None:
        said.append(answer)
        finished.set()

    def done(_: object) -> None:
        try:
            writer.append(batch("b"))
        except RuntimeError as exc:
            said.append(str(exc))
        writer.append_soon(batch("c"), last)

    writer.append_soon(batch("a"), done)
    assert finished.wait(10)
    writer.close()

    assert "append_soon" in str(said[0])
    assert isinstance(said[1], Appended)


def test_after_the_end_everything_is_refused_once() -> None:
    """A closed writer answers each batch with a refusal, and closing again, from anywhere, is fine."""
    writer = GroupWriter("test", Commits())
    writer.close()
    answers: list[object] = []

    writer.append_soon(batch("a"), answers.append)
    with pytest.raises(StoreRefused, match="closed"):
        writer.append(batch("a"))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: writer.close(), range(2)))

    assert [type(answer) for answer in answers] == [StoreRefused]


def test_closing_waits_for_what_was_given() -> None:
    """Close returns only when every answer was delivered, to whichever of two closers."""
    commits = Commits()
    writer = GroupWriter("test", commits)
    commits.go.clear()
    answers: list[object] = []
    for i in range(5):
        writer.append_soon(batch(i), answers.append)

    def close(_: int) -> int:
        writer.close()
        return len(answers)

    with ThreadPoolExecutor(2) as pool:
        closing = [pool.submit(close, i) for i in range(2)]
        commits.go.set()
        assert [c.result(10) for c in closing] == [5, 5]
