"""What one execution has under way in this process: attempts, questions whether one happened, compensations.

Everything begins here only when the event that says so is durable, and ends as a command to the execution.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from actum.engine.functions.outcomes import failure_of
from actum.engine.resources.book import Ask
from actum.engine.resources.needs import Needs
from actum.engine.rules.calls import Call, Failure, Outcome, StepSpec, call_key
from actum.engine.rules.commands import (
    Admit,
    Grant,
    Park,
    Preempt,
    RecordCancelled,
    RecordFailure,
    RecordSuccess,
    RecordUndo,
    RecordUndoFailure,
    Refuse,
    RefuseHold,
    RunAgain,
)
from actum.engine.rules.holding import at_border
from actum.engine.rules.state import Execution, HoldState, StepState
from actum.engine.rules.usage import used_facts
from actum.engine.runtime.attempt import Ended, StepInfo, carry_out
from actum.errors import ExecutionFailed

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from actum.engine.runtime.run import Run
    from actum.events import NewEvent

__all__ = ["HOLD", "Work"]

HOLD = ""
"""In the place of a step's key: what the execution holds throughout."""


class Work:
    """The tasks of one execution, by step and by whether they undo it."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._engine = run.engine
        self._limit_bytes = run.engine.store.payload_limit_bytes
        self.tasks: dict[tuple[str, bool], asyncio.Task[None]] = {}
        self.asked: set[str] = set()
        """Keys of steps that wait for what they need at the engine's desk, or hold it."""
        self._stopped: set[str] = set()
        """Keys of the attempts that were told to stop."""
        self._cut_off: dict[str, dict[str, Any] | None] = {}
        """What attempts that were stopped had used until then."""
        self.unsure: set[str] = set()
        """Of those, what may have been granted."""
        self._undos_wait: list[asyncio.Event] = []

    def begin(self, events: list[NewEvent]) -> None:
        """Begin what these events, which are durable now, say is to be done."""
        state = self._run.state
        for event in events:
            if event.type == "step.started":
                facts = event.facts
                scope = facts.get("scope")
                key = f"{facts['step']}#{facts['occurrence']}"
                step = state.active.get(f"{scope}/{key}" if scope else key)
                if step is not None and step.status == "started" and step.attempt == facts["attempt"]:
                    self._start((step.key, False), self._attempt(step))
            elif event.type == "step.completed":
                continue
            elif event.type == "step.cancelled":
                self._stop(call_key(event.facts.get("scope", ""), event.facts["step"], event.facts["occurrence"]))
            elif event.type == "compensation.started" and not state.ended:
                facts = event.facts
                undone = call_key(facts.get("scope", ""), facts["step"], facts["occurrence"])
                if undone in state.undoing:
                    self._start((undone, True), self._undo(state.steps[undone]))
            elif event.type in ("execution.claimed", "execution.admitted") and state.status != "parked":
                self._ask_hooks()
            elif event.type == "execution.preempted":
                self._give_back(HOLD)

    def begin_all(self) -> None:
        """The same from the state alone, for what is neither under way nor answered already."""
        state, inbox = self._run.state, self._run.inbox
        answers = (RecordSuccess, RecordFailure, RecordCancelled, RunAgain, Park)
        answered = {c.key for c in inbox if isinstance(c, answers)}
        undone = {c.key for c in inbox if isinstance(c, (RecordUndo, RecordUndoFailure))}
        for step in state.active.values():
            if step.status == "started" and (step.key, False) not in self.tasks and step.key not in answered:
                self._start((step.key, False), self._attempt(step))
        self._ask_hooks(answered)
        for key in () if state.held_up else state.undoing:
            under_way = (key, True) in self.tasks or key in undone
            if state.steps[key].undo == "started" and not under_way:
                self._start((key, True), self._undo(state.steps[key]))

    def stop(self) -> None:
        """Cancel everything; nothing is recorded of it."""
        for task in self.tasks.values():
            task.cancel()

    def _stop(self, key: str) -> None:
        """End an attempt that nobody waits for any more; a thread that runs it goes on, and nobody listens."""
        task = self.tasks.pop((key, False), None)
        if task is not None:
            self._stopped.add(key)
            task.cancel()

    def stop_cancelled(self) -> None:
        """Stop the attempts that were under way when the execution was asked to end, each of them once."""
        for key, step in self._run.state.active.items():
            task = self.tasks.get((key, False))
            if step.cancelling and step.status == "started" and task is not None and key not in self._stopped:
                self._stopped.add(key)
                task.cancel()
                task.add_done_callback(partial(self._was_stopped, key, step.attempt))

    def _was_stopped(self, key: str, attempt: int, task: asyncio.Task[None]) -> None:
        if task.cancelled() and not self._run.dropped:
            self.tasks.pop((key, False), None)
            self._run.give(RecordCancelled(self._engine.world.now_us(), key, attempt, self._cut_off.pop(key, None)))

    def _let_go(self, key: str) -> None:
        """Somebody cancelled the task of an attempt: not its failure, and not known to have done nothing."""
        if not self._run.dropped and key not in self._stopped:
            why = "the task of a step was cancelled from outside; resume it to go on"
            self._run.drop(ExecutionFailed(self._run.id, "left", "CancelledError", why))

    # -- what steps need ---------------------------------------------------------------------------------------------

    def ask(self) -> None:
        """Ask for what scheduled steps need; give back what nobody needs any more. The same again changes nothing."""
        run, desk, state = self._run, self._engine.desk, self._run.state
        rests = state.paused or state.ended or state.status == "parked" or self._engine.draining
        if state.hold is not None:
            self._ask_hold(state.hold, rests=rests)
        rests = rests or state.held_up
        wanted = {} if rests else {key: step for key, step in state.waiting.items() if isinstance(step, StepState)}
        for key in [key for key in self.asked if key not in wanted and key != HOLD]:
            step, undone = state.active.get(key), key.removesuffix("/undo")
            begins = step is not None and step.status == "started"  # as soon as that is recorded
            if not begins and (key, False) not in self.tasks and (undone, True) not in self.tasks:
                self._give_back(key)
        fresh = [key for key in wanted if key not in self.asked or key in self.unsure]
        if not fresh:
            return
        self.unsure = set()
        now = self._engine.world.now_us()
        said = False
        for key in fresh:
            step = wanted[key]
            self.asked.add(key)
            assert step.needs is not None
            match desk.ask(self._ask_of(key, step.needs, step.scheduled_us, undo=False)):
                case True:
                    run.inbox.append(Grant(now, key))
                case Failure() as failure:
                    self.asked.discard(key)
                    run.inbox.append(Refuse(now, key, failure, run.call(key).spec.retry, self._engine.world.chance()))
                case False:
                    continue
            said = True
        if said:
            self._engine.loop.call_soon(run.turn)

    def answered(self, key: str) -> None:
        """This was granted, or refused."""
        self.unsure.add(key)
        waiting, self._undos_wait = self._undos_wait, []
        for told in waiting:
            told.set()
        self.ask()
        if key == HOLD:
            self._engine.loop.call_soon(self._run.turn)

    def _ask_of(self, key: str, needs: Needs, at_us: int, *, undo: bool) -> Ask:
        state, rules = self._run.state, self._engine.desk.rules
        by = {name: _labelled(state, name) for name in rules.keys}
        priority = state.priority if needs.priority is None else needs.priority
        rank = (0 if undo else 1, -priority)
        return Ask(f"{state.id}/{key}", by[rules.share], rank, at_us, dict(needs.units), needs.breaker, by)

    # -- what it holds throughout ------------------------------------------------------------------------------------

    def _ask_hold(self, hold: HoldState, *, rests: bool) -> None:
        """Ask for what the execution holds throughout, or give it back: what rests holds nothing, once nothing runs."""
        if rests and (not hold.held or self._run.state.paused):
            if HOLD in self.asked and not self.tasks:
                self._give_back(HOLD)
            return
        rules = self._engine.desk.rules
        if HOLD not in self.asked and rules.resolve(hold.needs).refused:
            return  # another worker may have more of it
        self.asked.add(HOLD)
        ask = self._ask_of(HOLD, hold.needs, hold.since_us, undo=self._run.state.undoes)
        answer = self._engine.desk.ask(ask._replace(stays=hold.before, preemptible=hold.preemptible))
        if isinstance(answer, Failure):
            self.asked.discard(HOLD)
            self._run.inbox.append(RefuseHold(self._engine.world.now_us(), answer))
            self._engine.loop.call_soon(self._run.turn)

    def mind_hold(self, now: int) -> Admit | Preempt | None:
        """What is to be said of what the execution holds throughout, or waits for."""
        hold = self._run.state.hold
        if hold is None or HOLD not in self.asked:
            return None
        id_ = f"{self._run.id}/{HOLD}"
        if not hold.held:
            return Admit(now) if self._engine.desk.holds(id_) else None
        rank = self._engine.desk.reclaimed.get(id_)
        return None if rank is None or not at_border(self._run.state) else Preempt(now, -rank[1], rank[0] == 0)

    @property
    def closing(self) -> bool:
        """Whether it is to give back what it holds as soon as its steps have ended: then no other one begins."""
        hold = self._run.state.hold
        return (
            hold is not None
            and hold.held
            and f"{self._run.id}/{HOLD}" in self._engine.desk.reclaimed
            and not self._run.state.undoes
        )

    def _give_back(self, key: str, failed: Failure | None = None, *, known: bool = False) -> None:
        if key in self.asked:
            self.asked.discard(key)
            self._engine.desk.give_back(f"{self._run.id}/{key}", failed, known=known)

    async def _carry_out(
        self,
        key: str,
        spec: StepSpec,
        info: StepInfo,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any] | None,
        *,
        asking: bool = False,
    ) -> Ended:
        if self._engine.observer is not None and not asking:
            self._engine.observer.entered(info)
        try:
            around = () if asking else self._engine.middleware
            return await carry_out(spec, info, args, kwargs, self._engine.executors, self._limit_bytes, around)
        except asyncio.CancelledError:
            self._let_go(key)
            raise

    def _ask_hooks(self, answered: Container[str] = ()) -> None:
        """Start the hooks of steps in doubt that have one, so that they say whether the step happened."""
        if self._run.state.held_up:
            return
        for step in self._run.state.active.values():
            if step.status != "in_doubt" or step.again or (step.key, False) in self.tasks or step.key in answered:
                continue
            if self._run.call(step.key).spec.on_doubt == "verify":
                self._start((step.key, False), self._verify(step))

    def _start(self, name: tuple[str, bool], work: Any) -> None:
        self.tasks[name] = self._engine.loop.create_task(work)

    async def _attempt(self, step: StepState) -> None:
        call, attempt = self._run.call(step.key), step.attempt
        spec = call.spec
        info = StepInfo(self._run.id, step.key, attempt, self._engine.services, [])
        try:
            ended = await self._carry_out(step.key, spec, info, call.args, call.kwargs)
        except asyncio.CancelledError:
            if info.reported:
                self._cut_off[step.key] = used_facts(info.reported)
            raise
        self.tasks.pop((step.key, False), None)
        if spec.needs is not None:
            self._give_back(step.key, ended.failure, known=True)
        world = self._engine.world
        if ended.failure is None:
            self._run.give(
                RecordSuccess(world.now_us(), step.key, attempt, ended.result, ended.duration_us, ended.used)
            )
            return
        timeout_us = int(spec.timeout_s * 1_000_000) if ended.timed_out and spec.timeout_s is not None else None
        self._run.give(
            RecordFailure(
                world.now_us(),
                step.key,
                attempt,
                ended.failure,
                ended.duration_us,
                spec.retry,
                world.chance(),
                timeout_us,
                ended.used,
                self._run.budget_of(spec),
                spec.estimate,
            )
        )

    async def _verify(self, step: StepState) -> None:
        """Ask the step's own hook whether the attempt in doubt happened; no answer means: not known to have."""
        call = self._run.call(step.key)
        assert call.spec.verify is not None
        spec = StepSpec(call.spec.name, call.spec.verify)
        info = StepInfo(self._run.id, step.key, step.attempt, self._engine.services)
        ended = await self._carry_out(step.key, spec, info, call.args, call.kwargs, asking=True)
        self.tasks.pop((step.key, False), None)
        now = self._engine.world.now_us()
        if ended.failure is None and ended.result != b"null":
            self._run.give(RecordSuccess(now, step.key, step.attempt, ended.result, ended.duration_us))
        elif ended.failure is None:
            self._run.give(RunAgain(now, step.key))
        else:
            failure = ended.failure
            said = f"asking whether it happened failed: {failure.error_type}: {failure.message}"
            self._run.give(Park(now, step.key, said))

    async def _get(self, key: str, needs: Needs) -> Ended | None:
        """Wait until a compensation has what it needs; how it ended when it will not get that."""
        desk = self._engine.desk
        needs = desk.rules.resolve(needs)
        if needs.refused:
            return Ended(0, None, Failure("NeverGranted", f"{key!r} can never begin: {needs.refused}"))
        hold = self._run.state.hold
        if hold is not None:  # that it has
            needs = replace(needs, units={n: amount for n, amount in needs.units.items() if n not in hold.needs.units})
        ask = self._ask_of(key, needs, self._engine.world.now_us(), undo=True)
        self.asked.add(key)
        while True:
            match desk.ask(ask):
                case True:
                    return None
                case Failure() as failure:
                    return Ended(0, None, failure)
            self._undos_wait.append(told := asyncio.Event())
            await told.wait()

    async def _undo(self, step: StepState) -> None:
        spec = self._run.call(step.key).spec.compensate
        assert spec is not None
        attempt = step.undo_attempt
        try:
            result = _typed(self._run.call(step.key), self._run.state.outcome(step.key))
        except Exception as exc:  # noqa: BLE001 - the declared type's own, and a compensation that cannot be called
            ended = Ended(0, None, failure_of(exc))
        else:
            info = StepInfo(self._run.id, f"{step.key}/undo", attempt, self._engine.services)
            refused = None if spec.needs is None else await self._get(f"{step.key}/undo", spec.needs)
            ended = refused or await self._carry_out(step.key, spec, info, (result,), None)
            if spec.needs is not None:
                self._give_back(f"{step.key}/undo", ended.failure, known=refused is None)
        self.tasks.pop((step.key, True), None)
        world = self._engine.world
        if ended.failure is None:
            self._run.give(RecordUndo(world.now_us(), step.key, attempt, ended.duration_us))
        else:
            self._run.give(
                RecordUndoFailure(
                    world.now_us(),
                    step.key,
                    attempt,
                    ended.failure,
                    ended.duration_us,
                    spec.retry,
                    world.chance(),
                    ended.timed_out,
                )
            )


def _labelled(state: Execution, name: str) -> str:
    """What an execution is told apart by, under this name."""
    value = state.workflow if name == "workflow" else state.attributes.get(name, "")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _typed(call: Call, outcome: Outcome) -> Any:
    return outcome.value if call.convert is None else call.convert(outcome.value)
