"""One execution in this process: load, decide, append, carry out, in that order, and no rule of its own.

Everything here runs in the event loop's thread. At most one append of an execution is under way; what happens
meanwhile is gathered and goes into the next, so that the end of one step and the start of the next are one commit.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import orjson

from actum.engine.payloads.classes import file_payload
from actum.engine.payloads.erased import check_not_erased
from actum.engine.rules.calls import Call, Past, Planner
from actum.engine.rules.commands import Claim, Command, Preempt, Proceed, Tick, UpgradeCode
from actum.engine.rules.decider import decide
from actum.engine.rules.folding import evolve, fold
from actum.engine.rules.state import Execution, waits
from actum.engine.rules.views import execution_row, rows_after
from actum.engine.runtime.gate import Gate
from actum.engine.runtime.handle import why_parked
from actum.engine.runtime.planning import Planning, input_of
from actum.engine.runtime.work import Work
from actum.errors import (
    ActumError,
    ExecutionFailed,
    ExecutionParked,
    Fenced,
    IdempotencyConflict,
    StoreError,
    StoreRefused,
    StoreUnavailable,
    VersionConflict,
)
from actum.eventstore import Append, Appended

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actum.engine.payloads.classes import Classes
    from actum.engine.rules.budgets import Budget
    from actum.engine.rules.calls import StepSpec
    from actum.engine.rules.state import Event
    from actum.engine.runtime.engine import Engine
    from actum.events import NewEvent, RecordedEvent

__all__ = ["Run"]

log = logging.getLogger("actum.engine")

_QUIET = frozenset({"step.started", "step.completed", "step.skipped", "transition.taken"})
"""Events that cannot change the execution's row while nothing waits."""
_LOOK_AGAIN_S = 60.0
"""How late it is seen that the wall clock was set on, so that something is due: timers do not know of it."""
_PATIENCE = 8
"""Appends tried on a store that refuses or does not answer, about half a minute in all."""


class Run:
    """One execution that this worker owns."""

    def __init__(self, engine: Engine, id_: str, planner: Planner, classes: Classes | None = None) -> None:
        self.engine = engine
        self.id = id_
        self.state = Execution(id_)
        self.awaited = engine.awaited(id_)
        self.resting_since = 0.0
        self.inbox: list[Command] = []
        self.dropped = False
        self._planning = Planning(engine, self, planner, classes)
        self._limit_bytes = engine.store.payload_limit_bytes
        self._kin = self._planning.kin
        self._deciding: list[Command] = []
        self._batch: list[NewEvent] = []
        self._append_this: list[Append] = []
        self._taken_from = ""
        self.committing = False
        self._tries = 0
        self._stale = False
        self.gate = Gate(self)
        self._entered: Gate | None = None
        self.work = Work(self)
        self._row: dict[str, Any] | None = None
        self._wake: asyncio.TimerHandle | None = None
        self._wake_us: int | None = None

    # -- from the record ---------------------------------------------------------------------------------------------

    def plan(self, workflow_input: Any, at_us: int) -> None:
        """See what a new execution of this input wants first. Raises `BadInput` when the input does not fit."""
        self._planning.begin(Past(at_us), workflow_input)

    def take_up(self, events: Iterable[Event]) -> None:
        """Run an execution that was started in the append of another one that this worker owns."""
        for event in events:
            evolve(self.state, event)
        self._row = execution_row(self.state)
        self._planning.begin(self.state.past, input_of(self.state))
        self.turn()

    def load(self, past: list[RecordedEvent] | None = None) -> None:
        """Fold the record and bring the planner to the same place; nothing runs and nothing is written.

        Raises `ReplayDiverged` when today's code asks for something else than was recorded, `PayloadErased` when what
        was recorded cannot be told any more, and `PayloadUnreadable` when it cannot be read here.
        """
        if past is None:
            past = self.engine.store.read_stream(f"execution/{self.id}")
        check_not_erased(self.id, past)
        if self.engine.observer is not None:
            self.engine.observer.loaded(self.id, past)
        self.state = state = fold(self.id, past)
        self._row = execution_row(state) if state.version else None
        state.decided.clear()
        self._batch = []
        self.work.unsure = {id_.partition("/")[2] for id_ in self.engine.desk.asked_by(self.id)}
        self.work.asked = set(self.work.unsure)
        self._planning.load(state, past)

    def claim(self, definition: str | None) -> None:
        """Take the execution over, as this worker."""
        at = self.engine.world.now_us()
        self._taken_from = self.state.owner
        # A person looked and said: go on. Where the code did not fit, nobody has looked at the steps.
        by_hand = self.state.status == "parked" and self.state.parked != "diverged"
        doubts = {
            key: "retry" if by_hand else self.call(key).spec.on_doubt
            for key, step in self.state.active.items()
            if step.status in ("started", "in_doubt")
        }
        if definition is not None and self.state.definition != definition:
            self.inbox.append(UpgradeCode(at, definition))
        self.give(Claim(at, self.engine.worker, doubts, self.engine.max_recoveries))

    def go_on(self) -> None:
        """Bring an execution on that is this worker's already, and had nothing under way when it was let go."""
        self._after_change()
        self.turn()

    def call(self, key: str) -> Call:
        """What the workflow asked for under this key."""
        return self._planning.calls[key]

    def budget_of(self, spec: StepSpec) -> Budget | None:
        """What a step must not overrun: of each limit the nearest."""
        budget = self._planning.budget
        return budget if spec.budget is None else spec.budget.over(budget)

    # -- deciding ----------------------------------------------------------------------------------------------------

    def give(self, command: Command) -> None:
        """Ask something of the execution; the answer is recorded before anything comes of it."""
        self.inbox.append(command)
        self.turn()

    def turn(self) -> None:
        """Decide on everything that was asked, and append what follows, unless an append is under way."""
        if self.committing or self.dropped or self.gate.holds_back():
            return
        try:
            self._decide_all()
        except Exception as exc:
            # A mistake in a planner or a rule, halfway through: what is in memory is worth nothing now, the record is
            # as it was, and whoever waits for the result hears of it.
            log.exception("an execution was let go", extra={"execution": self.id})
            self.drop(exc)

    def _decide_all(self) -> None:
        state, actor, planning = self.state, self.engine.actor, self._planning
        commands, self.inbox = self.inbox, []
        events: list[NewEvent] = []
        for command in commands:
            for event in decide(state, command, actor):
                evolve(state, event)
                events.append(event)
        now = commands[-1].at if commands else self.engine.world.now_us()
        closing = False
        if state.hold is not None or planning.hold is not None:
            events += self._mind_hold(now)
            closing = self.work.closing
        while not self.engine.draining:  # then the next owner asks the workflow what it wants
            planning.tell()
            if not planning.wishes and not state.rolling:
                break
            wishes = [wish for wish in planning.wishes if type(wish) is not Call] if closing else planning.wishes
            follow = decide(state, Proceed(now, wishes, self._limit_bytes, planning.budget), actor)
            if not follow:
                break
            for event in follow:
                evolve(state, event)
            events += follow
            planning.keep_ends(calls=closing)
            if closing:  # what was under way may have been ended by that
                events += self._mind_hold(now)
        if not events:
            return
        for event, id_ in zip(events, self.engine.world.new_ids(len(events)), strict=True):
            event.id = id_
        if planning.declares or state.key is not None:
            for event in events:
                file_payload(event, state.key, planning.classes_of(event))
        self._deciding = commands
        self._batch = events
        self._tries = 0
        self._prepare()
        self._append()

    def _mind_hold(self, now: int) -> list[NewEvent]:
        """What follows of what the execution holds throughout, before the workflow goes on."""
        if self.engine.draining:
            return []
        self._planning.tell()
        command = self._planning.queue(now) or self.work.mind_hold(now)
        if command is None or (isinstance(command, Preempt) and self._planning.ends):
            return []
        events = decide(self.state, command, self.engine.actor)
        for event in events:
            evolve(self.state, event)
        return events

    # -- appending ---------------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Fix what will be appended, rows too, once: trying again must give the store exactly the same."""
        state, events = self.state, self._batch
        rows: Any = ()
        also: Iterable[Append] = ()
        row = self._row
        if (
            row is None
            or waits(state)
            or row["status"] != "running"
            or row["wake_us"] is not None
            or not _QUIET.issuperset([event.type for event in events])
        ):
            rows, self._row = rows_after(state, row)
            also = self._kin.appends(events)
        self._append_this = [Append(state.stream, state.version - len(events), events, rows), *also]

    def _append(self) -> None:
        self.committing = True
        gate = self._kin.gate_of_parent(self._append_this)
        if gate is not None and not gate.enter(self):
            return
        self._entered = gate
        try:
            self.engine.store.append_soon(self._append_this, self._answered)
        except StoreRefused as exc:
            self.engine.post(self, exc)

    def _answered(self, answer: Appended | Exception) -> None:  # in the writer's thread
        self.engine.post(self, answer)

    def recorded(self, answer: Appended | Exception) -> None:
        """The store has answered: go on, or find out what happened and decide again."""
        self.committing = False
        if self._entered is not None:
            self._entered.leave()
            self._entered = None
        if self.dropped:
            return
        match answer:
            case Appended():
                events, self._batch, self._deciding = self._batch, [], []
                if self.engine.observer is not None:
                    self.engine.observer.recorded(self.id, events, answer.first_position)
                also = self._append_this[1:]
                if also:
                    self._kin.landed(also)
                self.work.begin(events)
                self._after_change()
            case StoreUnavailable() | StoreRefused() if self._tries < _PATIENCE:
                # Written or not, the same events again tell: a store error is never a step's failure.
                self._tries += 1
                delay = min(0.1 * 2**self._tries, 8.0)
                log.warning("append failed; trying again", extra={"execution": self.id, "error": str(answer)})
                self.committing = True
                self.engine.loop.call_later(delay, self._append_again)
                return
            case VersionConflict() if self._kin.moved(answer.stream):
                self.committing = True  # only those around it have moved on: see where they are now
                self.engine.loop.call_soon(self.append_around)
                return
            case VersionConflict() | IdempotencyConflict():
                self._reload()
            case _:
                self.drop(answer)
                return
        self.gate.open()
        if self._stale:
            self.catch_up()
        elif self.inbox:
            self.turn()

    def _append_again(self) -> None:
        if not self.dropped:
            self._append()

    def append_around(self) -> None:
        if self.dropped:
            return
        try:
            self._append_this = [self._append_this[0], *self._kin.appends(self._batch)]
        except StoreError as exc:
            self.engine.post(self, exc)
            return
        self._append()

    def _reload(self) -> None:
        """Somebody else wrote to the stream: take their word, then decide again on what is not recorded."""
        claimed = any(isinstance(c, Claim) for c in self._deciding)
        self.inbox = [c for c in self._deciding if not isinstance(c, (Tick, Claim))] + self.inbox
        self._deciding = []
        self._planning.close()
        try:
            self._planning.planner = self.engine.planner_again(self.id)
            self.load()
        except ActumError as exc:
            self.drop(exc)
            return
        if self.state.ended:
            self._after_change()
        elif claimed and self.state.owner == self._taken_from:
            self.claim(None)  # it was somebody's answer that came between, and no other worker
        elif self._still_ours():
            self.work.begin_all()
            self._after_change()
            self.turn()

    def catch_up(self) -> None:
        """Fold what others have appended to the stream: decisions of people, a claim by another worker."""
        self._stale = self.committing
        if self.committing or self.dropped or self.gate.holds_back():
            return
        fresh = self.engine.store.read_stream(self.state.stream, self.state.version)
        for event in fresh:
            evolve(self.state, event)
        if fresh and self.engine.observer is not None:
            self.engine.observer.recorded(self.id, fresh, fresh[0].position)
        if not self._still_ours():
            return
        if fresh:
            self._row = execution_row(self.state)  # as whoever appended has written it
            self.state.decided.clear()
            self._after_change()
        self.turn()
        if not (self.committing or self.inbox or self.dropped):
            self._after_change()

    def _still_ours(self) -> bool:
        if self.state.owner in ("", self.engine.worker):
            return True
        self.drop(Fenced(self.id, self.state.owner))
        return False

    # -- what follows from a change ---------------------------------------------------------------------------------

    def _after_change(self) -> None:
        state = self.state
        if state.ended:
            self._finish()
            return
        if state.status == "parked":
            self.drop(ExecutionParked(self.id, why_parked(state)))
            return
        if state.cancel_requested:
            self.work.stop_cancelled()
        if state.waiting or self.work.asked:
            self.work.ask()
        self.awaited.see(state, committing=self.committing)
        wake_us = self.wake_us
        if wake_us != self._wake_us:
            if self._wake is not None:
                self._wake.cancel()
                self._wake = None
            self._wake_us = wake_us
            self._set_wake()
        if self.at_rest:
            self.engine.resting.rests(self)

    @property
    def wake_us(self) -> int | None:
        """When something of it is due."""
        return None if self._row is None else self._row["wake_us"]

    @property
    def at_rest(self) -> bool:
        """Whether nothing of it is under way: it waits for a time, for people, for others."""
        return not (self.committing or self.work.tasks or self.inbox or self.dropped)

    def _set_wake(self) -> None:
        if self._wake_us is not None:
            delay_s = max(0, self._wake_us - self.engine.world.now_us()) / 1_000_000
            self._wake = self.engine.loop.call_later(min(delay_s, _LOOK_AGAIN_S), self._tick)

    def _tick(self) -> None:
        self._wake = None
        if self._wake_us is not None and self.engine.world.now_us() < self._wake_us:
            self._set_wake()
            return
        self._wake_us = None
        if self.engine.draining:
            return
        self.give(Tick(self.engine.world.now_us()))
        if not (self.committing or self.inbox or self.dropped):  # it was early by a hair, or nothing came of it
            self._after_change()

    # -- the end -----------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        state = self.state
        said = {} if state.end_payload is None else orjson.loads(state.end_payload)
        if state.status == "completed":
            self._leave(said.get("output"), None)
        elif state.status == "continued":
            self.dropped = True
            self._let_go()
            self.engine.desk.forget(self.id)
            self.engine.follow(self)  # who waits for the result gets that of the next
        else:
            error = said.get("error") or {"message": "the message was erased"}
            message = error.get("message", "")
            kind = state.error_type or error.get("type", "")
            self._leave(None, ExecutionFailed(self.id, state.status, kind, message))

    def drop(self, error: BaseException) -> None:
        """Let go of the execution without another word in the log; whoever waits for its result gets the error."""
        self._leave(None, error)

    def sleep(self) -> None:
        """Leave memory, at rest: whoever waits for its end goes on waiting, and it is brought back for what comes."""
        self._leave_memory()

    def _leave(self, value: Any, error: BaseException | None) -> None:
        if self.dropped:
            return
        self._leave_memory()
        if self.work.asked:
            self.engine.desk.forget(self.id)
        if self.engine.when_left is not None:
            self.engine.when_left(self.id, error)
        if error is not None:
            self.awaited.fail(error)
        elif not self.awaited.ended.done():
            self.awaited.ended.set_result(value)

    def _leave_memory(self) -> None:
        self.dropped = True
        self._let_go()

    def _let_go(self) -> None:
        if self._wake is not None:
            self._wake.cancel()
        self.work.stop()
        self._planning.close()
        self.engine.forget(self)
        self.gate.open()
