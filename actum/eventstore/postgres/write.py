"""Writing to PostgreSQL: batches into one transaction, with their positions when this process gives them.

Stage one needs no lock but those of the streams that it writes to. When this process holds the sequencer's lease,
stage two is in the same transaction; else the batches wait in `pending` for whoever holds it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from actum.errors import BadInput, StoreDamaged, StoreRefused, StoreUnavailable, VersionConflict
from actum.events import RecordedEvent, id_bytes
from actum.events.merkle import Frontier
from actum.eventstore.expected import check_batch, names_in, sort_out_conflict
from actum.eventstore.payloads.protection import Protection
from actum.eventstore.postgres.connection import (
    Connection,
    DatabaseError,
    bigints,
    byteas,
    connect,
    constraint_of,
    is_fence,
    is_held,
    is_lost,
    is_passing,
    is_value,
    pipeline,
    reason_of,
)
from actum.eventstore.postgres.group import Group, Unplaced, heads_of
from actum.eventstore.postgres.open import Address
from actum.eventstore.postgres.read import BATCH_BITS, BOXES, boxes_of
from actum.eventstore.postgres.sequence import MOST, Fence, place, take
from actum.eventstore.protocol import Appended, Batch

__all__ = [
    "BEGIN",
    "Held",
    "IdTaken",
    "WriteLane",
    "Written",
    "answer_of",
    "positions_of",
    "recorded_before",
    "write_batches",
]

Written = Appended | Unplaced | Exception
"""What became of a batch."""

BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
# For this transaction only, so that no pool has to know. A commit that returns must have been flushed.
_SETTINGS = (
    "SELECT set_config('lock_timeout', %s, true), CASE WHEN current_setting('synchronous_commit') = 'off' "
    "THEN set_config('synchronous_commit', 'on', true) END"
)
_TRIES = 5
_QUICK_MS = 100


class Held(Exception):
    """Another transaction holds something that this one needs. Nothing was written."""


class IdTaken(Exception):
    """An event id of the group is there already, or twice in it. Nothing was written."""


class _Again(Exception):
    """Something that does not last was in the way; nothing was written. The cause says what, should it last."""

    def __init__(self, lasting: Exception) -> None:
        super().__init__(str(lasting))
        self.lasting = lasting


class WriteLane:
    """A connection of its own for one thread that writes; a new one whenever the old one has died."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._con: Connection | None = None
        self.end: Frontier | None = None
        """Where this lane has put the end of the log, when it did so last and nothing else waited."""

    def connection(self) -> Connection:
        if self._con is None or self._con.closed:
            self._con = connect(self._address.shown, self._address.parameters)
        return self._con

    def undo(self) -> None:
        """Leave no transaction open, whatever state the connection is in."""
        con, self._con, self.end = self._con, None, None
        if con is None or con.closed:
            return
        try:
            con.execute("ROLLBACK")
        except DatabaseError:
            con.close()
        else:
            self._con = con

    def close(self) -> None:
        if self._con is not None:
            self._con.close()


def write_batches(
    lane: WriteLane,
    url: str,
    tenant: str,
    tenant_no: int,
    protection: Protection,
    now: Callable[[], str],
    batches: Sequence[Batch],
    *,
    leads: Callable[[], bool],
    wait_s: float | None,
) -> list[Written | Held]:
    """One transaction for these batches; says what became of each. All of what is `Appended` or `Unplaced` is durable.

    Raises, and then nothing was written: `IdTaken`, `Held` (with `wait_s`, only after so many seconds; without it a
    batch whose stream is held is answered with a `Held` and the others go on), and `StoreRefused` and the like. Only
    after `StoreUnavailable` they may be there or not.
    """
    sequencing = True
    for attempt in range(_TRIES):
        transaction = _Transaction(lane, url, tenant, tenant_no, protection, now(), wait_s)
        try:
            return transaction.run(batches, sequencing=sequencing and leads())
        except Fence:
            sequencing = False  # a rival is at work: these are left to whoever it is
        except _Again as again:
            if attempt == _TRIES - 1:
                raise again.lasting from again
            sequencing = sequencing and attempt < 2
    raise StoreRefused(url, "the end of the log moves faster than this process can follow; nothing was written")


class _Transaction:
    def __init__(
        self,
        lane: WriteLane,
        url: str,
        tenant: str,
        tenant_no: int,
        protection: Protection,
        now: str,
        wait_s: float | None,
    ) -> None:
        self._lane = lane
        self._url = url
        self._tenant = tenant
        self._tenant_no = tenant_no
        self._protection = protection
        self._now = now
        self._wait_s = wait_s
        self._committing = False
        self._guessing = False

    def run(self, batches: Sequence[Batch], *, sequencing: bool) -> list[Written | Held]:
        con = self._lane.connection()
        try:
            return self._run(con, batches, sequencing=sequencing)
        except DatabaseError as exc:
            lost = is_lost(exc, con)
            self._lane.undo()
            raise self._meaning(exc, lost) from exc
        except BaseException:
            self._lane.undo()
            raise

    def _run(self, con: Connection, batches: Sequence[Batch], *, sequencing: bool) -> list[Written | Held]:
        names = names_in(batches)
        with pipeline(con):
            con.execute(BEGIN)
            con.execute(_SETTINGS, (str(_QUICK_MS if self._wait_s is None else max(round(self._wait_s * 1000), 1)),))
            wait = self._wait_s is not None
            heads, held, taken = heads_of(con, self._tenant_no, names, len(batches), wait=wait)
        numbers = iter(taken)
        group = Group(self._tenant, self._tenant_no, self._now, heads)
        answers = [self._plan(con, group, batch, next(numbers), held) for batch in batches]
        if not group.batches:
            con.execute("ROLLBACK")
            return answers
        if sequencing and self._lane.end is not None:
            return self._place_at_once(con, group, answers, self._lane.end)
        with pipeline(con):
            group.write(con, pending=not sequencing)
            if not sequencing:
                self._committing = True
                con.execute("COMMIT")
            else:
                frontier, waiting = take(con, self._tenant_no)
        if not sequencing:
            return answers
        if len(waiting) >= MOST:
            raise Fence  # so many wait that there may be more, and nobody is to overtake them
        with pipeline(con):
            firsts, grown = place(con, self._tenant_no, frontier, [*waiting, *group.batches])
            self._committing = True
            con.execute("COMMIT")
        self._lane.end = None if waiting else grown
        return _placed(answers, group, firsts[len(waiting) :])

    def _place_at_once(
        self, con: Connection, group: Group, answers: list[Written | Held], end: Frontier
    ) -> list[Written | Held]:
        """In one go, where this process has put the end of the log itself and nobody else has appended since."""
        self._guessing = True
        with pipeline(con):
            group.write(con, pending=False)
            firsts, grown = place(con, self._tenant_no, end, group.batches, alone=True)
            self._committing = True
            con.execute("COMMIT")
        self._lane.end = grown
        return _placed(answers, group, firsts)

    def _plan(self, con: Connection, group: Group, batch: Batch, number: int, held: set[str]) -> Written | Held:
        """Give the batch its places in the group, or say why not; other batches of the group are not touched."""
        try:
            ids = check_batch(batch, self._protection.limit_bytes)
            names = {append.stream for append in batch}
            if not held.isdisjoint(names):
                held |= names  # who comes later does not overtake it
                return Held()
            return group.add(batch, ids, number)
        except VersionConflict as conflict:
            if group.holds_one_of(ids):  # this batch twice in one group: settle them one after the other
                raise IdTaken from None
            try:
                before = recorded_before(con, self._tenant_no, self._protection, batch)
                return conflict if before is None else answer_of(con, self._tenant_no, before)
            except DatabaseError:
                raise
            except Exception as exc:  # noqa: BLE001 - it is the answer
                return exc
        except DatabaseError:
            raise
        except Exception as exc:  # noqa: BLE001 - it is the answer
            return exc

    def _meaning(self, exc: DatabaseError, lost: bool) -> Exception:
        """What the failure of this transaction means to those who wait for it."""
        if self._committing and lost:
            return StoreUnavailable(reason_of(exc))
        refusal = StoreRefused(self._url, f"{reason_of(exc)}; nothing was written")
        if lost or is_passing(exc):
            return _Again(refusal)
        if is_fence(exc):
            return _Again(refusal) if self._guessing else Fence()
        if is_held(exc):
            return Held()
        if is_value(exc):
            return BadInput(f"{reason_of(exc)}; nothing was written")
        match constraint_of(exc):
            case "events_by_id":
                return IdTaken()
            case "streams_by_name":  # made by another process since we looked
                return _Again(StoreDamaged(0, f"nothing can be written here, the tables contradict each other ({exc})"))
            case "":
                return refusal
            case _:
                return StoreDamaged(0, f"nothing can be written here, the tables contradict each other ({exc})")


def _placed(answers: list[Written | Held], group: Group, firsts: list[int]) -> list[Written | Held]:
    """The answers with the positions that the batches of the group have got."""
    at = {number: first for (number, _), first in zip(group.batches, firsts, strict=True)}
    placed: list[Written | Held] = []
    for answer in answers:
        first = at.get(answer.events[0] >> BATCH_BITS) if isinstance(answer, Unplaced) else None
        if isinstance(answer, Unplaced) and first is not None:
            placed.append(Appended(first, first + len(answer.events) - 1, answer.versions))
        else:
            placed.append(answer)
    return placed


def recorded_before(con: Connection, tenant_no: int, protection: Protection, batch: Batch) -> Unplaced | None:
    """What a batch that is recorded already has written; raises as `sort_out_conflict` does."""
    ids = [id_bytes(event.id) for _, _, events, _ in batch for event in events]
    rows = con.execute(
        "SELECT e.id, e.seq, e.header, p.data, p.salt FROM events e LEFT JOIN payloads p ON p.seq = e.seq "
        "WHERE e.tenant = %s AND e.id = ANY(%s)",
        (tenant_no, byteas(ids)),
    ).fetchall()
    there = {row[0]: RecordedEvent(*row[1:]) for row in rows}
    apart = [event.position for event in there.values() if event.missing]
    if apart:
        boxes = con.execute(BOXES + "WHERE b.seq = ANY(%s) ORDER BY b.seq, b.part", (bigints(apart),)).fetchall()
        opened = protection.open_all(list(there.values()), boxes_of(boxes, 0))
        there = dict(zip(there, opened, strict=True))
    found = sort_out_conflict(batch, [there.get(id_) for id_ in ids])
    if found is None:
        return None
    events = [event.position for event in found]
    versions: dict[str, int] = {}
    for event in found:
        versions[event.stream] = max(versions.get(event.stream, 0), event.version + 1)
    return Unplaced(events, versions)


def answer_of(con: Connection, tenant_no: int, written: Unplaced) -> Appended | Unplaced:
    """With positions, when the events have them."""
    at = positions_of(con, tenant_no, written.events)
    if len(at) < len(written.events):
        return written
    return Appended(min(at.values()), max(at.values()), written.versions)


def positions_of(con: Connection, tenant_no: int, events: Sequence[int]) -> dict[int, int]:
    """The positions of these events, of those that have one."""
    rows = con.execute("SELECT event, seq FROM log WHERE event = ANY(%s)", (bigints(list(events)),)).fetchall()
    return {event: seq - (tenant_no << 40) for event, seq in rows}
