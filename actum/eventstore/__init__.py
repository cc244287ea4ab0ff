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
from actum.eventstore.subscriptions.consumer import (
    START,
    AtLeastOnce,
    Consumer,
    Cursors,
    ExactlyOnce,
    Mark,
    MemoryCursors,
)
from actum.eventstore.subscriptions.consumer_group import Member, resize
from actum.eventstore.subscriptions.subscription import Lag, Subscription
from actum.eventstore.views import Holding

__all__ = [
    "ANY",
    "EXISTS",
    "NO_STREAM",
    "START",
    "STORES",
    "Append",
    "Appended",
    "AtLeastOnce",
    "Batch",
    "Consumer",
    "Cursors",
    "EventStore",
    "ExactlyOnce",
    "Holding",
    "Lag",
    "Mark",
    "Member",
    "MemoryCursors",
    "RawEvent",
    "Subscription",
    "TreeState",
    "ViewRow",
    "open_store",
    "resize",
]
