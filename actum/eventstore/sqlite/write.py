"""How one SQLite commit is written."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from typing import Any

from actum.events.merkle import Frontier
from actum.eventstore.tables.floor import KeyTaken
from actum.eventstore.tables.group import Group
from actum.eventstore.views import VIEWS

__all__ = ["SQLiteTables", "write_group"]

_CHUNKS = (512, 256, 128, 64, 32, 16, 8, 4, 2, 1)
"""Rows of one INSERT. Each statement lets go of the interpreter once, and may wait to get it back: few are better."""
_EVENT_COLUMNS = ("seq", "tenant", "stream", "version", "id", "type", "header")
_PAYLOAD_COLUMNS = ("seq", "salt", "data")


def _insert(table: str, columns: Sequence[str], rows: int, verb: str = "INSERT") -> str:
    one = f"({','.join('?' * len(columns))})"
    return f"{verb} INTO {table} ({','.join(columns)}) VALUES {','.join([one] * rows)}"


_INSERT_EVENTS = {n: _insert("events", _EVENT_COLUMNS, n) for n in _CHUNKS}
_INSERT_PAYLOADS = {n: _insert("payloads", _PAYLOAD_COLUMNS, n) for n in _CHUNKS}
_INSERT_BOX = _insert("protected", ("seq", "part", "tenant", "key", "form", "data", "place"), 1)
_UPSERT_VIEW = {
    name: {n: _insert(name, ("tenant", *view.key, *view.columns), n, "INSERT OR REPLACE") for n in _CHUNKS}
    for name, view in VIEWS.items()
}
_DELETE_VIEW = {
    name: f"DELETE FROM {name} WHERE tenant=? AND " + " AND ".join(f"{column}=?" for column in view.key)
    for name, view in VIEWS.items()
}


class SQLiteTables:
    """`Tables` on a connection that is in a transaction."""

    def __init__(self, con: sqlite3.Connection) -> None:
        self._con = con

    def ask(self, sql: str, values: Sequence[Any]) -> list[Any]:
        return self._con.execute(sql, values).fetchall()

    def execute(self, sql: str, values: Sequence[Any]) -> int:
        return self._con.execute(sql, values).rowcount

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        try:
            self._con.executemany(_insert(table, columns, 1), rows)
        except sqlite3.IntegrityError as exc:
            raise KeyTaken(str(exc)) from exc


def write_group(con: sqlite3.Connection, group: Group, frontier: Frontier) -> Frontier:
    """Write everything that was added, inside the caller's transaction; returns the tree's new frontier."""
    if not group.leaves:
        return frontier
    tenant_no = group.tenant_no
    known = len(group.heads) - len(group.created)
    if group.created:
        con.executemany(
            "INSERT INTO streams (no, tenant, name, version, last_leaf) VALUES (?,?,?,?,?)",
            [(group.heads[name][0], tenant_no, name, *group.heads[name][1:]) for name in group.created],
        )
    if known:
        made = set(group.created)
        con.executemany(
            "UPDATE streams SET version = ?, last_leaf = ? WHERE no = ?",
            [(head[1], head[2], head[0]) for name, head in group.heads.items() if name not in made],
        )
    _insert_rows(con, _INSERT_EVENTS, group.events, len(_EVENT_COLUMNS))
    _insert_rows(con, _INSERT_PAYLOADS, group.payloads, len(_PAYLOAD_COLUMNS))
    con.executemany(_INSERT_BOX, group.box_rows(lambda keys: _live(con, group.tenant_no, keys)))
    _write_views(con, group)
    grown = frontier.copy()
    grown.extend(group.leaves)
    con.execute(
        "UPDATE tree_state SET size = ?, frontier = ? WHERE tenant = ?",
        (grown.size, grown.to_bytes(), tenant_no),
    )
    return grown


def _live(con: sqlite3.Connection, tenant_no: int, keys: Collection[bytes]) -> list[bytes]:
    live = "SELECT 1 FROM subjects WHERE tenant = ? AND key = ? AND destroyed_at IS NULL"
    return [key for key in keys if con.execute(live, (tenant_no, key)).fetchone()]


def _write_views(con: sqlite3.Connection, group: Group) -> None:
    rows: dict[str, list[Any]] = {}
    for (name, key), row in group.views.items():
        if row is None:
            con.execute(_DELETE_VIEW[name], (group.tenant_no, *key))
        else:
            values = rows.setdefault(name, [])
            values += (group.tenant_no, *key)
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
