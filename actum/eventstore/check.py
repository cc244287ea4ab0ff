"""Proving a whole store: bytes, chains, tree, checkpoints, views. It trusts nothing that the store says of itself.

One pass, page by page; what grows with the log is one small entry for each stream, and the views when they are
rebuilt. A store that is being written to meanwhile can be checked: what it held when the check began is proved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from actum.errors import StoreDamaged
from actum.events import RecordedEvent
from actum.events.checkpoint import VerifierKey, parse_unverified
from actum.eventstore.check_checkpoints import Roots, check_notes, check_signatures, check_tree
from actum.eventstore.check_erasures import Gone
from actum.eventstore.check_events import EventScan
from actum.eventstore.check_seals import Seals, Trusted
from actum.eventstore.check_views import Rebuild, Views, compare_views, read_views
from actum.eventstore.protocol import EventStore, RawEvent, TreeState
from actum.eventstore.verification import Bad, Check, Faults, Verdict, Verification

__all__ = ["check_store"]

_PAGE = 1_000
_TRIES = 10

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
) -> Verification:
    """Prove that the log is what was written, or name the first place where it is not.

    `keys` are the log's public keys, from outside the store; without them signatures are not checked, and the check
    of that name says so. `outside` are checkpoints that somebody kept elsewhere: the log must still contain them.
    `trusted` says more of what the caller believes: witnesses, time-stamping authorities, the checkpoint store.
    `rebuild` folds the log into its views; without it they are not checked. The verdict is "failed" when any check
    failed; checks that could not be made do not change it. Raises `CheckpointRefused` for an `outside` that is none.
    """
    elsewhere = [(parse_unverified(note).size, note) for note in outside]
    kept = _Kept.read(store, elsewhere, with_views=rebuild is not None)
    scan = EventScan(store.tenant, Gone.read(store))
    seals = Seals.read(
        store, kept.tree.size, replace(trusted or Trusted(), keys=keys or (trusted.keys if trusted else ()))
    )
    roots = Roots([kept.tree.size, *(size for size, _ in kept.checkpoints), *seals.sizes()])
    pass_ = _Pass(store, kept, scan, roots, seals, progress)
    projections = _check_projections(pass_, kept, rebuild)
    pass_.drain()

    tree = Faults("tree")
    if scan.at < kept.tree.size:
        scan.lost_tail(kept.tree.size)
    same_tree = check_tree(kept.tree, roots, tree, scan.backwards)
    scan.finish(kept.heads, pass_.moved, same_tree=same_tree)
    scan.gone.settle(store, scan.payload_faults)
    notes = Faults("checkpoints")
    beside = {name: Faults(name) for name in ("keys", "recorded checkpoints", "time stamps", "stream ends")}
    outer = {name: Faults(name) for name in ("signatures", "kept checkpoint", "witnesses")}
    trust, rotations = seals.trust(beside["keys"])
    everywhere = [*kept.checkpoints, *seals.notes()]
    if seals.trusted.kept is not None:
        everywhere += [(size, seals.trusted.kept) for size in seals.sizes()[-1:]]
    lines = (
        scan.positions.check(f"every position from 0 on is there once, {scan.events} in all"),
        scan.headers.check("every header is in its one canonical form, of this tenant and a known format"),
        scan.columns.check("every row says what its header says"),
        scan.streams.check(f"the versions of all {scan.named} streams are without gap, up to their heads"),
        scan.chains.check("every event holds the hash of the one before it in its stream, every head that of the last"),
        scan.check_payloads(),
        tree.check(f"{roots.size} headers give the root that the store keeps"),
        check_notes(kept.checkpoints, roots, notes),
        rotations,
        check_signatures(
            [*kept.checkpoints, *seals.notes()], seals.trusted.keys, trust, seals.origin, outer["signatures"]
        ),
        seals.check_recorded(roots, beside["recorded checkpoints"]),
        seals.check_kept(roots, trust, outer["kept checkpoint"]),
        seals.check_witnesses(everywhere, roots, outer["witnesses"]),
        seals.check_stamps(beside["time stamps"]),
        seals.check_manifests(beside["stream ends"]),
        projections,
    )
    checks = tuple(line for line in lines if line is not None)
    exact = (scan.positions, scan.headers, scan.columns, scan.streams, scan.chains, scan.payload_faults)
    verdict: Verdict = "failed" if any(check.ok is False for check in checks) else "verified"
    first_bad = _earliest(exact) or _earliest((tree, notes)) or _earliest((*beside.values(), *outer.values()))
    return Verification(verdict, scan.events, roots.size, roots.root(), checks, first_bad)


def _earliest(faults: Sequence[Faults]) -> Bad | None:
    return min((f.first for f in faults if f.first is not None), key=lambda bad: bad.position, default=None)


def _check_projections(pass_: _Pass, kept: _Kept, rebuild: Rebuild | None) -> Check:
    if rebuild is None:
        return Check("projections", None, "not checked: nobody said how to rebuild the views")
    faults = Faults("projections")
    try:
        wanted = rebuild(pass_.events())
    except Exception as exc:  # a fold that fails on this log is a finding, and the rest is still proved
        if exc is pass_.stopped_by:
            raise
        faults.beside(f"the views cannot be rebuilt: {type(exc).__name__}: {exc}")
        return faults.check("")
    pass_.drain()  # or it has seen less than there is
    if not kept.still:
        return Check("projections", None, "not checked: the store is being written to; check again when it rests")
    compared = compare_views(kept.views, wanted, faults)
    return faults.check(f"{compared} rows of the views: all follow from the log")


class _Kept(NamedTuple):
    """What the store says of itself, read before its events."""

    since: int
    tree: TreeState
    heads: Mapping[str, tuple[int, bytes]]
    checkpoints: Sequence[tuple[int, str]]
    views: Views

    @property
    def still(self) -> bool:
        """Whether nothing was appended while this was read, so that all of it is of one moment."""
        return self.since == self.tree.size

    @classmethod
    def read(cls, store: EventStore, elsewhere: Sequence[tuple[int, str]], *, with_views: bool) -> _Kept:
        for _ in range(_TRIES):
            # Values of a wrong type are taken for wrong values: whoever wrote them is no reason to stop checking.
            checkpoints = [(size, str(note)) for size, note in store.checkpoints() if type(size) is int]
            checkpoints = sorted([*checkpoints, *elsewhere])
            since = store.tree().size
            heads = {str(name): (_number(count), _bytes(leaf)) for name, count, leaf in store.streams()}
            views = read_views(store) if with_views else {}
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
    ) -> None:
        self._store = store
        self._kept = kept
        self._scan = scan
        self._roots = roots
        self._seals = seals
        self._stops = seals.stops()
        self._progress = progress
        self._rows = store.read_raw()
        self._grown = False
        self.moved: dict[str, int] = {}
        """Streams that grew while their heads were read, with the lowest count they had."""
        self.stopped_by: Exception | None = None
        """What kept the pass itself from going on, so that it is not taken for an error of who pulls the events."""
        self._recorded = self._walk()

    def events(self) -> Iterator[RecordedEvent]:
        """The events not yet given to anybody, each checked before it is given."""
        return self._recorded

    def drain(self) -> None:
        """Check the rest without making events of it."""
        while self._page():
            pass

    def _walk(self) -> Iterator[RecordedEvent]:
        while rows := self._page_of_ours():
            for row in rows:
                payload = None if isinstance(row.payload, tuple) else row.payload
                yield RecordedEvent(row.position, row.header, payload, row.salt)

    def _page_of_ours(self) -> list[RawEvent]:
        try:
            return self._page()
        except Exception as exc:
            self.stopped_by = exc
            raise

    def _page(self) -> list[RawEvent]:
        try:
            rows = list(islice(self._rows, _PAGE))
        except StoreDamaged as exc:
            self._scan.positions.at(exc.position, None, None, exc.problem)
            return []
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
        while self._stops and self._stops[0] <= self._scan.at + len(rows):
            stop = self._stops.pop(0)
            now, rows = rows[: max(0, stop - self._scan.at)], rows[max(0, stop - self._scan.at) :]
            self._roots.extend(self._scan.take(now))
            self._seals.streams_were(stop, self._scan.ends())
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
