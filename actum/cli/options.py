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
def log_of(*, writes: bool = False, must_exist: bool = False) -> Iterator[EventStore]:
    """The log that the command line names; signed at the end when the command writes, closed in any case.

    A command that only reads, or says that it must exist, does not make a store that is not there.
    """
    from actum.wiring import open_log, seal

    store = open_log(current(), must_exist=must_exist or not writes)
    try:
        yield store
        if writes:
            seal(store, current())
    finally:
        store.close()
