"""Legal holds: what may not be erased, by anybody. A fold of `hold.placed` and `hold.lifted`. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from actum.events import Actor, PartName, RecordedEvent

__all__ = ["Hold", "Holds", "Piece", "pieces_of"]


class Piece(NamedTuple):
    """What a header says of its payload, or of the personal part of it: what holds and erasures go by."""

    position: int
    stream: str
    type: str
    recorded_at: str
    part: PartName
    payload_class: str
    key: str | None


def pieces_of(position: int, head: dict[str, Any]) -> Iterator[Piece]:
    """The pieces of one event; none when it has no payload."""
    about = head.get("payload")
    if about is not None:
        stream, type_, recorded_at = head["stream"], head["type"], head["recorded_at"]
        yield Piece(position, stream, type_, recorded_at, "payload", about["class"], about.get("key"))
        apart = head.get("personal")
        if apart is not None:
            yield Piece(position, stream, type_, recorded_at, "personal", "personal", apart.get("key"))


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold as it was placed. It covers what is under its keys or in its streams, or everything."""

    id: str
    position: int
    placed_at: str
    placed_by: Actor
    keys: frozenset[str]
    streams: frozenset[str]
    everything: bool
    until: str | None
    reason: str | None

    def in_force(self, now: str) -> bool:
        """Whether it holds at this time, unless it was lifted."""
        return self.until is None or now < self.until

    def covers(self, piece: Piece) -> bool:
        return self.everything or piece.key in self.keys or piece.stream in self.streams


class Holds:
    """The holds that were placed and not lifted, by id. Immutable: each event gives a new one."""

    def __init__(self, placed: dict[str, Hold] | None = None) -> None:
        self._placed = placed or {}

    def after(self, event: RecordedEvent) -> Holds:
        """The holds one event later."""
        facts = event.facts
        if event.type == "hold.lifted":
            return Holds({id_: hold for id_, hold in self._placed.items() if id_ != facts["hold"]})
        if event.type != "hold.placed":
            return self
        said = event.value()
        hold = Hold(
            event.id,
            event.position,
            event.recorded_at,
            event.actor,
            frozenset(facts.get("keys", ())),
            frozenset(facts.get("streams", ())),
            facts.get("everything", False),
            facts.get("until"),
            said.get("reason") if isinstance(said, dict) else None,
        )
        return Holds({**self._placed, hold.id: hold})

    def in_force(self, now: str) -> tuple[Hold, ...]:
        """Those that hold at this time, the oldest first."""
        return tuple(hold for hold in self._placed.values() if hold.in_force(now))

    def __iter__(self) -> Iterator[Hold]:
        return iter(self._placed.values())
