"""The event store: what every backend promises. The conformance suite (`tests/conformance`) holds each to it.

A store handle is bound to one tenant, and each tenant has one log of its own: its positions are dense, and so
is its Merkle tree. There is no query without a tenant.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from actum.events import NewEvent, PartName, RecordedEvent
from actum.eventstore.payloads.subjects import Parts

__all__ = [
    "ANY",
    "EXISTS",
    "NO_STREAM",
    "Append",
    "Appended",
    "Batch",
    "EventStore",
    "RawEvent",
    "TreeState",
    "ViewRow",
]

NO_STREAM: Final = 0
"""Expect that the stream does not exist yet: it has no events, so it is at version 0."""
EXISTS: Final = -1
"""Expect that the stream has at least one event."""
ANY: Final = -2
"""Expect nothing."""


class ViewRow(NamedTuple):
    """One row of a view (see `eventstore/views.py`), written in the transaction of the events it follows from."""

    view: str
    key: tuple[str, ...]
    row: Mapping[str, Any] | None
    """The row's other columns, all of them; None removes the row."""


class Append(NamedTuple):
    """Events for the end of one stream. `expected` is the number of events the caller knows the stream to have."""

    stream: str
    expected: int
    events: Sequence[NewEvent]
    views: Sequence[ViewRow] = ()


Batch = Sequence[Append]


class Appended(NamedTuple):
    """The answer to an append: where its events are. `versions` are the streams' new versions (event counts)."""

    first_position: int
    last_position: int
    versions: Mapping[str, int]


class RawEvent(NamedTuple):
    """One event exactly as it lies in the store, columns beside the bytes: for checking, not for use."""

    position: int
    stream: str
    version: int
    id: str
    type: str
    header: bytes
    salt: bytes | None
    payload: bytes | Parts | None
    """The parts, where they are kept apart from the header; then there is no salt beside it."""


class TreeState(NamedTuple):
    """The Merkle tree over the log, as the store keeps it: leaf count, and the frontier's bytes."""

    size: int
    frontier: bytes


class EventStore(Protocol):
    """One tenant's log. All methods may be called from any thread; appends reach the disk through one writer."""

    url: str
    tenant: str

    @property
    def payload_limit_bytes(self) -> int:
        """The largest payload that it takes: 64 MiB where there is a place for large ones, else 256 KiB."""

    def append(self, batch: Batch) -> Appended:
        """Add events to the ends of streams: all of them with their view rows, or none.

        Three things can happen, and a caller must be ready for each:

        - It returns. The events are durable and have their positions.
        - It raises. `VersionConflict`: a stream is not at the expected version. `IdempotencyConflict`: an event id
          is taken by other content. `BadInput`: an event or a view row may not be written. `StoreRefused`: the store
          is locked, full, read-only or closed. `StoreDamaged`: its own tables contradict each other. In each case
          nothing was written.
        - It raises `StoreUnavailable`. The answer was lost: the events may be there or not. Appending the same
          events again is safe, and tells.

        Appending events that are there already, with the same ids, content and streams, returns the first answer.
        An empty batch, or an append without events, is refused with `BadInput`.
        """

    def append_soon(self, batch: Batch, done: Callable[[Appended | Exception], None]) -> None:
        """As `append`, but without waiting: `done` is called with the answer, whatever it is, exactly once.

        That happens in the writer's thread, or in this one before the call returns; so `done` must be quick, and must
        not wait for another append. Batches are taken in the order in which they were given. What waits is
        committed together.
        """

    def read_stream(self, stream: str, from_version: int = 0, to_version: int | None = None) -> list[RecordedEvent]:
        """The events of a stream from `from_version` up to, not including, `to_version`; none for no such stream."""

    def read(
        self,
        after: int = -1,
        limit: int | None = None,
        *,
        types: Sequence[str] | None = None,
        payloads: bool = True,
    ) -> Iterator[RecordedEvent]:
        """The log in order, from the position after `after`; memory stays flat however long it is.

        Positions are dense: a reader that has seen n will see n+1 next, and never has to go back.
        """

    def read_raw(self, after: int = -1, limit: int | None = None) -> Iterator[RawEvent]:
        """The log as it lies in the store, for checking."""

    def floor(self) -> TreeState:
        """The tree over the events that have left for the archive: from position `floor().size` on, all are here.

        Of those below only the log's own stream is here. To read another one raises `EventsArchived`, from every method
        that reads events: none is ever skipped. What a store can do about its floor is in `eventstore/floor.py`.
        """

    def head(self) -> int:
        """The number of events in the log: the position that the next one will get."""

    def wait(self, position: int, timeout_s: float) -> int:
        """Wait until the log has more than `position` events, at most `timeout_s`; returns `head()` either way.

        Closing the store ends the wait with `StoreRefused`, as for every use after it.
        """

    def listen(self, woken: Callable[[], None]) -> Callable[[], None]:
        """Call `woken` soon after the log has grown, whoever wrote, until what this returns is called.

        It is called in any thread, so it must be quick, and must not raise; it may be called when nothing is new. It
        only saves looking: a call can be missing, so who needs to know looks at `head` now and then.
        """

    def stream_version(self, stream: str) -> int:
        """The number of events in a stream; 0 for none."""

    def streams(self) -> Iterator[tuple[str, int, bytes]]:
        """Every stream with its version and the leaf hash of its last event, as the store keeps them."""

    def view(
        self,
        view: str,
        where: Mapping[str, Any] | None = None,
        *,
        order: str | None = None,
        descending: bool = False,
        limit: int | None = None,
    ) -> list[dict[str, Any]]:
        """Rows of a view whose columns equal `where`; keys and columns in one dict.

        A tuple means one of these; `NoneOf`: none of these, or no value; `Holding`: text in which these parts stand.

        Views are `executions` (id, workflow, definition, kind, status, waiting_for, owner, started_at, ended_at,
        wake_us, error_type, priority, labels) and `approvals` (execution, approval, workflow, status, severity,
        requested_at, deadline, version). Raises `BadInput` for another view or column, with the nearest one there is.
        """

    def view_rows(self, view: str) -> Iterator[dict[str, Any]]:
        """Every row of a view, read page by page, so that memory stays flat; in some order.

        Rows that are written meanwhile may be there or not. Raises `BadInput` for another view.
        """

    def tree(self) -> TreeState:
        """The tree state committed with the last append."""

    def add_checkpoint(self, size: int, note: str) -> None:
        """Keep a signed checkpoint beside the log. The same size again replaces nothing; the first one stays."""

    def checkpoints(self) -> list[tuple[int, str]]:
        """Every checkpoint kept, by size."""

    # -- data keys: whose a payload is stands outside the log, where it can be erased ------------------------------

    def key_for(self, subject: str) -> str:
        """The id of the subject's data key, for `NewEvent.key`; made, durably, when the subject has none.

        A subject is a person, by any name. In the log there is never more than the key's id.
        """

    def keys_of(self, subject: str) -> list[str]:
        """The ids of the subject's live data keys; none when it has none, or they were destroyed."""

    def subjects(self) -> Iterator[tuple[str, str, str]]:
        """Every live data key: its id, its subject, and when it was made."""

    def keys_left(self, keys: Collection[str]) -> set[str]:
        """Those of these data keys that are not destroyed, or under which a payload still lies."""

    def destroy_key(self, key: str) -> int:
        """Destroy a data key, the name of its subject, and every payload under it; returns how many payloads went.

        Headers, digests and the tree stay. Events can still be appended under the key: of their payloads only the
        digest and the size are kept. Doing it again finishes what was interrupted. Raises `BadInput` for no such key.
        """

    def drop_payloads(self, positions: Sequence[int], part: PartName | None = None) -> int:
        """Remove the payloads of these events, or that part of them; headers and all else stay.

        Returns how many events had one.
        """

    def scrub(self, *, thorough: bool = False) -> None:
        """See that what was destroyed cannot be read from the store's own files either: after destroying, once.

        What was encrypted needs no more than to lose its key. Where payloads lay plain, or with `thorough`, all that
        is left is written anew, which takes time and room in proportion to the store. Raises `StoreRefused` when
        another connection keeps it from that; nothing comes back by it, and calling again completes it.
        """

    def rewrap_keys(self) -> int:
        """Wrap all live data keys again, by the key that the key ring wraps with now; returns how many."""

    def sweep_blobs(self, older_than_s: float = 3600, *, remove: bool = False) -> list[str]:
        """The names of large payloads to which no event refers, left by appends that were interrupted.

        With `remove` they are removed. Younger ones may belong to an append that is under way.
        """

    def close(self) -> None:
        """Finish what was given to `append_soon`, then let go of the store. Closing twice is fine."""
