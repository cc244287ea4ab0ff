"""How one MySQL commit is written, and the connection on which it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from actum.events import id_bytes
from actum.events.merkle import Frontier
from actum.eventstore.mysql.connection import (
    Connection,
    DatabaseError,
    ask,
    close,
    constraint_of,
    do,
    do_many,
    marked,
    reason_of,
)
from actum.eventstore.mysql.open import Address, check_packets
from actum.eventstore.tables.floor import KeyTaken
from actum.eventstore.tables.group import Group
from actum.eventstore.views import VIEWS

__all__ = ["MovedOn", "MySQLTables", "WriteLane", "write_group"]

_EVENTS: Final = "INSERT INTO events (seq, tenant, stream, version, id, type, header) VALUES (%s,%s,%s,%s,%s,%s,%s)"
_PAYLOADS: Final = "INSERT INTO payloads (seq, salt, data) VALUES (%s,%s,%s)"
_STREAMS: Final = "INSERT INTO streams (no, tenant, name, version, last_leaf) VALUES (%s,%s,%s,%s,%s)"
_MOVED: Final = f"{_STREAMS} ON DUPLICATE KEY UPDATE version = VALUES(version), last_leaf = VALUES(last_leaf)"
_BOXES: Final = "INSERT INTO protected (seq, part, tenant, `key`, form, data, place) VALUES (%s,%s,%s,%s,%s,%s,%s)"
_PUT: Final = {
    name: f"REPLACE INTO {name} (tenant,{','.join(view.key + view.columns)}) "
    f"VALUES ({','.join(['%s'] * (1 + len(view.key) + len(view.columns)))})"
    for name, view in VIEWS.items()
}
_REMOVE: Final = {
    name: f"DELETE FROM {name} WHERE tenant = %s AND " + " AND ".join(f"{column} = %s" for column in view.key)
    for name, view in VIEWS.items()
}


class MovedOn(Exception):
    """The end of the log is not where it was when its row was locked."""


class WriteLane:
    """A connection for transactions; made again when it was lost."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._con: Connection | None = None

    def connection(self) -> Connection:
        if self._con is None or not self._con.open:
            con = self._address.connect()
            try:
                check_packets(self._address, con)
            except BaseException:
                close(con)
                raise
            self._con = con
        return self._con

    def undo(self) -> None:
        """Leave no transaction open, whatever state the connection is in."""
        con, self._con = self._con, None
        if con is None or not con.open:
            return
        try:
            do(con, "ROLLBACK")
        except DatabaseError:
            close(con)
        else:
            self._con = con

    def close(self) -> None:
        if self._con is not None:
            close(self._con)


class MySQLTables:
    """`Tables` on a connection that is in a transaction."""

    def __init__(self, con: Connection) -> None:
        self._con = con

    def ask(self, sql: str, values: Sequence[Any]) -> list[Any]:
        return ask(self._con, marked(sql), values)

    def execute(self, sql: str, values: Sequence[Any]) -> int:
        return do(self._con, marked(sql), values)

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        try:
            do_many(
                self._con,
                f"INSERT INTO {table} ({','.join(columns)}) VALUES ({','.join(['%s'] * len(columns))})",
                rows,
            )
        except DatabaseError as exc:
            if not constraint_of(exc):
                raise
            raise KeyTaken(reason_of(exc)) from exc


def write_group(con: Connection, group: Group, frontier: Frontier) -> Frontier:
    """Write everything that was added, inside the caller's transaction; returns the tree's new frontier.

    Raises `MovedOn` when the tree is not the one the group was planned on.
    """
    tenant_no, heads = group.tenant_no, group.heads
    created = set(group.created)
    new = [(heads[name][0], tenant_no, name, *heads[name][1:]) for name in group.created]
    moved = [(head[0], tenant_no, name, *head[1:]) for name, head in heads.items() if name not in created]
    do_many(con, _STREAMS, new)
    do_many(con, _MOVED, moved)
    do_many(con, _EVENTS, _rows(group.events, 7))
    do_many(con, _PAYLOADS, _rows(group.payloads, 3))
    if group.boxes:
        _write_boxes(con, group)
    _write_views(con, group)
    grown = frontier.copy()
    grown.extend(group.leaves)
    found = do(
        con,
        "UPDATE tree_state SET size = %s, frontier = %s WHERE tenant = %s AND size = %s",
        (grown.size, grown.to_bytes(), tenant_no, frontier.size),
    )
    if found != 1:
        raise MovedOn
    return grown


def _write_boxes(con: Connection, group: Group) -> None:
    """All but those under a key that somebody has destroyed; nobody can destroy one before this is committed."""
    keys = sorted({id_bytes(box.key) for _, box in group.boxes if box.key is not None})
    live: set[bytes | None] = {None}
    if keys:
        rows = ask(
            con,
            f"SELECT `key` FROM subjects WHERE tenant = %s AND `key` IN ({','.join(['%s'] * len(keys))}) "
            "AND destroyed_at IS NULL ORDER BY `key` LOCK IN SHARE MODE",  # MariaDB knows no FOR SHARE
            (group.tenant_no, *keys),
        )
        live.update(key for (key,) in rows)
    boxes = ((seq, box, None if box.key is None else id_bytes(box.key)) for seq, box in group.boxes)
    do_many(
        con,
        _BOXES,
        [(seq, b.part, group.tenant_no, key, b.form, b.data, b.place) for seq, b, key in boxes if key in live],
    )


def _write_views(con: Connection, group: Group) -> None:
    kept: dict[str, list[tuple[Any, ...]]] = {}
    for (name, key), row in group.views.items():
        if row is None:
            do(con, _REMOVE[name], (group.tenant_no, *key))
        else:
            values = (row[column] for column in VIEWS[name].columns)
            kept.setdefault(name, []).append((group.tenant_no, *key, *values))
    for name, rows in kept.items():
        do_many(con, _PUT[name], rows)


def _rows(values: list[Any], width: int) -> list[list[Any]]:
    return [values[at : at + width] for at in range(0, len(values), width)]
