"""Reading tables in which an event's key says its position: SQLite's and MySQL's.

Statements have `?` where values go. Each backend asks them in its own way, in `_ask`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Final

from actum.errors import StoreDamaged, StoreRefused
from actum.events import RecordedEvent, id_text
from actum.events.merkle import Frontier
from actum.eventstore.floor import Stretch, page_above, whole_stream
from actum.eventstore.payloads.boxes import KEPT_APART
from actum.eventstore.payloads.protection import Protected
from actum.eventstore.payloads.subjects import Box
from actum.eventstore.protocol import RawEvent, TreeState
from actum.eventstore.views import Holding, NoneOf, check_query, rows_by_page
from actum.eventstore.waiting import Waiting

__all__ = ["EVENTS", "TableReader"]

EVENTS = "SELECT e.seq, e.header, p.data, p.salt FROM events e LEFT JOIN payloads p ON p.seq = e.seq "
"""The rows that `TableReader._recorded` reads."""

_HEADERS = "SELECT e.seq, e.header, NULL, NULL FROM events e "
_RAW = (
    "SELECT e.seq, s.name, e.version, e.id, e.type, e.header, p.salt, p.data FROM events e "
    "LEFT JOIN streams s ON s.no = e.stream AND s.tenant = e.tenant LEFT JOIN payloads p ON p.seq = e.seq "
)
_PAGE = 1_000
_ALL: Final = 1 << 62
_MOST: Final = 2**63 - 1

_Row = tuple[int, bytes, bytes | None, bytes | None]


def _one_of(column: str, options: Sequence[object]) -> str:
    return f"{column} IN ({','.join('?' * len(options))})" if options else "1 = 0"


def _fits(value: object, *, number: bool) -> bool:
    return isinstance(value, str) if not number else type(value) is int and abs(value) <= _MOST


class TableReader(Protected, Waiting):
    """One tenant's log, for reading. `_tenant_no`, `_base` and `_protection` are set by who opens it."""

    _key: ClassVar[str] = "key"
    """How a column of this name is written: it is a word of some dialects."""

    def __init__(self, url: str, tenant: str) -> None:
        super().__init__()
        self.url = url
        self.tenant = tenant
        self._tenant_no = 0
        self._base = 0

    def _ask(self, sql: str, values: Sequence[Any]) -> list[Any]:
        """All rows of one query. Raises `StoreRefused`."""
        raise NotImplementedError

    def _is_damage(self, exc: StoreRefused) -> bool:
        """Whether a query was refused because some rows cannot be read, and others could be."""
        return False

    # -- events --------------------------------------------------------------------------------------------------

    def read_stream(self, stream: str, from_version: int = 0, to_version: int | None = None) -> list[RecordedEvent]:
        low = min(max(from_version, 0), _ALL)
        to = _ALL if to_version is None else min(max(to_version, 0), _ALL)

        def ask() -> list[RecordedEvent]:
            rows = self._ask(
                EVENTS + "JOIN streams s ON s.no = e.stream WHERE s.tenant = ? AND s.name = ? "
                "AND e.version >= ? AND e.version < ? ORDER BY e.version",
                (self._tenant_no, stream, low, to),
            )
            return self._recorded(rows)

        return whole_stream(self, stream, low, to, ask)

    def read(
        self, after: int = -1, limit: int | None = None, *, types: Sequence[str] | None = None, payloads: bool = True
    ) -> Iterator[RecordedEvent]:
        some = "" if types is None else f"AND {_one_of('e.type', types)} "
        for rows in self._pages(EVENTS if payloads else _HEADERS, some, tuple(types or ()), after, limit):
            yield from self._recorded(rows) if payloads else self._bare(rows)

    def read_raw(self, after: int = -1, limit: int | None = None) -> Iterator[RawEvent]:
        base, new = self._base, tuple.__new__  # RawEvent(…) takes twice as long, and checking makes millions
        for rows in self._pages(_RAW, "", (), after, limit):
            for seq, stream, version, raw_id, kind, header, salt, data in rows:
                name = id_text(raw_id) if type(raw_id) is bytes and len(raw_id) == 16 else repr(raw_id)
                if data is None and salt is None and type(header) is bytes and KEPT_APART in header:
                    data = self.parts_of(seq - base, name)
                yield new(RawEvent, (seq - base, stream or "", version, name, kind, header, salt, data))

    def _pages(
        self, select: str, condition: str, values: tuple[Any, ...], after: int, limit: int | None
    ) -> Iterator[list[Any]]:
        """Page by key: no transaction stays open between pages, so nothing keeps the database from cleaning up."""
        at = self._base + max(after, -1)  # below lies another tenant's log
        end = self._base + (1 << 40)
        left, most = limit, _PAGE
        while left is None or left > 0:
            page = most if left is None else min(most, left)
            try:
                rows = self._page(
                    f"{select}WHERE e.seq > ? AND e.seq < ? {condition}ORDER BY e.seq LIMIT ?",
                    (at, end, *values, page),
                    at,
                    every=not condition,
                )
            except StoreRefused as exc:
                if not self._is_damage(exc):
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

    def _page(self, sql: str, values: tuple[Any, ...], at: int, *, every: bool) -> list[Any]:
        def whole(rows: list[Any]) -> bool:
            return every and bool(rows) and rows[-1][0] - at == len(rows)

        return page_above(at + 1 - self._base, self.url, self.floor, partial(self._ask, sql, values), whole)

    def _recorded(self, rows: list[_Row]) -> list[RecordedEvent]:
        base = self._base
        return self.opened([RecordedEvent(seq - base, header, data, salt) for seq, header, data, salt in rows])

    def _bare(self, rows: list[_Row]) -> list[RecordedEvent]:
        base = self._base
        return [RecordedEvent(row[0] - base, row[1]) for row in rows]

    def _boxes(self, positions: list[int]) -> dict[int, list[Box]]:
        found: dict[int, list[Box]] = {}
        for at in range(0, len(positions), 500):
            seqs = [self._base + position for position in positions[at : at + 500]]
            rows = self._ask(
                f"SELECT seq, part, {self._key}, form, data, place FROM protected WHERE {_one_of('seq', seqs)} "
                "ORDER BY seq, part",
                seqs,
            )
            for seq, part, key, *rest in rows:
                found.setdefault(seq - self._base, []).append(Box(part, None if key is None else id_text(key), *rest))
        return found

    # -- what has left for the archive ---------------------------------------------------------------------------

    def floor(self) -> TreeState:
        rows = self._ask("SELECT position, frontier FROM floors WHERE tenant = ?", (self._tenant_no,))
        return TreeState(*rows[0]) if rows else TreeState(0, Frontier().to_bytes())

    def departed(self, stream: str) -> list[Stretch]:
        rows = self._ask(
            "SELECT d.segment, d.start, d.until FROM streams s JOIN departed d ON d.tenant = s.tenant "
            "AND d.stream = s.no WHERE s.tenant = ? AND s.name = ? ORDER BY d.start",
            (self._tenant_no, stream),
        )
        return [Stretch(*row) for row in rows]

    def payloads_here(self, first: int, end: int) -> Iterator[tuple[int, bytes, bytes]]:
        at, stop = self._base + first, self._base + end
        while rows := self._ask(
            "SELECT seq, salt, data FROM payloads WHERE seq >= ? AND seq < ? ORDER BY seq LIMIT ?", (at, stop, _PAGE)
        ):
            for seq, salt, data in rows:
                yield seq - self._base, salt, data
            at = rows[-1][0] + 1

    # -- the log as a whole --------------------------------------------------------------------------------------

    def head(self) -> int:
        return self.tree().size

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
        conditions, values = ["tenant = ?"], list[Any]([self._tenant_no])
        for column, value in where.items():
            if isinstance(value, Holding):
                conditions += [f"instr({column}, ?) > 0" for _ in value.parts]
                values += value.parts
                continue
            options = value if isinstance(value, tuple) else (value,)
            # What cannot stand in the column is in no row; a database might convert the column instead.
            some = [option for option in options if _fits(option, number=column in shape.numbers)]
            if isinstance(value, NoneOf):
                conditions.append(f"({column} IS NULL OR NOT {_one_of(column, some)})")
                values.extend(some)
                continue
            null = f" OR {column} IS NULL" if None in options else ""
            conditions.append(f"({_one_of(column, some)}{null})")
            values.extend(some)
        by = ", ".join(([f"{order}{' DESC' if descending else ''}"] if order else []) + list(shape.key))
        rows = self._ask(
            f"SELECT {','.join(columns)} FROM {view} WHERE {' AND '.join(conditions)} ORDER BY {by} LIMIT ?",
            (*values, _ALL if limit is None else max(limit, 0)),
        )
        return [dict(zip(columns, row, strict=True)) for row in rows]

    def view_rows(self, view: str) -> Iterator[dict[str, Any]]:
        return rows_by_page(view, self._ask, self._tenant_no, "?")
