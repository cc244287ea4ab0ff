"""Proving the tree: the roots of the log as it is, against the kept tree state and every signed checkpoint. Pure."""

from __future__ import annotations

import contextlib
from bisect import bisect_right
from collections.abc import Iterable, Sequence

from actum.errors import CheckpointRefused
from actum.events.checkpoint import Checkpoint, VerifierKey, parse_unverified, verify
from actum.events.epoch import Epoch, Epochs
from actum.events.merkle import Frontier
from actum.events.rotation import Trust
from actum.eventstore.check.verdict import Check, Faults, count
from actum.eventstore.protocol import TreeState

__all__ = ["Roots", "check_notes", "check_signatures", "check_tree"]


class Roots:
    """Grows the tree from leaf hashes and keeps its frontier at the sizes that something claims to know."""

    def __init__(self, sizes: Iterable[int], start: Frontier | None = None) -> None:
        self._wanted = sorted({size for size in sizes if size >= 0})
        self._growing = Frontier() if start is None else start.copy()
        self.start = self._growing.size
        """No root of a smaller size can be known."""
        self.known: dict[int, Frontier] = {0: Frontier(), self.size: self._growing.copy()}

    def extend(self, leaves: Sequence[bytes]) -> None:
        growing, at = self._growing, 0
        start = growing.size
        for size in self._wanted[bisect_right(self._wanted, start) : bisect_right(self._wanted, start + len(leaves))]:
            growing.extend(leaves[at : size - start])
            at = size - start
            self.known[size] = growing.copy()
        growing.extend(leaves[at:])

    def join(self, stretch: Roots) -> None:
        """Go on with a stretch of the log whose tree was grown apart, from here on, for sizes counted from here."""
        start = self.size
        for size, frontier in stretch.known.items():
            if size:
                self.known[start + size] = self._growing.copy()
                self.known[start + size].join(frontier)
        self._growing.join(stretch._growing)

    def part(self, start: int, end: int) -> Roots:
        """An empty one for the leaves from `start` up to `end` alone, which `join` takes back."""
        wanted = self._wanted[bisect_right(self._wanted, start) : bisect_right(self._wanted, end)]
        return Roots(size - start for size in wanted)

    @property
    def size(self) -> int:
        return self._growing.size

    def root(self) -> bytes:
        return self._growing.root()

    def lost(self, checkpoint: Checkpoint, epochs: Epochs) -> Epoch | None:
        """The epoch that gave this checkpoint up; None for one that is of the log, or that nobody gave up."""
        known = self.known.get(checkpoint.size) if checkpoint.size <= self.size else None
        return None if known is not None and known.root() == checkpoint.root else epochs.lost(checkpoint)


def check_tree(kept: TreeState, roots: Roots, faults: Faults, backwards: int | None) -> bool:
    """Whether the tree state that the store keeps is that of its events; if not, `faults` says from where on."""
    try:
        frontier = Frontier.from_bytes(kept.frontier)
    except (ValueError, TypeError) as exc:
        faults.beside(f"the tree's state cannot be read ({exc})")
        return False
    if frontier.size != kept.size:
        faults.beside(f"the tree's state says {kept.size} events, but holds the hashes of {frontier.size}")
        return False
    if kept.size < roots.size:
        faults.at(kept.size, None, None, f"the tree covers {kept.size} events, the log has {roots.size}")
    ours = roots.known.get(kept.size)
    if ours is None or kept.size > roots.size:
        if kept.size > roots.size:
            faults.beside(f"the tree covers {kept.size} events, the log has only {roots.size}")
        return False
    if ours == frontier:
        return kept.size == roots.size
    start, end = _first_difference(ours, frontier)
    hint = ""
    if backwards is not None and start <= backwards < end:
        hint = f"; at {backwards} the recorded times run backwards, so events may have changed places there"
    faults.at(
        start,
        None,
        None,
        f"positions {start} to {end - 1} do not give the hash that the tree has for them: one was changed, added, "
        f"removed or moved, or the tree's state was changed{hint}",
    )
    return False


def _first_difference(ours: Frontier, theirs: Frontier) -> tuple[int, int]:
    """The positions under the first complete subtree in which two frontiers of one size differ."""
    a, b = ours.to_bytes()[8:], theirs.to_bytes()[8:]
    start, size = 0, ours.size
    for at in range(0, len(a), 32):
        width = 1 << (size.bit_length() - 1)
        if a[at : at + 32] != b[at : at + 32]:
            return start, start + width
        start, size = start + width, size - width
    return 0, ours.size


def check_notes(notes: Sequence[tuple[int, str]], roots: Roots, epochs: Epochs, faults: Faults) -> Check:
    """Whether each kept checkpoint is of this log, as it is now, or was given up by name when events were lost."""
    good, given_up = 0, list[str]()
    for size, note in notes:
        try:
            checkpoint = parse_unverified(note)
        except CheckpointRefused as exc:
            faults.beside(f"the checkpoint kept for size {size} cannot be read ({exc})")
            continue
        if checkpoint.size != size:
            faults.beside(f"the checkpoint kept for size {size} is of size {checkpoint.size}")
        elif lost := roots.lost(checkpoint, epochs):
            given_up.append(f"that of size {size} belongs to {lost.loss()}")
        elif size > roots.size:
            faults.at(roots.size, None, None, f"the checkpoint of size {size} covers it, but the log ends before it")
        elif roots.known[size].root() != checkpoint.root:
            reason = f"positions {good} to {size - 1} do not give the root of the checkpoint of size {size}"
            faults.at(good, None, None, reason)
        else:
            good = size
    if not notes:
        return Check("checkpoints", None, "none is there, so only the tree's own state shows where the log ends")
    if given_up and not faults.count:
        return Check("checkpoints", None, f"{len(notes) - len(given_up)} of {len(notes)} hold; {'; '.join(given_up)}")
    covered = f"the last covers {good:,} of {count(roots.size, 'event')}"
    return faults.check(f"{count(len(notes), 'checkpoint')} of this log; {covered}")


def check_signatures(
    notes: Sequence[tuple[int, str]],
    keys: Sequence[VerifierKey],
    trust: Trust,
    epochs: Epochs,
    roots: Roots,
    faults: Faults,
) -> Check:
    """Whether each kept checkpoint is of this log and its epoch, signed by a key that counted at its size."""
    if not notes:
        return Check("signatures", None, "none: no checkpoint is there")
    if not keys:
        return Check("signatures", None, "not checked: no key was given to check them with")
    for size, note in notes:
        allowed = trust.keys_at(size)
        try:
            lost = roots.lost(parse_unverified(note), epochs)
            if lost is not None:
                allowed = list(trust.spans)  # whichever it was, for the hand-over may be lost too
            verify(note, allowed, origin=epochs.origin_at(size) if lost is None else lost.abandoned.origin)
        except CheckpointRefused as exc:
            faults.beside(
                f"the checkpoint of size {size} is not to be believed ({exc}{_retired(note, trust, allowed)})"
            )
    return faults.check(f"{count(len(notes), 'checkpoint')}, signed by {', '.join(sorted({key.name for key in keys}))}")


def _retired(note: str, trust: Trust, allowed: Sequence[VerifierKey]) -> str:
    """What there is to say of a note that is signed by a key which counts, but not at this size."""
    for key, (first, last) in trust.spans.items():
        if key in allowed:
            continue
        with contextlib.suppress(CheckpointRefused):
            verify(note, [key])
            until = "" if last is None else f" to {last}"
            return f"; it is signed by {key.name}+{key.id.hex()}, which counts only for sizes from {first}{until}"
    return ""
