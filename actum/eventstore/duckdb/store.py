"""DuckDB: one file, one process, one writer thread that groups commits, readers on cursors of their own.

Durable means durable: a commit that has returned stands in the write-ahead log beside the file, flushed. Positions,
tree and views are written in the transaction of their events. Several handles of one process may write to one file:
the tree's size in the file says whether memory can be trusted.

DuckDB has no triggers: nothing keeps who can write to the file from changing a row with SQL. The tree finds it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import duckdb

from actum.errors import BadInput, StoreDamaged, StoreRefused, StoreUnavailable
from actum.events import id_bytes, to_text
from actum.events.merkle import Frontier
from actum.eventstore.duckdb.open import parse_url, refusal
from actum.eventstore.duckdb.read import DuckDBReader
from actum.eventstore.duckdb.write import DuckDBTables, Outdated, Pen
from actum.eventstore.expected import answer_from, sort_out_conflict
from actum.eventstore.payloads.protection import GroupAppends, Protection
from actum.eventstore.payloads.subjects import KeyRows
from actum.eventstore.payloads.vault import Vault
from actum.eventstore.protocol import Appended, Batch
from actum.eventstore.tables.floor import TableFloor, Tables
from actum.eventstore.tables.group import Group, Head, Salts, frontier_of
from actum.eventstore.tables.read import EVENTS
from actum.eventstore.tables.writer import Answer, GroupWriter, together_or_apart

__all__ = ["DuckDBStore"]

_MOST_HEADS: Final = 100_000


def _now_us() -> int:
    return time.time_ns() // 1000


class DuckDBStore(GroupAppends, DuckDBReader, TableFloor):
    """One tenant's log in one DuckDB file, which is made when it is not there.

    URL: `duckdb:///relative.duckdb` or `duckdb:////absolute.duckdb`, with `?mode=ro` (never written; then several
    processes may have it). Otherwise one process has the file at a time.
    """

    def __init__(
        self,
        url: str,
        tenant: str = "default",
        clock: Callable[[], int] = _now_us,
        vault: Vault | None = None,
    ) -> None:
        path, options = parse_url(url)
        super().__init__(url, tenant, path, read_only=options.get("mode") == "ro")
        self._clock = clock
        vault = (vault or Vault()).or_in(self.path.with_name(f"{self.path.name}.blobs"))
        self._protection = Protection(url, tenant, vault, self._open_rows, clock)
        try:
            self._connection = self._cursor()
            self._tenant_no = self._enrol()
        except duckdb.Error as exc:
            self._file.close()
            raise refusal(url, exc, "nothing was written") from exc
        except BaseException:
            self._file.close()
            raise
        self._base = self._tenant_no << 40
        self._pen = None if self._read_only else Pen(self._connection)
        self._flushed_log = 0, 0  # the write-ahead log whose name is durable, and its size
        self._current = False
        self._heads: dict[str, Head] = {}
        self._size = 0
        self._frontier = Frontier()
        self._salt = Salts()
        self._writer = GroupWriter(url, self._commit)

    def add_checkpoint(self, size: int, note: str) -> None:
        with self._aside() as con:
            con.execute("INSERT OR IGNORE INTO checkpoints VALUES (?,?,?)", (self._tenant_no, size, note))

    @contextmanager
    def _moving(self) -> Iterator[Tables]:
        with self._aside() as con:
            # As every append does: of two who write at once one stops here.
            con.execute("UPDATE tree_state SET size = size WHERE tenant = ?", (self._tenant_no,))
            yield DuckDBTables(con)

    @contextmanager
    def _aside(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A transaction on a connection of its own, beside the writer's thread; all of it is done, or nothing."""
        if self._closed:
            raise StoreRefused(self.url, "the store is closed; nothing was written")
        if self._read_only:
            raise StoreRefused(self.url, "is opened read-only; nothing was written")
        try:
            with self._cursor() as con:
                con.execute("BEGIN")
                yield con
                con.execute("COMMIT")
        except duckdb.Error as exc:
            raise refusal(self.url, exc, "nothing was written") from exc
        self._flush_name()

    def close(self) -> None:
        self._writer.close()
        self._end_waiting()
        self._protection.close()
        self._connection.close()
        self._close_file()

    def _open_rows(self) -> KeyRows:
        if self._closed:
            raise StoreRefused(self.url, "the store is closed")
        try:
            from actum.eventstore.duckdb.rows import DuckDBRows  # with SQLAlchemy, only when payloads are kept apart
        except ModuleNotFoundError as exc:
            if exc.name != "duckdb_engine":
                raise
            raise BadInput("payloads kept apart in DuckDB need duckdb-engine: pip install 'actum[duckdb]'") from None
        return DuckDBRows(self.url, self._tenant_no, self._cursor, read_only=self._read_only)

    # -- everything below runs in the writer's thread ------------------------------------------------------------

    def _commit(self, batches: list[Batch]) -> list[Answer]:
        """One transaction for the whole group; one for each batch, with care, when one of them cannot be written."""
        return together_or_apart(batches, self._transaction, self._meaning)

    def _transaction(self, batches: list[Batch]) -> list[Answer]:
        if self._pen is None:
            raise StoreRefused(self.url, "is opened read-only; nothing was written")
        while True:
            try:
                return self._try_transaction(self._pen, batches)
            except Outdated:  # another handle was first; each time this happens, one of them has committed
                continue

    def _try_transaction(self, pen: Pen, batches: list[Batch]) -> list[Answer]:
        con = self._connection
        committing = False
        try:
            con.execute("BEGIN")
            self._refresh(con)
            self._know(con, {append[0] for batch in batches for append in batch})
            group = Group(
                self.tenant,
                self._tenant_no,
                None,
                self._size,
                self._now(),
                self._heads.get,
                self._salt,
                limit_bytes=self.payload_limit_bytes,
            )
            answers = [group.plan(batch, self._recorded_before) for batch in batches]
            frontier = pen.write(group, self._frontier)
            committing = True
            con.execute("COMMIT")
        except BaseException as exc:
            self._current = False
            pen.forget()
            with suppress(duckdb.Error):  # a commit that failed has rolled back already
                con.execute("ROLLBACK")
            if not isinstance(exc, duckdb.Error) or isinstance(exc, duckdb.IntegrityError):
                raise
            if committing:  # what of it stands in the write-ahead log, only the next commit or opening tells
                raise StoreUnavailable(str(exc)) from exc
            raise refusal(self.url, exc, "nothing was written") from exc
        try:
            self._flush_name()
        except OSError as exc:
            self._current = False
            raise StoreUnavailable(f"the folder of {self.path} cannot be flushed: {exc}") from exc
        # From here on the events are durable; a crash before the lines below loses nothing but memory.
        self._heads.update(group.heads)
        self._size += len(group.leaves)
        self._frontier = frontier
        self._wake()
        return answers

    def _flush_name(self) -> None:
        """Make the write-ahead log's name durable too: DuckDB flushes the file, and makes a new one now and then."""
        try:
            log = os.stat(f"{self.path}.wal")
        except FileNotFoundError:
            return  # all of it was just written into the file itself
        inode, size = self._flushed_log
        if log.st_ino != inode or log.st_size < size:  # numbers of files are given again, so a new one is smaller
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        self._flushed_log = log.st_ino, log.st_size

    def _meaning(self, batch: Batch, exc: Exception) -> Answer:
        if not isinstance(exc, duckdb.IntegrityError):
            return exc
        try:
            before = self._recorded_before(batch)
        except Exception as conflict:  # noqa: BLE001 - it is the answer
            return conflict
        if before is not None:
            return before
        return StoreDamaged(self._size, f"nothing can be written here, the tables contradict each other ({exc})")

    def _recorded_before(self, batch: Batch) -> Appended | None:
        ids = [id_bytes(event.id) for _, _, events, _ in batch for event in events]
        rows = self._connection.execute(
            f"{EVENTS}WHERE e.tenant = ? AND e.id IN ({','.join('?' * len(ids))})", (self._tenant_no, *ids)
        ).fetchall()
        there = {id_bytes(event.id): event for event in self._recorded(rows)}
        found = sort_out_conflict(batch, [there.get(id_) for id_ in ids])
        return None if found is None else answer_from(found)

    def _now(self) -> str:
        return to_text(self._clock())

    def _refresh(self, con: duckdb.DuckDBPyConnection) -> None:
        """Trust memory only while the tree in the file has the size that this handle has left it at."""
        rows = con.execute("SELECT size, frontier FROM tree_state WHERE tenant = ?", (self._tenant_no,)).fetchall()
        size, kept = rows[0] if rows else (0, b"")
        if self._current and size == self._size:
            return
        self._heads.clear()
        self._frontier = frontier_of(size, kept)
        self._size = size
        self._current = True

    def _know(self, con: duckdb.DuckDBPyConnection, streams: Iterable[str]) -> None:
        """Have the heads of these streams at hand: one question for all of them."""
        if len(self._heads) > _MOST_HEADS:
            self._heads.clear()
        # What is no name of a stream is refused with its batch, a moment later.
        unknown = [stream for stream in streams if stream not in self._heads and stream.isprintable()]
        if not unknown:
            return
        rows = con.execute(
            "SELECT name, no, version, last_leaf FROM streams "
            f"WHERE tenant = ? AND name IN ({','.join('?' * len(unknown))})",
            (self._tenant_no, *unknown),
        ).fetchall()
        self._heads.update((name, (no, version, leaf)) for name, no, version, leaf in rows)

    def _enrol(self) -> int:
        """This tenant's number in this file; given when the tenant is first seen."""
        con = self._connection
        find = "SELECT no FROM tenants WHERE name = ?"
        if rows := con.execute(find, (self.tenant,)).fetchall():
            return int(rows[0][0])
        if self._read_only:
            raise StoreRefused(self.url, f"has no tenant {self.tenant!r} and is opened read-only")
        con.execute("BEGIN")
        try:
            con.execute("INSERT INTO tenants SELECT coalesce(max(no), -1) + 1, ? FROM tenants", (self.tenant,))
            no = int(con.execute(find, (self.tenant,)).fetchall()[0][0])
            con.execute("INSERT INTO tree_state VALUES (?, 0, ?)", (no, Frontier().to_bytes()))
            con.execute("COMMIT")
        except BaseException:
            with suppress(duckdb.Error):
                con.execute("ROLLBACK")
            raise
        return no
