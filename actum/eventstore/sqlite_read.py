"""The reading half of the SQLite store: any number of threads, each query on a connection of its own."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from actum.errors import StoreDamaged, StoreRefused
from actum.events import RecordedEvent, id_text
from actum.events.merkle import Frontier
from actum.eventstore.protection import KEPT_APART, Protected
from actum.eventstore.protocol import RawEvent, TreeState
from actum.eventstore.subjects import Box
from actum.eventstore.views import check_query

__all__ = ["EVENTS", "SQLiteReader"]

EVENTS = "SELECT e.seq, e.header, p.data, p.salt FROM events e LEFT JOIN payloads p ON p.seq = e.seq "
"""The rows that `SQLiteReader._recorded` reads."""

_HEADERS = "SELECT e.seq, e.header, NULL, NULL FROM events e "
_RAW = (
    "SELECT e.seq, s.name, e.version, e.id, e.type, e.header, p.salt, p.data FROM events e "
    "LEFT JOIN streams s ON s.no = e.stream AND s.tenant = e.tenant LEFT JOIN payloads p ON p.seq = e.seq "
)
_PAGE = 1_000
_POLL_S = 0.05  # how late another process's commit may be seen by `wait`

_Row = tuple[int, bytes, bytes | None, bytes | None]


def _decode_anyhow(text: bytes) -> str:
    return text.decode(errors="replace")


class SQLiteReader(Protected):
    """One tenant's log in one SQLite file, for reading. `tenant_no` is set by who opens it."""

    def __init__(self, url: str, tenant: str, path: Path, *, read_only: bool, busy_s: float) -> None:
        self.url = url
        self.tenant = tenant
        self.path = path.absolute()  # the process may change its folder before the next connection is made
        self._read_only = read_only
        self._busy_s = busy_s
        self._tenant_no = 0
        self._base = 0
        self._idle: list[sqlite3.Connection] = []
        self._changed = threading.Condition()
        self._commits = 0
        self._closed = False

    # -- events --------------------------------------------------------------------------------------------------

    def read_stream(self, stream: str, from_version: int = 0, to_version: int | None = None) -> list[RecordedEvent]:
        to = (1 << 62) if to_version is None else to_version
        rows = self._ask(
            EVENTS + "JOIN streams s ON s.no = e.stream WHERE s.tenant = ? AND s.name = ? "
            "AND e.version >= ? AND e.version < ? ORDER BY e.version",
            (self._tenant_no, stream, from_version, to),
        )
        return self._recorded(rows)

    def read(
        self, after: int = -1, limit: int | None = None, *, types: Sequence[str] | None = None, payloads: bool = True
    ) -> Iterator[RecordedEvent]:
        some = f"AND e.type IN ({','.join('?' * len(types))}) " if types is not None else ""
        for rows in self._pages(EVENTS if payloads else _HEADERS, some, tuple(types or ()), after, limit):
            yield from self._recorded(rows) if payloads else self._bare(rows)

    def read_raw(self, after: int = -1, limit: int | None = None) -> Iterator[RawEvent]:
        base, new = self._base, tuple.__new__  # RawEvent(…) takes twice as long, and checking makes millions
        for rows in self._pages(_RAW, "", (), after, limit):
            for seq, stream, version, raw_id, kind, header, salt, data in rows:
                name = id_text(raw_id) if type(raw_id) is bytes and len(raw_id) == 16 else repr(raw_id)
                if data is None and salt is None and type(header) is bytes and KEPT_APART in header:
                    data = self._protection.raw_parts(name, self._boxes([seq - base]).get(seq - base, ()))
                yield new(RawEvent, (seq - base, stream or "", version, name, kind, header, salt, data))

    def _pages(
        self, select: str, condition: str, values: tuple[Any, ...], after: int, limit: int | None
    ) -> Iterator[list[Any]]:
        """Page by key: no read transaction stays open between pages, so the write-ahead log can be checkpointed."""
        at = self._base + max(after, -1)  # below lies another tenant's log
        end = self._base + (1 << 40)
        left, most = limit, _PAGE
        while left is None or left > 0:
            page = most if left is None else min(most, left)
            try:
                rows = self._ask(
                    f"{select}WHERE e.seq > ? AND e.seq < ? {condition}ORDER BY e.seq LIMIT ?", (at, end, *values, page)
                )
            except StoreRefused as exc:
                if getattr(exc.__cause__, "sqlite_errorcode", None) != sqlite3.SQLITE_CORRUPT:
                    raise
                if page > 1:  # what can be read is read, up to the event that cannot
                    most = page // 2
                    continue
                raise StoreDamaged(at + 1 - self._base, f"the file cannot be read from here on ({exc})") from exc
            if rows:
                yield rows
            if len(rows) < page:
                return
            at = rows[-1][0]
            if left is not None:
                left -= len(rows)

    def _recorded(self, rows: list[_Row]) -> list[RecordedEvent]:
        base = self._base
        events = [RecordedEvent(seq - base, header, data, salt) for seq, header, data, salt in rows]
        apart = [event.position for event in events if event.payload is None and "payload" in event._head]
        return self._protection.open_all(events, self._boxes(apart)) if apart else events

    def _bare(self, rows: list[_Row]) -> list[RecordedEvent]:
        base = self._base
        return [RecordedEvent(row[0] - base, row[1]) for row in rows]

    def _boxes(self, positions: list[int]) -> dict[int, list[Box]]:
        """What is kept apart of the events at these positions."""
        found: dict[int, list[Box]] = {}
        for at in range(0, len(positions), 500):
            seqs = [self._base + position for position in positions[at : at + 500]]
            rows = self._ask(
                "SELECT seq, part, key, form, data, place FROM protected "
                f"WHERE seq IN ({','.join('?' * len(seqs))}) ORDER BY seq, part",
                seqs,
            )
            for seq, part, key, *rest in rows:
                found.setdefault(seq - self._base, []).append(Box(part, None if key is None else id_text(key), *rest))
        return found

    # -- the log as a whole --------------------------------------------------------------------------------------

    def head(self) -> int:
        return self.tree().size

    def wait(self, position: int, timeout_s: float) -> int:
        deadline = time.monotonic() + timeout_s
        while True:
            commits = self._commits
            size = self.head()
            left = deadline - time.monotonic()
            if size > position or left <= 0:
                return size
            with self._changed:  # our own writer notifies; another process's commit is found by asking again
                if commits == self._commits and not self._closed:
                    self._changed.wait(min(left, _POLL_S))

    def stream_version(self, stream: str) -> int:
        rows = self._ask("SELECT version FROM streams WHERE tenant = ? AND name = ?", (self._tenant_no, stream))
        return rows[0][0] if rows else 0

    def streams(self) -> Iterator[tuple[str, int, bytes]]:
        last = -1
        while True:
            rows = self._ask(
                "SELECT no, name, version, last_leaf FROM streams WHERE tenant = ? AND no > ? ORDER BY no LIMIT ?",
                (self._tenant_no, last, _PAGE),
            )
            for _, name, version, leaf in rows:
                yield name, version, leaf
            if len(rows) < _PAGE:
                return
            last = rows[-1][0]

    def tree(self) -> TreeState:
        rows = self._ask("SELECT size, frontier FROM tree_state WHERE tenant = ?", (self._tenant_no,))
        return TreeState(*rows[0]) if rows else TreeState(0, Frontier().to_bytes())

    def checkpoints(self) -> list[tuple[int, str]]:
        return self._ask("SELECT size, note FROM checkpoints WHERE tenant = ? ORDER BY size", (self._tenant_no,))

    def view(
        self,
        view: str,
        where: Mapping[str, Any] | None = None,
        *,
        order: str | None = None,
        descending: bool = False,
        limit: int | None = None,
    ) -> list[dict[str, Any]]:
        where = where or {}
        shape = check_query(view, where, order)
        columns = shape.key + shape.columns
        conditions, values = ["tenant = ?"], [self._tenant_no]
        for column, value in where.items():
            options = value if isinstance(value, tuple) else (value,)
            some = [option for option in options if option is not None]
            null = f" OR {column} IS NULL" if len(some) < len(options) else ""
            conditions.append(f"({column} IN ({','.join('?' * len(some))}){null})")
            values.extend(some)
        by = ", ".join(([f"{order}{' DESC' if descending else ''}"] if order else []) + list(shape.key))
        rows = self._ask(
            f"SELECT {','.join(columns)} FROM {view} WHERE {' AND '.join(conditions)} ORDER BY {by} LIMIT ?",
            (*values, -1 if limit is None else limit),
        )
        return [dict(zip(columns, row, strict=True)) for row in rows]

    # -- connections ---------------------------------------------------------------------------------------------

    def _ask(self, sql: str, values: Sequence[Any]) -> list[Any]:
        """All rows of one query. The connection is this query's alone; it goes back for the next one, of any thread."""
        if self._closed:
            raise StoreRefused(self.url, "the store is closed")
        try:
            con = self._idle.pop()
        except IndexError:
            con = self._connect()
            con.execute("PRAGMA query_only = ON")
        try:
            try:
                rows = con.execute(sql, values).fetchall()
            except sqlite3.OperationalError as exc:
                if "decode" not in str(exc):
                    raise
                con.text_factory = _decode_anyhow  # somebody put other bytes there: to be found, not stumbled over
                rows = con.execute(sql, values).fetchall()
                con.text_factory = str
        except sqlite3.Error as exc:
            con.close()
            raise self._refusal(exc, "nothing was read") from exc
        self._idle.append(con)
        if self._closed:
            self._drop_idle()
        return rows

    def _drop_idle(self) -> None:
        while self._idle:
            try:
                self._idle.pop().close()
            except IndexError:
                return  # another thread took it first

    def _connect(self) -> sqlite3.Connection:
        """A connection for any thread (each is used by one at a time) with the settings that the promises need."""
        target = f"file:{quote(str(self.path))}" + ("?mode=ro" if self._read_only else "?mode=rw")
        try:
            con = sqlite3.connect(
                target,
                uri=True,
                isolation_level=None,
                timeout=self._busy_s,
                check_same_thread=False,
                cached_statements=256,
            )
            con.execute("PRAGMA synchronous = FULL")
            con.execute("PRAGMA temp_store = MEMORY")
        except sqlite3.Error as exc:
            raise self._refusal(exc, "nothing was written") from exc
        return con

    def _refusal(self, exc: sqlite3.Error, outcome: str) -> StoreRefused:
        text = str(exc)
        if "locked" in text or "busy" in text:
            return StoreRefused(self.url, f"is locked by another process (waited {self._busy_s:g} s); {outcome}")
        if "readonly" in text:
            return StoreRefused(self.url, f"is read-only; {outcome}")
        if "full" in text:
            return StoreRefused(self.url, f"the disk is full; {outcome}. Make room and append again.")
        if "malformed" in text:
            return StoreRefused(self.url, f"the file is damaged ({text}); {outcome}. Keep it as it is.")
        return StoreRefused(self.url, f"{text}; {outcome}")
