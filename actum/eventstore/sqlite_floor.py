"""Letting events of a SQLite store go to the archive, and taking them back: what is done inside one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from actum.errors import StoreDamaged, StoreRefused
from actum.events import id_bytes
from actum.eventstore.floor import Stretch, floor_moved
from actum.eventstore.protocol import RawEvent, TreeState, ViewRow
from actum.eventstore.views import VIEWS

__all__ = ["begin_at", "drop", "put_back"]

_PAGE = 1_000


def drop(
    con: sqlite3.Connection, url: str, tenant: int, floor: int, new: TreeState, payloads: Sequence[int], keep: str
) -> None:
    """As `HotStore.drop` says, for the tenant of this number, in the transaction of this connection."""
    base = tenant << 40
    _move(con, url, tenant, floor, new)
    between = (base + floor, base + new.size, _number(con, tenant, keep))
    con.execute(
        "INSERT INTO departed (tenant, stream, start, until, segment) SELECT tenant, stream, min(version), "
        f"max(version) + 1, {floor} FROM events WHERE seq >= ? AND seq < ? AND stream <> ? GROUP BY stream",
        between,
    )
    con.executemany("DELETE FROM payloads WHERE seq = ?", ((base + position,) for position in payloads))
    con.execute("DELETE FROM events WHERE seq >= ? AND seq < ? AND stream <> ?", between)


def put_back(
    con: sqlite3.Connection, url: str, tenant: int, floor: int, new: TreeState, events: Iterable[RawEvent]
) -> None:
    """As `HotStore.put_back` says."""
    base = tenant << 40
    numbers: dict[str, int] = {}
    _move(con, url, tenant, floor, new)
    for page in _pages(events):
        for event in page:
            if event.stream not in numbers:
                numbers[event.stream] = _number(con, tenant, event.stream)
                # Its first event in this segment: where the stretch began.
                con.execute(
                    "DELETE FROM departed WHERE tenant = ? AND stream = ? AND start = ?",
                    (tenant, numbers[event.stream], event.version),
                )
        try:
            con.executemany(
                "INSERT INTO events (seq, tenant, stream, version, id, type, header) VALUES (?,?,?,?,?,?,?) "
                "ON CONFLICT (seq) DO NOTHING",
                [
                    (base + e.position, tenant, numbers[e.stream], e.version, id_bytes(e.id), e.type, e.header)
                    for e in page
                ],
            )
        except sqlite3.IntegrityError as exc:
            raise StoreDamaged(
                page[0].position, f"it or one of the next {len(page) - 1} cannot be taken back ({exc})"
            ) from exc
        con.executemany(
            "INSERT OR IGNORE INTO payloads (seq, salt, data) VALUES (?,?,?)",
            [(base + e.position, e.salt, e.payload) for e in page if isinstance(e.payload, bytes)],
        )


def begin_at(
    con: sqlite3.Connection,
    url: str,
    tenant: int,
    tree: TreeState,
    streams: Iterable[tuple[str, int, bytes]],
    departed: Iterable[tuple[str, Stretch]],
    views: Iterable[ViewRow],
) -> None:
    """As `HotStore.begin_at` says."""
    began = con.execute(
        "UPDATE tree_state SET size = ?, frontier = ? WHERE tenant = ? AND size = 0",
        (tree.size, tree.frontier, tenant),
    )
    if began.rowcount != 1:
        raise StoreRefused(url, "is not empty; nothing was written")
    _move(con, url, tenant, 0, tree)
    next_no = con.execute("SELECT coalesce(max(no), -1) + 1 FROM streams").fetchone()[0]
    numbers: dict[str, int] = {}
    for name, version, leaf in streams:
        numbers[name] = next_no + len(numbers)
        con.execute(
            "INSERT INTO streams (no, tenant, name, version, last_leaf) VALUES (?,?,?,?,?)",
            (numbers[name], tenant, name, version, leaf),
        )
    con.executemany(
        "INSERT INTO departed (tenant, stream, start, until, segment) VALUES (?,?,?,?,?)",
        ((tenant, numbers[name], part.start, part.until, part.segment) for name, part in departed),
    )
    for view, key, row in views:
        columns = (*VIEWS[view].key, *VIEWS[view].columns)
        con.execute(
            f"INSERT INTO {view} (tenant, {', '.join(columns)}) VALUES ({', '.join('?' * (1 + len(columns)))})",
            (tenant, *key, *((row or {})[column] for column in VIEWS[view].columns)),
        )


def _move(con: sqlite3.Connection, url: str, tenant: int, floor: int, new: TreeState) -> None:
    """Compare and swap. Lowered or raised first, since the trigger lets events go only below it."""
    actual = next(iter(con.execute("SELECT position FROM floors WHERE tenant = ?", (tenant,))), (0,))[0]
    if actual != floor:
        raise floor_moved(url, actual, floor)
    con.execute("INSERT OR REPLACE INTO floors (tenant, position, frontier) VALUES (?,?,?)", (tenant, *new))


def _number(con: sqlite3.Connection, tenant: int, stream: str) -> int:
    row = con.execute("SELECT no FROM streams WHERE tenant = ? AND name = ?", (tenant, stream)).fetchone()
    return -1 if row is None else int(row[0])


def _pages(events: Iterable[RawEvent]) -> Iterator[list[RawEvent]]:
    source = iter(events)
    while page := list(islice(source, _PAGE)):
        yield page
