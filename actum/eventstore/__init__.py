"""Where it is kept: the protocol and its promises, one file per backend."""

from actum.eventstore.protocol import (
    ANY,
    EXISTS,
    NO_STREAM,
    Append,
    Appended,
    Batch,
    EventStore,
    RawEvent,
    TreeState,
    ViewRow,
)
from actum.eventstore.registry import STORES, open_store

__all__ = [
    "ANY",
    "EXISTS",
    "NO_STREAM",
    "STORES",
    "Append",
    "Appended",
    "Batch",
    "EventStore",
    "RawEvent",
    "TreeState",
    "ViewRow",
    "open_store",
]
