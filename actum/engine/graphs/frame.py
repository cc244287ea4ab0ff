"""One graph under way: the execution's own, or one that a step of it runs in place. Pure.

A frame has the values, the marking and the failure of its graph; what is open, what is to be done next and what is
wanted belong to the planner (`Driver`), so that nothing here recurses, however deep graphs stand in each other and
however many steps end at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from actum.engine.graphs import routing
from actum.engine.graphs.asking import do
from actum.engine.graphs.beside import Beside, BesideFlow
from actum.engine.graphs.branches import cancel_branches
from actum.engine.graphs.conditions import NoAnswer, Test
from actum.engine.graphs.human_form import answer
from actum.engine.graphs.inputs import prepare_input
from actum.engine.graphs.kinds import ABSENT, AwaitSignal
from actum.engine.graphs.mapping import item_ended, start_map
from actum.engine.graphs.marking import Marking, Visit
from actum.engine.graphs.plan import Plan, StepPlan, Way
from actum.engine.graphs.references import MISSING, Values
from actum.engine.graphs.shape import Edge
from actum.engine.graphs.templates import MissingValue, Template
from actum.engine.graphs.under_way import Driver, Open, Stop
from actum.engine.graphs.unfinished import ask_input, ask_people, run_again
from actum.engine.payloads.json_schema import mismatch
from actum.engine.rules.calls import Failure, Outcome, Raced, Skip, Take
from actum.errors import ApprovalRejected

__all__ = ["Frame"]

_ASKS_PEOPLE: Final = "human_input_required"
_INCOMPLETE: Final = "incomplete"


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
        self.beside = BesideFlow(self)

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

    def begin_inner(self, step: StepPlan, opened: Open, scope: str, given: dict[str, Any]) -> None:
        """Start the graph that a step runs in place. Raises `BadInput`, and nothing has started."""
        assert step.inner is not None
        others = {name: value for name, value in self.values.others.items() if name not in step.inner.numbers}
        others.pop("error", None)
        Frame(self.driver, step.inner, scope, opened, others).begin(prepare_input(step.inner.graph, given))

    @property
    def stopped(self) -> bool:
        """Whether nothing that happens in it counts any more."""
        for frame in self.around():
            if frame.failure is not None or frame.early is not MISSING or frame.over:
                return True
            if frame.owner is not None and (frame.owner.settled or frame.owner.left_behind):
                return True
        return False

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
                        ask_people(self, opened, acting, value)
                        return
                    if status == _INCOMPLETE and value.get("incomplete") is True:
                        ask_input(self, opened, acting, value.get("output"))
                        return
                self.completed(opened, value)
            case "received":
                if acting.kind == "run":
                    run_again(self, opened, outcome.value)
                    return
                if isinstance(acting.does, AwaitSignal) and acting.does.timeout_s is not None:
                    self._decide_wait(opened, acting, "signal")
                self.completed(opened, outcome.value)
            case "fired":
                self._fired(opened, acting)
            case "granted":
                self.completed(opened, answer(opened.shown, "approved", outcome.by, outcome.comment))
            case "rejected" | "expired":
                said_here = not isinstance(opened.visit, Beside) and acting.routes_refusal
                if not said_here or opened.acting != opened.visit.step or opened.items is not None:
                    refused = ApprovalRejected(acting.id, outcome.kind, outcome.by or "nobody", outcome.comment)
                    raise Stop("ApprovalRejected", str(refused))
                said = answer(opened.shown, outcome.kind, outcome.by, outcome.comment)
                self.go_on(opened, said, refused=True)
            case _:
                failure = outcome.failure or Failure("StepFailed", "it gave no reason")
                if opened.items is None:
                    self.failed(opened, acting, failure)
                else:
                    opened.items.fail(opened.index, failure, goes_on=acting.on_error == "continue")
                    item_ended(self, opened)

    def completed(self, opened: Open, value: Any) -> None:
        """The work of a visit, or of an item of it, is done."""
        if opened.items is None:
            self.go_on(opened, value)
        else:
            opened.items.complete(opened.index, value)
            item_ended(self, opened)

    def failed(self, opened: Open, acting: StepPlan, failure: Failure) -> None:
        """The work of a visit has failed: do what its step says of that."""
        then, edge = routing.caught(acting, failure)
        if self.beside.failed(opened, acting, then, failure):
            return
        if acting.catches and "error" not in self.plan.numbers:
            self.values.others["error"] = {"type": failure.error_type, "message": failure.message}
        match then:
            case "continue":
                self.go_on(opened, MISSING)
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
                    self.put_out(opened.visit.step, MISSING)
                    self.last.pop(opened.visit.step, None)
                    self.driver.next(self, self.marking.end(opened.visit, []))
                else:
                    self.fail(failed)
            case target:
                self.go_on(opened, MISSING, caught=(target, edge, failure.error_type))

    def _fired(self, opened: Open, acting: StepPlan) -> None:
        does = acting.does
        if self.beside.fired(opened):
            return
        if not isinstance(does, AwaitSignal):
            self.completed(opened, None)
            return
        self._decide_wait(opened, acting, "timeout")
        if does.default is not ABSENT:
            self.completed(opened, does.default)
        else:
            said = f"no signal {does.signal!r} came within {does.timeout_s:g} s"
            self.failed(opened, acting, Failure("SignalTimeout", said))

    def _decide_wait(self, opened: Open, acting: StepPlan, winner: str) -> None:
        """The signal or the end of the time has come: the other one is not waited for any more."""
        race = Raced(opened.occurrence, opened.scope, winner, name=f"{acting.id}.timeout")
        self.driver.give_up(race, lambda one: one is opened)

    def go_on(
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
        if isinstance(visit, Beside):
            self._renew_output(opened, visit, step, value)
            return
        taken: list[Edge] = []
        fails = False
        if step.goto is not None and caught is None and value is not MISSING:
            value, targets, chosen = routing.chosen(step, value)
            for target in targets:
                edge = step.goto[target]
                self._take(visit, target, edge, taken, "goto", chosen)
                fails = fails or target == "end_with_failure"
        self._keep(opened, step, value)
        if caught is not None:
            target, edge, error_type = caught
            self._take(visit, target, edge, taken, "error", error_type)
            fails = target == "end_with_failure"
        else:
            for way in step.ways:
                if refused and not way.about_status:
                    continue
                took = self.way_held(way, step)
                if took is None:
                    continue
                self._take(visit, way.target, way.edge, taken, *took)
                fails = fails or way.target == "end_with_failure"
        if fails:
            raise Stop("EndedWithFailure", f"step {step.id!r} led to end_with_failure")
        self.last[visit.step] = (None if value is MISSING else value, taken)
        self.last_ended = step.id
        self.beside.ended(visit, step, value)
        self.driver.next(self, self.marking.end(visit, taken))

    def _renew_output(self, opened: Open, visit: Beside, step: StepPlan, value: Any) -> None:
        """A run beside the flow is over: its output is the step's, and nothing follows but what waited for it."""
        self._keep(opened, step, value)
        if visit.step in self.last:
            self.last[visit.step] = (None if value is MISSING else value, self.last[visit.step][1])
        self.beside.ended(visit, step, value)

    def _keep(self, opened: Open, step: StepPlan, value: Any) -> None:
        self.put_out(opened.visit.step, value)
        if opened.acting != opened.visit.step:
            self.put_out(opened.acting, value)
        if self.plan.wants_data and isinstance(value, dict):
            self.data.update(value)

    def _take(
        self, visit: Visit, target: str, edge: Edge | None, taken: list[Edge], condition: str | None, saw: Any
    ) -> None:
        source = self.plan.steps[visit.step].id
        self.driver.say(Take(source, visit.occurrence, target, condition, saw, self.scope))
        if edge is not None:
            taken.append(edge)

    def put_out(self, number: int, value: Any) -> None:
        """The step's output, from now on."""
        if value is MISSING:
            self.values.outputs.pop(self.plan.steps[number].id, None)
        else:
            self.values.outputs[self.plan.steps[number].id] = value

    def way_held(self, way: Way, step: StepPlan) -> tuple[str | None, Any] | None:
        """The condition that holds and what it saw; None when none does. Raises `Stop` when one has no answer."""
        for test in way.tests:
            if test is None:
                return None, None
            holds, saw = self._asked(test[0], step)
            if holds:
                return test[1], saw
        return None

    def until_held(self, step: StepPlan) -> bool:
        """Whether the rounds of a periodic step have come to their end. Raises `Stop` when that has no answer."""
        return step.until_round is not None and self._asked(step.until_round[0], step)[0]

    def _asked(self, test: Test, step: StepPlan) -> tuple[bool, Any]:
        try:
            return test(self.values)
        except NoAnswer as exc:
            raise Stop("ConditionFailed", f"after step {step.id!r}: {exc}") from None

    # -- what starts -------------------------------------------------------------------------------------------------

    def visit(self, visit: Visit) -> None:
        """A visit that the marking has said comes next. Raises `Stop` when it cannot."""
        step = self.plan.steps[visit.step]
        if visit.begun:  # it has waited for two renewals, and they ended together
            return
        if visit.skipped:
            self.put_out(visit.step, MISSING)
            self.beside.skipped(visit.step)
            self.last.pop(visit.step, None)
            self.driver.say(Skip(step.id, visit.occurrence, self.scope))
            lost = self.lost.pop(visit.step, None)
            if lost is not None:
                self.fail(lost)
            return
        if not isinstance(visit, Beside) and not self.beside.waits(visit):
            self._count_visit(visit.step, step)
            self.lost.pop(visit.step, None)
            if step.cancel_rest:
                cancel_branches(self, visit, step)
        if step.needs and self.beside.holds(visit, step):
            return
        visit.begun = True
        self.beside.begins(visit, step)
        self._start(visit.step, visit.occurrence, visit)

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
                start_map(self, step, opened)
            else:
                do(self, step, opened)
        except MissingValue as exc:
            raise Stop("MissingValue", f"step {step.id!r} cannot start: {exc}") from None

    # -- the end -----------------------------------------------------------------------------------------------------

    def end(self) -> Outcome | None:
        """How it has ended; None while it has not. Said once."""
        if self.over or self.calls:
            return None
        if self.failure is None and self.early is MISSING:
            if self.marking.running or self.beside.owed:
                return None
            try:
                self.early = self.output()
            except Stop as stop:
                self.fail(stop.failure)
        self.over = True
        self.beside.end()
        if self.failure is not None:
            return Outcome("failed", failure=self.failure)
        return Outcome("completed", self.early)

    def rendered(self, template: Template) -> Any:
        """A value of the outputs."""
        try:
            return template.render(self.values)
        except MissingValue as exc:
            raise Stop("MissingValue", f"the outputs of workflow {self.plan.name!r}: {exc}") from None

    def output(self) -> Any:
        """What it returns at its end."""
        plan = self.plan
        if plan.outputs is not None:
            return self.fitting(self.rendered(plan.outputs))
        ends = {
            plan.steps[number].id: value
            for number, (value, handed_to) in sorted(self.last.items(), key=lambda item: item[0])
            if not any(edge.target in self.last for edge in handed_to)
        }
        return self.fitting(next(iter(ends.values())) if len(ends) == 1 else ends)

    def fitting(self, output: Any) -> Any:
        """The output, which is as the graph's schema says. Raises `Stop` when it is not."""
        if self.plan.output_schema is not None:
            wrong = mismatch(self.plan.output_schema, output, "the output")
            if wrong:
                raise Stop("OutputMismatch", f"workflow {self.plan.name!r}: {wrong}")
        return output
