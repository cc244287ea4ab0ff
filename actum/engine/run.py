"""One execution in this process: load, decide, append, carry out, in that order, and no rule of its own.

Everything here runs in the event loop's thread. At most one append of an execution is under way; what happens
meanwhile is gathered and goes into the next, so that the end of one step and the start of the next are one commit.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import orjson

from actum.engine.attempt import Ended, StepInfo, carry_out
from actum.engine.calls import Approve, Call, Done, Give, Outcome, Planner, Skip, Sleep, StepSpec, Take, Wish, call_key
from actum.engine.classes import file_payload
from actum.engine.commands import (
    Claim,
    Command,
    Park,
    Proceed,
    RecordFailure,
    RecordSuccess,
    RecordUndo,
    RecordUndoFailure,
    RunAgain,
    Tick,
    UpgradeCode,
)
from actum.engine.decider import decide
from actum.engine.erased import check_not_erased
from actum.engine.function import failure_of
from actum.engine.state import Execution, StepState, evolve, fold
from actum.engine.views import execution_row, rows_after
from actum.errors import (
    ActumError,
    ExecutionFailed,
    ExecutionParked,
    Fenced,
    IdempotencyConflict,
    ReplayDiverged,
    StoreRefused,
    StoreUnavailable,
    VersionConflict,
)
from actum.eventstore import Append, Appended

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from actum.engine.classes import Classes
    from actum.engine.runtime import Engine
    from actum.events import NewEvent

__all__ = ["Run"]

log = logging.getLogger("actum.engine")

_QUIET = frozenset({"step.started", "step.completed", "step.skipped", "transition.taken"})
"""Events that cannot change the execution's row while nothing waits."""
_PATIENCE = 8
"""Appends tried on a store that refuses or does not answer, about half a minute in all."""


class Run:
    """One execution that this worker owns."""

    def __init__(self, engine: Engine, id_: str, planner: Planner, classes: Classes | None = None) -> None:
        self.engine = engine
        self.id = id_
        self.state = Execution(id_)
        self.ended: asyncio.Future[Any] = engine.loop.create_future()
        self.asking = asyncio.Event()
        """Set while nothing but the answer of a person can move the execution on."""
        self.inbox: list[Command] = []
        self.dropped = False
        self._planner = planner
        self._limit_bytes = engine.store.payload_limit_bytes
        self._wishes: list[Wish] = []
        self._calls: dict[str, Call] = {}
        self._declares = {} if classes is None else {"": classes}
        self._told = 0
        self._deciding: list[Command] = []
        self._batch: list[NewEvent] = []
        self._append_this: list[Append] = []
        self._taken_from = ""
        self._committing = False
        self._tries = 0
        self._stale = False
        self._tasks: dict[tuple[str, bool], asyncio.Task[None]] = {}
        self._row: dict[str, Any] | None = None
        self._wake: asyncio.TimerHandle | None = None
        self._wake_us: int | None = None

    # -- from the record ---------------------------------------------------------------------------------------------

    def plan(self, workflow_input: Any) -> None:
        """See what a new execution of this input wants first. Raises `BadInput` when the input does not fit."""
        self._ask(self._planner.begin(workflow_input))

    def load(self) -> None:
        """Fold the record and bring the planner to the same place; nothing runs and nothing is written.

        Raises `ReplayDiverged` when today's code asks for something else than was recorded, `PayloadErased` when what
        was recorded cannot be told any more, and `PayloadUnreadable` when it cannot be read here.
        """
        past = self.engine.store.read_stream(f"execution/{self.id}")
        check_not_erased(self.id, past)
        self.state = state = fold(self.id, past)
        self._row = execution_row(state) if state.version else None
        self._told = 0
        self._wishes = []
        self._calls = {}
        self._batch = []
        if state.ended or state.version == 0:
            return
        asked: dict[str, Wish] = {}
        given = None if state.input is None else orjson.loads(state.input).get("input")
        self._note(asked, self._planner.begin(given))
        for told, key in enumerate(state.settled):
            if type(asked.get(key)) not in self._recorded_as(key):
                raise self._diverged(key, asked, told)
            self._note(asked, self._planner.settle(key, state.outcome(key)))
        for key in (*state.steps, *state.approvals, *state.timers):
            if type(asked.get(key)) not in self._recorded_as(key):
                raise self._diverged(key, asked, len(state.settled))
        self._told = len(state.settled)

    def _recorded_as(self, key: str) -> tuple[type, ...]:
        if key in self.state.steps:
            return (Call, Skip)
        return (Approve,) if key in self.state.approvals else (Sleep,)

    def _note(self, asked: dict[str, Wish], wishes: Iterable[Wish]) -> None:
        for wish in wishes:
            if isinstance(wish, Skip):
                asked[f"{wish.step}#{wish.occurrence}"] = wish
            elif not isinstance(wish, (Take, Done, Give)):
                asked[wish.key] = wish
            self._ask([wish])

    def _diverged(self, key: str, asked: dict[str, Wish], told: int) -> ReplayDiverged:
        """The code does not ask for `key`, or for something else under that name, after so many answers."""
        state = self.state
        if key in asked:
            return ReplayDiverged(self.id, repr(key), f"a {type(asked[key]).__name__.lower()} of that name")
        over = set(state.settled[:told])
        known = {*state.steps, *state.approvals, *state.timers}
        open_ = [other for other in asked if other not in over]
        now = [other for other in open_ if other not in known] or open_
        if now:
            return ReplayDiverged(self.id, repr(key), repr(", ".join(now)))
        end = any(isinstance(wish, (Done, Give)) for wish in self._wishes)
        return ReplayDiverged(self.id, repr(key), "the end" if end else "nothing")

    def claim(self, definition: str | None) -> None:
        """Take the execution over, as this worker."""
        at = self.engine.world.now_us()
        self._taken_from = self.state.owner
        by_hand = self.state.status == "parked"  # a person looked and said: go on
        doubts = {
            key: "retry" if by_hand else self._spec(key).on_doubt
            for key, step in self.state.active.items()
            if step.status in ("started", "in_doubt")
        }
        if definition is not None and self.state.definition != definition:
            self.inbox.append(UpgradeCode(at, definition))
        self.give(Claim(at, self.engine.worker, doubts))

    def _spec(self, key: str) -> StepSpec:
        return self._calls[key].spec

    # -- deciding ----------------------------------------------------------------------------------------------------

    def give(self, command: Command) -> None:
        """Ask something of the execution; the answer is recorded before anything comes of it."""
        self.inbox.append(command)
        self.turn()

    def turn(self) -> None:
        """Decide on everything that was asked, and append what follows, unless an append is under way."""
        if self._committing or self.dropped:
            return
        try:
            self._decide_all()
        except Exception as exc:
            # A mistake in a planner or a rule, halfway through: what is in memory is worth nothing now, the record is
            # as it was, and whoever waits for the result hears of it.
            log.exception("an execution was let go", extra={"execution": self.id})
            self.drop(exc)

    def _decide_all(self) -> None:
        state, actor = self.state, self.engine.actor
        commands, self.inbox = self.inbox, []
        events: list[NewEvent] = []
        for command in commands:
            for event in decide(state, command, actor):
                evolve(state, event)
                events.append(event)
        now = commands[-1].at if commands else self.engine.world.now_us()
        while True:
            self._tell()
            if not self._wishes:
                break
            follow = decide(state, Proceed(now, self._wishes, self._limit_bytes), actor)
            if not follow:
                break
            for event in follow:
                evolve(state, event)
            events += follow
            self._wishes = [wish for wish in self._wishes if isinstance(wish, (Done, Give))]
        if not events:
            return
        for event, id_ in zip(events, self.engine.world.new_ids(len(events)), strict=True):
            event.id = id_
        if self._declares or state.key is not None:
            for event in events:
                file_payload(event, state.key, self._classes_of(event))
        self._deciding = commands
        self._batch = events
        self._tries = 0
        self._prepare()
        self._append()

    def _tell(self) -> None:
        """Tell the planner, in the order of the log, what has ended since it last heard."""
        state = self.state
        while self._told < len(state.settled):
            key = state.settled[self._told]
            self._told += 1
            call = self._calls.get(key)
            if call is not None and call.spec.compensate is None:
                del self._calls[key]
            self._ask(self._planner.settle(key, state.outcome(key)))

    def _ask(self, wishes: list[Wish]) -> None:
        for wish in wishes:
            if type(wish) is Call:
                self._calls[wish.key] = wish
                if wish.spec.classes is not None:
                    self._declares[wish.key] = wish.spec.classes
            self._wishes.append(wish)

    def _classes_of(self, event: NewEvent) -> Classes | None:
        """What is declared of an event's payload: by its step, or by the workflow for its own start and end."""
        facts = event.facts
        if event.type.startswith("execution."):
            return self._declares.get("")
        return self._declares.get(call_key(facts.get("scope", ""), facts.get("step", ""), facts.get("occurrence", 0)))

    # -- appending ---------------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Fix what will be appended, rows too, once: trying again must give the store exactly the same."""
        state, events = self.state, self._batch
        rows: Any = ()
        row = self._row
        if (
            row is None
            or state.waiting
            or row["status"] != "running"
            or row["wake_us"] is not None
            or not _QUIET.issuperset([event.type for event in events])
        ):
            rows, self._row = rows_after(state, row)
        self._append_this = [Append(state.stream, state.version - len(events), events, rows)]

    def _append(self) -> None:
        self._committing = True
        try:
            self.engine.store.append_soon(self._append_this, self._answered)
        except StoreRefused as exc:
            self.engine.post(self, exc)

    def _answered(self, answer: Appended | Exception) -> None:  # in the writer's thread
        self.engine.post(self, answer)

    def recorded(self, answer: Appended | Exception) -> None:
        """The store has answered: go on, or find out what happened and decide again."""
        self._committing = False
        if self.dropped:
            return
        match answer:
            case Appended():
                events, self._batch, self._deciding = self._batch, [], []
                self._carry_out(events)
            case StoreUnavailable() | StoreRefused() if self._tries < _PATIENCE:
                # Written or not, the same events again tell: a store error is never a step's failure.
                self._tries += 1
                delay = min(0.1 * 2**self._tries, 8.0)
                log.warning("append failed; trying again", extra={"execution": self.id, "error": str(answer)})
                self._committing = True
                self.engine.loop.call_later(delay, self._append_again)
                return
            case VersionConflict() | IdempotencyConflict():
                self._reload()
            case _:
                self.drop(answer)
                return
        if self._stale:
            self.catch_up()
        elif self.inbox:
            self.turn()

    def _append_again(self) -> None:
        if not self.dropped:
            self._append()

    def _reload(self) -> None:
        """Somebody else wrote to the stream: take their word, then decide again on what is not recorded."""
        claimed = any(isinstance(c, Claim) for c in self._deciding)
        self.inbox = [c for c in self._deciding if not isinstance(c, (Tick, Claim))] + self.inbox
        self._deciding = []
        self._close_planner()
        try:
            self._planner = self.engine.planner_again(self.id)
            self.load()
        except ActumError as exc:
            self.drop(exc)
            return
        if self.state.ended:
            self._after_change()
        elif claimed and self.state.owner == self._taken_from:
            self.claim(None)  # it was somebody's answer that came between, and no other worker
        elif self._still_ours():
            self._carry_out_all()
            self.turn()

    def catch_up(self) -> None:
        """Fold what others have appended to the stream: decisions of people, a claim by another worker."""
        self._stale = self._committing
        if self._committing or self.dropped:
            return
        fresh = self.engine.store.read_stream(self.state.stream, self.state.version)
        for event in fresh:
            evolve(self.state, event)
        if not self._still_ours():
            return
        if fresh:
            self._row = execution_row(self.state)  # as whoever appended has written it
            self._after_change()
        self.turn()

    def _still_ours(self) -> bool:
        if self.state.owner in ("", self.engine.worker):
            return True
        self.drop(Fenced(self.id, self.state.owner))
        return False

    # -- carrying out ------------------------------------------------------------------------------------------------

    def _carry_out(self, events: list[NewEvent]) -> None:
        """Begin what these events, which are durable now, say is to be done."""
        state = self.state
        for event in events:
            if event.type == "step.started":
                facts = event.facts
                scope = facts.get("scope")
                key = f"{facts['step']}#{facts['occurrence']}"
                step = state.active.get(f"{scope}/{key}" if scope else key)
                if step is not None and step.status == "started" and step.attempt == facts["attempt"]:
                    self._start((step.key, False), self._attempt(step))
            elif event.type == "compensation.started" and state.undoing is not None:
                self._start((state.undoing, True), self._undo(state.steps[state.undoing]))
            elif event.type == "execution.claimed" and state.status != "parked":
                self._ask_hooks()
        self._after_change()

    def _carry_out_all(self) -> None:
        """The same from the state alone, for what is neither under way nor answered already."""
        answered = {c.key for c in self.inbox if isinstance(c, (RecordSuccess, RecordFailure, RunAgain, Park))}
        undone = {c.key for c in self.inbox if isinstance(c, (RecordUndo, RecordUndoFailure))}
        for step in self.state.active.values():
            if step.status == "started" and (step.key, False) not in self._tasks and step.key not in answered:
                self._start((step.key, False), self._attempt(step))
        self._ask_hooks(answered)
        key = self.state.undoing
        under_way = (key, True) in self._tasks or key in undone
        if key is not None and self.state.steps[key].undo == "started" and not under_way:
            self._start((key, True), self._undo(self.state.steps[key]))
        self._after_change()

    def _ask_hooks(self, answered: Container[str] = ()) -> None:
        """Start the hooks of steps in doubt that have one, so that they say whether the step happened."""
        for step in self.state.active.values():
            if step.status != "in_doubt" or (step.key, False) in self._tasks or step.key in answered:
                continue
            if self._spec(step.key).on_doubt == "verify":
                self._start((step.key, False), self._verify(step))

    def _after_change(self) -> None:
        state = self.state
        if state.ended:
            self._finish()
            return
        if state.status == "parked":
            parked = next((s.step for s in state.active.values() if s.status == "in_doubt"), "")
            self.drop(ExecutionParked(self.id, f"step {parked!r} is in doubt: its effect may have happened"))
            return
        if state.approvals:
            only_people = state.waiting.keys() <= state.approvals.keys() and not state.active and not state.undoing
            if state.waiting and only_people and not self._committing:
                self.asking.set()
            else:
                self.asking.clear()
        row = self._row
        wake_us = row["wake_us"] if row is not None else None
        if wake_us != self._wake_us:
            if self._wake is not None:
                self._wake.cancel()
                self._wake = None
            self._wake_us = wake_us
            if wake_us is not None:
                delay = max(0, wake_us - self.engine.world.now_us()) / 1_000_000
                self._wake = self.engine.loop.call_later(delay, self._tick)

    def _tick(self) -> None:
        self._wake = None
        self._wake_us = None
        self.give(Tick(self.engine.world.now_us()))
        if not self._committing:  # it was early by a hair, or nothing came of it: look again
            self._after_change()

    def _start(self, name: tuple[str, bool], work: Any) -> None:
        self._tasks[name] = self.engine.loop.create_task(work)

    async def _attempt(self, step: StepState) -> None:
        call, attempt = self._calls[step.key], step.attempt
        spec = call.spec
        info = StepInfo(self.id, step.key, attempt)
        ended = await carry_out(spec, info, call.args, call.kwargs, self.engine.threads, self._limit_bytes)
        self._tasks.pop((step.key, False), None)
        world = self.engine.world
        if ended.failure is None:
            self.give(RecordSuccess(world.now_us(), step.key, attempt, ended.result, ended.duration_us))
            return
        timeout_us = int(spec.timeout_s * 1_000_000) if ended.timed_out and spec.timeout_s is not None else None
        self.give(
            RecordFailure(
                world.now_us(),
                step.key,
                attempt,
                ended.failure,
                ended.duration_us,
                spec.retry,
                world.chance(),
                timeout_us,
            )
        )

    async def _verify(self, step: StepState) -> None:
        """Ask the step's own hook whether the attempt in doubt happened; no answer means: not known to have."""
        call = self._calls[step.key]
        assert call.spec.verify is not None
        spec = StepSpec(call.spec.name, call.spec.verify)
        info = StepInfo(self.id, step.key, step.attempt)
        ended: Ended = await carry_out(spec, info, call.args, call.kwargs, self.engine.threads, self._limit_bytes)
        self._tasks.pop((step.key, False), None)
        now = self.engine.world.now_us()
        if ended.failure is None and ended.result != b"null":
            self.give(RecordSuccess(now, step.key, step.attempt, ended.result, ended.duration_us))
        elif ended.failure is None:
            self.give(RunAgain(now, step.key))
        else:
            failure = ended.failure
            said = f"asking whether it happened failed: {failure.error_type}: {failure.message}"
            self.give(Park(now, step.key, said))

    async def _undo(self, step: StepState) -> None:
        spec = self._spec(step.key).compensate
        assert spec is not None
        attempt = step.undo_attempt
        try:
            result = _typed(self._calls[step.key], self.state.outcome(step.key))
        except Exception as exc:  # noqa: BLE001 - the declared type's own, and a compensation that cannot be called
            ended = Ended(0, None, failure_of(exc))
        else:
            info = StepInfo(self.id, f"{step.key}/undo", attempt)
            ended = await carry_out(spec, info, (result,), None, self.engine.threads, self._limit_bytes)
        self._tasks.pop((step.key, True), None)
        world = self.engine.world
        if ended.failure is None:
            self.give(RecordUndo(world.now_us(), step.key, attempt, ended.duration_us))
        else:
            self.give(
                RecordUndoFailure(
                    world.now_us(),
                    step.key,
                    attempt,
                    ended.failure,
                    ended.duration_us,
                    spec.retry,
                    world.chance(),
                )
            )

    # -- the end -----------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        state = self.state
        said = {} if state.end_payload is None else orjson.loads(state.end_payload)
        if state.status == "completed":
            self._leave(said.get("output"), None)
        else:
            error = said.get("error") or {"message": "the message was erased"}
            message = error.get("message", "")
            kind = state.error_type or error.get("type", "")
            self._leave(None, ExecutionFailed(self.id, state.status, kind, message))

    def drop(self, error: BaseException) -> None:
        """Let go of the execution without another word in the log; whoever waits for its result gets the error."""
        self._leave(None, error)

    def _leave(self, value: Any, error: BaseException | None) -> None:
        if self.dropped:
            return
        self.dropped = True
        if self._wake is not None:
            self._wake.cancel()
        for task in self._tasks.values():
            task.cancel()
        self._close_planner()
        self.engine.forget(self)
        if not self.ended.done():
            if error is None:
                self.ended.set_result(value)
            else:
                self.ended.set_exception(error)
                self.ended.exception()  # nobody may be waiting, and that is fine

    def _close_planner(self) -> None:
        close = getattr(self._planner, "close", None)
        if close is not None:
            close()


def _typed(call: Call, outcome: Outcome) -> Any:
    return outcome.value if call.convert is None else call.convert(outcome.value)
