"""Processes that work for a check: each reads and checks stretches of the log through a connection of its own.

What a stretch cannot know by itself is how it joins on to what comes before it; the process that asked settles that,
in order. Anything unusual is only reported as such: naming it is for the one pass over the whole log.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from copy import deepcopy
from itertools import islice
from multiprocessing import connection, get_context, parent_process
from types import TracebackType
from typing import Final, NamedTuple, Protocol, Self, TypeVar, runtime_checkable

from actum.errors import StoreError
from actum.eventstore.check.checkpoints import Roots
from actum.eventstore.check.events import EventScan
from actum.eventstore.check.seals import latest_in
from actum.eventstore.protocol import RawEvent

__all__ = ["ReadElsewhere", "Stretches", "Unusual", "Workers"]

_STRETCH: Final = 32_768
_LEAST: Final = 262_144  # a process takes as long to start as 60,000 events to check
_PAGE = 1_000
_AHEAD = 3  # stretches given out for each process: enough to keep it busy, and few enough to wait for little memory

_Answer = TypeVar("_Answer")


class RawReader(Protocol):
    """A log, for reading as it lies in the store."""

    def read_raw(self, after: int = -1, limit: int | None = None) -> Iterator[RawEvent]: ...


@runtime_checkable
class ReadElsewhere(Protocol):
    """A store that other processes can read, too."""

    def elsewhere(self) -> Callable[[], AbstractContextManager[RawReader]]:
        """What opens the log for reading in another process; it can be sent there."""


Opener = Callable[[], AbstractContextManager[RawReader]]


class Workers:
    """Processes that are started when they are first needed, and end with the `with` block, or with this process.

    The program's main module must be importable without doing anything (`if __name__ == "__main__":`), as for every
    use of `multiprocessing` that starts afresh.
    """

    def __init__(self, jobs: int, *, stretch: int = _STRETCH, least: int = _LEAST) -> None:
        """`stretch`: how many events one checks at a time, a power of two. Fewer events than `least` need no help."""
        self.jobs = jobs
        self.stretch = stretch
        self.least = least
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def help_with(self, first: int, end: int) -> bool:
        """Whether they had better check the events from `first` up to `end`: many enough, from a whole stretch on."""
        return end - first >= max(self.least, self.stretch) and first % self.stretch == 0

    def submit(self, do: Callable[..., _Answer], *given: object) -> Future[_Answer]:
        """Have a function of a module called in one of the processes; the answer may be `BrokenProcessPool`."""
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self.jobs, get_context("spawn"), initializer=_begin)
        try:
            return self._pool.submit(do, *given)
        except BrokenProcessPool as exc:
            broken: Future[_Answer] = Future()
            broken.set_exception(exc)
            return broken

    def map(self, do: Callable[..., _Answer], each: Iterable[tuple[object, ...]]) -> Iterator[_Answer]:
        """What a function of a module answers to each of these, in order; only a few are given out ahead."""
        given: deque[tuple[tuple[object, ...], Future[_Answer]]] = deque()
        left = iter(each)
        while True:
            given.extend((one, self.submit(do, *one)) for one in islice(left, self.jobs * _AHEAD - len(given)))
            if not given:
                return
            one, answer = given.popleft()
            try:
                yield answer.result()
            except BrokenProcessPool:  # somebody killed one of them, and the others end with it
                yield do(*one)


def _begin() -> None:
    """In a new process: an interrupt is for who asked, and without that one there is nothing to do."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
    os._exit(1)


class Stretch(NamedTuple):
    """What a process found: the events up to each stop and to the end, the tree over all, and the latest times."""

    scans: list[EventScan]
    roots: Roots
    latest: list[tuple[int, str]]


class Unusual(Exception):
    """Something is not as it should be, somewhere. No answer: only the reason to look at everything in order."""


class Stretches:
    """The beginning of a log, as far as several processes check it, in the order of the log."""

    def __init__(
        self,
        workers: Workers,
        store: ReadElsewhere,
        end: int,
        fresh: EventScan,
        roots: Roots,
        stops: Sequence[int],
        *,
        timed: bool,
    ) -> None:
        self._first = fresh.at
        self.end = end - end % workers.stretch
        self._left = self._tasks(workers, store.elsewhere(), deepcopy(fresh), roots, tuple(stops), timed=timed)
        self._given = deque(islice(self._left, workers.jobs * _AHEAD))

    def _tasks(
        self, workers: Workers, log: Opener, fresh: EventScan, roots: Roots, stops: Sequence[int], *, timed: bool
    ) -> Iterator[Future[Stretch | None]]:
        for first in range(self._first, self.end, workers.stretch):
            end = first + workers.stretch
            ends = [*(stop for stop in stops if first < stop < end), end]
            yield workers.submit(_check_stretch, log, fresh, roots.part(first, end), first, ends, timed)

    def found(self, *, wait: bool) -> Iterator[Stretch]:
        """The next ones: all of them, or those that need no waiting. Raises `Unusual` for one that is not in order."""
        while self._given and (wait or self._given[0].done()):
            try:
                stretch = self._given.popleft().result()
            except BrokenProcessPool as exc:
                raise Unusual from exc  # one was killed; nothing is known, so it is done again without them
            if stretch is None:
                raise Unusual
            self._given.extend(islice(self._left, 1))
            yield stretch


def _check_stretch(
    log: Opener, fresh: EventScan, roots: Roots, first: int, ends: Sequence[int], timed: bool
) -> Stretch | None:
    """Check a stretch of the log; None when anything in it is not as it should be."""
    found = Stretch([], roots, [])
    at = first
    try:
        with log() as reader:
            rows = reader.read_raw(first - 1, ends[-1] - first)
            for end in ends:
                scan = deepcopy(fresh)
                scan.begin_at(at)
                while page := list(islice(rows, min(_PAGE, end - scan.at))):
                    if timed:
                        found.latest.append((page[0].position, latest_in(page)))
                    roots.extend(scan.take(page))
                    if any(faults.count for faults in scan.faults()):
                        return None
                found.scans.append(scan)
                at = scan.at
    except StoreError:
        return None
    return found
