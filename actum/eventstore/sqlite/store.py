"""SQLite: one file, one writer thread that groups commits, readers on connections of their own.

Durable means durable: WAL with `synchronous=FULL`, so a commit that has returned survives power loss. Positions,
tree and views are written in the transaction of their events. Other processes may write to the same file:
every commit asks SQLite whether one did, and then reads stream heads and tree again instead of trusting memory.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeGuard

from actum.errors import StoreDamaged, StoreRefused, StoreUnavailable
from actum.events import RecordedEvent, id_bytes, to_text
from actum.events.merkle import Frontier
from actum.eventstore.expected import answer_from, sort_out_conflict
from actum.eventstore.payloads.protection import GroupAppends, Protection
from actum.eventstore.payloads.vault import Vault
from actum.eventstore.protocol import Appended, Batch
from actum.eventstore.sqlite.open import parse_url, prepare
from actum.eventstore.sqlite.read import SQLiteReader
from actum.eventstore.sqlite.write import SQLiteTables, write_group
from actum.eventstore.tables.floor import TableFloor, Tables
from actum.eventstore.tables.group import Group, Head, Salts, frontier_of
from actum.eventstore.tables.read import EVENTS
from actum.eventstore.tables.writer import Answer, GroupWriter, together_or_apart

__all__ = ["SQLiteStore"]

_NEXT_STREAM = "SELECT coalesce(max(no), -1) + 1 FROM streams"


def _now_us() -> int:
    return time.time_ns() // 1000


class SQLiteStore(GroupAppends, SQLiteReader, TableFloor):
    """One tenant's log in one SQLite file, which is made when it is not there.

    URL: `sqlite:///relative.db` or `sqlite:////absolute.db`, with `?mode=ro` (never written) and `?busy_timeout=5`
    (seconds to wait for another process's commit).
    """

    def __init__(
        self,
        url: str,
        tenant: str = "default",
        clock: Callable[[], int] = _now_us,
        vault: Vault | None = None,
    ) -> None:
        path, options = parse_url(url)
        read_only = options.get("mode") == "ro"
        super().__init__(url, tenant, path, read_only=read_only, busy_s=float(options.get("busy_timeout", "5")))
        self._clock = clock
        vault = (vault or Vault()).or_in(self.path.with_name(f"{self.path.name}.blobs"))
        self._protection = Protection(url, tenant, vault, self._open_rows, clock)
        prepare(url, path, read_only=read_only)
        self._connection = self._connect()
        try:
            self._tenant_no = self._enrol()
        except sqlite3.Error as exc:
            self._connection.close()
            raise self._refusal(exc, "nothing was written") from exc
        except BaseException:
            self._connection.close()
            raise
        self._base = self._tenant_no << 40
        self._data_version = -1
        self._heads: dict[str, Head] = {}
        self._size = 0
        self._next_stream = 0
        self._frontier = Frontier()
        self._salt = Salts()
        self._writer = GroupWriter(url, self._commit)

    def add_checkpoint(self, size: int, note: str) -> None:
        with self._aside() as con:
            con.execute("INSERT OR IGNORE INTO checkpoints VALUES (?,?,?)", (self._tenant_no, size, note))

    @contextmanager
    def _moving(self) -> Iterator[Tables]:
        with self._aside() as con:
            yield SQLiteTables(con)

    def _first_number(self, tables: Tables) -> int:
        return int(tables.ask(_NEXT_STREAM, ())[0][0])

    @contextmanager
    def _aside(self) -> Iterator[sqlite3.Connection]:
        """A transaction on a connection of its own, beside the writer's thread; all of it is done, or nothing."""
        if self._closed:
            raise StoreRefused(self.url, "the store is closed; nothing was written")
        if self._read_only:
            raise StoreRefused(self.url, "is opened read-only; nothing was written")
        con = self._connect()
        try:
            con.execute("BEGIN IMMEDIATE")
            yield con
            con.execute("COMMIT")
        except sqlite3.Error as exc:
            raise self._refusal(exc, "nothing was written") from exc
        finally:
            con.close()

    def close(self) -> None:
        self._writer.close()
        self._end_waiting()
        self._drop_idle()
        self._protection.close()
        self._connection.close()

    # -- everything below runs in the writer's thread ------------------------------------------------------------

    def _commit(self, batches: list[Batch]) -> list[Answer]:
        """One transaction for the whole group; one for each batch, with care, when one of them cannot be written."""
        if self._read_only:
            raise StoreRefused(self.url, "is opened read-only; nothing was written")
        return together_or_apart(batches, self._transaction, self._meaning)

    def _transaction(self, batches: list[Batch]) -> list[Answer]:
        con = self._connection
        try:
            con.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as exc:
            raise self._refusal(exc, "nothing was written") from exc
        committing = False
        try:
            self._refresh(con)
            group = Group(
                self.tenant,
                self._tenant_no,
                self._next_stream,
                self._size,
                self._now(),
                self._head_of,
                self._salt,
                limit_bytes=self.payload_limit_bytes,
            )
            answers = [group.plan(batch, self._recorded_before) for batch in batches]
            frontier = write_group(con, group, self._frontier)
            committing = True
            con.execute("COMMIT")
        except BaseException as exc:
            self._data_version = -1  # what memory holds may be wrong now: read again next time
            rolled_back = con.in_transaction
            if rolled_back:
                con.execute("ROLLBACK")
            if not _about_the_store(exc):
                raise
            # When the flush of a commit fails, its frames stand in the write-ahead log: until the next commit
            # overwrites them, a crash and its recovery could still bring them back. So that is not a refusal.
            if committing and (not rolled_back or getattr(exc, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_IOERR):
                raise StoreUnavailable(str(exc)) from exc
            raise self._refusal(exc, "nothing was written") from exc
        # From here on the events are durable; a crash before the lines below loses nothing but memory.
        self._heads.update(group.heads)
        self._next_stream += len(group.created)
        self._size += len(group.leaves)
        self._frontier = frontier
        self._wake()
        return answers

    def _meaning(self, batch: Batch, exc: Exception) -> Answer:
        if not isinstance(exc, sqlite3.IntegrityError):
            return exc
        if "events.id" in str(exc):
            try:
                before = self._recorded_before(batch)
            except Exception as conflict:  # noqa: BLE001 - it is the answer
                return conflict
            if before is not None:
                return before
        return StoreDamaged(self._size, f"nothing can be written here, the tables contradict each other ({exc})")

    def _recorded_before(self, batch: Batch) -> Appended | None:
        found = sort_out_conflict(batch, [self._find(event.id) for _, _, events, _ in batch for event in events])
        return None if found is None else answer_from(found)

    def _find(self, event_id: str) -> RecordedEvent | None:
        rows = self._connection.execute(
            EVENTS + "WHERE e.tenant = ? AND e.id = ?", (self._tenant_no, id_bytes(event_id))
        ).fetchall()
        return self._recorded(rows)[0] if rows else None

    def _now(self) -> str:
        return to_text(self._clock())

    def _refresh(self, con: sqlite3.Connection) -> None:
        """Trust memory only while nobody else has committed since this connection last did."""
        seen = con.execute("PRAGMA data_version").fetchone()[0]
        if seen == self._data_version:
            return
        self._heads.clear()
        size, frontier = con.execute(
            "SELECT size, frontier FROM tree_state WHERE tenant = ?", (self._tenant_no,)
        ).fetchone() or (0, b"")
        self._frontier = frontier_of(size, frontier)
        self._size = size
        self._next_stream = con.execute(_NEXT_STREAM).fetchone()[0]
        self._data_version = seen

    def _head_of(self, stream: str) -> Head | None:
        head = self._heads.get(stream)
        if head is None:
            head = self._connection.execute(
                "SELECT no, version, last_leaf FROM streams WHERE tenant = ? AND name = ?", (self._tenant_no, stream)
            ).fetchone()
            if head is not None:
                if len(self._heads) > 100_000:
                    self._heads.clear()
                self._heads[stream] = head
        return head

    def _enrol(self) -> int:
        """This tenant's number in this file; given when the tenant is first seen."""
        con = self._connection
        find = "SELECT no FROM tenants WHERE name = ?"
        row = con.execute(find, (self.tenant,)).fetchone()
        if row is not None:
            return int(row[0])
        if self._read_only:
            raise StoreRefused(self.url, f"has no tenant {self.tenant!r} and is opened read-only")
        con.execute("BEGIN IMMEDIATE")
        try:
            con.execute(
                "INSERT OR IGNORE INTO tenants SELECT coalesce(max(no), -1) + 1, ? FROM tenants", (self.tenant,)
            )
            no = int(con.execute(find, (self.tenant,)).fetchone()[0])
            con.execute("INSERT OR IGNORE INTO tree_state VALUES (?, 0, ?)", (no, Frontier().to_bytes()))
            con.execute("COMMIT")
        except BaseException:
            if con.in_transaction:
                con.execute("ROLLBACK")
            raise
        return no


def _about_the_store(exc: BaseException) -> TypeGuard[sqlite3.DatabaseError]:
    """Whether SQLite failed, as against being asked for something impossible."""
    return isinstance(exc, sqlite3.OperationalError) or type(exc) is sqlite3.DatabaseError
