"""What the log says of erasure: which payloads are gone and by whose word, what is held, which policy is in force.

A fold of the stream `system/<tenant>`, and pure. The same rule says what to destroy, and to a verifier why a payload
is missing; so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from actum.events import Actor, RecordedEvent
from actum.eventstore.custody.holds import Hold, Holds, Piece, pieces_of
from actum.eventstore.protocol import EventStore

__all__ = [
    "KEPT_ALWAYS",
    "Custody",
    "Erasure",
    "Erasures",
    "Missing",
    "PolicyEvent",
    "custody_of",
    "missing_of",
    "read_custody",
]

KEPT_ALWAYS: Final = ("system/", "workflow/")
"""What explains the log is of no person, and is needed to understand the rest."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """One `payload.erased`: what it reaches, and who said so."""

    position: int
    at: str
    """When it was decided; the same for all that was decided together."""
    by: Actor
    basis: str
    key: str | None
    before: str | None
    payload_class: str | None
    event_type: str | None
    except_types: frozenset[str]
    spared: frozenset[str]
    held: tuple[Hold, ...]

    def reaches(self, piece: Piece) -> bool:
        """Whether this piece is to be gone; by `docs/formats/event.md`, *Erased payloads*."""
        if self.key is not None and piece.key != self.key:
            return False
        if self.payload_class is not None and piece.payload_class != self.payload_class:
            return False
        if self.event_type is not None and piece.type != self.event_type:
            return False
        if piece.type in self.except_types:
            return False
        return self.before is None or (
            piece.position < self.position
            and piece.recorded_at < self.before
            and piece.stream not in self.spared
            and not piece.stream.startswith(KEPT_ALWAYS)
            and not any(hold.covers(piece) for hold in self.held)
        )

    @property
    def whole_key(self) -> bool:
        """Whether it reaches everything under its key, so that the key itself is to be destroyed."""
        return self.key is not None and self.before is None and not (self.payload_class or self.event_type)

    @classmethod
    def of(cls, event: RecordedEvent, holds: Holds) -> Erasure:
        facts = event.facts
        return cls(
            event.position,
            event.at,
            event.actor,
            facts["basis"],
            facts.get("key"),
            facts.get("before"),
            facts.get("payload_class"),
            facts.get("event_type"),
            frozenset(facts.get("except_types", ())),
            frozenset(facts.get("spared", ())),
            holds.in_force(event.recorded_at) if "before" in facts else (),
        )


class Erasures:
    """All erasures of a log. Asked for every payload of it, so the usual answers cost a look or two."""

    def __init__(self, erasures: Iterable[Erasure] = ()) -> None:
        self._all = tuple(erasures)
        self._keys: dict[str, Erasure] = {}
        for erasure in self._all:
            if erasure.whole_key and erasure.key is not None:
                self._keys.setdefault(erasure.key, erasure)
        self._rules = [erasure for erasure in self._all if not erasure.whole_key]
        self.newest = max((erasure.before or "~" for erasure in self._rules), default="")
        """No rule reaches what was recorded at this time or later."""

    @property
    def keys(self) -> frozenset[str]:
        """The data keys that are to be gone."""
        return frozenset(self._keys)

    def of_key(self, key: str) -> Erasure | None:
        """The first erasure of this whole key."""
        return self._keys.get(key)

    def reaching(self, piece: Piece) -> Erasure | None:
        """The erasure that says that this piece is gone; None when none does, and it must be there."""
        if piece.key is not None:
            by_key = self._keys.get(piece.key)
            if by_key is not None:
                return by_key
        if piece.recorded_at >= self.newest:
            return None
        return next((erasure for erasure in self._rules if erasure.reaches(piece)), None)

    def reaching_any(self, position: int, head: dict[str, Any]) -> bool:
        """Whether a payload in one piece, under no key, is to be gone."""
        return any(self.reaching(piece) is not None for piece in pieces_of(position, head))

    def rules(self) -> Sequence[Erasure]:
        """The erasures that are not of a whole key."""
        return self._rules

    def __iter__(self) -> Iterable[Erasure]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)


@dataclass(frozen=True, slots=True)
class PolicyEvent:
    """The last `policy.changed` about retention. `value` is None when its payload is not to be had."""

    at: str
    by: Actor
    digest: str
    value: Any


@dataclass(frozen=True, slots=True)
class Custody:
    """All that the log says of keeping and erasing, as of `version` events of its stream."""

    version: int
    erasures: Erasures
    holds: Holds
    policy: PolicyEvent | None


@dataclass(frozen=True, slots=True)
class Missing:
    """A payload of an event, or the personal part of it, that an erasure reaches."""

    version: int
    type: str
    part: str
    erasure: Erasure

    def __str__(self) -> str:
        return f"erased on {self.erasure.at[:10]} by {self.erasure.by.ref} ({self.erasure.basis})"


def missing_of(events: Iterable[RecordedEvent], erasures: Erasures) -> list[Missing]:
    """What is missing of these events, and by whose word."""
    found: list[Missing] = []
    for event in events:
        if event.missing is not None:
            for piece in pieces_of(event.position, event.head):
                erasure = erasures.reaching(piece)
                if erasure is not None:
                    found.append(Missing(event.version, event.type, piece.part, erasure))
    return found


def custody_of(events: Iterable[RecordedEvent]) -> Custody:
    """The fold: these events are the stream `system/<tenant>` from its beginning."""
    version = 0
    erasures: list[Erasure] = []
    holds = Holds()
    policy: PolicyEvent | None = None
    for event in events:
        version += 1
        if event.type == "payload.erased":
            erasures.append(Erasure.of(event, holds))
        elif event.type == "policy.changed" and event.facts["policy"] == "retention":
            policy = PolicyEvent(event.recorded_at, event.actor, event.facts["digest"], event.value())
        else:
            holds = holds.after(event)
    return Custody(version, Erasures(erasures), holds, policy)


def read_custody(store: EventStore) -> Custody:
    """What the log says now."""
    return custody_of(store.read_stream(f"system/{store.tenant}"))
