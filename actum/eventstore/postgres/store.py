"""PostgreSQL: any number of processes append at once; one of them gives the positions.

Stage one writes the events, in a transaction that locks nothing but its own streams. Stage two gives them dense
positions and puts them into the tree. In the process that holds the sequencer's lease both are one transaction;
appends of other processes are answered when the sequencer has come by.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING
from weakref import WeakSet

from actum.errors import StoreDamaged, StoreError, StoreRefused, StoreUnavailable
from actum.events import to_text
from actum.events.merkle import Frontier
from actum.eventstore.expected import names_in
from actum.eventstore.floor import Stretch
from actum.eventstore.payloads.protection import GroupAppends, Protection
from actum.eventstore.payloads.vault import Vault
from actum.eventstore.postgres.answers import WaitingAnswers
from actum.eventstore.postgres.connection import Connection, DatabaseError, bigints, is_lost, reason_of
from actum.eventstore.postgres.floor import begin_at, drop, put_back
from actum.eventstore.postgres.group import Unplaced
from actum.eventstore.postgres.join import Joined, join
from actum.eventstore.postgres.kept_book import KeptBook
from actum.eventstore.postgres.lease import Lease
from actum.eventstore.postgres.open import parse_url, prepare
from actum.eventstore.postgres.owners import WorkerLeases
from actum.eventstore.postgres.patience import PatientWriter
from actum.eventstore.postgres.queue import WorkQueue
from actum.eventstore.postgres.read import PostgresReader
from actum.eventstore.postgres.sequencer import Sequencer
from actum.eventstore.postgres.write import (
    BEGIN,
    Held,
    IdTaken,
    WriteLane,
    Written,
    answer_of,
    recorded_before,
    write_batches,
)
from actum.eventstore.protocol import Appended, Batch, RawEvent, TreeState, ViewRow
from actum.eventstore.tables.owners import LeaseOwners
from actum.eventstore.tables.writer import Answer, GroupWriter, Later, deliver

if TYPE_CHECKING:
    from sqlalchemy import Connection as AlchemyConnection

__all__ = ["PostgresStore"]


def _now_us() -> int:
    return time.time_ns() // 1000


class PostgresStore(GroupAppends, PostgresReader):
    """One tenant's log in one PostgreSQL database, whose tables are made when they are not there.

    URL: `postgresql://user:password@host:port/database`, with libpq's options and `?mode=ro` (never written),
    `?busy_timeout=5` (seconds to wait for a stream that another transaction holds), `?lease=2` (seconds after which a
    process without a sign of life is taken for dead) and `?answer_timeout=15` (seconds that a durable append waits
    for its positions before it is answered `StoreUnavailable`).
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
        self._patient_lane = WriteLane(address)
        try:
            self._tenant_no = self._enrol()
        except DatabaseError as exc:
            self._lane.close()
            raise StoreRefused(self.url, f"{reason_of(exc)}; nothing was written") from exc
        except BaseException:
            self._lane.close()
            raise
        self._base = self._tenant_no << 40
        self._lease = Lease(self._tenant_no, "sequencer", f"{os.getpid()}-{os.urandom(6).hex()}", address.lease_s)
        self._answers = WaitingAnswers(address, self._tenant_no)
        self._patient = PatientWriter(address.busy_s, self._append_patiently)
        self._sequencer = Sequencer(address, self._tenant_no, self._lease, self._woken)
        if not address.read_only:
            self._sequencer.start()
        self._owners = WeakSet[LeaseOwners]()
        self._writer = GroupWriter(self.url, self._commit)

    def append_in(self, connection: AlchemyConnection, batch: Batch) -> Joined:
        """Append within the transaction of a SQLAlchemy connection (on psycopg) to the store's own database.

        The events are written when that transaction is committed, with everything else in it, or not at all. Until
        then nobody else can append to these streams: their appends wait `busy_timeout`, then are refused; all other
        streams go on. `wait_placed` says afterwards which positions the events got.

        Raises as `append` does. What was refused is undone up to a savepoint; the transaction can go on.
        """
        if self._closed:
            raise StoreRefused(self.url, "the store is closed; nothing was written")
        self._check_writable()
        filing = self._protection.file(batch)
        now = to_text(self._clock())
        try:
            return join(connection, self.url, self.tenant, self._tenant_no, self._protection, now, filing.batch)
        except StoreUnavailable:
            raise
        except BaseException:
            self._protection.take_back(filing)
            raise

    def wait_placed(self, joined: Joined, timeout_s: float) -> Appended:
        """The answer to an `append_in` whose transaction has been committed.

        Raises `StoreUnavailable` when the events have no positions after so long: the transaction was not committed,
        or no process that gives positions is running.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            rows = self._ask("SELECT event, seq FROM log WHERE event = ANY(%s)", (bigints(joined.events),))
            if len(rows) == len(joined.events):
                at = [seq - self._base for _, seq in rows]
                return Appended(min(at), max(at), joined.versions)
            if time.monotonic() >= deadline:
                break
            self.wait(self.head(), min(0.02, max(deadline - time.monotonic(), 0)))
        raise StoreUnavailable(
            f"the events have no positions after {timeout_s:g} s: their transaction was not committed, or no process "
            "that gives positions is running"
        )

    def owners(self) -> LeaseOwners:
        """Who is alive among the workers on this store."""
        if self._closed:
            raise StoreRefused(self.url, "the store is closed")
        owners = LeaseOwners(WorkerLeases(self._address, self._tenant_no, self._ask))
        self._owners.add(owners)
        return owners

    def shared_book(self) -> KeptBook:
        """What the workers on this store share."""
        return KeptBook(self._address, self._tenant_no)

    def queue(self) -> WorkQueue:
        """What a worker may take, so that several that ask at once get different executions."""
        return WorkQueue(self._address, self._tenant_no)

    def add_checkpoint(self, size: int, note: str) -> None:
        with self._aside() as con:
            con.execute(
                "INSERT INTO checkpoints (tenant, size, note) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                (self._tenant_no, size, note),
            )

    def drop(self, floor: int, new: TreeState, payloads: Sequence[int], *, keep: str) -> None:
        with self._aside() as con:
            drop(con, self.url, self._tenant_no, floor, new, payloads, keep)

    def put_back(self, floor: int, new: TreeState, events: Iterable[RawEvent]) -> None:
        with self._aside() as con:
            put_back(con, self.url, self._tenant_no, floor, new, events)

    def begin_at(
        self,
        tree: TreeState,
        streams: Iterable[tuple[str, int, bytes]],
        departed: Iterable[tuple[str, Stretch]],
        views: Iterable[ViewRow],
    ) -> None:
        with self._aside() as con:
            begin_at(con, self.url, self._tenant_no, tree, streams, departed, views)

    @contextmanager
    def _aside(self) -> Iterator[Connection]:
        """A transaction on a connection of its own, beside the writer's thread; all of it is done, or nothing."""
        if self._closed:
            raise StoreRefused(self.url, "the store is closed; nothing was written")
        self._check_writable()
        con = self._connect()
        committing = False
        try:
            con.execute(BEGIN)
            yield con
            committing = True
            con.execute("COMMIT")
        except DatabaseError as exc:
            if committing and is_lost(exc, con):
                raise StoreUnavailable(reason_of(exc)) from exc
            raise StoreRefused(self.url, f"{reason_of(exc)}; nothing was written") from exc
        finally:
            con.close()

    def close(self) -> None:
        for owners in list(self._owners):
            owners.close()
        self._writer.close()
        self._patient.close()
        self._answers.close()
        self._sequencer.close()
        self._end_waiting()
        self._drop_idle()
        self._protection.close()
        self._lane.close()
        self._patient_lane.close()

    # -- everything below runs in the writer's thread, or the patient one's ------------------------------------------

    def _commit(self, batches: list[Batch]) -> list[Answer | Later]:
        self._check_writable()
        aside = [self._patient.holds(batch) for batch in batches]
        now = [batch for batch, later in zip(batches, aside, strict=True) if not later]
        written = iter(self._write(now))
        answers = [Held() if later else next(written) for later in aside]
        waiting = self._answers.busy or any(isinstance(answer, Unplaced) for answer in answers)
        return [self._deliverable(batch, answer, waiting) for batch, answer in zip(batches, answers, strict=True)]

    def _deliverable(self, batch: Batch, answer: Written | Held, waiting: bool) -> Answer | Later:
        if isinstance(answer, Held):
            return Later(lambda done: self._patient.give(batch, done))
        if isinstance(answer, Unplaced) or waiting:  # in the order given, also those that need not wait
            return Later(lambda done: self._answers.give(answer, done))
        return answer

    def _write(self, batches: list[Batch]) -> list[Written | Held]:
        """One transaction for the whole group; one for each batch, with care, when one of them cannot be written."""
        if len(batches) > 1:
            try:
                return self._transaction(self._lane, batches, None)
            except (StoreRefused, StoreUnavailable):
                raise  # about the store, so it is everybody's answer
            except Exception:  # noqa: BLE001, S110 - about one batch: it is met again below, as that one's answer
                pass
        answers: list[Written | Held] = []
        held = set[str]()
        for batch in batches:
            names = names_in([batch])
            try:
                if not held.isdisjoint(names):
                    raise Held  # nobody overtakes
                answers += self._transaction(self._lane, [batch], None)
            except Held as exc:
                held.update(names)
                answers.append(exc)
            except IdTaken:
                answers.append(self._answer_for_taken(self._lane, batch))
            except Exception as exc:  # noqa: BLE001 - it is the answer
                answers.append(exc)
        return answers

    def _transaction(self, lane: WriteLane, batches: list[Batch], wait_s: float | None) -> list[Written | Held]:
        answers = write_batches(
            lane,
            self.url,
            self.tenant,
            self._tenant_no,
            self._protection,
            self._now,
            batches,
            leads=self._lease.ours,
            wait_s=wait_s,
        )
        self._woken()
        return answers

    def _append_patiently(self, batch: Batch, wait_s: float, done: Callable[[Answer], None]) -> None:
        try:
            (written,) = self._transaction(self._patient_lane, [batch], wait_s)
        except Held:
            streams = ", ".join(sorted({repr(append.stream) for append in batch}))
            written = StoreRefused(
                self.url,
                f"{streams}: another transaction holds the stream (waited {self._address.busy_s:g} s); "
                "nothing was written",
            )
        except IdTaken:
            written = self._answer_for_taken(self._patient_lane, batch)
        except Exception as exc:  # noqa: BLE001 - it is the answer
            written = exc
        if isinstance(written, Unplaced):
            self._answers.give(written, done)
        else:
            deliver(done, written)

    def _answer_for_taken(self, lane: WriteLane, batch: Batch) -> Written:
        try:
            before = recorded_before(lane.connection(), self._tenant_no, self._protection, batch)
            if before is not None:
                return answer_of(lane.connection(), self._tenant_no, before)
        except DatabaseError as exc:
            lane.undo()
            return StoreRefused(self.url, f"{reason_of(exc)}; nothing was written")
        except StoreError as conflict:
            return conflict
        return StoreDamaged(0, "nothing can be written here: an event id is taken by no event")

    def _now(self) -> str:
        return to_text(self._clock())

    def _woken(self) -> None:
        self._sequencer.grown()
        self._wake()

    def _check_writable(self) -> None:
        if self._address.read_only:
            raise StoreRefused(self.url, "is opened read-only; nothing was written")

    def _enrol(self) -> int:
        """This tenant's number in this database; given when the tenant is first seen."""
        con = self._lane.connection()
        find = "SELECT no FROM tenants WHERE name = %s"
        while (row := con.execute(find, (self.tenant,)).fetchone()) is None:
            if self._address.read_only:
                raise StoreRefused(self.url, f"has no tenant {self.tenant!r} and is opened read-only")
            con.execute(  # of two at once one finds the number taken, and looks again
                "WITH t AS (INSERT INTO tenants (no, name) SELECT coalesce(max(no), -1) + 1, %s FROM tenants "
                "ON CONFLICT DO NOTHING RETURNING no) INSERT INTO tree_state (tenant, size, frontier) "
                "SELECT no, 0, %s FROM t",
                (self.tenant, Frontier().to_bytes()),
            )
        return int(row[0])
