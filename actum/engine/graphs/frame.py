"""One graph under way: the execution's own, or one that a step of it runs in place. Pure.

A frame has the values, the marking and the failure of its graph; what is open, what is to be done next and what is
wanted belong to the planner (`Driver`), so that nothing here recurses, however deep graphs stand in each other and
however many steps end at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

from actum.engine.durations import seconds
from actum.engine.graphs.conditions import NoAnswer
from actum.engine.graphs.human_form import answer, title_of, unanswerable
from actum.engine.graphs.inputs import prepare_input
from actum.engine.graphs.items import Items
from actum.engine.graphs.kinds import ABSENT, AwaitSignal, FailWith, Inner, SucceedWith
from actum.engine.graphs.marking import Marking, Visit
from actum.engine.graphs.plan import Plan, StepPlan, Way
from actum.engine.graphs.references import MISSING, Values
from actum.engine.graphs.shape import Edge
from actum.engine.graphs.templates import MissingValue, Template, as_text
from actum.engine.graphs.times import instant_us
from actum.engine.payloads.json_schema import mismatch
from actum.engine.rules.calls import (
    Approval,
    Approve,
    Call,
    Child,
    Failure,
    Outcome,
    Raced,
    Receive,
    Skip,
    Sleep,
    Take,
    Wait,
    Wish,
)
from actum.errors import ApprovalRejected, BadInput, near_miss

__all__ = ["Driver", "Frame", "Open"]

_ASKS_PEOPLE: Final = "human_input_required"
_INCOMPLETE: Final = "incomplete"


class Stop(Exception):
    """The graph cannot go on; it fails with this."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.failure = Failure(error_type, message)


class Open:
    """What was asked for and has not ended: for which visit of which frame, and which step stands in for it."""

    __slots__ = ("acting", "counted", "frame", "index", "items", "occurrence", "scope", "settled", "shown", "visit")

    def __init__(
        self,
        frame: Frame,
        visit: Visit,
        acting: int,
        occurrence: int,
        scope: str,
        items: Items | None = None,
        index: int = 0,
    ) -> None:
        self.frame = frame
        self.visit = visit
        self.acting = acting
        self.occurrence = occurrence
        self.scope = scope
        self.items = items
        self.index = index
        """The item of a map that this is for."""
        self.shown: Any = None
        """What people are shown, when this is a question."""
        self.settled = False
        self.counted = False
        """It is a step that runs, which is waited for whatever happens."""

    def again(self, occurrence: int) -> Open:
        """For asking something else on behalf of the same."""
        return Open(self.frame, self.visit, self.acting, occurrence, self.scope, self.items, self.index)

    @property
    def left_behind(self) -> bool:
        """Nobody waits for it any more: a loop has begun another round, or a map has enough."""
        return self.visit.left_behind or (self.items is not None and self.items.ended)


class Driver(Protocol):
    """What a frame gives to the planner it belongs to."""

    execution: str
    now_us: int
    started_us: int

    def open(self, wish: Call | Approve | Sleep | Wait | Child | Receive, opened: Open) -> None:
        """This is wanted; what it ends with is for `opened`."""

    def say(self, wish: Wish) -> None:
        """This is to be recorded, and needs no answer."""

    def next(self, frame: Frame, visits: list[Visit]) -> None:
        """These come next."""

    def give_up(self, race: Raced, lost: Callable[[Open], bool]) -> None:
        """All that is open and lost is not wanted any more; the race tells of it."""


class Frame:
    """See the module."""

    def __init__(self, driver: Driver, plan: Plan, scope: str, owner: Open | None, others: dict[str, Any]) -> None:
        self.driver = driver
        self.plan = plan
        self.scope = scope
        self.owner = owner
        """What this graph runs for; None for the execution's own."""
        self.marking = Marking(plan.shape, plan.joins)
        self.values = Values({}, None, others)
        self.data: dict[str, Any] = {}
        """Input and outputs so far, merged; kept only when a step takes it."""
        self.visited = [0] * len(plan.steps)
        self.signals: dict[str, int] = {}
        self.last: dict[int, tuple[Any, list[Edge]]] = {}
        """What the last visit of a step returned, and to which it handed on; absent when it was skipped last."""
        self.last_ended = ""
        """The step that has ended last."""
        self.lost: dict[int, Failure] = {}
        """Failures in branches before a join that looks for the first success."""
        self.calls = 0
        """Steps that run, here and in graphs inside; nothing ends before they have."""
        self.started = 0
        """Steps that were started, here and inside."""
        self.failure: Failure | None = None
        self.early: Any = MISSING
        """What a step has ended the graph with, ahead of time."""
        self.over = False

    def begin(self, given: dict[str, Any]) -> None:
        """Start it with this input, which `prepare_input` has returned."""
        parameters = {**self.plan.defaults, **given}
        self.values.parameters = parameters
        others = self.values.others
        if "input" not in self.plan.numbers:
            others["input"] = parameters
        if "execution" not in self.plan.numbers:
            others["execution"] = {"id": self.driver.execution}
        if self.plan.wants_data:
            self.data = dict(parameters)
        self.driver.next(self, self.marking.begin(*self.plan.starts))

    @property
    def stopped(self) -> bool:
        """Whether nothing that happens in it counts any more."""
        frame = self
        while True:
            if frame.failure is not None or frame.early is not MISSING or frame.over:
                return True
            owner = frame.owner
            if owner is None:
                return False
            if owner.settled or owner.left_behind:
                return True
            frame = owner.frame

    def count(self, change: int) -> None:
        """So many more steps run, here and so in every graph around."""
        for frame in self.around():
            frame.calls += change

    def around(self) -> Iterator[Frame]:
        """This graph, and every one that it stands in."""
        frame = self
        yield frame
        while frame.owner is not None:
            frame = frame.owner.frame
            yield frame

    def fail(self, failure: Failure) -> None:
        """The first failure counts; from here on nothing starts."""
        if self.failure is None and self.early is MISSING:
            self.failure = failure

    # -- how something ended -----------------------------------------------------------------------------------------

    def ended(self, opened: Open, outcome: Outcome) -> None:
        """What was open has ended. Raises `Stop` when the graph cannot go on."""
        acting = self.plan.steps[opened.acting]
        match outcome.kind:
            case "completed":
                value = outcome.value
                if isinstance(value, dict) and acting.kind == "run":
                    status = value.get("status")
                    if status == _ASKS_PEOPLE:
                        self._ask_people(opened, acting, value)
                        return
                    if status == _INCOMPLETE and value.get("incomplete") is True:
                        self._ask_input(opened, acting, value.get("output"))
                        return
                self._completed(opened, value)
            case "received":
                if acting.kind == "run":
                    self._run_again(opened, outcome.value)
                    return
                if isinstance(acting.does, AwaitSignal) and acting.does.timeout_s is not None:
                    self._decide_wait(opened, acting, "signal")
                self._completed(opened, outcome.value)
            case "fired":
                self._fired(opened, acting)
            case "granted":
                self._completed(opened, answer(opened.shown, "approved", outcome.by, outcome.comment))
            case "rejected" | "expired":
                if not acting.routes_refusal or opened.acting != opened.visit.step or opened.items is not None:
                    refused = ApprovalRejected(acting.id, outcome.kind, outcome.by or "nobody", outcome.comment)
                    raise Stop("ApprovalRejected", str(refused))
                said = answer(opened.shown, outcome.kind, outcome.by, outcome.comment)
                self._go_on(opened, said, refused=True)
            case _:
                failure = outcome.failure or Failure("StepFailed", "it gave no reason")
                if opened.items is None:
                    self._failed(opened, acting, failure)
                else:
                    opened.items.fail(opened.index, failure, goes_on=acting.on_error == "continue")
                    self._item_ended(opened)

    def _completed(self, opened: Open, value: Any) -> None:
        if opened.items is None:
            self._go_on(opened, value)
        else:
            opened.items.complete(opened.index, value)
            self._item_ended(opened)

    def _failed(self, opened: Open, acting: StepPlan, failure: Failure) -> None:
        then, edge = _caught(acting, failure)
        if acting.catches and "error" not in self.plan.numbers:
            self.values.others["error"] = {"type": failure.error_type, "message": failure.message}
        match then:
            case "continue":
                self._go_on(opened, MISSING)
            case "fallback":
                assert acting.fallback is not None
                self._start(acting.fallback, self.marking.occurrence(acting.fallback), opened.visit)
            case "fail" | "compensate":
                failed = Failure(
                    failure.error_type, f"step {acting.id!r}: {failure.message}", failure.traceback, failure.bases
                )
                join = self.plan.steps[opened.visit.step].leads_to
                if then == "fail" and join is not None and self.plan.steps[join].join == "first_success":
                    self.lost[join] = failed
                    self._put_out(self.plan.steps[opened.visit.step].id, MISSING)
                    self.last.pop(opened.visit.step, None)
                    self.driver.next(self, self.marking.end(opened.visit, []))
                else:
                    self.fail(failed)
            case target:
                self._go_on(opened, MISSING, caught=(target, edge, failure.error_type))

    def _fired(self, opened: Open, acting: StepPlan) -> None:
        does = acting.does
        if not isinstance(does, AwaitSignal):
            self._completed(opened, None)
            return
        self._decide_wait(opened, acting, "timeout")
        if does.default is not ABSENT:
            self._completed(opened, does.default)
        else:
            said = f"no signal {does.signal!r} came within {does.timeout_s:g} s"
            self._failed(opened, acting, Failure("SignalTimeout", said))

    def _decide_wait(self, opened: Open, acting: StepPlan, winner: str) -> None:
        """The signal or the end of the time has come: the other one is not waited for any more."""
        race = Raced(opened.occurrence, opened.scope, winner, name=f"{acting.id}.timeout")
        self.driver.give_up(race, lambda one: one is opened)

    def _go_on(
        self,
        opened: Open,
        value: Any,
        *,
        refused: bool = False,
        caught: tuple[str, Edge | None, str] | None = None,
    ) -> None:
        """The visit is over, with this output: follow the transitions that hold."""
        visit = opened.visit
        step = self.plan.steps[visit.step]
        taken: list[Edge] = []
        fails = False
        if step.goto is not None and caught is None and value is not MISSING:
            value, targets, chosen = _chosen(step, value)
            for target in targets:
                edge = step.goto[target]
                self._take(visit, target, edge, taken, "goto", chosen)
                fails = fails or target == "end_with_failure"
        self._put_out(step.id, value)
        if opened.acting != visit.step:
            self._put_out(self.plan.steps[opened.acting].id, value)
        if self.plan.wants_data and isinstance(value, dict):
            self.data.update(value)
        if caught is not None:
            target, edge, error_type = caught
            self._take(visit, target, edge, taken, "error", error_type)
            fails = target == "end_with_failure"
        else:
            for way in step.ways:
                if refused and not way.about_status:
                    continue
                took = self._holds(way, step)
                if took is None:
                    continue
                self._take(visit, way.target, way.edge, taken, *took)
                fails = fails or way.target == "end_with_failure"
        if fails:
            raise Stop("EndedWithFailure", f"step {step.id!r} led to end_with_failure")
        self.last[visit.step] = (None if value is MISSING else value, taken)
        self.last_ended = step.id
        self.driver.next(self, self.marking.end(visit, taken))

    def _take(
        self, visit: Visit, target: str, edge: Edge | None, taken: list[Edge], condition: str | None, saw: Any
    ) -> None:
        source = self.plan.steps[visit.step].id
        self.driver.say(Take(source, visit.occurrence, target, condition, saw, self.scope))
        if edge is not None:
            taken.append(edge)

    def _put_out(self, id_: str, value: Any) -> None:
        if value is MISSING:
            self.values.outputs.pop(id_, None)
        else:
            self.values.outputs[id_] = value

    def _holds(self, way: Way, step: StepPlan) -> tuple[str | None, Any] | None:
        """The condition that holds and what it saw; None when none does."""
        for test in way.tests:
            if test is None:
                return None, None
            try:
                holds, saw = test[0](self.values)
            except NoAnswer as exc:
                raise Stop("ConditionFailed", f"after step {step.id!r}: {exc}") from None
            if holds:
                return test[1], saw
        return None

    # -- what starts -------------------------------------------------------------------------------------------------

    def visit(self, visit: Visit) -> None:
        """A visit that the marking has said comes next. Raises `Stop` when it cannot."""
        step = self.plan.steps[visit.step]
        if visit.skipped:
            self.values.outputs.pop(step.id, None)
            self.last.pop(visit.step, None)
            self.driver.say(Skip(step.id, visit.occurrence, self.scope))
            lost = self.lost.pop(visit.step, None)
            if lost is not None:
                self.fail(lost)
            return
        self._count_visit(visit.step, step)
        self.lost.pop(visit.step, None)
        if step.cancel_rest:
            self._cancel_branches(visit, step)
        self._start(visit.step, visit.occurrence, visit)

    def _cancel_branches(self, visit: Visit, step: StepPlan) -> None:
        """The join has what it waited for: what is still under way in the branches that lead to it ends here."""
        steps = self.plan.steps
        losers: dict[Visit, None] = {}

        def lost(opened: Open) -> bool:
            while opened.frame is not self:
                if opened.frame.owner is None:
                    return False
                opened = opened.frame.owner
            join = steps[opened.visit.step].leads_to
            while join is not None and join != visit.step:
                join = steps[join].leads_to
            if join is None or opened.left_behind:
                return False
            losers[opened.visit] = None
            return True

        race = Raced(visit.occurrence, self.scope, self.last_ended, name=f"{step.id}.join")
        self.driver.give_up(race, lost)
        for one in losers:
            self.last.pop(one.step, None)
            self.driver.next(self, self.marking.end(one, []))

    def _count_visit(self, number: int, step: StepPlan) -> None:
        self.visited[number] += 1
        if step.max_visits is not None and self.visited[number] > step.max_visits:
            raise Stop(
                "TooManyVisits",
                f"step {step.id!r} would start for the {self.visited[number]}th time, and max_visits is "
                f"{step.max_visits}; the loop did not come to its end in time",
            )

    def _start(self, number: int, occurrence: int, visit: Visit) -> None:
        step = self.plan.steps[number]
        opened = Open(self, visit, number, occurrence, self.scope)
        try:
            if step.over is not None:
                self._map(step, opened)
            else:
                self._do(step, opened)
        except MissingValue as exc:
            raise Stop("MissingValue", f"step {step.id!r} cannot start: {exc}") from None

    def _do(self, step: StepPlan, opened: Open) -> None:
        """Ask for what the step is; what needs no asking is over at once."""
        driver, occurrence, scope = self.driver, opened.occurrence, opened.scope
        match step.kind:
            case "run":
                self._spend(step)
                driver.open(self._call(step, occurrence, scope), opened)
            case "approval":
                driver.open(self._question(step, opened), opened)
            case "wait":
                driver.open(self._sleep(step, occurrence, scope), opened)
            case "signal":
                self._await_signal(step, opened)
            case "input":
                driver.open(Receive(step.id, step.said.render(self.values), occurrence, scope), opened)
            case "workflow":
                self._spend(step)
                self._inner(step, opened)
            case "pass":
                self._completed(opened, step.said.render(self.values))
            case "fail":
                assert isinstance(step.does, FailWith)
                raise Stop(step.does.error, as_text(step.said.render(self.values)))
            case _:
                assert isinstance(step.does, SucceedWith)
                self.early = self._output() if step.does.output is ABSENT else self._fitting(self._render(step.said))

    def _spend(self, step: StepPlan) -> None:
        """Count a step that is about to start, and refuse it when that is more than may be."""
        frame: Frame | None = self
        limit = step.budget
        while frame is not None:
            if limit is not None and limit.steps is not None and frame.started >= limit.steps:
                raise Stop(
                    "BudgetExceeded",
                    f"step {step.id!r} would be number {frame.started + 1}, and the budget is {limit.steps} steps",
                )
            if limit is not None and limit.seconds is not None:
                gone = (self.driver.now_us - self.driver.started_us) / 1_000_000
                if gone > limit.seconds:
                    raise Stop(
                        "BudgetExceeded",
                        f"step {step.id!r} would start after {gone:g} s, and the budget is {limit.seconds:g} s",
                    )
            owner = frame.owner
            frame.started += 1
            frame = None if owner is None else owner.frame
            limit = None if owner is None or frame is None else frame.plan.steps[owner.acting].budget

    def _call(self, step: StepPlan, occurrence: int, scope: str) -> Call:
        inputs = self._inputs(step)
        assert step.spec is not None
        config = None if step.config is None else step.config.render(self.values)
        if not step.by_name:
            kwargs = None if config is None else {"config": config}
            return Call(step.spec, occurrence, scope, ({**self.data, **inputs},), kwargs)
        if config is not None:
            inputs["config"] = config
        return Call(step.spec, occurrence, scope, (), inputs or None)

    def _inputs(self, step: StepPlan) -> dict[str, Any]:
        inputs: dict[str, Any] = {}
        for name, template, optional in step.inputs:
            try:
                inputs[name] = template.render(self.values)
            except MissingValue:
                if not optional:
                    raise
        if step.input_schema is not None:
            wrong = mismatch(step.input_schema, inputs, "its input")
            if wrong:
                raise Stop("InputMismatch", f"step {step.id!r} cannot start: {wrong}")
        return inputs

    def _question(self, step: StepPlan, opened: Open) -> Approve:
        question = step.question
        assert question is not None
        opened.shown = step.context.render(self.values)
        title = as_text(step.title.render(self.values))
        severity: Any = question.severity
        approval = Approval(title, opened.shown, step.id, severity, question.policy, question.deadline_s)
        return Approve(approval, opened.occurrence, opened.scope)

    def _sleep(self, step: StepPlan, occurrence: int, scope: str) -> Sleep:
        given = step.said.render(self.values)
        try:
            if step.until:
                return Sleep(0, occurrence, scope, step.id, instant_us(given))
            return Sleep(0 if given == 0 else seconds(given), occurrence, scope, step.id)
        except BadInput as exc:
            raise Stop("NoTime", f"step {step.id!r} cannot wait: {exc}") from None

    def _await_signal(self, step: StepPlan, opened: Open) -> None:
        does = step.does
        assert isinstance(does, AwaitSignal)
        number = self.signals.get(does.signal, 0)
        self.signals[does.signal] = number + 1
        self.driver.open(Wait(does.signal, number, opened.scope), opened)
        if does.timeout_s is not None:
            timeout = Sleep(does.timeout_s, opened.occurrence, opened.scope, f"{step.id}.timeout")
            self.driver.open(timeout, opened)

    def _inner(self, step: StepPlan, opened: Open) -> None:
        does = step.does
        assert isinstance(does, Inner)
        given = self._inputs(step)
        if isinstance(does.workflow, str):
            closing = does.on_parent_close
            child = Child(step.id, does.workflow, given, opened.occurrence, opened.scope, on_parent_close=closing)
            self.driver.open(child, opened)
            return
        assert step.inner is not None
        others = {name: value for name, value in self.values.others.items() if name not in step.inner.numbers}
        others.pop("error", None)
        scope = self._scope(step, opened.occurrence) if opened.items is None else opened.scope
        frame = Frame(self.driver, step.inner, scope, opened, others)
        try:
            frame.begin(prepare_input(step.inner.graph, given))
        except BadInput as exc:
            raise Stop("InputMismatch", f"step {step.id!r} cannot start: {exc}") from None

    def _scope(self, step: StepPlan, occurrence: int) -> str:
        own = step.id if occurrence == 0 else f"{step.id}#{occurrence}"
        return f"{self.scope}/{own}" if self.scope else own

    # -- maps --------------------------------------------------------------------------------------------------------

    def _map(self, step: StepPlan, opened: Open) -> None:
        over = step.over
        assert over is not None
        found = over.items.render(self.values)
        if not isinstance(found, list):
            raise Stop("NotAList", f"step {step.id!r} goes over the items of a list, and was given {_short(found)}")
        opened.items = Items(
            found, over.join, over.concurrency, self._scope(step, opened.occurrence), opened.occurrence
        )
        if found:
            self._start_items(step, opened)
        else:
            self._item_ended(opened)

    def _start_items(self, step: StepPlan, opened: Open) -> None:
        """As many as may be under way."""
        items = opened.items
        assert items is not None
        while (index := items.take()) is not None:
            scope = f"{items.around}.{index}"
            self._do_item(step, Open(self, opened.visit, opened.acting, items.occurrence, scope, items, index))

    def _do_item(self, step: StepPlan, opened: Open) -> None:
        """The values see the item only while it starts."""
        items, over, others = opened.items, step.over, self.values.others
        assert items is not None
        assert over is not None
        kept = {name: others[name] for name in (over.as_, "index") if name in others}
        others[over.as_], others["index"] = items.items[opened.index], opened.index
        try:
            self._do(step, opened)
        finally:
            del others[over.as_], others["index"]
            others.update(kept)

    def _item_ended(self, opened: Open) -> None:
        items = opened.items
        assert items is not None
        step = self.plan.steps[opened.acting]
        result = items.result()
        if result is MISSING:
            try:
                self._start_items(step, opened)
            except MissingValue as exc:
                raise Stop("MissingValue", f"step {step.id!r} cannot start: {exc}") from None
            return
        if step.over is not None and step.over.cancel_rest and items.running:
            race = Raced(items.occurrence, self.scope, str(opened.index), name=f"{step.id}.map")
            self.driver.give_up(race, lambda one: _belongs(one, items))
        whole = Open(self, opened.visit, opened.acting, opened.occurrence, self.scope)
        if isinstance(result, Failure):
            self._failed(whole, step, result)
        else:
            self._go_on(whole, result)

    # -- asking ------------------------------------------------------------------------------------------------------

    def _ask_people(self, opened: Open, step: StepPlan, shown: dict[str, Any]) -> None:
        """A step of ia_modules has ended by asking for a person: nothing follows before the answer."""
        why = unanswerable(shown)
        if why:
            raise Stop("UnanswerableForm", f"step {step.id!r} asks people for what an approval cannot answer: {why}")
        try:
            deadline_s = seconds(shown["timeout_seconds"]) if "timeout_seconds" in shown else None
        except BadInput as exc:
            raise Stop(
                "UnanswerableForm", f"step {step.id!r} asks people, with a time-out that is none: {exc}"
            ) from None
        # A step's id has no dot in it, so this is the name of no other question.
        question = Approval(title_of(shown) or step.id, shown, f"{step.id}.approval", deadline_s=deadline_s)
        asking = opened.again(opened.occurrence)
        asking.shown = shown
        self.driver.open(Approve(question, opened.occurrence, opened.scope), asking)

    def _ask_input(self, opened: Open, step: StepPlan, so_far: Any) -> None:
        """A step has come as far as it can without more input: it runs again when that is there."""
        asking = opened.again(opened.occurrence)
        self.driver.open(Receive(f"{step.id}.input", so_far, opened.occurrence, opened.scope), asking)

    def _run_again(self, opened: Open, given: Any) -> None:
        """The step that asked for more input runs again, with that input over what it had."""
        if isinstance(given, dict):
            self.values.parameters.update(given)
            self.data.update(given)
        step = self.plan.steps[opened.acting]
        again = opened.again(self.marking.occurrence(opened.acting))
        try:
            if opened.items is None:
                self._do(step, again)
            else:
                self._do_item(step, again)
        except MissingValue as exc:
            raise Stop("MissingValue", f"step {step.id!r} cannot start: {exc}") from None

    # -- the end -----------------------------------------------------------------------------------------------------

    def end(self) -> Outcome | None:
        """How it has ended; None while it has not. Said once."""
        if self.over or self.calls:
            return None
        if self.failure is None and self.early is MISSING:
            if self.marking.running:
                return None
            try:
                self.early = self._output()
            except Stop as stop:
                self.fail(stop.failure)
        self.over = True
        if self.failure is not None:
            return Outcome("failed", failure=self.failure)
        return Outcome("completed", self.early)

    def _render(self, template: Template) -> Any:
        try:
            return template.render(self.values)
        except MissingValue as exc:
            raise Stop("MissingValue", f"the outputs of workflow {self.plan.name!r}: {exc}") from None

    def _output(self) -> Any:
        plan = self.plan
        if plan.outputs is not None:
            return self._fitting(self._render(plan.outputs))
        ends = {
            plan.steps[number].id: value
            for number, (value, handed_to) in sorted(self.last.items(), key=lambda item: item[0])
            if not any(edge.target in self.last for edge in handed_to)
        }
        return self._fitting(next(iter(ends.values())) if len(ends) == 1 else ends)

    def _fitting(self, output: Any) -> Any:
        if self.plan.output_schema is not None:
            wrong = mismatch(self.plan.output_schema, output, "the output")
            if wrong:
                raise Stop("OutputMismatch", f"workflow {self.plan.name!r}: {wrong}")
        return output


def _belongs(opened: Open, items: Items) -> bool:
    """Whether this is open for an item of the map, directly or in a graph that runs for one."""
    while opened.items is not items:
        if opened.frame.owner is None:
            return False
        opened = opened.frame.owner
    return True


def _short(value: Any) -> str:
    text = as_text(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _caught(step: StepPlan, failure: Failure) -> tuple[str, Edge | None]:
    """What the step says of this failure: the first catch that names it, else its `on_error`."""
    for types, then, edge in step.catches:
        if any(_is_a(failure, type_) for type_ in types):
            return then, edge
    return step.on_error, None


def _is_a(failure: Failure, type_: str) -> bool:
    """By name alone: what is recorded of an error is the name of its class, and the classes of Python are known."""
    if type_ in ("*", "Exception", failure.error_type):
        return True
    import builtins

    found, wanted = getattr(builtins, failure.error_type, None), getattr(builtins, type_, None)
    return isinstance(found, type) and isinstance(wanted, type) and issubclass(found, wanted)


def _chosen(step: StepPlan, value: Any) -> tuple[Any, list[str], Any]:
    """The output, the targets, and what said so: `{"goto": …}` with the output beside it, or just the targets."""
    said: Any = value
    if isinstance(value, dict):
        if "goto" not in value:
            raise Stop("NoRoute", f'step {step.id!r} returned no "goto", which says the step that comes next')
        said = value["goto"]
        value = value["output"] if "output" in value else {key: one for key, one in value.items() if key != "goto"}
    targets = [] if said is None else said if isinstance(said, list) else [said]
    assert step.goto is not None
    for target in targets:
        if target not in step.goto:
            hint = near_miss(target, step.goto) if isinstance(target, str) else ""
            raise Stop(
                "NoRoute",
                f"step {step.id!r} says that {_short(target)!s} comes next, and may choose "
                f"{', '.join(step.goto)}{hint}",
            )
    return value, list(dict.fromkeys(targets)), said
