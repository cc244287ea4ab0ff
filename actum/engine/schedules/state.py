"""What the events of schedules have come to. Pure; unknown events change nothing, and nothing is refused."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal

from actum.engine.schedules.definition import Schedule
from actum.events import RecordedEvent, to_us

__all__ = ["SCHEDULE_EVENTS", "ScheduleState", "evolve_schedule", "fold_schedules"]

SCHEDULE_EVENTS: Final = (
    "schedule.buffered",
    "schedule.defined",
    "schedule.fired",
    "schedule.made_room",
    "schedule.missed",
    "schedule.paused",
    "schedule.removed",
    "schedule.resumed",
)


class ScheduleState:
    """One schedule as of some event."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.version = 0
        self.status: Literal["active", "paused", "removed"] = "removed"
        self.schedule: Schedule | None = None
        self.unreadable = False
        """Its input was erased: nothing can begin."""
        self.defined_at = ""
        self.done_us = 0
        """All times up to this one are dealt with: their executions have begun, wait, or were missed."""
        self.done_position = -1
        """The same for the events of the log, when it is events that it waits for."""
        self.buffered_us: int | None = None
        """The time whose execution begins as soon as an earlier one has ended."""
        self.open: list[str] = []
        """Executions that it began and that nobody has seen end; kept only where their number is limited."""
        self.fired = 0
        self.missed = 0
        self.last_execution: str | None = None
        self.last_due: str | None = None

    @property
    def stream(self) -> str:
        return f"schedule/{self.name}"


def fold_schedules(events: Iterable[RecordedEvent]) -> dict[str, ScheduleState]:
    """Every schedule that these events speak of, by name."""
    states: dict[str, ScheduleState] = {}
    for event in events:
        evolve_schedule(states, event)
    return states


def evolve_schedule(states: dict[str, ScheduleState], event: RecordedEvent) -> None:
    """Add one event, which changes the state of its schedule. One that the state has already is passed over."""
    name = event.stream.removeprefix("schedule/")
    state = states.get(name)
    if state is None:
        state = states[name] = ScheduleState(name)
    if event.version < state.version:
        return
    state.version = event.version + 1
    facts = event.facts
    match event.type:
        case "schedule.defined":
            _defined(state, event)
        case "schedule.fired":
            _fired(state, facts)
        case "schedule.buffered":
            state.buffered_us = to_us(facts["due"])
            state.done_us = max(state.done_us, state.buffered_us)
        case "schedule.missed":
            _missed(state, facts)
        case "schedule.paused" if state.status == "active":
            state.status = "paused"
        case "schedule.resumed" if state.status == "paused":
            state.status = "active"
            state.done_us = max(state.done_us, to_us(event.at))
            state.done_position = event.position
        case "schedule.removed":
            state.status = "removed"


def _defined(state: ScheduleState, event: RecordedEvent) -> None:
    state.schedule = Schedule.recorded(event.facts, event.payload)
    state.unreadable = event.missing is not None
    state.defined_at = event.at
    if state.status == "removed":
        state.status = "active"
    # What was due before is the old definition's; what begins by this one is due from now on.
    state.done_us = to_us(event.at)
    state.done_position = event.position
    state.buffered_us = None


def _fired(state: ScheduleState, facts: dict[str, Any]) -> None:
    state.fired += 1
    state.last_execution = facts["execution"]
    state.last_due = facts["due"]
    due_us = to_us(facts["due"])
    if facts["kind"] == "due":
        state.done_us = max(state.done_us, due_us)
    elif facts["kind"] == "event":
        state.done_position = max(state.done_position, facts["position"])
    if state.buffered_us == due_us:
        state.buffered_us = None
    gone = set(facts.get("ended", ()))
    if state.schedule is not None and state.schedule.limit is not None:
        state.open = [one for one in state.open if one not in gone]
        state.open.append(facts["execution"])


def _missed(state: ScheduleState, facts: dict[str, Any]) -> None:
    state.missed += facts["count"]
    last_us = to_us(facts["last"])
    if "position" in facts:
        state.done_position = max(state.done_position, facts["position"])
    else:
        state.done_us = max(state.done_us, last_us)
        if state.buffered_us is not None and to_us(facts["first"]) <= state.buffered_us <= last_us:
            state.buffered_us = None
