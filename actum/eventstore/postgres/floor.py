"""Letting events of a PostgreSQL store go to the archive, and taking them back: what is done inside one transaction.

An event that has left keeps its row of `log` as long as its payload is here: that row says at which position it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from actum.errors import StoreDamaged, StoreRefused
from actum.events import id_bytes
from actum.eventstore.floor import Stretch, floor_moved
from actum.eventstore.postgres.connection import Connection, DatabaseError, bigints, byteas, constraint_of, texts
from actum.eventstore.postgres.group import write_views
from actum.eventstore.postgres.read import BATCH_BITS
from actum.eventstore.protocol import RawEvent, TreeState, ViewRow

__all__ = ["begin_at", "drop", "put_back"]

_PAGE = 1_000


def drop(
    con: Connection, url: str, tenant: int, floor: int, new: TreeState, payloads: Sequence[int], keep: str
) -> None:
    """As `HotStore.drop` says, for the tenant of this number, in the transaction of this connection."""
    base = tenant << 40
    _move(con, url, tenant, floor, new)
    between = (base + floor, base + new.size)
    kept = _numbers(con, tenant, [keep]).get(keep, -1)
    con.execute(
        "INSERT INTO departed (tenant, stream, start, until, segment) "
        "SELECT e.tenant, e.stream, min(e.version), max(e.version) + 1, %s FROM log l JOIN events e ON e.seq = l.event "
        "WHERE l.seq >= %s AND l.seq < %s AND e.stream <> %s GROUP BY e.tenant, e.stream",
        (floor, *between, kept),
    )
    con.execute(
        "DELETE FROM payloads p USING log l WHERE p.seq = l.event AND l.seq = ANY(%s)",
        (bigints([base + position for position in payloads]),),
    )
    con.execute(
        "DELETE FROM events e USING log l WHERE e.seq = l.event AND l.seq >= %s AND l.seq < %s AND e.stream <> %s",
        (*between, kept),
    )
    con.execute(
        "DELETE FROM log l WHERE l.seq >= %s AND l.seq < %s AND NOT EXISTS (SELECT FROM events e WHERE e.seq = l.event)"
        " AND NOT EXISTS (SELECT FROM payloads p WHERE p.seq = l.event)"
        " AND NOT EXISTS (SELECT FROM protected p WHERE p.seq = l.event)",
        between,
    )


def put_back(con: Connection, url: str, tenant: int, floor: int, new: TreeState, events: Iterable[RawEvent]) -> None:
    """As `HotStore.put_back` says."""
    base = tenant << 40
    streams: dict[str, int] = {}
    _move(con, url, tenant, floor, new)
    for page in _pages(events):
        begun = {event.stream: event.version for event in reversed(page) if event.stream not in streams}
        streams |= _numbers(con, tenant, list(begun))
        con.execute(  # by each stream's first event in this segment: where the stretch began
            "DELETE FROM departed d USING unnest(%s::bigint[], %s::bigint[]) AS u (stream, start) "
            "WHERE d.tenant = %s AND d.stream = u.stream AND d.start = u.start",
            (bigints([streams[name] for name in begun]), bigints(list(begun.values())), tenant),
        )
        try:
            _write(con, tenant, page, [streams[event.stream] for event in page], _places(con, base, page))
        except DatabaseError as exc:
            if not constraint_of(exc):
                raise
            raise StoreDamaged(
                page[0].position, f"it or one of the next {len(page) - 1} cannot be taken back ({exc})"
            ) from exc


def _places(con: Connection, base: int, page: Sequence[RawEvent]) -> list[int]:
    """The numbers of these events: those that the log still has for them, and new ones for the others."""
    positions = [base + event.position for event in page]
    known: dict[int, int] = dict(
        con.execute("SELECT seq, event FROM log WHERE seq = ANY(%s)", (bigints(positions),)).fetchall()
    )
    row = con.execute("SELECT nextval('batches')").fetchone()
    first = (row[0] if row else 0) << BATCH_BITS
    new = [(seq, first + i) for i, seq in enumerate(positions) if seq not in known]
    con.execute(
        "INSERT INTO log (seq, event) SELECT * FROM unnest(%s::bigint[], %s::bigint[])",
        (bigints([seq for seq, _ in new]), bigints([event for _, event in new])),
    )
    known.update(new)
    return [known[seq] for seq in positions]


def _write(con: Connection, tenant: int, page: Sequence[RawEvent], streams: list[int], places: list[int]) -> None:
    con.execute(
        "INSERT INTO events (seq, tenant, stream, version, id, type, header) "
        "SELECT seq, %s, stream, version, id, type, header FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], "
        "%s::bytea[], %s::text[], %s::bytea[]) AS u (seq, stream, version, id, type, header) "
        "ON CONFLICT (seq) DO NOTHING",
        (
            tenant,
            bigints(places),
            bigints(streams),
            bigints([event.version for event in page]),
            byteas([id_bytes(event.id) for event in page]),
            texts([event.type for event in page]),
            byteas([event.header for event in page]),
        ),
    )
    with_payload = [
        (place, event.salt, event.payload)
        for place, event in zip(places, page, strict=True)
        if isinstance(event.payload, bytes) and event.salt is not None
    ]
    con.execute(
        "INSERT INTO payloads (seq, salt, data) SELECT * FROM unnest(%s::bigint[], %s::bytea[], %s::bytea[]) "
        "ON CONFLICT (seq) DO NOTHING",
        (
            bigints([place for place, _, _ in with_payload]),
            byteas([salt for _, salt, _ in with_payload]),
            byteas([data for _, _, data in with_payload]),
        ),
    )


def begin_at(
    con: Connection,
    url: str,
    tenant: int,
    tree: TreeState,
    streams: Iterable[tuple[str, int, bytes]],
    departed: Iterable[tuple[str, Stretch]],
    views: Iterable[ViewRow],
) -> None:
    """As `HotStore.begin_at` says."""
    began = con.execute(
        "UPDATE tree_state t SET size = %s, frontier = %s WHERE tenant = %s AND size = 0 "
        "AND NOT EXISTS (SELECT FROM pending q WHERE q.tenant = t.tenant)",
        (tree.size, tree.frontier, tenant),
    )
    if began.rowcount != 1:
        raise StoreRefused(url, "is not empty; nothing was written")
    _move(con, url, tenant, 0, tree)
    numbers: dict[str, int] = {}
    for heads in _pages(streams):
        row = con.execute("SELECT nextval('batches')").fetchone()
        first = (row[0] if row else 0) << BATCH_BITS
        numbers |= {name: first + i for i, (name, _, _) in enumerate(heads)}
        con.execute(
            "INSERT INTO streams (no, tenant, name, version, last_leaf) SELECT no, %s, name, version, leaf "
            "FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::bytea[]) AS u (no, name, version, leaf)",
            (
                tenant,
                bigints([numbers[name] for name, _, _ in heads]),
                texts([name for name, _, _ in heads]),
                bigints([version for _, version, _ in heads]),
                byteas([leaf for _, _, leaf in heads]),
            ),
        )
    for parts in _pages(departed):
        con.execute(
            "INSERT INTO departed (tenant, stream, start, until, segment) SELECT %s, u.* "
            "FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[]) AS u",
            (
                tenant,
                bigints([numbers[name] for name, _ in parts]),
                bigints([part.start for _, part in parts]),
                bigints([part.until for _, part in parts]),
                bigints([part.segment for _, part in parts]),
            ),
        )
    for rows in _pages(views):
        write_views(con, tenant, rows)


def _move(con: Connection, url: str, tenant: int, floor: int, new: TreeState) -> None:
    """Compare and swap. Lowered or raised first, since the trigger lets events go only below it."""
    con.execute("INSERT INTO floors VALUES (%s, 0, %s) ON CONFLICT DO NOTHING", (tenant, bytes(8)))
    moved = con.execute(
        "UPDATE floors SET position = %s, frontier = %s WHERE tenant = %s AND position = %s", (*new, tenant, floor)
    )
    if moved.rowcount != 1:
        row = con.execute("SELECT position FROM floors WHERE tenant = %s", (tenant,)).fetchone()
        raise floor_moved(url, row[0] if row else 0, floor)


def _numbers(con: Connection, tenant: int, names: Sequence[str]) -> dict[str, int]:
    return dict(
        con.execute("SELECT name, no FROM streams WHERE tenant = %s AND name = ANY(%s)", (tenant, texts(names)))
    )


T = TypeVar("T")


def _pages(rows: Iterable[T]) -> Iterator[list[T]]:
    source = iter(rows)
    while page := list(islice(source, _PAGE)):
        yield page
