"""Schedules as people handle them: defined, looked at, paused, resumed, removed. Load, decide, append."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actum.engine.payloads.codec import encode
from actum.engine.runtime.ports import World
from actum.engine.schedules.definition import Schedule
from actum.engine.schedules.state import SCHEDULE_EVENTS, ScheduleState, fold_schedules
from actum.errors import BadInput, UnknownSchedule, VersionConflict, near_miss
from actum.events import Actor, NewEvent, to_text
from actum.eventstore import Append, EventStore

__all__ = ["Schedules"]


class Schedules:
    """The schedules of a store. `actor` is who changes them.

    Somebody else changing the same one at the same moment is no obstacle: it is looked at and decided again.
    """

    def __init__(self, store: EventStore, world: World, actor: Actor) -> None:
        self._store = store
        self._world = world
        self._actor = actor
        if not actor.ref or not actor.ref.isprintable() or not actor.ref.isascii() or len(actor.ref) > 200:
            raise BadInput(f"who changes a schedule must be named by 1 to 200 printable characters, not {actor.ref!r}")

    def all(self) -> list[ScheduleState]:
        """Every schedule that was not removed, by name."""
        states = fold_schedules(self._store.read(types=SCHEDULE_EVENTS))
        return [states[name] for name in sorted(states) if states[name].status != "removed"]

    def one(self, name: str) -> ScheduleState:
        """One schedule. Raises `UnknownSchedule` for one that is not there, or not there any more."""
        state = self._load(name)
        if state.status == "removed":
            raise UnknownSchedule(name, near_miss(name, [other.name for other in self.all()]))
        return state

    def define(self, wanted: Schedule) -> bool:
        """Have this schedule from now on; False, and nothing written, when it is so already."""
        said = encode({"input": wanted.input}, "the schedule's input", self._store.payload_limit_bytes)
        wanted = Schedule.recorded(wanted.facts(), said)  # as it will be read

        def decide(state: ScheduleState) -> list[NewEvent]:
            if state.status != "removed" and state.schedule == wanted and not state.unreadable:
                return []
            return [self._event("schedule.defined", wanted.facts(), said)]

        return self._change(wanted.name, decide)

    def pause(self, name: str, reason: str = "") -> bool:
        """Begin nothing of it until it is resumed; what runs goes on. False when it is paused already."""
        said = encode({"reason": reason}, "the reason") if reason else None

        def decide(state: ScheduleState) -> list[NewEvent]:
            if self._known(state).status == "paused":
                return []
            return [self._event("schedule.paused", {"schedule": name}, said)]

        return self._change(name, decide)

    def resume(self, name: str) -> bool:
        """Go on, with what is due from now on. False when it was not paused."""

        def decide(state: ScheduleState) -> list[NewEvent]:
            if self._known(state).status == "active":
                return []
            return [self._event("schedule.resumed", {"schedule": name})]

        return self._change(name, decide)

    def remove(self, name: str) -> bool:
        """Begin nothing of it any more. Its past stays in the log, and its name can be used again."""

        def decide(state: ScheduleState) -> list[NewEvent]:
            self._known(state)
            return [self._event("schedule.removed", {"schedule": name})]

        return self._change(name, decide)

    def _known(self, state: ScheduleState) -> ScheduleState:
        return state if state.status != "removed" else self.one(state.name)

    def _load(self, name: str) -> ScheduleState:
        states = fold_schedules(self._store.read_stream(f"schedule/{name}"))
        return states.get(name) or ScheduleState(name)

    def _change(self, name: str, decide: Callable[[ScheduleState], list[NewEvent]]) -> bool:
        while True:
            state = self._load(name)
            events = decide(state)
            if not events:
                return False
            try:
                self._store.append([Append(state.stream, state.version, events)])
            except VersionConflict:
                continue
            return True

    def _event(self, type_: str, facts: dict[str, Any], payload: bytes | None = None) -> NewEvent:
        at = to_text(self._world.now_us())
        return NewEvent(type_, facts, at, self._actor, self._world.new_id(), payload)
