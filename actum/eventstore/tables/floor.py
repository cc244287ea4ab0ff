"""Letting events go to the archive, and taking them back, where an event's key says its position (see `read.py`).

Statements have `?` where values go, and are the same for every dialect. What differs a backend brings in `Tables`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import Any, Final, Protocol, TypeVar

from actum.errors import StoreDamaged, StoreRefused
from actum.events import id_bytes
from actum.eventstore.floor import Stretch, floor_moved
from actum.eventstore.protocol import RawEvent, TreeState, ViewRow
from actum.eventstore.tables.read import TableReader
from actum.eventstore.views import VIEWS

__all__ = ["KeyTaken", "TableFloor", "Tables"]

_PAGE: Final = 1_000
_EVENT_COLUMNS: Final = ("seq", "tenant", "stream", "version", "id", "type", "header")


class KeyTaken(Exception):
    """A row was not inserted, because another one has its key or its id."""


class Tables(Protocol):
    """One open transaction. Until it ends nobody else can move the floor of this tenant."""

    def ask(self, sql: str, values: Sequence[Any]) -> list[Any]:
        """The rows of a query. Any: of whatever types."""

    def execute(self, sql: str, values: Sequence[Any]) -> int:
        """How many rows it changed."""

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Add rows, perhaps none. Raises `KeyTaken`."""


class TableFloor(TableReader):
    """The half of a store that moves its floor, as `HotStore` says."""

    def _moving(self) -> AbstractContextManager[Tables]:
        """A transaction for one move, beside the writer's; all of it is done, or nothing."""
        raise NotImplementedError

    def _first_number(self, tables: Tables) -> int:
        """From here on numbers are free for the streams of an empty log."""
        return self._base

    def drop(self, floor: int, new: TreeState, payloads: Sequence[int], *, keep: str) -> None:
        with self._moving() as tables:
            self._move(tables, floor, new)
            kept = next(iter(self._numbers(tables, [keep]).values()), -1)
            between = (self._base + floor, self._base + new.size, kept)
            tables.execute(
                "INSERT INTO departed (tenant, stream, start, until, segment) SELECT tenant, stream, min(version), "
                f"max(version) + 1, {floor} FROM events WHERE seq >= ? AND seq < ? AND stream <> ? "
                "GROUP BY tenant, stream",
                between,
            )
            for some in _pages(payloads):
                seqs = [self._base + position for position in some]
                tables.execute(f"DELETE FROM payloads WHERE seq IN ({_marks(seqs)})", seqs)
            tables.execute("DELETE FROM events WHERE seq >= ? AND seq < ? AND stream <> ?", between)

    def put_back(self, floor: int, new: TreeState, events: Iterable[RawEvent]) -> None:
        numbers: dict[str, int] = {}
        with self._moving() as tables:
            self._move(tables, floor, new)
            for page in _pages(events):
                first = {event.stream: event.version for event in reversed(page) if event.stream not in numbers}
                found = self._numbers(tables, list(first))
                numbers |= found
                for stream, no in found.items():  # its first event in this segment: where the stretch began
                    tables.execute(
                        "DELETE FROM departed WHERE tenant = ? AND stream = ? AND start = ?",
                        (self._tenant_no, no, first[stream]),
                    )
                try:
                    self._write(tables, page, numbers)
                except KeyTaken as exc:
                    raise StoreDamaged(
                        page[0].position, f"it or one of the next {len(page) - 1} cannot be taken back ({exc})"
                    ) from exc

    def begin_at(
        self,
        tree: TreeState,
        streams: Iterable[tuple[str, int, bytes]],
        departed: Iterable[tuple[str, Stretch]],
        views: Iterable[ViewRow],
    ) -> None:
        tenant = self._tenant_no
        with self._moving() as tables:
            began = tables.execute(
                "UPDATE tree_state SET size = ?, frontier = ? WHERE tenant = ? AND size = 0",
                (tree.size, tree.frontier, tenant),
            )
            if began != 1:
                raise StoreRefused(self.url, "is not empty; nothing was written")
            self._move(tables, 0, tree)
            first_no = self._first_number(tables)
            numbers: dict[str, int] = {}
            for heads in _pages(streams):
                at = first_no + len(numbers)
                tables.insert(
                    "streams",
                    ("no", "tenant", "name", "version", "last_leaf"),
                    [(at + i, tenant, *head) for i, head in enumerate(heads)],
                )
                numbers |= {head[0]: at + i for i, head in enumerate(heads)}
            for parts in _pages(departed):
                tables.insert(
                    "departed",
                    ("tenant", "stream", "start", "until", "segment"),
                    [(tenant, numbers[name], part.start, part.until, part.segment) for name, part in parts],
                )
            for rows in _pages(views):
                for view, shape in VIEWS.items():
                    tables.insert(
                        view,
                        ("tenant", *shape.key, *shape.columns),
                        [
                            (tenant, *key, *((row or {})[column] for column in shape.columns))
                            for name, key, row in rows
                            if name == view
                        ],
                    )

    def _move(self, tables: Tables, floor: int, new: TreeState) -> None:
        """Compare and swap. Lowered or raised first, since the trigger lets events go only below it."""
        rows = tables.ask("SELECT position FROM floors WHERE tenant = ?", (self._tenant_no,))
        actual = rows[0][0] if rows else 0
        if actual != floor:
            raise floor_moved(self.url, actual, floor)
        if rows:
            tables.execute(
                "UPDATE floors SET position = ?, frontier = ? WHERE tenant = ?",
                (new.size, new.frontier, self._tenant_no),
            )
        else:
            tables.insert("floors", ("tenant", "position", "frontier"), [(self._tenant_no, *new)])

    def _numbers(self, tables: Tables, streams: Sequence[str]) -> dict[str, int]:
        if not streams:
            return {}
        return dict(
            tables.ask(
                f"SELECT name, no FROM streams WHERE tenant = ? AND name IN ({_marks(streams)})",
                (self._tenant_no, *streams),
            )
        )

    def _write(self, tables: Tables, page: Sequence[RawEvent], numbers: dict[str, int]) -> None:
        """All but what is here already."""
        base, tenant = self._base, self._tenant_no
        between = (base + page[0].position, base + page[-1].position)
        kept = {seq for (seq,) in tables.ask("SELECT seq FROM events WHERE seq >= ? AND seq <= ?", between)}
        rows = [
            (base + e.position, tenant, numbers.get(e.stream, -1), e.version, id_bytes(e.id), e.type, e.header)
            for e in page
        ]
        tables.insert("events", _EVENT_COLUMNS, [row for row in rows if row[0] not in kept])
        kept = {seq for (seq,) in tables.ask("SELECT seq FROM payloads WHERE seq >= ? AND seq <= ?", between)}
        payloads = [(base + e.position, e.salt, e.payload) for e in page if isinstance(e.payload, bytes)]
        tables.insert("payloads", ("seq", "salt", "data"), [row for row in payloads if row[0] not in kept])


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))


T = TypeVar("T")


def _pages(rows: Iterable[T]) -> Iterator[list[T]]:
    source = iter(rows)
    while page := list(islice(source, _PAGE)):
        yield page
