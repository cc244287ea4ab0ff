"""Where schedules stand, without all that they ever began: the ends of the streams of those that are alive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actum.engine.rules.state import ENDED
from actum.engine.schedules.state import ScheduleState, evolve_schedule
from actum.eventstore.views import NoneOf

if TYPE_CHECKING:
    from actum.events import RecordedEvent
    from actum.eventstore import EventStore

__all__ = ["schedules_alive"]

_RARE: Final = ("schedule.defined", "schedule.paused", "schedule.removed", "schedule.resumed")
"""What people do to schedules: all of it is read, for it says which are alive."""
_AT_FIRST: Final = 16


def schedules_alive(store: EventStore) -> dict[str, ScheduleState]:
    """Every schedule that was defined, by name; those that were not removed as they stand now.

    Only what is to be decided from is complete: `fired` and `missed` count what was read.
    """
    states: dict[str, ScheduleState] = {}
    rare: dict[str, list[RecordedEvent]] = {}
    for event in store.read(types=_RARE):
        evolve_schedule(states, event)
        rare.setdefault(event.stream, []).append(event)
    alive = [state for state in states.values() if state.status != "removed"]
    for state in alive:
        _go_to_end(store, states, rare[state.stream])
    _see_open(store, [states[state.name] for state in alive])
    return states


def _go_to_end(store: EventStore, states: dict[str, ScheduleState], rare: list[RecordedEvent]) -> None:
    """Fold the end of the stream, from where everything that is decided from follows."""
    stream = rare[0].stream
    end = first = store.stream_version(stream)
    defined = max(event.version for event in rare if event.type == "schedule.defined")
    tail: list[RecordedEvent] = []
    size = _AT_FIRST
    while first > defined and not any(_settles(event) for event in tail):
        upto, first = first, max(defined, first - size)
        tail = store.read_stream(stream, first, upto) + tail
        size *= 2
    del states[stream.removeprefix("schedule/")]
    for event in [*(one for one in rare if one.version < first), *tail]:
        evolve_schedule(states, event)
    assert states[stream.removeprefix("schedule/")].version >= end


def _settles(event: RecordedEvent) -> bool:
    """Whether what is dealt with, and what waits, follows from this event and those behind it."""
    kind = event.facts.get("kind")
    return event.type == "schedule.buffered" or (
        event.type == "schedule.fired" and kind in ("due", "buffered", "event")
    )


def _see_open(store: EventStore, states: list[ScheduleState]) -> None:
    """Which of their executions run, from the view: they may have begun before what was read of the stream."""
    limited = {f"{one.name}@": one for one in states if one.schedule is not None and one.schedule.limit is not None}
    for one in limited.values():
        one.open = []
    if not limited:
        return
    found: list[tuple[int, ScheduleState, str]] = []
    for row in store.view("executions", {"status": NoneOf(tuple(ENDED))}):
        name, at, _ = row["id"].partition("@")
        state = limited.get(name + at)
        if state is not None and (position := _begun_by(store, state, row["id"])) is not None:
            found.append((position, state, row["id"]))
    for _, state, id_ in sorted(found, key=lambda one: one[0]):
        state.open.append(id_)


def _begun_by(store: EventStore, state: ScheduleState, id_: str) -> int | None:
    """Where it began, if the schedule began it: what it fired lies just before that. Others may choose such an id."""
    first = store.read_stream(f"execution/{id_}", 0, 1)[0]
    if first.position == 0:
        return None
    before = next(store.read(first.position - 2, 1))
    fired = before.type == "schedule.fired" and before.stream == state.stream and before.facts["execution"] == id_
    return first.position if fired else None
