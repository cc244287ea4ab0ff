"""Signing the tree's head: a checkpoint says "the log had this many events and this root", and who says so.

Before it signs, a sealer makes sure that the log still begins with what was signed last. What that was it reads from a
checkpoint store that is kept apart from the log, so that a restored backup cannot become a second log of one name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from actum.errors import CheckpointMoved, CheckpointRefused, LogForked, StoreDamaged
from actum.events import RecordedEvent, leaf_hash
from actum.events.checkpoint import Checkpoint, SigningKey, parse_unverified, sign
from actum.events.epoch import Epoch, Epochs, follow_epochs, read_epoch, verify_of
from actum.events.merkle import Frontier
from actum.events.rotation import Rotation, Trust, follow, read_rotation
from actum.eventstore.protocol import EventStore
from actum.eventstore.sealing.checkpoint_store import CheckpointStore

__all__ = ["Sealer", "epochs_in", "origin_of", "rotations_in", "seal_log", "system_stream"]

_TRIES = 5


def origin_of(tenant: str) -> str:
    """The name of a tenant's log: that of its key, and the origin of its checkpoints unless it lost signed events."""
    return f"actum/{tenant}".replace(" ", "_").replace("+", "_")


def system_stream(tenant: str) -> str:
    """The stream in which a log keeps what concerns itself."""
    return f"system/{tenant}"


def seal_log(store: EventStore, key: SigningKey, kept: CheckpointStore | None = None) -> Checkpoint | None:
    """Sign the log as it is now, once; see `Sealer.seal`."""
    return Sealer(store, key, kept).seal()


def rotations_in(events: Iterable[RecordedEvent], origin: str) -> list[Rotation]:
    """The rotations among these events that both keys signed; the others count for nothing."""
    found = []
    for event in events:
        if event.type == "key.rotated":
            with contextlib.suppress(CheckpointRefused):
                found.append(read_rotation(event.position, event.facts))
    return [rotation for rotation in found if rotation.origin == origin]


def epochs_in(events: list[RecordedEvent], log: str, trust: Trust | None, size: int) -> Epochs:
    """The epochs that a log of this size has; with `trust`, only those that a key in force began."""
    found: list[Epoch] = []
    for event in events:
        if event.type == "log.restored" and event.position < size:
            with contextlib.suppress(CheckpointRefused):
                found.append(read_epoch(event.position, event.facts))
    return follow_epochs(log, found, trust)[0]


class Sealer:
    """Signs one log with one key. Any number may run at once: of two that sign at the same time, one wins.

    `kept` is the checkpoint store; without one, the log's own last checkpoint is all there is to hold it against.
    `cache` is a file for the frontier at the last signed size, so that the next sealer reads only what is new; a wrong
    or missing one costs time and nothing else.
    """

    def __init__(
        self, store: EventStore, key: SigningKey, kept: CheckpointStore | None = None, cache: Path | None = None
    ) -> None:
        self._store = store
        self._key = key
        self._kept = kept
        self._cache = cache
        self._origin = origin_of(store.tenant)
        self._signed = Frontier()  # of the log as it was when this sealer last looked
        self._system: list[RecordedEvent] = []
        self._system_read = 0

    @property
    def is_watched(self) -> bool:
        """Whether what is signed is kept apart from the log, so that another log in its place is noticed."""
        return self._kept is not None

    def seal(self) -> Checkpoint | None:
        """Sign the log as it is now; None when this size is signed already or nothing is there.

        Raises `LogForked` when the log does not begin with what was signed, `CheckpointRefused` when this key is no
        longer in force or the kept checkpoint is not to be believed, and `StoreDamaged` when the tree that the store
        keeps is not that of its events. Nothing was signed then.
        """
        for attempt in range(_TRIES):
            try:
                return self._seal()
            except CheckpointMoved:  # another sealer was quicker: look at what it signed
                if attempt == _TRIES - 1:
                    raise
        raise AssertionError

    def _seal(self) -> Checkpoint | None:
        kept = None if self._kept is None else self._kept.latest()
        table = self._store.checkpoints()
        size, frontier = self._store.tree()  # read after what was signed: another sealer may have seen more than we did
        trust = self._trust()  # read after the size, so no rotation below it is missed
        epochs = epochs_in(self._system, self._origin, trust, size)
        signed = self._signed_before(kept, table[-1] if table else None, trust, epochs)
        top = max(signed, default=0)
        if top > size:
            raise LogForked(
                self._store.url,
                size,
                top,
                self._agrees_to([(at, note) for at, note in table if at <= size], size),
                f"it has {size} events, but {top} were signed, so events are missing: "
                "a backup was restored, or a replica that was behind was promoted",
            )
        head = self._grow(size, signed, table)
        if head.to_bytes() != frontier:
            raise StoreDamaged(max(size - 1, 0), "the tree that the store keeps is not that of its events")
        kept_size = -1 if kept is None or epochs.lost(parse_unverified(kept)) else parse_unverified(kept).size
        if kept is not None and kept_size == size and (not table or table[-1][0] < size):
            self._store.add_checkpoint(size, kept)  # a sealer died between keeping and adding it
        if size == 0 or (size in signed and (self._kept is None or kept_size == size)):
            return None
        checkpoint = Checkpoint(epochs.origin_at(size), size, head.root())
        note = table[-1][1] if size in signed else sign(checkpoint, self._key)
        if self._kept is not None:
            self._kept.advance(kept, note)  # from here on this is what was signed, whatever becomes of the log
        self._store.add_checkpoint(size, note)
        self._remember(head)
        return checkpoint if size not in signed else None

    def _trust(self) -> Trust:
        """Who may have signed before; refused when this key handed over to another."""
        new = self._store.read_stream(system_stream(self._store.tenant), self._system_read)
        self._system_read += len(new)
        self._system += [event for event in new if event.type in ("key.rotated", "log.restored")]
        mine = self._key.verifier()
        trust, _ = follow([mine], rotations_in(self._system, self._origin))
        _, last = trust.spans[mine]
        if last is not None:
            raise CheckpointRefused(
                "signing key", f"{mine.name}+{mine.id.hex()} was replaced at position {last}; sign with its successor"
            )
        return trust

    def _signed_before(
        self, kept: str | None, table: tuple[int, str] | None, trust: Trust, epochs: Epochs
    ) -> Mapping[int, bytes]:
        """The roots that were signed last, by size: as the checkpoint store has it, and the log itself.

        What the log says it lost is not among them: that is what a new epoch is for.
        """
        signed: dict[int, bytes] = {}
        for note in (kept, None if table is None else table[1]):
            if note is None:
                continue
            claimed = parse_unverified(note)
            if epochs.lost(claimed) is not None:
                continue
            if note is kept:
                verify_of(self._origin, note, trust.keys_at(claimed.size))
            if signed.setdefault(claimed.size, claimed.root) != claimed.root:
                raise LogForked(
                    self._store.url,
                    self._store.tree().size,
                    claimed.size,
                    self._agrees_to(self._store.checkpoints()[:-1], claimed.size),
                    f"two checkpoints of size {claimed.size} differ: one is beside the log, one was kept apart",
                )
        return signed

    def _grow(self, size: int, signed: Mapping[int, bytes], table: list[tuple[int, str]]) -> Frontier:
        """The log's frontier at this size, made from its bytes, after the signed roots on the way were found right."""
        head = self._start(signed)
        for at in sorted({*signed, size}):
            if at < head.size:
                continue
            self._extend(head, at)
            if at in signed and head.root() != signed[at]:
                raise LogForked(
                    self._store.url,
                    size,
                    at,
                    self._agrees_to([(s, note) for s, note in table if s < at], at),
                    f"its first {at} events do not give the root that was signed for them",
                )
        self._signed = head.copy()
        return head

    def _start(self, signed: Mapping[int, bytes]) -> Frontier:
        """Where reading can begin: a frontier whose root was signed, or nothing at all."""
        lowest = min(signed, default=0)
        for known in (self._signed, self._remembered()):
            if (
                known is not None
                and known.size <= lowest
                and known.size in signed
                and known.root() == signed[known.size]
            ):
                return known.copy()
        below = self._below()  # growing from here gives the signed roots only if it is the log's
        return below if below.size <= lowest else Frontier()

    def _below(self) -> Frontier:
        """The tree over the events that have left the store."""
        size, data = self._store.floor()
        try:
            return Frontier.from_bytes(data)
        except ValueError as exc:
            raise StoreDamaged(size, f"the tree below the floor cannot be read ({exc})") from exc

    def _extend(self, frontier: Frontier, size: int) -> None:
        """Add the leaves of the events up to this size, from their bytes."""
        while frontier.size < size:
            rows = self._store.read_raw(after=frontier.size - 1, limit=min(10_000, size - frontier.size))
            leaves = [leaf_hash(row.header) for row in rows if isinstance(row.header, bytes)]
            if not leaves:
                raise StoreDamaged(frontier.size, f"the event is missing, though the tree covers {size} events")
            frontier.extend(leaves)

    def _agrees_to(self, table: list[tuple[int, str]], below: int) -> int:
        """The largest signed size up to `below` at which the log still gives the root that the log's own note says."""
        frontier, agreed = self._below(), 0
        with contextlib.suppress(StoreDamaged, CheckpointRefused):
            for size, note in table:
                if size < frontier.size:
                    continue
                if size > below:
                    break
                self._extend(frontier, size)
                if frontier.root() != parse_unverified(note).root:
                    break
                agreed = size
        return agreed

    def _remembered(self) -> Frontier | None:
        if self._cache is None:
            return None
        try:
            return Frontier.from_bytes(self._cache.read_bytes())
        except (OSError, ValueError):
            return None

    def _remember(self, frontier: Frontier) -> None:
        if self._cache is not None:
            with contextlib.suppress(OSError):  # it only saves time
                beside = self._cache.with_name(f"{self._cache.name}.new")
                beside.write_bytes(frontier.to_bytes())
                beside.replace(self._cache)
