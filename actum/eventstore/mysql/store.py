"""MySQL and MariaDB: any number of processes append, one after the other.

Who appends locks the row that says where the log ends. So positions, tree and views are written in the transaction of
their events, and nobody has to wait for anybody but the one who is committing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from weakref import WeakSet

from actum.errors import BadInput, StoreDamaged, StoreRefused, StoreUnavailable
from actum.events import RecordedEvent, id_bytes, to_text
from actum.events.merkle import Frontier
from actum.eventstore.expected import answer_from, names_in, sort_out_conflict
from actum.eventstore.mysql.connection import (
    Connection,
    DatabaseError,
    ask,
    close,
    constraint_of,
    do,
    is_held,
    is_lost,
    is_passing,
    is_value,
    reason_of,
)
from actum.eventstore.mysql.kept_book import KeptBook
from actum.eventstore.mysql.open import parse_url, prepare
from actum.eventstore.mysql.owners import WorkerLeases
from actum.eventstore.mysql.queue import WorkQueue
from actum.eventstore.mysql.read import MySQLReader
from actum.eventstore.mysql.write import MovedOn, MySQLTables, WriteLane, write_group
from actum.eventstore.payloads.protection import GroupAppends, Protection
from actum.eventstore.payloads.vault import Vault
from actum.eventstore.protocol import Appended, Batch
from actum.eventstore.tables.floor import KeyTaken, TableFloor, Tables
from actum.eventstore.tables.group import Group, Head, IdTaken, Salts, frontier_of
from actum.eventstore.tables.owners import LeaseOwners
from actum.eventstore.tables.read import EVENTS
from actum.eventstore.tables.writer import Answer, GroupWriter, together_or_apart

__all__ = ["MySQLStore"]

# Whether a commit that returns is on the disk is the server's setting: asked each time, since it can be changed.
_LOCK = (
    "SELECT size, frontier, @@innodb_flush_log_at_trx_commit, @@log_bin, @@sync_binlog "
    "FROM tree_state WHERE tenant = %s FOR UPDATE"
)
_LOCK_FLOOR = (
    "INSERT INTO floors (tenant, position, frontier) VALUES (?, 0, ?) ON DUPLICATE KEY UPDATE tenant = VALUES(tenant)"
)
_TRIES = 5
_NAMES = 200  # streams asked for at a time


def _now_us() -> int:
    return time.time_ns() // 1000


class _Again(Exception):
    """Something that does not last was in the way; nothing was written. `lasting` says what, should it last."""

    def __init__(self, lasting: Exception) -> None:
        super().__init__(str(lasting))
        self.lasting = lasting


class MySQLStore(GroupAppends, MySQLReader, TableFloor):
    """One tenant's log in one MySQL or MariaDB database, whose tables are made when they are not there.

    URL: `mysql://user:password@host:port/database`, or the same with `mariadb://`; with `?mode=ro` (never written),
    `?busy_timeout=5` (seconds to wait for another process's commit), `?lease=2` (seconds after which a worker without
    a sign of life is taken for dead), and the driver's `unix_socket`, `connect_timeout`, `read_timeout`,
    `write_timeout`, `ssl_ca`, `ssl_cert`, `ssl_key`, `ssl_key_password`, `ssl_verify_cert`, `ssl_verify_identity` and
    `ssl_disabled`.
    """

    def __init__(
        self,
        url: str,
        tenant: str = "default",
        clock: Callable[[], int] = _now_us,
        vault: Vault | None = None,
    ) -> None:
        address = parse_url(url)
        prepare(address)
        super().__init__(address, tenant)
        self._clock = clock
        self._protection = Protection(self.url, tenant, vault or Vault(), self._open_rows, clock)
        self._lane = WriteLane(address)
        try:
            self._tenant_no = self._enrol()
        except DatabaseError as exc:
            self._lane.close()
            raise StoreRefused(self.url, f"{reason_of(exc)}; nothing was written") from exc
        except BaseException:
            self._lane.close()
            raise
        self._base = self._tenant_no << 40
        self._heads: dict[str, Head] = {}
        self._frontier = Frontier()
        self._end: tuple[int, bytes] | None = None
        self._salt = Salts()
        self._owners = WeakSet[LeaseOwners]()
        self._writer = GroupWriter(self.url, self._commit)

    def owners(self) -> LeaseOwners:
        """Who is alive among the workers on this store."""
        if self._closed:
            raise StoreRefused(self.url, "the store is closed")
        owners = LeaseOwners(WorkerLeases(self._address, self._tenant_no, self._ask))
        self._owners.add(owners)
        return owners

    def queue(self) -> WorkQueue:
        """What a worker may take, so that several that ask at once get different executions."""
        return WorkQueue(self._address, self._tenant_no)

    def shared_book(self) -> KeptBook:
        """What the workers on this store share."""
        return KeptBook(self._address, self._tenant_no)

    def add_checkpoint(self, size: int, note: str) -> None:
        with self._aside() as tables, suppress(KeyTaken):  # the first one stays
            tables.insert("checkpoints", ("tenant", "size", "note"), [(self._tenant_no, size, note)])

    @contextmanager
    def _moving(self) -> Iterator[Tables]:
        with self._aside() as tables:
            tables.execute(_LOCK_FLOOR, (self._tenant_no, Frontier().to_bytes()))
            yield tables

    @contextmanager
    def _aside(self) -> Iterator[Tables]:
        """A transaction on a connection of its own, beside the writer's thread; all of it is done, or nothing."""
        if self._closed:
            raise StoreRefused(self.url, "the store is closed; nothing was written")
        self._check_writable()
        con = self._address.connect()
        committing = False
        try:
            do(con, "START TRANSACTION")
            yield MySQLTables(con)
            committing = True
            do(con, "COMMIT")
        except DatabaseError as exc:
            meaning = self._failure(exc, committing=committing, lost=is_lost(exc, con))
            raise (meaning.lasting if isinstance(meaning, _Again) else meaning) from exc
        finally:
            close(con)

    def close(self) -> None:
        for owners in list(self._owners):
            owners.close()
        self._writer.close()
        self._end_waiting()
        self._drop_idle()
        self._protection.close()
        self._lane.close()

    # -- everything below runs in the writer's thread ------------------------------------------------------------

    def _commit(self, batches: list[Batch]) -> list[Answer]:
        self._check_writable()
        return together_or_apart(batches, self._transaction, self._meaning)

    def _transaction(self, batches: list[Batch]) -> list[Answer]:
        for _ in range(_TRIES):
            try:
                return self._try(batches)
            except _Again as exc:
                again = exc
        raise again.lasting from again

    def _try(self, batches: list[Batch]) -> list[Answer]:
        con = self._lane.connection()
        committing = False
        try:
            do(con, "START TRANSACTION")
            self._lock_end(con)
            self._load_heads(con, names_in(batches))
            now, size = to_text(self._clock()), self._frontier.size
            group = Group(
                self.tenant,
                self._tenant_no,
                None,
                size,
                now,
                self._heads.get,
                self._salt,
                limit_bytes=self.payload_limit_bytes,
            )
            answers = [group.plan(batch, self._recorded_before) for batch in batches]
            if not group.leaves:
                do(con, "ROLLBACK")
                return answers
            frontier = write_group(con, group, self._frontier)
            committing = True
            do(con, "COMMIT")
        except BaseException as exc:
            self._end = None  # what memory holds may be wrong now: read again next time
            lost = isinstance(exc, DatabaseError) and is_lost(exc, con)
            self._lane.undo()
            meaning = self._failure(exc, committing=committing, lost=lost)
            if meaning is exc:
                raise
            raise meaning from exc
        # From here on the events are durable; a crash before the lines below loses nothing but memory.
        self._heads.update(group.heads)
        self._frontier = frontier
        self._end = (frontier.size, frontier.to_bytes())
        self._wake()
        return answers

    def _lock_end(self, con: Connection) -> None:
        """Wait until nobody else appends; then trust memory only if nobody has since this process last did."""
        rows = ask(con, _LOCK, (self._tenant_no,))
        if not rows:
            raise StoreDamaged(0, f"tenant {self.tenant!r} has no tree; nothing was written")
        size, kept, flush, binlog, sync = rows[0]
        if flush == 0 or flush == 2 or (flush == 1 and binlog and sync != 1):
            raise StoreRefused(
                self.url,
                f"its server does not flush at each commit (innodb_flush_log_at_trx_commit = {flush}, "
                f"log_bin = {binlog}, sync_binlog = {sync}), so a power cut could take what was acknowledged; set "
                "both to 1. Nothing was written",
            )
        if self._end == (size, kept):
            return
        self._heads.clear()
        self._frontier = frontier_of(size, kept)
        self._end = (size, kept)

    def _load_heads(self, con: Connection, names: list[str]) -> None:
        if len(self._heads) > 100_000:
            self._heads.clear()
        missing = [name for name in names if name not in self._heads]
        for at in range(0, len(missing), _NAMES):
            some = missing[at : at + _NAMES]
            sql = "SELECT name, no, version, last_leaf FROM streams WHERE tenant = %s AND name IN "
            rows = ask(con, sql + f"({','.join(['%s'] * len(some))})", (self._tenant_no, *some))
            self._heads.update({name: (no, version, leaf) for name, no, version, leaf in rows})

    def _failure(self, exc: BaseException, *, committing: bool, lost: bool) -> BaseException:
        """What the failure of a transaction means to those who wait for it."""
        if isinstance(exc, MovedOn):
            return _Again(StoreRefused(self.url, "the end of the log moved while it was locked; nothing was written"))
        if isinstance(exc, UnicodeEncodeError):
            return BadInput(f"a view row has {exc.object!r:.200}, which is no text; nothing was written")
        if not isinstance(exc, DatabaseError):
            return exc
        refusal = StoreRefused(self.url, f"{reason_of(exc)}; nothing was written")
        if committing and not is_passing(exc):
            return StoreUnavailable(reason_of(exc))
        if lost or is_passing(exc):
            return _Again(refusal)
        if is_held(exc):
            waited = f"{self._address.busy_s:g} s"
            return StoreRefused(self.url, f"another process holds the log (waited {waited}); nothing was written")
        if is_value(exc):
            return BadInput(f"{reason_of(exc)}; nothing was written")
        match constraint_of(exc):
            case "events_by_id":
                return IdTaken()
            case "":
                return refusal
            case _:
                return StoreDamaged(
                    self._frontier.size, f"nothing can be written here, the tables contradict each other ({exc})"
                )

    def _meaning(self, batch: Batch, exc: Exception) -> Answer:
        if not isinstance(exc, IdTaken):
            return exc
        try:
            before = self._recorded_before(batch)
        except Exception as conflict:  # noqa: BLE001 - it is the answer
            return conflict
        return before or StoreDamaged(
            self._frontier.size, "nothing can be written here: an event id is taken by no event"
        )

    def _recorded_before(self, batch: Batch) -> Appended | None:
        ids = [event.id for _, _, events, _ in batch for event in events]
        there: dict[str, RecordedEvent] = {}
        for at in range(0, len(ids), _NAMES):
            some = [id_bytes(event_id) for event_id in ids[at : at + _NAMES]]
            sql = f"{EVENTS}WHERE e.tenant = ? AND e.id IN ({','.join('?' * len(some))})"
            there |= {event.id: event for event in self._recorded(self._ask(sql, (self._tenant_no, *some)))}
        found = sort_out_conflict(batch, [there.get(event_id) for event_id in ids])
        return None if found is None else answer_from(found)

    def _check_writable(self) -> None:
        if self._address.read_only:
            raise StoreRefused(self.url, "is opened read-only; nothing was written")

    def _enrol(self) -> int:
        """This tenant's number in this database; given when the tenant is first seen."""
        con = self._lane.connection()
        find = "SELECT no FROM tenants WHERE name = %s"
        while not (rows := ask(con, find, (self.tenant,))):
            if self._address.read_only:
                raise StoreRefused(self.url, f"has no tenant {self.tenant!r} and is opened read-only")
            try:
                do(con, "START TRANSACTION")
                ((no,),) = ask(con, "SELECT coalesce(max(no), -1) + 1 FROM tenants")
                do(con, "INSERT INTO tenants (no, name) VALUES (%s, %s)", (no, self.tenant))
                do(con, "INSERT INTO tree_state VALUES (%s, 0, %s)", (no, Frontier().to_bytes()))
                do(con, "COMMIT")
            except DatabaseError as exc:
                self._lane.undo()
                if not (constraint_of(exc) or is_passing(exc)):
                    raise
                con = self._lane.connection()  # another process took the number: look again
        return int(rows[0][0])
