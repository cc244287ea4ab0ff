"""How one MySQL commit is written, and the connection on which it is."""

from __future__ import annotations

from typing import Any, Final

from actum.events.merkle import Frontier
from actum.eventstore.group import Group
from actum.eventstore.mysql_connection import Connection, DatabaseError, close, do, do_many
from actum.eventstore.mysql_open import Address, check_packets
from actum.eventstore.views import VIEWS

__all__ = ["MovedOn", "WriteLane", "write_group"]

_EVENTS: Final = "INSERT INTO events (seq, tenant, stream, version, id, type, header) VALUES (%s,%s,%s,%s,%s,%s,%s)"
_PAYLOADS: Final = "INSERT INTO payloads (seq, salt, data) VALUES (%s,%s,%s)"
_STREAMS: Final = "INSERT INTO streams (no, tenant, name, version, last_leaf) VALUES (%s,%s,%s,%s,%s)"
_MOVED: Final = f"{_STREAMS} ON DUPLICATE KEY UPDATE version = VALUES(version), last_leaf = VALUES(last_leaf)"
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
