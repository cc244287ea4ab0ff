"""Options that several commands share, and how a command gets its log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from actum.eventstore import EventStore
from actum.settings import Settings

__all__ = ["Json", "current", "log_of", "use"]

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, and nothing else there.")]


_given: list[Settings] = []


def use(settings: Settings) -> None:
    """What the command line says, once it has been read."""
    _given[:] = [settings]


def current() -> Settings:
    """What the command line and the environment say."""
    return _given[0] if _given else Settings.read()


@contextmanager
def log_of(*, writes: bool = False, must_exist: bool = False, finishes: bool = False) -> Iterator[EventStore]:
    """The log that the command line names; signed at the end when the command writes, closed in any case.

    A command that only reads, or says that it must exist, does not make a store that is not there. One that writes is
    told of an erasure that was interrupted, unless it `finishes` that.
    """
    from actum.wiring import open_log, seal

    store = open_log(current(), must_exist=must_exist or not writes)
    try:
        if writes and not finishes:
            _tell_of_erasures(store)
        yield store
        if writes:
            seal(store, current())
    finally:
        store.close()


def _tell_of_erasures(store: EventStore) -> None:
    # Said, not done: destroying may need the blob store, takes time, and must not keep a store from being opened.
    from actum.cli.output import how_many, say
    from actum.eventstore.custody.erasing import unfinished

    left = unfinished(store)
    if left:
        say(
            f"an erasure is not finished: the log says that {how_many(len(left), 'data key')} and all under it are "
            "erased, and some of that is still here; `actum erase --finish` destroys it"
        )
