"""What one SQLite commit will write: built batch by batch, so that a refused batch leaves no trace in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from actum.events import id_bytes, seal
from actum.events.merkle import Frontier
from actum.eventstore.expected import check_expected
from actum.eventstore.protection import BoxedEvent
from actum.eventstore.protocol import Appended, Batch
from actum.eventstore.subjects import Box
from actum.eventstore.views import VIEWS

__all__ = ["Group", "Head", "IdTaken"]

Head = tuple[int, int, bytes | None]
"""A stream's number, its version, and the leaf hash of its last event."""

_CHUNKS = (512, 256, 128, 64, 32, 16, 8, 4, 2, 1)
"""Rows of one INSERT. Each statement lets go of the interpreter once, and may wait to get it back: few are better."""
_EVENT_COLUMNS = ("seq", "tenant", "stream", "version", "id", "type", "header")
_PAYLOAD_COLUMNS = ("seq", "salt", "data")


def _insert(table: str, columns: Sequence[str], rows: int, verb: str = "INSERT") -> str:
    one = f"({','.join('?' * len(columns))})"
    return f"{verb} INTO {table} ({','.join(columns)}) VALUES {','.join([one] * rows)}"


_INSERT_EVENTS = {n: _insert("events", _EVENT_COLUMNS, n) for n in _CHUNKS}
_INSERT_PAYLOADS = {n: _insert("payloads", _PAYLOAD_COLUMNS, n) for n in _CHUNKS}
_UPSERT_VIEW = {
    name: {n: _insert(name, ("tenant", *view.key, *view.columns), n, "INSERT OR REPLACE") for n in _CHUNKS}
    for name, view in VIEWS.items()
}
_DELETE_VIEW = {
    name: f"DELETE FROM {name} WHERE tenant=? AND " + " AND ".join(f"{column}=?" for column in view.key)
    for name, view in VIEWS.items()
}


class IdTaken(Exception):
    """A batch of the group holds an event id of another batch of the group."""


class Group:
    """The batches of one commit, with positions from `size` on and new streams from `next_stream` on."""

    def __init__(
        self,
        tenant: str,
        tenant_no: int,
        next_stream: int,
        size: int,
        now: str,
        head_of: Callable[[str], Head | None],
        salt: Callable[[], bytes],
    ) -> None:
        self._tenant = tenant
        self._tenant_no = tenant_no
        self._base = tenant_no << 40
        self._next_stream = next_stream
        self._size = size
        self._now = now
        self._head_of = head_of
        self._salt = salt
        self.heads: dict[str, Head] = {}
        self.created: list[str] = []
        self.leaves: list[bytes] = []
        self._events: list[Any] = []
        self._payloads: list[Any] = []
        self._boxes: list[tuple[int, Box]] = []
        self._views: dict[tuple[str, tuple[str, ...]], Mapping[str, Any] | None] = {}
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
        tenant, tenant_no, now = self._tenant, self._tenant_no, self._now
        first = self._size + len(self.leaves)
        seq = self._base + first
        next_id = iter(ids).__next__
        salt_of = self._salt
        for stream, expected, new_events, _ in batch:
            head = heads.get(stream) or self.heads.get(stream) or self._head_of(stream)
            if head is None:
                head = (self._next_stream + len(self.created) + len(created), 0, None)
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
        self._events += events
        self._payloads += payloads
        self._boxes += boxes
        self._ids.update(ids)
        for _, _, _, views in batch:
            for view, key, row in views:
                self._views[view, key] = row  # within one commit only the last row of a key can ever be seen
        return Appended(first, seq - self._base - 1, {stream: head[1] for stream, head in heads.items()})

    def holds_one_of(self, ids: list[bytes]) -> bool:
        """Whether one of these event ids was added before."""
        return not self._ids.isdisjoint(ids)

    def write(self, con: sqlite3.Connection, frontier: Frontier) -> Frontier:
        """Write everything that was added, inside the caller's transaction; returns the tree's new frontier."""
        if not self.leaves:
            return frontier
        tenant_no = self._tenant_no
        known = len(self.heads) - len(self.created)
        if self.created:
            con.executemany(
                "INSERT INTO streams (no, tenant, name, version, last_leaf) VALUES (?,?,?,?,?)",
                [(self.heads[name][0], tenant_no, name, *self.heads[name][1:]) for name in self.created],
            )
        if known:
            made = set(self.created)
            con.executemany(
                "UPDATE streams SET version = ?, last_leaf = ? WHERE no = ?",
                [(head[1], head[2], head[0]) for name, head in self.heads.items() if name not in made],
            )
        _insert_rows(con, _INSERT_EVENTS, self._events, len(_EVENT_COLUMNS))
        _insert_rows(con, _INSERT_PAYLOADS, self._payloads, len(_PAYLOAD_COLUMNS))
        if self._boxes:
            self._write_boxes(con)
        self._write_views(con)
        grown = frontier.copy()
        grown.extend(self.leaves)
        con.execute(
            "UPDATE tree_state SET size = ?, frontier = ? WHERE tenant = ?",
            (grown.size, grown.to_bytes(), tenant_no),
        )
        return grown

    def _write_boxes(self, con: sqlite3.Connection) -> None:
        """All but those under a key that somebody has destroyed."""
        keys = {None if box.key is None else id_bytes(box.key) for _, box in self._boxes}
        live = "SELECT 1 FROM subjects WHERE tenant = ? AND key = ? AND destroyed_at IS NULL"
        kept = {key for key in keys if key is None or con.execute(live, (self._tenant_no, key)).fetchone()}
        for seq, (part, name, form, data, place) in self._boxes:
            key = None if name is None else id_bytes(name)
            if key in kept:
                con.execute(
                    "INSERT INTO protected (seq, part, tenant, key, form, data, place) VALUES (?,?,?,?,?,?,?)",
                    (seq, part, self._tenant_no, key, form, data, place),
                )

    def _write_views(self, con: sqlite3.Connection) -> None:
        rows: dict[str, list[Any]] = {}
        for (name, key), row in self._views.items():
            if row is None:
                con.execute(_DELETE_VIEW[name], (self._tenant_no, *key))
            else:
                values = rows.setdefault(name, [])
                values += (self._tenant_no, *key)
                values += [row[column] for column in VIEWS[name].columns]
        for name, values in rows.items():
            shape = VIEWS[name]
            _insert_rows(con, _UPSERT_VIEW[name], values, 1 + len(shape.key) + len(shape.columns))


def _insert_rows(con: sqlite3.Connection, statements: dict[int, str], values: list[Any], width: int) -> None:
    at, end = 0, len(values)
    for rows in _CHUNKS:
        step = rows * width
        while end - at >= step:
            con.execute(statements[rows], values[at : at + step])
            at += step
