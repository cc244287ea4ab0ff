"""The one writer thread of a store: takes everything that waits, commits it together, answers each caller.

A lone append is committed at once, and while it is being committed others gather. Callers who were just answered
together mostly come again together: for a moment, short beside a commit, the next one waits for as many. Without that,
groups of eight callers were found to go one and seven, one and seven, at twice the number of commits.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import NamedTuple

from actum.errors import StoreRefused, StoreUnavailable
from actum.eventstore.protocol import Appended, Batch

__all__ = ["Answer", "GroupWriter", "Later", "deliver", "together_or_apart"]

log = logging.getLogger("actum.eventstore")

Answer = Appended | Exception


class Later(NamedTuple):
    """In the place of an answer: somebody else will give it. Called with where it goes to, from the writer's thread."""

    promise: Callable[[Callable[[Answer], None]], None]


Commit = Callable[[list[Batch]], Sequence[Answer | Later]]
_Item = tuple[Batch, int, Callable[[Answer], None]]

GROUP_EVENTS = 2_000
"""Events in one commit at the most: keeps a commit, and the wait of the next caller, short."""
_PATIENCE = 0.25
"""How long to wait for callers who may come again, as a part of what the last commit took."""


class GroupWriter:
    """Runs `commit` on groups of batches in a thread of its own, in the order in which they came.

    `commit` gets a list of batches and returns one answer, or a `Later`, for each; a conflict in one must not touch
    the others.
    If it raises, every batch of the group gets that error as its answer.
    """

    def __init__(self, name: str, commit: Commit) -> None:
        self._commit = commit
        self._name = name
        self._queue: SimpleQueue[_Item | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"actum-writer {name}", daemon=True)
        self._thread.start()

    def append(self, batch: Batch) -> Appended:
        """Give the batch in and wait for its answer. From a `done` callback that would be for ever: it is refused."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("append() inside a done callback would wait for itself; use append_soon() there")
        answered: Future[Answer] = Future()
        self.append_soon(batch, answered.set_result)
        answer = answered.result()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def append_soon(self, batch: Batch, done: Callable[[Answer], None]) -> None:
        """Give the batch in. What is no batch at all raises `TypeError` here, in the thread that made the mistake."""
        size = sum([len(append[2]) for append in batch])
        with self._lock:  # so that nothing can slip in behind the end mark and never be answered
            if not self._closed:
                self._queue.put((batch, size, done))
                return
        deliver(done, StoreRefused(self._name, "the store is closed; nothing was written"))

    def close(self) -> None:
        """Commit what waits, then end the thread; whoever closes, also as the second, returns after that."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        get, get_nowait = self._queue.get, self._queue.get_nowait
        ended = False
        wanted, patience_s = 1, 0.0
        while not ended:
            item = get()
            group: list[_Item] = []
            events = 0
            until = 0.0
            while item is not None:
                group.append(item)
                events += item[1]
                if events >= GROUP_EVENTS:
                    break
                try:
                    item = get_nowait()
                except Empty:
                    if len(group) >= wanted:
                        break
                    now = time.perf_counter()
                    until = until or now + patience_s
                    try:
                        item = get(timeout=max(until - now, 0))
                    except Empty:
                        break
            ended = item is None
            if group:
                begin = time.perf_counter()
                self._answer(group)
                patience_s = (time.perf_counter() - begin) * _PATIENCE
                wanted = len(group) + self._queue.qsize()

    def _answer(self, group: list[_Item]) -> None:
        answers: Sequence[Answer | Later]
        try:
            answers = self._commit([batch for batch, _, _ in group])
        except Exception as exc:  # noqa: BLE001 - whatever happened is the callers' answer, never lost
            answers = [exc] * len(group)
        for (_, _, done), answer in zip(group, answers, strict=True):
            if isinstance(answer, Later):
                answer.promise(done)
            else:
                deliver(done, answer)


def deliver(done: Callable[[Answer], None], answer: Answer) -> None:
    """Call back with the answer. An error of the callback is logged: it is the caller's, and others wait for theirs."""
    try:
        done(answer)
    except Exception:
        log.exception("a caller's answer could not be delivered")


def together_or_apart(
    batches: list[Batch],
    transaction: Callable[[list[Batch]], list[Answer]],
    meaning: Callable[[Batch, Exception], Answer],
) -> list[Answer]:
    """One transaction for the whole group; one for each batch, with care, when one of them cannot be written.

    `meaning` says what the failure of a batch's own transaction is to its caller.
    """
    if len(batches) > 1:
        try:
            return transaction(batches)
        except (StoreRefused, StoreUnavailable):
            raise  # about the store, so it is everybody's answer
        except Exception:  # noqa: BLE001, S110 - about one batch: it is met again below, as that one's answer
            pass
    answers: list[Answer] = []
    for batch in batches:
        try:
            answers += transaction([batch])
        except Exception as exc:  # noqa: BLE001 - it is the answer
            answers.append(meaning(batch, exc))
    return answers
