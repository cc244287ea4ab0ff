"""The reading half of the PostgreSQL store: any number of threads, each query on a connection of its own.

An event that is durable and has no position yet is not there for a reader. What looks at streams or at the tree waits
until everything that it could contradict has its position: a moment while a sequencer is alive.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, Final

from actum.errors import StoreRefused
from actum.events import RecordedEvent, id_text
from actum.events.merkle import Frontier
from actum.eventstore.floor import Stretch, page_above, whole_stream
from actum.eventstore.payloads.boxes import KEPT_APART
from actum.eventstore.payloads.protection import Protected, Protection
from actum.eventstore.payloads.subjects import Box, KeyRows
from actum.eventstore.payloads.vault import open_vault
from actum.eventstore.postgres.channel import hear
from actum.eventstore.postgres.connection import Connection, DatabaseError, bigints, connect, reason_of, texts
from actum.eventstore.postgres.open import Address
from actum.eventstore.protocol import RawEvent, TreeState
from actum.eventstore.views import VIEWS, Holding, NoneOf, check_query, rows_by_page
from actum.eventstore.waiting import Waiting

__all__ = ["BATCH_BITS", "BOXES", "PostgresReader", "boxes_of"]

BATCH_BITS: Final = 20
"""An event's number is that of its batch times 2^20 plus its place in the batch."""

_EVENTS = (
    "SELECT l.seq, e.header, p.data, p.salt FROM log l JOIN events e ON e.seq = l.event "
    "LEFT JOIN payloads p ON p.seq = l.event "
)
_HEADERS = "SELECT l.seq, e.header, NULL::bytea, NULL::bytea FROM log l JOIN events e ON e.seq = l.event "
_RAW = (
    "SELECT l.seq, s.name, e.version, e.id, e.type, e.header, p.salt, p.data FROM log l "
    "JOIN events e ON e.seq = l.event LEFT JOIN streams s ON s.no = e.stream AND s.tenant = e.tenant "
    "LEFT JOIN payloads p ON p.seq = l.event "
)
_STREAM = (
    "SELECT l.seq, e.header, p.data, p.salt FROM streams s JOIN events e ON e.stream = s.no "
    "LEFT JOIN log l ON l.event = e.seq LEFT JOIN payloads p ON p.seq = e.seq "
    "WHERE s.tenant = %s AND s.name = %s AND e.version >= %s AND e.version < %s ORDER BY e.version"
)
# Each stream as far as it has positions: without its events of the batches that wait. SHA-256 makes the leaf again.
_WAITING = (
    "SELECT e.stream, min(e.version) AS version FROM pending q JOIN events e "
    f"ON e.seq >= q.batch << {BATCH_BITS} AND e.seq < (q.batch + 1) << {BATCH_BITS} WHERE q.tenant = %s GROUP BY 1"
)
_HEADS = (
    f"WITH w AS ({_WAITING}) SELECT s.no, s.name, coalesce(w.version, s.version), "
    "CASE WHEN w.version IS NULL THEN s.last_leaf ELSE (SELECT sha256('\\x00'::bytea || e.header) FROM events e "
    "WHERE e.stream = s.no AND e.version = w.version - 1) END "
    "FROM streams s LEFT JOIN w ON w.stream = s.no WHERE s.tenant = %s AND coalesce(w.version, s.version) > 0 "
)
BOXES: Final = "SELECT b.seq, b.part, b.key, b.form, b.data, b.place FROM protected b "
_BOXES = (
    "SELECT l.seq, b.part, b.key, b.form, b.data, b.place FROM log l JOIN protected b ON b.seq = l.event "
    "WHERE l.seq = ANY(%s) ORDER BY l.seq, b.part"
)
_PAGE = 1_000


@contextmanager
def _reading(address: Address, tenant: str, tenant_no: int, vault: tuple[str, str]) -> Iterator[PostgresReader]:
    reader = PostgresReader(address, tenant)
    reader._tenant_no, reader._base = tenant_no, tenant_no << 40
    reader._protection = Protection(reader.url, tenant, open_vault(*vault), reader._open_rows, lambda: 0)
    try:
        yield reader
    finally:
        reader._drop_idle()
        reader._protection.close()


class PostgresReader(Protected, Waiting):
    """One tenant's log in one PostgreSQL database, for reading. `tenant_no` is set by who opens it."""

    _poll_s = (0.002, 0.02)

    def __init__(self, address: Address, tenant: str) -> None:
        super().__init__()
        self.url = address.shown
        self.tenant = tenant
        self._address = address
        self._tenant_no = 0
        self._base = 0
        self._idle: list[Connection] = []

    # -- events --------------------------------------------------------------------------------------------------

    def read_stream(self, stream: str, from_version: int = 0, to_version: int | None = None) -> list[RecordedEvent]:
        low = min(max(from_version, 0), 1 << 62)
        to = (1 << 62) if to_version is None else min(max(to_version, 0), 1 << 62)

        def ask() -> list[RecordedEvent]:
            deadline = time.monotonic() + self._address.answer_s
            while True:
                rows = self._ask(_STREAM, (self._tenant_no, stream, low, to))
                if all(row[0] is not None for row in rows):
                    return self._recorded(rows)
                self._pause_until(deadline, f"events of stream {stream!r}")

        return whole_stream(self, stream, low, to, ask)

    def read(
        self, after: int = -1, limit: int | None = None, *, types: Sequence[str] | None = None, payloads: bool = True
    ) -> Iterator[RecordedEvent]:
        some = "AND e.type = ANY(%s) " if types is not None else ""
        values = () if types is None else (texts(list(types)),)
        for rows in self._pages(_EVENTS if payloads else _HEADERS, some, values, after, limit):
            yield from (
                self._recorded(rows) if payloads else [RecordedEvent(row[0] - self._base, row[1]) for row in rows]
            )

    def read_raw(self, after: int = -1, limit: int | None = None) -> Iterator[RawEvent]:
        base, new = self._base, tuple.__new__  # RawEvent(…) takes twice as long, and checking makes millions
        for rows in self._pages(_RAW, "", (), after, limit):
            for seq, stream, version, raw_id, kind, header, salt, data in rows:
                name = id_text(raw_id) if len(raw_id) == 16 else repr(raw_id)
                if data is None and salt is None and KEPT_APART in header:
                    data = self.parts_of(seq - base, name)
                yield new(RawEvent, (seq - base, stream or "", version, name, kind, header, salt, data))

    def _pages(
        self, select: str, condition: str, values: tuple[Any, ...], after: int, limit: int | None
    ) -> Iterator[list[Any]]:
        """Page by key: no transaction stays open between pages, so nothing keeps the database from cleaning up."""
        at = self._base + min(max(after, -1), 1 << 40)  # around it lie other tenants' logs
        end = self._base + (1 << 40)
        left = limit
        while left is None or left > 0:
            page = _PAGE if left is None else min(_PAGE, left)
            rows = self._page(
                f"{select}WHERE l.seq > %s AND l.seq < %s {condition}ORDER BY l.seq LIMIT %s",
                (at, end, *values, page),
                at,
                every=not condition,
            )
            if rows:
                yield rows
            if len(rows) < page:
                return
            at = rows[-1][0]
            if left is not None:
                left -= len(rows)

    def _page(self, sql: str, values: tuple[Any, ...], at: int, *, every: bool) -> list[Any]:
        def whole(rows: list[Any]) -> bool:
            return every and bool(rows) and rows[-1][0] - at == len(rows)

        return page_above(at + 1 - self._base, self.url, self.floor, partial(self._ask, sql, values), whole)

    def _recorded(self, rows: list[Any]) -> list[RecordedEvent]:
        base = self._base
        return self.opened([RecordedEvent(seq - base, header, data, salt) for seq, header, data, salt in rows])

    def _boxes(self, positions: list[int]) -> dict[int, list[Box]]:
        return boxes_of(self._ask(_BOXES, (bigints([self._base + at for at in positions]),)), self._base)

    # -- what has left for the archive ---------------------------------------------------------------------------

    def floor(self) -> TreeState:
        rows = self._ask("SELECT position, frontier FROM floors WHERE tenant = %s", (self._tenant_no,))
        return TreeState(*rows[0]) if rows else TreeState(0, Frontier().to_bytes())

    def departed(self, stream: str) -> list[Stretch]:
        rows = self._ask(
            "SELECT d.segment, d.start, d.until FROM streams s JOIN departed d ON d.tenant = s.tenant "
            "AND d.stream = s.no WHERE s.tenant = %s AND s.name = %s ORDER BY d.start",
            (self._tenant_no, stream),
        )
        return [Stretch(*row) for row in rows]

    def payloads_here(self, first: int, end: int) -> Iterator[tuple[int, bytes, bytes]]:
        at, stop = self._base + first, self._base + end
        while rows := self._ask(
            "SELECT l.seq, p.salt, p.data FROM log l JOIN payloads p ON p.seq = l.event "
            "WHERE l.seq >= %s AND l.seq < %s ORDER BY l.seq LIMIT %s",
            (at, stop, _PAGE),
        ):
            for seq, salt, data in rows:
                yield seq - self._base, salt, data
            at = rows[-1][0] + 1

    # -- the log as a whole --------------------------------------------------------------------------------------

    def head(self) -> int:
        rows = self._ask("SELECT size FROM tree_state WHERE tenant = %s", (self._tenant_no,))
        return int(rows[0][0]) if rows else 0

    def stream_version(self, stream: str) -> int:
        rows = self._ask(f"{_HEADS}AND s.name = %s", (self._tenant_no, self._tenant_no, stream))
        return int(rows[0][2]) if rows else 0

    def streams(self) -> Iterator[tuple[str, int, bytes]]:
        last = -1
        while True:
            rows = self._ask(
                f"{_HEADS}AND s.no > %s ORDER BY s.no LIMIT %s", (self._tenant_no, self._tenant_no, last, _PAGE)
            )
            for _, name, version, leaf in rows:
                yield name, version, leaf
            if len(rows) < _PAGE:
                return
            last = rows[-1][0]

    def tree(self) -> TreeState:
        """The tree with everything in it that was durable when this was asked."""
        deadline = time.monotonic() + self._address.answer_s
        waiting: list[int] | None = None
        while True:
            found = self._ask(
                "SELECT t.size, t.frontier, ARRAY(SELECT q.batch FROM pending q WHERE q.tenant = t.tenant "
                "AND (%s::bigint[] IS NULL OR q.batch = ANY(%s))) FROM tree_state t WHERE t.tenant = %s",
                (*[None if waiting is None else bigints(waiting)] * 2, self._tenant_no),
            )
            if not found:
                return TreeState(0, Frontier().to_bytes())
            size, frontier, waiting = found[0]
            if not waiting:
                return TreeState(size, frontier)
            self._pause_until(deadline, f"{len(waiting)} appends")

    def checkpoints(self) -> list[tuple[int, str]]:
        return self._ask("SELECT size, note FROM checkpoints WHERE tenant = %s ORDER BY size", (self._tenant_no,))

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
        conditions, values = ["tenant = %s"], list[Any]([self._tenant_no])
        for column, value in where.items():
            if isinstance(value, Holding):
                conditions += [f"strpos({column}, %s) > 0" for _ in value.parts]
                values += value.parts
                continue
            options = value if isinstance(value, tuple) else (value,)
            if isinstance(value, NoneOf):
                conditions.append(f"({column} IS NULL OR NOT {column} = ANY(%s))")
            else:
                null = f" OR {column} IS NULL" if None in options else ""
                conditions.append(f"({column} = ANY(%s){null})")
            if column in shape.numbers:  # what cannot stand in the column is in no row
                values.append(bigints([o for o in options if type(o) is int and -(1 << 63) <= o < 1 << 63]))
            else:
                values.append(texts([o for o in options if isinstance(o, str) and "\0" not in o]))
        way = "DESC NULLS LAST" if descending else "NULLS FIRST"
        by = [f"{_bytewise(view, order)} {way}"] if order else []
        by += [_bytewise(view, column) for column in shape.key]
        most = "" if limit is None else " LIMIT %s"
        values += [] if limit is None else [max(limit, 0)]
        rows = self._ask(
            f"SELECT {','.join(columns)} FROM {view} WHERE {' AND '.join(conditions)} ORDER BY {', '.join(by)}{most}",
            values,
        )
        return [dict(zip(columns, row, strict=True)) for row in rows]

    def view_rows(self, view: str) -> Iterator[dict[str, Any]]:
        return rows_by_page(view, self._ask, self._tenant_no, "%s")

    # -- connections ---------------------------------------------------------------------------------------------

    def elsewhere(self) -> Callable[[], AbstractContextManager[PostgresReader]]:
        """What opens this log for reading in another process; it can be sent there."""
        return partial(_reading, self._address, self.tenant, self._tenant_no, self._protection.vault.names())

    def _hear_others(self, over: threading.Event) -> None:
        hear(self._connect, self._tenant_no, self._listeners.tell, over)
        self._hear_by_looking(over, self.head, 0.5)

    def _open_rows(self) -> KeyRows:
        from sqlalchemy import URL, Engine, create_engine  # only when payloads are kept apart

        from actum.eventstore.postgres.rows import PostgresRows

        def open_engine() -> Engine:
            return create_engine(URL.create("postgresql+psycopg"), connect_args=dict(self._address.parameters))

        if self._closed:
            raise StoreRefused(self.url, "the store is closed")
        return PostgresRows(self.url, self._tenant_no, open_engine)

    def _pause_until(self, deadline: float, what: str) -> None:
        """Give the sequencer a moment; refuse when none has come in all the time there was."""
        if time.monotonic() >= deadline:
            raise StoreRefused(
                self.url,
                f"{what} are durable and have waited {self._address.answer_s:g} s for their positions: no process that "
                "gives them is running, or it cannot write; nothing was read",
            )
        with self._changed:
            if not self._closed:
                self._changed.wait(self._poll_s[0])

    def _ask(self, sql: str, values: Sequence[Any]) -> list[Any]:
        """All rows of one query. The connection is this query's alone; it goes back for the next one, of any thread."""
        while True:
            if self._closed:
                raise StoreRefused(self.url, "the store is closed")
            try:
                con, fresh = self._idle.pop(), False
            except IndexError:
                con, fresh = self._connect(), True
            try:
                rows = con.execute(sql, values).fetchall()
            except DatabaseError as exc:
                gone = con.closed
                con.close()
                if gone and not fresh:
                    continue  # it had died unnoticed, as those kept from before may all have
                raise StoreRefused(self.url, f"{reason_of(exc)}; nothing was read") from exc
            except BaseException:
                con.close()
                raise
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

    def _connect(self) -> Connection:
        return connect(self.url, self._address.parameters)


def boxes_of(rows: list[Any], base: int) -> dict[int, list[Box]]:
    """Rows that `BOXES` gave, by the numbers that come first, less `base`."""
    found: dict[int, list[Box]] = {}
    for seq, part, key, *rest in rows:
        found.setdefault(seq - base, []).append(Box(part, None if key is None else id_text(key), *rest))
    return found


def _bytewise(view: str, column: str) -> str:
    return column if column in VIEWS[view].numbers else f'{column} COLLATE "C"'
