"""What one commit will write where it gives the positions itself: built batch by batch.

A refused batch leaves no trace in it. How it is written is each backend's own: `sqlite/write.py`, `mysql/write.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from typing import Any

from actum.errors import StoreDamaged, VersionConflict
from actum.events import PAYLOAD_LIMIT_BYTES, id_bytes, seal
from actum.events.merkle import Frontier
from actum.eventstore.expected import check_batch, check_expected
from actum.eventstore.payloads.boxes import BoxedEvent
from actum.eventstore.payloads.subjects import Box
from actum.eventstore.protocol import Appended, Batch
from actum.eventstore.tables.writer import Answer

__all__ = ["Group", "Head", "IdTaken", "Salts", "frontier_of"]

Head = tuple[int, int, bytes | None]
"""A stream's number, its version, and the leaf hash of its last event."""


class IdTaken(Exception):
    """A batch of the group holds an event id of another batch of the group."""


class Group:
    """The batches of one commit, with positions from `size` on and new streams from `next_stream` on.

    Without a `next_stream`, a new stream's number is the key of its first event: no two tenants can take the same.
    """

    def __init__(
        self,
        tenant: str,
        tenant_no: int,
        next_stream: int | None,
        size: int,
        now: str,
        head_of: Callable[[str], Head | None],
        salt: Callable[[], bytes],
        failures: tuple[type[Exception], ...] = (),
        limit_bytes: int = PAYLOAD_LIMIT_BYTES,
    ) -> None:
        self._tenant = tenant
        self.tenant_no = tenant_no
        self._base = tenant_no << 40
        self._next_stream = next_stream
        self._size = size
        self._now = now
        self._head_of = head_of
        self._salt = salt
        self._failures = failures
        self._limit_bytes = limit_bytes
        self.heads: dict[str, Head] = {}
        self.created: list[str] = []
        self.leaves: list[bytes] = []
        self.events: list[Any] = []
        self.payloads: list[Any] = []
        self.boxes: list[tuple[int, Box]] = []
        """What is kept apart, with the number of its event; written as `box_rows`."""
        self.views: dict[tuple[str, tuple[str, ...]], Mapping[str, Any] | None] = {}
        self._ids: set[bytes] = set()

    def add(self, batch: Batch, ids: list[bytes]) -> Appended:
        """Give the batch, whose events have these ids, its places.

        Raises `VersionConflict` or `BadInput`, and then nothing of it was added.
        """
        heads: dict[str, Head] = {}
        created: list[str] = []
        events: list[Any] = []
        payloads: list[Any] = []
        boxes: list[tuple[int, Box]] = []
        leaves: list[bytes] = []
        tenant, tenant_no, now = self._tenant, self.tenant_no, self._now
        first = self._size + len(self.leaves)
        seq = self._base + first
        next_id = iter(ids).__next__
        salt_of = self._salt
        for stream, expected, new_events, _ in batch:
            head = heads.get(stream) or self.heads.get(stream) or self._head_of(stream)
            if head is None:
                next_stream = self._next_stream
                head = (seq if next_stream is None else next_stream + len(self.created) + len(created), 0, None)
                created.append(stream)
            no, version, leaf = head
            check_expected(stream, expected, version)
            for event in new_events:
                payload = event.payload
                salt = None if payload is None else salt_of()
                sealed = seal(event, tenant, stream, version, leaf, now, salt)
                leaf = sealed[1]
                leaves.append(leaf)
                events += (seq, tenant_no, no, version, next_id(), event.type, sealed[0])
                if sealed[2] is not None:
                    payloads += (seq, salt, payload)
                elif isinstance(event, BoxedEvent):
                    boxes += [(seq, box) for box in event.boxes]
                version += 1
                seq += 1
            heads[stream] = (no, version, leaf)
        self.heads.update(heads)
        self.created += created
        self.leaves += leaves
        self.events += events
        self.payloads += payloads
        self.boxes += boxes
        self._ids.update(ids)
        for _, _, _, views in batch:
            for view, key, row in views:
                self.views[view, key] = row  # within one commit only the last row of a key can ever be seen
        return Appended(first, seq - self._base - 1, {stream: head[1] for stream, head in heads.items()})

    def plan(self, batch: Batch, recorded_before: Callable[[Batch], Appended | None]) -> Answer:
        """As `add`, but a refusal is the answer; other batches of the group are not touched.

        Raises the `failures` that are about the whole transaction, and `IdTaken` for a batch that is twice in one
        group: settle them one after the other.
        """
        try:
            ids = check_batch(batch, self._limit_bytes)
            return self.add(batch, ids)
        except VersionConflict as conflict:
            if not self._ids.isdisjoint(ids):
                raise IdTaken from None
            try:
                return recorded_before(batch) or conflict
            except self._failures:
                raise
            except Exception as exc:  # noqa: BLE001 - it is the answer
                return exc
        except self._failures:
            raise
        except Exception as exc:  # noqa: BLE001 - it is the answer
            return exc

    def box_rows(self, live: Callable[[Collection[bytes]], Collection[bytes]]) -> list[tuple[Any, ...]]:
        """Rows of `protected`: all but those under a key that somebody has destroyed. `live` says which keys live."""
        rows: list[tuple[Any, ...]] = []
        if self.boxes:
            keys = {id_bytes(box.key) for _, box in self.boxes if box.key is not None}
            kept = set(live(keys)) if keys else set()
            for seq, (part, name, form, data, place) in self.boxes:
                key = None if name is None else id_bytes(name)
                if key is None or key in kept:
                    rows.append((seq, part, self.tenant_no, key, form, data, place))
        return rows


class Salts:
    """32 fresh random bytes at each call; asked of the operating system for many events at a time."""

    def __init__(self) -> None:
        self._left: list[bytes] = []

    def __call__(self) -> bytes:
        if not self._left:
            pool = os.urandom(32 * 512)
            self._left = [pool[at : at + 32] for at in range(0, len(pool), 32)]
        return self._left.pop()


def frontier_of(size: int, kept: bytes) -> Frontier:
    """The tree as the store keeps it. Raises `StoreDamaged` when that is no tree of this size."""
    try:
        frontier = Frontier.from_bytes(kept)
    except ValueError as exc:
        raise StoreDamaged(size, f"the state of the tree cannot be read ({exc}); nothing was written") from exc
    if frontier.size != size:
        raise StoreDamaged(size, f"the tree has {frontier.size} leaves there; nothing was written")
    return frontier
