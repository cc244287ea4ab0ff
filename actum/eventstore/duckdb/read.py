"""The reading half of the DuckDB store: any number of threads, each query on a cursor of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb

from actum.errors import StoreDamaged, StoreRefused
from actum.eventstore.duckdb.open import open_file, refusal
from actum.eventstore.tables.read import TableReader

__all__ = ["DuckDBReader"]

_WINDOW: Final = 2_048
"""Positions of one page. A window is found by the statistics of the key; a LIMIT would have DuckDB sort all of it."""


class DuckDBReader(TableReader):
    """One tenant's log in one DuckDB file, for reading. `_tenant_no` is set by who opens it."""

    def __init__(self, url: str, tenant: str, path: Path, *, read_only: bool) -> None:
        super().__init__(url, tenant)
        self.path = path.absolute()
        self._read_only = read_only
        self._file = open_file(url, self.path, read_only=read_only)  # only to make cursors of
        self._asked = threading.Condition()  # a connection refuses the second of two calls at once, closing too
        self._asking = 0
        self._idle: list[duckdb.DuckDBPyConnection] = []

    def _is_damage(self, exc: StoreRefused) -> bool:
        return "Corrupt" in str(exc.__cause__)

    def _pages(
        self, select: str, condition: str, values: tuple[Any, ...], after: int, limit: int | None
    ) -> Iterator[list[Any]]:
        at = self._base + max(after, -1)  # below lies another tenant's log
        end = self._base + (1 << 40)
        left, most = limit, _WINDOW
        while left is None or left > 0:
            to = min(at + most, end - 1)
            try:
                rows = self._page(
                    f"{select}WHERE e.seq > ? AND e.seq <= ? {condition}ORDER BY e.seq",
                    (at, to, *values),
                    at,
                    every=not condition,
                )
                if not rows:  # nothing in the window: look where the next one is, if anywhere
                    (first,) = self._ask(
                        f"SELECT min(e.seq) FROM events e WHERE e.seq > ? AND e.seq < ? {condition}", (at, end, *values)
                    )[0]
            except StoreRefused as exc:
                if not self._is_damage(exc):
                    raise
                if most > 1:  # what can be read is read, up to the event that cannot
                    most //= 2
                    continue
                raise StoreDamaged(at + 1 - self._base, f"the file cannot be read from here on ({exc})") from exc
            if not rows:
                if first is None:
                    return
                at = first - 1
                continue
            if left is not None:
                rows = rows[:left]
                left -= len(rows)
            yield rows
            at = rows[-1][0]

    def _ask(self, sql: str, values: Sequence[Any]) -> list[Any]:
        """All rows of one query. The cursor is this query's alone; it goes back for the next one, of any thread."""
        with self._asked:
            if self._closed:
                raise StoreRefused(self.url, "the store is closed")
            self._asking += 1
        try:
            try:
                con = self._idle.pop()
            except IndexError:
                con = self._cursor()
            rows = con.execute(sql, values).fetchall()
            self._idle.append(con)
        except duckdb.Error as exc:
            raise refusal(self.url, exc, "nothing was read") from exc
        finally:
            with self._asked:
                self._asking -= 1
                self._asked.notify_all()
        return rows

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        with self._asked:
            return self._file.cursor()

    def _close_file(self) -> None:
        """Let go of the file when the last query is answered; there are no new ones, since the store is closed."""
        with self._asked:
            self._asked.wait_for(lambda: self._asking == 0)
            self._drop_idle()
            self._file.close()

    def _drop_idle(self) -> None:
        while self._idle:
            try:
                self._idle.pop().close()
            except IndexError:
                return  # another thread took it first
