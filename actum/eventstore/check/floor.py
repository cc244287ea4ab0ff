"""Proving a store whose past is elsewhere: what its floor is worth, and what was not there to be read.

The tree goes on from the frontier at the floor. A frontier that is not that of the log gives none of the signed roots,
so it is proved together with everything above. What the log says of itself below the floor is proved by its chain.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from actum.errors import StoreError
from actum.events import RecordedEvent
from actum.events.merkle import Frontier
from actum.eventstore.check.seals import Seals
from actum.eventstore.check.verdict import Check, Faults, count
from actum.eventstore.protocol import EventStore
from actum.eventstore.sealing.sealer import system_stream

__all__ = ["Floor"]


@dataclass
class Floor:
    """Where checking begins, and what is known to be missing."""

    frontier: Frontier
    own: Sequence[RecordedEvent]
    """The log's own stream."""
    rebuilt: int = 0
    """Up to where the store was made again from its archive, which has no personal payloads."""
    signed: int = 0
    passed_over: int = 0

    @classmethod
    def read(cls, store: EventStore) -> Floor:
        size, frontier = store.floor()
        own: list[RecordedEvent] = []
        with contextlib.suppress(StoreError):
            own = store.read_stream(system_stream(store.tenant))
        floor = cls(_frontier(size, frontier), own)
        for event in own:
            if event.type == "log.rebuilt":
                floor.rebuilt, floor.signed = event.facts["size"], event.facts["signed"]
        return floor

    @property
    def size(self) -> int:
        return self.frontier.size

    def above(self, notes: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
        """The notes that can be held against events that are here."""
        return [(size, note) for size, note in notes if size >= self.size]

    def cut(self, seals: Seals) -> Seals:
        """Without what the log says of sizes that can only be made again from the archive."""
        if self.size:
            recorded = [event for event in seals.recorded if not _below(event.facts.get("size"), self.size)]
            self.passed_over += len(seals.recorded) - len(recorded) + len(seals.manifests)
            self.passed_over += sum(_below(event.facts.get("size"), self.size) for event in seals.restored)
            seals.recorded, seals.manifests = recorded, []
        return seals

    def check_own(self, tenant: str) -> Check | None:
        """Whether the log's own events below the floor lead by their hashes to one above it, which the tree covers."""
        if not self.size:
            return None
        faults = Faults("own stream")
        leaf: str | None = None
        below = 0
        for version, event in enumerate(self.own):
            if (event.stream, event.version, event.head["tenant"]) != (system_stream(tenant), version, tenant):
                faults.at(event.position, event.stream, event.version, "it is not the one that should be here")
            elif event.prev != leaf:
                faults.at(event.position, event.stream, event.version, "the event before it is not the one it followed")
            leaf = event.leaf.hex()
            below += event.position < self.size
        if below == len(self.own):
            faults.at(self.size, None, None, "the log says nothing of itself above its floor, so nothing proves it")
        return faults.check(f"by their hashes those above the floor follow from {count(below, 'event')} below it")

    def check_archived(self) -> Check | None:
        """What is in the archive."""
        if not self.size:
            return None
        more = (
            f", nor were {self.passed_over} records of checkpoints, stream ends and epochs from there held against them"
        )
        return Check(
            "archive",
            None,
            f"events 0 to {self.size - 1} are in the archive and were not read{more if self.passed_over else ''}; "
            "set ACTUM_ARCHIVE to its place to check them too",
        )

    def check_rebuilt(self, left_behind: int) -> Check | None:
        """What was lost with a store before this one."""
        if not self.rebuilt:
            return None
        lost = max(0, self.signed - self.rebuilt)
        return Check(
            "restored",
            None,
            f"the first {self.rebuilt} events came back from an archive: {count(left_behind, 'payload')} never left "
            "the lost store (personal, under a data key, or over 256 KiB)"
            + (
                f", and {count(lost, 'signed event')} that followed {'is' if lost == 1 else 'are'} lost" if lost else ""
            ),
        )


def _frontier(size: int, data: bytes) -> Frontier:
    """One that is no frontier is taken for a tree of no log, whose roots are then found wrong."""
    with contextlib.suppress(ValueError, TypeError):
        frontier = Frontier.from_bytes(data)
        if frontier.size == size:
            return frontier
    return Frontier.from_bytes(size.to_bytes(8, "big") + bytes(32 * size.bit_count()))


def _below(size: object, floor: int) -> bool:
    return isinstance(size, int) and size < floor
