"""Carrying schedules out: look at the log, decide, append each beginning together with what it follows from.

Any number of processes may do it at the same time. The version of the schedule's stream is the fence: whoever comes
second finds that it has moved on, looks again, and has nothing left to begin.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import orjson

from actum.engine.rules.state import ENDED
from actum.engine.schedules.deciding import (
    LATE_US,
    Buffer,
    Decision,
    Fire,
    Miss,
    Terminate,
    decide_schedule,
    execution_id,
    wake_us,
)
from actum.engine.schedules.reading import schedules_alive
from actum.engine.schedules.room import make_room
from actum.engine.schedules.state import SCHEDULE_EVENTS, ScheduleState, evolve_schedule
from actum.engine.schedules.times import Span, occurrences
from actum.errors import (
    BadInput,
    NoCode,
    OwnedElsewhere,
    StoreError,
    UnknownSchedule,
    VersionConflict,
    WorkflowError,
    near_miss,
)
from actum.events import NewEvent, RecordedEvent, to_text, to_us
from actum.eventstore import Append

if TYPE_CHECKING:
    from actum.engine.runtime.engine import Engine
    from actum.engine.runtime.handle import Handle

__all__ = ["Scheduler"]

log = logging.getLogger("actum.schedules")

_LOOK_EVERY_S = 1.0
_MOST_ENDED = 200


class Scheduler:
    """Begins what schedules say, on an engine, which then runs it."""

    def __init__(self, engine: Engine) -> None:
        self.states: dict[str, ScheduleState] = {}
        self._engine = engine
        self._store = engine.store
        self._seen = 0
        self._passed: dict[str, int] = {}
        """By schedule, up to which position its events were looked for."""
        self._without_code: set[str] = set()
        self._warned: set[str] = set()

    async def run(self) -> None:
        """Go on until this is cancelled. A store that cannot be reached is tried again."""
        while True:
            try:
                await self.turn()
                await self._wait()
            except StoreError as exc:
                log.warning("schedules could not be carried out; trying again", extra={"error": str(exc)})
                await asyncio.sleep(_LOOK_EVERY_S)

    async def _wait(self) -> None:
        """Wait for the next time, or for something to be recorded, of which only the length of the log is asked."""
        wakes = [wake for state in self.states.values() if (wake := wake_us(state)) is not None]
        wake = min(wakes, default=None)
        waits = any(state.buffered_us is not None for state in self.states.values())
        while True:
            rest_us = None if wake is None else wake - self._engine.world.now_us()
            if rest_us is None or rest_us > 0:
                rest_s = _LOOK_EVERY_S if rest_us is None else min(rest_us / 1_000_000, _LOOK_EVERY_S)
                await asyncio.sleep(rest_s)
            elif self._without_code:  # due, and for somebody else
                await asyncio.sleep(_LOOK_EVERY_S)
                return
            else:
                return
            if waits or self._store.head() != self._seen:
                return

    async def turn(self) -> list[Handle]:
        """Carry out what is due now. Returns the executions that this has begun."""
        self._read()
        self._without_code.clear()
        begun: list[Handle] = []
        for state in list(self.states.values()):
            try:
                begun += await self._carry_out(state)
            except NoCode as exc:  # somebody else may have it; when nobody has, it is missed in the end
                if state.name not in self._warned:
                    log.warning("no code for a schedule", extra={"schedule": state.name, "error": str(exc)})
                self._warned.add(state.name)
                self._without_code.add(state.name)
        return begun

    async def trigger(self, name: str) -> str:
        """Begin an execution of a schedule now, whatever else runs. Returns its id; its input must fit.

        Raises `UnknownSchedule`, and as `Engine.submit` does.
        """
        while True:
            self._read()
            state = self._known(name)
            now_us = self._engine.world.now_us()
            try:
                return await self._begin(state, now_us, "manual", now_us, [])
            except VersionConflict:
                continue

    async def backfill(self, name: str, from_us: int, until_us: int) -> tuple[list[str], list[str]]:
        """Begin the executions of all times from the one up to the other, which must have passed.

        Returns the ids of those that this has begun, and of those that were there already. Raises `UnknownSchedule`,
        and `BadInput` for a time to come and for a schedule of events; then nothing was written.
        """
        self._read()
        state = self._known(name)
        assert state.schedule is not None
        now_us = self._engine.world.now_us()
        if state.schedule.on is not None:
            raise BadInput(f"schedule {name!r} waits for events; there are no times to go back to")
        if until_us > now_us or from_us > until_us:
            raise BadInput(f"a backfill is of times that have passed, the earlier one first; now is {to_text(now_us)}")
        begun: list[str] = []
        there: list[str] = []
        for due_us in occurrences(state.schedule, from_us - 1):
            if due_us > until_us:
                break
            id_ = execution_id(name, to_text(due_us))
            while not self._store.stream_version(f"execution/{id_}"):
                try:
                    begun.append(await self._begin(state, due_us, "backfill", now_us, []))
                except VersionConflict:
                    self._read()
                    state = self._known(name)
            if not begun or begun[-1] != id_:
                there.append(id_)
        return begun, there

    # -- looking -----------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        """Take in what was recorded of schedules since the last look."""
        head = self._store.head()
        if head == self._seen:
            return
        if not self._seen:
            self.states = schedules_alive(self._store)
        else:
            for event in self._store.read(self._seen - 1, types=SCHEDULE_EVENTS):
                evolve_schedule(self.states, event)
        self._seen = head

    def _known(self, name: str) -> ScheduleState:
        state = self.states.get(name)
        if state is None or state.status == "removed":
            there = [other.name for other in self.states.values() if other.status != "removed"]
            raise UnknownSchedule(name, near_miss(name, there))
        return state

    def _still_open(self, state: ScheduleState) -> tuple[list[str], list[str]]:
        """Which of its executions run, the oldest first, and which have ended since they were counted last."""
        running: set[str] = set()
        for first in range(0, len(state.open), _MOST_ENDED):
            some = tuple(state.open[first : first + _MOST_ENDED])
            rows = self._store.view("executions", {"id": some})
            running |= {row["id"] for row in rows if row["status"] not in ENDED}
        ended = [one for one in state.open if one not in running][:_MOST_ENDED]
        return [one for one in state.open if one in running], ended

    # -- carrying out ------------------------------------------------------------------------------------------------

    async def _carry_out(self, state: ScheduleState) -> list[Handle]:
        begun: list[Handle] = []
        while state.schedule is not None and state.status == "active":
            now_us = self._engine.world.now_us()
            if state.schedule.on is not None:
                return await self._carry_out_events(state, now_us)
            wake = wake_us(state)
            if state.buffered_us is None and (wake is None or wake > now_us):
                break
            running, ended = ([], []) if state.schedule.limit is None else self._still_open(state)
            decisions = decide_schedule(state, now_us, len(running))
            if not decisions:
                break
            try:
                for decision in decisions:
                    version = state.version
                    begun += await self._do(state, decision, now_us, running, ended)
                    self._read()
                    if state.version != version + 1:
                        break
                    ended = []
            except VersionConflict:  # somebody else was quicker, or changed the schedule: decide again
                self._read()
        return begun

    async def _do(
        self, state: ScheduleState, decision: Decision, now_us: int, running: list[str], ended: list[str]
    ) -> list[Handle]:
        match decision:
            case Buffer(due_us, number):
                waits = self._event("schedule.buffered", {"schedule": state.name, "due": to_text(due_us)})
                make_room(self._engine, state, due_us, running[:number], force=False, after=[waits])
            case Terminate(due_us, number):
                make_room(self._engine, state, due_us, running[:number], force=True)
            case Miss(times, reason):
                self._append(state, "schedule.missed", _missed(times, reason))
            case Fire(due_us, kind):
                return await self._fire(state, due_us, kind, now_us, ended)
        return []

    async def _fire(
        self,
        state: ScheduleState,
        due_us: int,
        kind: str,
        now_us: int,
        ended: list[str],
        event: RecordedEvent | None = None,
    ) -> list[Handle]:
        """Begin an execution, or record why it does not begin."""
        about = _missed(Span(due_us, due_us, 1), "") | ({} if event is None else {"position": event.position})
        try:
            id_ = await self._begin(state, due_us, kind, now_us, ended, event)
        except VersionConflict:
            self._give_up_taken(state, _id_for(state, due_us, event), about)
        except BadInput as exc:
            self._refuse(state, about, exc)
        else:
            return await self._hold(id_)
        return []

    async def _carry_out_events(self, state: ScheduleState, now_us: int) -> list[Handle]:
        """Begin an execution for each event that has come, in the order of the log."""
        schedule = state.schedule
        assert schedule is not None
        assert schedule.on is not None
        begun: list[Handle] = []
        after = max(state.done_position, self._passed.get(state.name, -1))
        if after >= self._seen - 1:
            return begun
        own = f"execution/{state.name}@"
        upto = self._seen - 1
        for event in self._store.read(after, types=(schedule.on,), payloads=False):
            wanted = all(event.facts.get(fact) == value for fact, value in schedule.on_facts.items())
            if not wanted or event.stream.startswith(own):  # what it began itself is no occasion
                continue
            version = -1
            try:
                self._make_room(state, event)
                version = state.version
                begun += await self._take(state, event, now_us)
            except VersionConflict:
                version = -1
            self._read()
            if state.version != version + 1:
                return begun  # somebody else was here: the next turn goes on from what is recorded
        self._passed[state.name] = max(upto, after)
        return begun

    def _make_room(self, state: ScheduleState, event: RecordedEvent) -> None:
        """End the oldest of what runs, where the schedule says so and there is no room for one more."""
        assert state.schedule is not None
        limit = state.schedule.limit
        if limit is not None and state.schedule.overlap == "terminate_other":
            running = self._still_open(state)[0]
            if len(running) >= limit:
                make_room(self._engine, state, to_us(event.at), running[: len(running) + 1 - limit], force=True)
                self._read()

    async def _take(self, state: ScheduleState, event: RecordedEvent, now_us: int) -> list[Handle]:
        schedule = state.schedule
        assert schedule is not None
        happened_us = to_us(event.at)
        one = Span(happened_us, happened_us, 1)
        running, ended = ([], []) if schedule.limit is None else self._still_open(state)
        if now_us - to_us(event.recorded_at) > max(schedule.catch_up_us, LATE_US):
            self._append(state, "schedule.missed", _missed(one, "nobody_ran") | {"position": event.position})
        elif schedule.limit is not None and len(running) >= schedule.limit:
            self._append(state, "schedule.missed", _missed(one, "overlap") | {"position": event.position})
        else:
            return await self._fire(state, happened_us, "event", now_us, ended, event)
        return []

    async def _begin(
        self,
        state: ScheduleState,
        due_us: int,
        kind: str,
        now_us: int,
        ended: list[str],
        event: RecordedEvent | None = None,
    ) -> str:
        """Record that the schedule fired and that its execution began, both or neither; returns the execution's id."""
        schedule = state.schedule
        assert schedule is not None
        if state.unreadable:
            raise BadInput(f"the input of schedule {state.name!r} was erased; define it again")
        code = self._engine.code_named(schedule.workflow)
        due = to_text(due_us)
        id_ = _id_for(state, due_us, event)
        late_us = max(0, now_us - due_us)
        facts: dict[str, Any] = {"schedule": state.name, "execution": id_, "kind": kind, "due": due, "late_us": late_us}
        if ended:
            facts["ended"] = ended
        given = schedule.input
        if event is not None:
            facts["position"] = event.position
            given = {"event": _told(event), "input": given}
        fired = self._event("schedule.fired", facts)
        if event is not None:
            fired.causation = event.id
        await self._engine.submit(
            code, given, id=id_, together_with=[Append(state.stream, state.version, [fired])], causation=fired.id
        )
        return id_

    async def _hold(self, id_: str) -> list[Handle]:
        """Run what was begun; where another worker was quicker, it is that one's."""
        try:
            return [await self._engine.resume(id_)]
        except (OwnedElsewhere, WorkflowError, StoreError) as exc:
            log.warning("an execution was begun, and is left to others", extra={"execution": id_, "error": str(exc)})
            return []

    def _give_up_taken(self, state: ScheduleState, id_: str, facts: dict[str, Any]) -> None:
        """Find out why an execution could not begin: when its id is another's already, it is missed for good.

        Otherwise the schedule has moved on, and `VersionConflict` says so.
        """
        version = state.version
        self._read()
        if state.version != version or not self._store.stream_version(f"execution/{id_}"):
            raise VersionConflict(state.stream, f"at version {version}", state.version)
        self._append(state, "schedule.missed", facts | {"reason": "id_taken"})

    def _refuse(self, state: ScheduleState, facts: dict[str, Any], exc: BadInput) -> None:
        facts = facts | {"reason": "refused", "error_type": type(exc).__name__}
        self._append(state, "schedule.missed", facts, orjson.dumps({"message": str(exc)}))

    def _append(self, state: ScheduleState, type_: str, facts: dict[str, Any], payload: bytes | None = None) -> None:
        event = self._event(type_, {"schedule": state.name, **facts}, payload)
        self._store.append([Append(state.stream, state.version, [event])])

    def _event(self, type_: str, facts: dict[str, Any], payload: bytes | None = None) -> NewEvent:
        world = self._engine.world
        return NewEvent(type_, facts, to_text(world.now_us()), self._engine.actor, world.new_id(), payload)


def _id_for(state: ScheduleState, due_us: int, event: RecordedEvent | None) -> str:
    return f"{state.name}@{event.position}" if event is not None else execution_id(state.name, to_text(due_us))


def _missed(times: Span, reason: str) -> dict[str, Any]:
    return {
        "first": to_text(times.first_us),
        "last": to_text(times.last_us),
        "count": times.number,
        "reason": reason,
    }


def _told(event: RecordedEvent) -> dict[str, Any]:
    """What a workflow is told of the event that it was begun for; the payload stays where it is."""
    return {
        "id": event.id,
        "type": event.type,
        "stream": event.stream,
        "position": event.position,
        "at": event.at,
        "facts": event.facts,
    }
