"""What one PostgreSQL transaction will write: built batch by batch, so that a refused batch leaves no trace in it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from actum.errors import BadInput
from actum.events import id_bytes, seal
from actum.eventstore.expected import check_expected
from actum.eventstore.payloads.boxes import BoxedEvent
from actum.eventstore.payloads.subjects import Box
from actum.eventstore.postgres.connection import Connection, bigints, byteas, texts
from actum.eventstore.postgres.read import BATCH_BITS
from actum.eventstore.protocol import Batch, ViewRow
from actum.eventstore.views import VIEWS

__all__ = ["Group", "Head", "Unplaced", "heads_of", "write_views"]

Head = tuple[int, int, bytes | None]
"""A stream's number, its version, and the leaf hash of its last event. A stream's number is that of its first event."""


class Unplaced(NamedTuple):
    """An append that is written, and whose events have no positions yet: their numbers, and the streams' versions."""

    events: Sequence[int]
    versions: Mapping[str, int]


def _upsert(name: str) -> str:
    view = VIEWS[name]
    columns = (*view.key, *view.columns)
    kinds = ", ".join(f"%s::{'bigint' if column in view.numbers else 'text'}[]" for column in columns)
    new = ", ".join(f"{column} = excluded.{column}" for column in view.columns)
    return (
        f"INSERT INTO {name} (tenant, {', '.join(columns)}) SELECT %s, u.* FROM unnest({kinds}) AS u "
        f"ON CONFLICT (tenant, {', '.join(view.key)}) DO UPDATE SET {new}"
    )


def _delete(name: str) -> str:
    view = VIEWS[name]
    kinds = ", ".join("%s::text[]" for _ in view.key)
    return f"DELETE FROM {name} WHERE tenant = %s AND ({', '.join(view.key)}) IN (SELECT * FROM unnest({kinds}))"


_UPSERT: Final = {name: _upsert(name) for name in VIEWS}
_DELETE: Final = {name: _delete(name) for name in VIEWS}


def heads_of(
    con: Connection, tenant_no: int, names: Sequence[str], batches: int, *, wait: bool
) -> tuple[dict[str, Head], set[str], list[int]]:
    """Lock these streams, in the order of their numbers, and say how far they are; and which another transaction holds.

    With `wait` none is held when this returns. A stream that does not exist is in neither. Also gives numbers for so
    many batches: taken when the streams are locked, so each stream's numbers rise. To be called inside a pipeline.
    """
    locked = con.execute(
        "SELECT name, no, version, last_leaf FROM streams WHERE tenant = %s AND name = ANY(%s) ORDER BY no "
        f"FOR NO KEY UPDATE{'' if wait else ' SKIP LOCKED'}",
        (tenant_no, texts(names)),
    )
    taken = con.execute("SELECT nextval('batches') FROM generate_series(1, %s)", (batches,))
    rows = locked.fetchall()
    numbers = sorted(number for (number,) in taken.fetchall())
    heads: dict[str, Head] = {row[0]: (row[1], row[2], row[3]) for row in rows}
    missing = [name for name in names if name not in heads]
    if not missing or wait:
        return heads, set(), numbers
    held = con.execute(
        "SELECT name FROM streams WHERE tenant = %s AND name = ANY(%s)", (tenant_no, texts(missing))
    ).fetchall()
    return heads, {name for (name,) in held}, numbers


class Group:
    """The batches of one transaction."""

    def __init__(self, tenant: str, tenant_no: int, now: str, heads: Mapping[str, Head]) -> None:
        self._tenant = tenant
        self._tenant_no = tenant_no
        self._now = now
        self._known = heads
        self.heads: dict[str, Head] = {}
        self.batches: list[tuple[int, list[bytes]]] = []
        """Each batch's number and the leaves of its events."""
        self._created: dict[str, None] = {}
        self._events: list[tuple[int, int, int, bytes, str, bytes]] = []
        self._payloads: list[tuple[int, bytes, bytes]] = []
        self._boxes: list[tuple[int, Box]] = []
        self._views: dict[str, dict[tuple[str, ...], Mapping[str, Any] | None]] = {}
        self._ids: set[bytes] = set()

    def add(self, batch: Batch, ids: list[bytes], number: int) -> Unplaced:
        """Give the batch, whose events have these ids, its places in its streams.

        Raises `VersionConflict` or `BadInput`, and then nothing of it was added.
        """
        if len(ids) >> BATCH_BITS:
            raise BadInput(f"{len(ids):,} events are too many for one append; nothing was written")
        heads: dict[str, Head] = {}
        created: dict[str, None] = {}
        events: list[tuple[int, int, int, bytes, str, bytes]] = []
        payloads: list[tuple[int, bytes, bytes]] = []
        boxes: list[tuple[int, Box]] = []
        leaves: list[bytes] = []
        tenant, now = self._tenant, self._now
        first = seq = number << BATCH_BITS
        for stream, expected, new_events, _ in batch:
            head = heads.get(stream) or self.heads.get(stream) or self._known.get(stream)
            if head is None:
                head = (seq, 0, None)
                created[stream] = None
            no, version, leaf = head
            check_expected(stream, expected, version)
            for event in new_events:
                payload = event.payload
                salt = None if payload is None else os.urandom(32)
                header, leaf, salt = seal(event, tenant, stream, version, leaf, now, salt)
                leaves.append(leaf)
                events.append((seq, no, version, ids[seq - first], event.type, header))
                if payload is not None and salt is not None:
                    payloads.append((seq, salt, payload))
                elif isinstance(event, BoxedEvent):
                    boxes += [(seq, box) for box in event.boxes]
                version += 1
                seq += 1
            heads[stream] = (no, version, leaf)
        for _, _, _, views in batch:
            for _, key, row in views:
                _check_text([*key, *(row or {}).values()])
        self.heads.update(heads)
        self._created.update(created)
        self._events += events
        self._payloads += payloads
        self._boxes += boxes
        self._ids.update(ids)
        self.batches.append((number, leaves))
        for _, _, _, views in batch:
            for view, key, row in views:
                self._views.setdefault(view, {})[key] = row  # of one transaction only the last can ever be seen
        return Unplaced(range(first, seq), {stream: head[1] for stream, head in heads.items()})

    def holds_one_of(self, ids: list[bytes]) -> bool:
        """Whether one of these event ids was added before."""
        return not self._ids.isdisjoint(ids)

    def write(self, con: Connection, *, pending: bool) -> None:
        """Write everything that was added, but no positions; with `pending`, say that it waits for them.

        To be called inside a pipeline and a transaction that holds the streams.
        """
        tenant_no, heads = self._tenant_no, self.heads
        created = [(heads[name], name) for name in self._created]
        if created:
            con.execute(
                "INSERT INTO streams (no, tenant, name, version, last_leaf) SELECT no, %s, name, version, leaf "
                "FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::bytea[]) AS u (no, name, version, leaf)",
                (
                    tenant_no,
                    bigints([head[0] for head, _ in created]),
                    texts([name for _, name in created]),
                    bigints([head[1] for head, _ in created]),
                    byteas([head[2] or b"" for head, _ in created]),
                ),
            )
        moved = [head for name, head in heads.items() if name not in self._created]
        if moved:
            con.execute(
                "UPDATE streams s SET version = u.version, last_leaf = u.leaf "
                "FROM unnest(%s::bigint[], %s::bigint[], %s::bytea[]) AS u (no, version, leaf) WHERE s.no = u.no",
                (bigints([h[0] for h in moved]), bigints([h[1] for h in moved]), byteas([h[2] or b"" for h in moved])),
            )
        seqs, streams, versions, ids, types, headers = zip(*self._events, strict=True)
        con.execute(
            "INSERT INTO events (seq, tenant, stream, version, id, type, header) "
            "SELECT seq, %s, stream, version, id, type, header FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], "
            "%s::bytea[], %s::text[], %s::bytea[]) AS u (seq, stream, version, id, type, header)",
            (tenant_no, bigints(seqs), bigints(streams), bigints(versions), byteas(ids), texts(types), byteas(headers)),
        )
        if self._payloads:
            seqs, salts, data = zip(*self._payloads, strict=True)
            con.execute(
                "INSERT INTO payloads (seq, salt, data) SELECT * FROM unnest(%s::bigint[], %s::bytea[], %s::bytea[])",
                (bigints(seqs), byteas(salts), byteas(data)),
            )
        if self._boxes:
            self._write_boxes(con)
        _write_views(con, self._tenant_no, self._views)
        if pending:
            con.execute(
                "INSERT INTO pending (tenant, batch, leaves) SELECT %s, u.* FROM unnest(%s::bigint[], %s::bytea[]) u",
                (tenant_no, bigints([n for n, _ in self.batches]), byteas([b"".join(e) for _, e in self.batches])),
            )

    def _write_boxes(self, con: Connection) -> None:
        """All but those under a key that somebody has destroyed; nobody can destroy one before this is committed."""
        keys = sorted({id_bytes(box.key) for _, box in self._boxes if box.key is not None})
        seqs, boxes = zip(*self._boxes, strict=True)
        parts, names, forms, data, places = zip(*boxes, strict=True)
        con.execute(
            "WITH live AS MATERIALIZED (SELECT key FROM subjects WHERE tenant = %s AND key = ANY(%s) "
            "AND destroyed_at IS NULL ORDER BY key FOR SHARE) "
            "INSERT INTO protected (seq, part, tenant, key, form, data, place) "
            "SELECT seq, part, %s, key, form, data, place FROM unnest(%s::bigint[], %s::int[], %s::bytea[], %s::int[], "
            "%s::bytea[], %s::text[]) AS u (seq, part, key, form, data, place) "
            "WHERE key IS NULL OR key IN (SELECT key FROM live)",
            (
                self._tenant_no,
                byteas(keys),
                self._tenant_no,
                bigints(seqs),
                bigints(parts),
                byteas([None if name is None else id_bytes(name) for name in names]),
                bigints(forms),
                byteas(data),
                texts(places),
            ),
        )


def write_views(con: Connection, tenant_no: int, rows: Iterable[ViewRow]) -> None:
    """Write rows of views; of two with one key the last counts. To be called inside a transaction."""
    views: dict[str, dict[tuple[str, ...], Mapping[str, Any] | None]] = {}
    for view, key, row in rows:
        views.setdefault(view, {})[key] = row
    _write_views(con, tenant_no, views)


def _write_views(
    con: Connection, tenant_no: int, views: Mapping[str, Mapping[tuple[str, ...], Mapping[str, Any] | None]]
) -> None:
    for name, view in VIEWS.items():
        rows = views.get(name)
        if not rows:
            continue
        # In one order for everybody, so that no two transactions wait for each other.
        gone = sorted(key for key, row in rows.items() if row is None)
        kept = sorted((key, row) for key, row in rows.items() if row is not None)
        if gone:
            keys = [texts([key[i] for key in gone]) for i in range(len(view.key))]
            con.execute(_DELETE[name], (tenant_no, *keys))
        if kept:
            keys = [texts([key[i] for key, _ in kept]) for i in range(len(view.key))]
            columns = [
                (bigints if column in view.numbers else texts)([row[column] for _, row in kept])
                for column in view.columns
            ]
            con.execute(_UPSERT[name], (tenant_no, *keys, *columns))


def _check_text(values: Sequence[object]) -> None:
    for value in values:
        if isinstance(value, str) and not (value.isascii() and "\0" not in value):
            try:
                value.encode()
            except UnicodeEncodeError:
                raise BadInput(f"a view row has {value!r:.200}, which is no text; nothing was written") from None
            if "\0" in value:
                raise BadInput(f"a view row has the character NUL in {value!r:.200}; nothing was written")
