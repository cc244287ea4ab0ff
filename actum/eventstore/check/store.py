"""Proving a whole store: bytes, chains, tree, checkpoints, views. It trusts nothing that the store says of itself.

One pass, page by page, in flat memory: of the ends of streams and of the rows of views only so many are in memory, the
others in a temporary file. A store that is being written to meanwhile can be checked: what it held when the check
began is proved.

Several processes may take the beginning of a long log in stretches. As long as all is well their findings join to
what the one pass would have found. If anything is not, the one pass is made, from the first event on, and names it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from operator import attrgetter
from typing import NamedTuple

from actum.errors import ArchiveDamaged, NoTemporaryRoom, StoreDamaged, StoreError
from actum.events import RecordedEvent
from actum.events.checkpoint import VerifierKey, parse_unverified
from actum.eventstore.check.checkpoints import Roots, check_notes, check_signatures, check_tree
from actum.eventstore.check.erasures import Gone
from actum.eventstore.check.events import ROOM, EventScan
from actum.eventstore.check.floor import Floor
from actum.eventstore.check.seals import Seals, Trusted
from actum.eventstore.check.verdict import Bad, Check, Faults, Verdict, Verification, count
from actum.eventstore.check.views import ROWS, Rebuild, Rows, compare_rows, kept_rows, rows_in
from actum.eventstore.check.workers import ReadElsewhere, Stretches, Unusual, Workers
from actum.eventstore.protocol import EventStore, RawEvent, TreeState
from actum.eventstore.spilled import Spilled

__all__ = ["check_store"]

_PAGE = 1_000
_TRIES = 10
_position = attrgetter("position")

Progress = Callable[[int, int], None]
"""Called with how many events are done, and how many there are."""


def check_store(
    store: EventStore,
    *,
    keys: Sequence[VerifierKey] = (),
    outside: Sequence[str] = (),
    trusted: Trusted | None = None,
    progress: Progress | None = None,
    rebuild: Rebuild | None = None,
    workers: Workers | None = None,
    room: int = ROOM,
) -> Verification:
    """Prove that the log is what was written, or name the first place where it is not.

    `keys` are the log's public keys, from outside the store; without them signatures are not checked, and the check
    of that name says so. `outside` are checkpoints that somebody kept elsewhere: the log must still contain them.
    `trusted` says more of what the caller believes: witnesses, time-stamping authorities, the checkpoint store.
    The verdict is "verified_with_gaps" for a log that says it lost signed events; its line `epochs` says which.
    `rebuild` folds the log into its views; without it they are not checked. The verdict is "failed" when any check
    failed; checks that could not be made do not change it. `workers` make it faster, where the store can be read from
    other processes, and nothing else: the answer is the same. `room`: of how many streams the end is kept in memory,
    which changes no answer either. Raises `CheckpointRefused` for an `outside` that is none, and `NoTemporaryRoom`.
    """
    elsewhere = [(parse_unverified(note).size, note) for note in outside]
    trusted = replace(trusted or Trusted(), keys=keys or (trusted.keys if trusted else ()))
    if workers is not None:
        with suppress(Unusual):
            return _check(store, elsewhere, trusted, progress, rebuild, workers, room)
    return _check(store, elsewhere, trusted, progress, rebuild, None, room)


def _check(
    store: EventStore,
    elsewhere: Sequence[tuple[int, str]],
    trusted: Trusted,
    progress: Progress | None,
    rebuild: Rebuild | None,
    workers: Workers | None,
    room: int,
) -> Verification:
    floor = Floor.read(store)
    kept = _Kept.read(store, elsewhere, room, with_views=rebuild is not None and not floor.size)
    scan = EventScan(store.tenant, floor.size, floor.rebuilt, Gone.read(store), room=room)
    seals = floor.cut(Seals.read(store, kept.tree.size, trusted))
    roots = Roots([kept.tree.size, *(size for size, _ in kept.checkpoints), *seals.sizes()], floor.frontier)
    pass_ = _Pass(store, kept, scan, roots, seals, progress, workers, min(room, _PAGE))
    projections = _check_projections(pass_, kept, rebuild, floor, room)
    pass_.drain()

    tree = Faults("tree")
    if scan.at < kept.tree.size:
        scan.lost_tail(kept.tree.size)
    same_tree = check_tree(kept.tree, roots, tree, scan.backwards)
    scan.finish(kept.heads, pass_.moved, same_tree=same_tree)
    scan.payloads.gone.settle(store, scan.payloads.faults)
    notes = Faults("checkpoints")
    beside = {name: Faults(name) for name in ("keys", "epochs", "recorded checkpoints", "time stamps", "stream ends")}
    outer = {name: Faults(name) for name in ("signatures", "kept checkpoint", "witnesses")}
    trust, rotations = seals.trust(beside["keys"])
    given_up = seals.follow(roots, trust, beside["epochs"])
    everywhere = [*kept.checkpoints, *seals.notes()]
    if seals.trusted.kept is not None:
        everywhere += [(size, seals.trusted.kept) for size in seals.sizes()[-1:]]
    lines = (
        scan.positions.check(f"{count(scan.events, 'event')}, each position from {floor.size} on once"),
        scan.headers.check("every header is in its one canonical form, of this tenant and a known format"),
        scan.columns.check("every row says what its header says"),
        scan.streams.check(f"{count(scan.named, 'stream')}, each without gap in its versions up to its head"),
        scan.chains.check("every event holds the hash of the one before it in its stream, every head that of the last"),
        scan.payloads.check(),
        tree.check(f"the headers of {count(roots.size, 'event')} give the root that the store keeps"),
        check_notes(floor.above(kept.checkpoints), roots, seals.epochs, notes),
        rotations,
        given_up,
        check_signatures(
            [*kept.checkpoints, *seals.notes()], seals.trusted.keys, trust, seals.epochs, roots, outer["signatures"]
        ),
        seals.check_recorded(roots, beside["recorded checkpoints"]),
        seals.check_kept(roots, trust, outer["kept checkpoint"]),
        seals.check_witnesses(floor.above(everywhere), roots, outer["witnesses"]),
        seals.check_stamps(store, beside["time stamps"]),
        seals.check_manifests(beside["stream ends"]),
        _said_of_clocks(scan.backwards),
        projections,
        floor.check_own(store.tenant),
        floor.check_rebuilt(scan.payloads.left_behind),
        floor.check_archived(),
    )
    checks = tuple(line for line in lines if line is not None)
    gaps = bool(seals.epochs.later or floor.size or floor.rebuilt)
    failed = any(check.ok is False for check in checks)
    verdict: Verdict = "failed" if failed else "verified_with_gaps" if gaps else "verified"
    first_bad = _earliest(scan.faults()) or _earliest((tree, notes)) or _earliest((*beside.values(), *outer.values()))
    return Verification(verdict, scan.events, roots.size, roots.root(), checks, first_bad)


def _earliest(faults: Sequence[Faults]) -> Bad | None:
    return min((f.first for f in faults if f.first is not None), key=lambda bad: bad.position, default=None)


def _said_of_clocks(backwards: int | None) -> Check | None:
    """Times that run backwards are no fault by themselves: clocks are set back, and those of two writers differ."""
    if backwards is None:
        return None
    said = f"event {backwards} says that it was recorded before the one at {backwards - 1}: a clock was set back or is"
    return Check("clock", None, f"{said} another's; positions tell the order, times do not")


def _check_projections(pass_: _Pass, kept: _Kept, rebuild: Rebuild | None, floor: Floor, room: int) -> Check:
    if rebuild is None:
        return Check("projections", None, "not checked: nobody said how to rebuild the views")
    if floor.size:
        return Check("projections", None, "not checked: the views follow from events that are in the archive")
    faults = Faults("projections")
    try:
        wanted = rows_in(rebuild(pass_.events()), min(room, ROWS))
    except Exception as exc:  # a fold that fails on this log is a finding, and the rest is still proved
        if exc is pass_.stopped_by or isinstance(exc, NoTemporaryRoom):
            raise
        faults.beside(f"the views cannot be rebuilt: {type(exc).__name__}: {exc}")
        return faults.check("")
    pass_.drain()  # or it has seen less than there is
    if not kept.still:
        return Check("projections", None, "not checked: the store is being written to; check again when it rests")
    compared = compare_rows(kept.views, wanted, faults)
    return faults.check(f"{count(compared, 'row')} of the views, each as the log gives it")


class _Kept(NamedTuple):
    """What the store says of itself, read before its events."""

    since: int
    tree: TreeState
    heads: Spilled[tuple[int, bytes]]
    checkpoints: Sequence[tuple[int, str]]
    views: Rows

    @property
    def still(self) -> bool:
        """Whether nothing was appended while this was read, so that all of it is of one moment."""
        return self.since == self.tree.size

    @classmethod
    def read(cls, store: EventStore, elsewhere: Sequence[tuple[int, str]], room: int, *, with_views: bool) -> _Kept:
        for _ in range(_TRIES):
            # Values of a wrong type are taken for wrong values: whoever wrote them is no reason to stop checking.
            checkpoints = [(size, str(note)) for size, note in store.checkpoints() if type(size) is int]
            checkpoints = sorted([*checkpoints, *elsewhere])
            since = store.tree().size
            heads = Spilled[tuple[int, bytes]](min(room, ROWS))
            for name, count_, leaf in store.streams():
                heads[str(name)] = (_number(count_), _bytes(leaf))
            views = rows_in(kept_rows(store) if with_views else (), min(room, ROWS))
            size, frontier = store.tree()
            kept = cls(_number(since), TreeState(_number(size), frontier), heads, checkpoints, views)
            if kept.still:
                break
        return kept


def _number(value: object) -> int:
    return value if type(value) is int else -1


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""


class _Pass:
    """The one pass over the log. Whoever wants the events pulls them through the checks."""

    def __init__(
        self,
        store: EventStore,
        kept: _Kept,
        scan: EventScan,
        roots: Roots,
        seals: Seals,
        progress: Progress | None,
        workers: Workers | None,
        page: int,
    ) -> None:
        self._page_size = page
        self._store = store
        self._kept = kept
        self._scan = scan
        self._roots = roots
        self._seals = seals
        self._stops = seals.stops()
        self._progress = progress
        self._stretches: Stretches | None = None
        settled = min(kept.since, kept.tree.size)
        if workers is not None and isinstance(store, ReadElsewhere) and workers.help_with(scan.at, settled):
            self._stretches = Stretches(workers, store, settled, scan, roots, self._stops, timed=bool(seals.stamped))
        self._rows = store.read_raw(scan.at - 1 if self._stretches is None else self._stretches.end - 1)
        self._grown = False
        self.moved: dict[str, int] = {}
        """Streams that grew while their heads were read, with the lowest count they had."""
        self.stopped_by: Exception | None = None
        """What kept the pass itself from going on, so that it is not taken for an error of who pulls the events."""
        self._recorded = self._walk()

    def events(self) -> Iterator[RecordedEvent]:
        """The events not yet given to anybody, without payloads; each is checked before it is given."""
        return self._recorded

    def drain(self) -> None:
        """Check the rest without making events of it."""
        self._join(wait=True)
        while self._page():
            pass

    def _walk(self) -> Iterator[RecordedEvent]:
        if self._stretches is not None:
            yield from self._while_others_check(self._scan.at, self._stretches.end)
        while rows := self._page_of_ours():
            for row in rows:
                yield RecordedEvent(row.position, row.header)

    def _while_others_check(self, first: int, end: int) -> Iterator[RecordedEvent]:
        try:
            for event in self._store.read(first - 1, end - first, payloads=False):
                yield event
                if event.position % _PAGE == 0:
                    self._join(wait=False, done=event.position)
            self._join(wait=True)
        except (StoreError, Unusual) as exc:
            self.stopped_by = Unusual()
            raise self.stopped_by from exc

    def _join(self, *, wait: bool, done: int | None = None) -> None:
        """Take over what other processes found. `done`: how far the events have been given to who pulls them."""
        if self._stretches is None:
            return
        for stretch in self._stretches.found(wait=wait):
            for scan in stretch.scans:
                if not self._scan.join(scan):
                    raise Unusual
                if self._stops and self._stops[0] == self._scan.at:
                    self._seals.streams_were(self._stops.pop(0), self._scan.ends())
            self._roots.join(stretch.roots)
            self._seals.note(stretch.latest)
            if self._progress is not None:
                self._progress(self._scan.at if done is None else min(self._scan.at, done), self._kept.tree.size)
        if wait:
            if self._scan.at != self._stretches.end:
                raise Unusual
            self._stretches = None

    def _page_of_ours(self) -> list[RawEvent]:
        try:
            return self._page()
        except Exception as exc:
            self.stopped_by = exc
            raise

    def _page(self) -> list[RawEvent]:
        rows: list[RawEvent] = []
        try:
            for row in islice(self._rows, self._page_size):
                rows.append(row)  # so that those before a damage are checked
        except StoreDamaged as exc:
            self._scan.positions.at(exc.position, None, None, exc.problem)
        except ArchiveDamaged as exc:
            reason = f"it cannot be had from the archive ({exc.source}: {exc.problem})"
            self._scan.positions.at(exc.position, None, None, reason)
        rows = self._up_to_the_end(rows)
        if rows:
            self._take(rows)
            if not self._kept.still and rows[-1].position >= self._kept.since:
                self._note_moved(rows)
            if self._progress is not None:
                self._progress(self._scan.at, max(self._kept.tree.size, self._scan.at))
        return rows

    def _take(self, rows: list[RawEvent]) -> None:
        """Check events; where the log says what its streams were, stop and look."""
        self._seals.take(rows)
        while rows and self._stops and self._stops[0] <= rows[-1].position + 1:
            stop = self._stops.pop(0)
            until = bisect_left(rows, stop, key=_position)
            self._roots.extend(self._scan.take(rows[:until]))
            self._seals.streams_were(stop, self._scan.ends())
            rows = rows[until:]
        self._roots.extend(self._scan.take(rows))

    def _up_to_the_end(self, rows: list[RawEvent]) -> list[RawEvent]:
        """Without what was appended since the tree was read. What the tree never knew stays in, and is found."""
        end = self._kept.tree.size
        if not rows or rows[-1].position < end:
            return rows
        if not self._grown and _number(self._store.tree().size) > max(end, rows[-1].position):
            self._grown = True
        return [row for row in rows if row.position < end] if self._grown else rows

    def _note_moved(self, rows: list[RawEvent]) -> None:
        for row in rows:
            if row.position >= self._kept.since:
                self.moved.setdefault(row.stream, row.version)
