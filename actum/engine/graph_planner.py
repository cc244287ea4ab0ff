"""Runs a graph: from the outcomes of its steps, in the order of the log, to what is wanted next. Pure.

The rules:

- `graph_marking` says which steps start and which are skipped. Everything that can start is wanted in one go.
- What a visit of a step returned is the step's output until its next visit ends or is skipped.
- A failed step means what its `on_error` says. When that is failure, or when a condition or a reference cannot
  be followed, nothing new starts; what runs is waited for; then the execution fails. Open questions to people
  are not waited for.
- A granted approval has the output `{"status": "approved", "by": …, "comment": …}`. One that is rejected or
  expires fails the execution, unless a transition out of it has a condition on its `status`; then only the
  transitions that have one can be taken, so that no step follows a "no" by default.
- A step whose output says `"status": "human_input_required"`, as in ia_modules, becomes such an approval when
  it ends: what it returned is what people are shown, and nothing follows before they have answered.
- When nothing runs or waits, the execution is done. It returns `outputs`, or else the output of the step it
  ended with; of several such steps, an object with the output of each.
"""

from __future__ import annotations

from typing import Any, Final

from actum.engine.calls import Approval, Approve, Call, Done, Failure, Give, Outcome, Skip, Take, Wish
from actum.engine.conditions import UnlikeKinds
from actum.engine.durations import seconds
from actum.engine.graph import Graph
from actum.engine.graph_input import prepare_input
from actum.engine.graph_marking import Marking, Visit
from actum.engine.graph_plan import StepPlan, Way
from actum.engine.graph_shape import Edge
from actum.engine.human_form import answer, title_of, unanswerable
from actum.engine.json_schema import mismatch
from actum.engine.references import MISSING, Values
from actum.engine.templates import MissingValue, as_text
from actum.errors import ApprovalRejected, BadInput

__all__ = ["GraphPlanner", "prepare_input"]

_ASKS_PEOPLE: Final = "human_input_required"


class _Stop(Exception):
    """The execution cannot go on; it fails with this."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.failure = Failure(error_type, message)


class _Open:
    """A call or a question that has not ended: for which visit, and which step stands in for it."""

    __slots__ = ("acting", "occurrence", "shown", "visit")

    def __init__(self, visit: Visit, acting: int, occurrence: int, shown: Any = None) -> None:
        self.visit = visit
        self.acting = acting
        self.occurrence = occurrence
        self.shown = shown
        """What people are shown, when this is a question."""


class GraphPlanner:
    """One execution of a graph. The same outcomes in the same order always give the same wishes."""

    def __init__(self, graph: Graph) -> None:
        self._plan = graph.plan
        self._marking = Marking(self._plan.shape, [step.join for step in self._plan.steps])
        self._values = Values({})
        self._data: dict[str, Any] = {}
        """Input and outputs so far, merged; kept only when a step takes it."""
        self._visited = [0] * len(self._plan.steps)
        self._calls: dict[str, _Open] = {}
        self._questions: dict[str, _Open] = {}
        self._last: dict[int, tuple[Any, list[Edge]]] = {}
        """What the last visit of a step returned, and to which it handed on; absent when it was skipped last."""
        self._failure: Failure | None = None
        self._over = False

    def begin(self, workflow_input: Any) -> list[Wish]:
        """What is wanted first; `workflow_input` is what `prepare_input` returned."""
        self._values.parameters = {**self._plan.defaults, **(workflow_input or {})}
        if self._plan.wants_data:
            self._data = dict(self._values.parameters)
        wishes: list[Wish] = []
        self._carry_on(self._marking.begin(self._plan.start), wishes)
        self._finish(wishes)
        return wishes

    def settle(self, key: str, outcome: Outcome) -> list[Wish]:
        """What is wanted now that this call or question has ended."""
        ended = self._calls.pop(key, None) or self._questions.pop(key)
        wishes: list[Wish] = []
        if self._failure is None and not ended.visit.left_behind:
            try:
                self._ended(ended, outcome, wishes)
            except _Stop as stop:
                self._fail(stop.failure)
        self._finish(wishes)
        return wishes

    # -- how a call ended --------------------------------------------------------------------------------------------

    def _ended(self, ended: _Open, outcome: Outcome, wishes: list[Wish]) -> None:
        acting = self._plan.steps[ended.acting]
        match outcome.kind:
            case "completed":
                value = outcome.value
                if isinstance(value, dict) and value.get("status") == _ASKS_PEOPLE:
                    self._ask_people(ended, acting, value, wishes)
                    return
                self._go_on(ended, value, wishes)
            case "granted":
                self._go_on(ended, answer(ended.shown, "approved", outcome.by, outcome.comment), wishes)
            case "rejected" | "expired":
                if not acting.routes_refusal or ended.acting != ended.visit.step:
                    refused = ApprovalRejected(acting.id, outcome.kind, outcome.by or "nobody", outcome.comment)
                    raise _Stop("ApprovalRejected", str(refused))
                self._go_on(ended, answer(ended.shown, outcome.kind, outcome.by, outcome.comment), wishes, refused=True)
            case _:
                self._failed(ended, acting, outcome.failure or Failure("StepFailed", "it gave no reason"), wishes)

    def _failed(self, ended: _Open, acting: StepPlan, failure: Failure, wishes: list[Wish]) -> None:
        match acting.on_error:
            case "continue":
                self._go_on(ended, MISSING, wishes)
            case "fallback":
                assert acting.fallback is not None
                started = self._start(acting.fallback, self._marking.occurrence(acting.fallback), ended.visit)
                wishes.append(started)
            case _:
                said = f"step {acting.id!r}: {failure.message}"
                self._fail(Failure(failure.error_type, said, failure.traceback, failure.bases))

    def _go_on(self, ended: _Open, value: Any, wishes: list[Wish], *, refused: bool = False) -> None:
        """The visit is over, with this output: follow the transitions that hold."""
        visit = ended.visit
        step = self._plan.steps[visit.step]
        self._put_out(step.id, value)
        if ended.acting != visit.step:
            self._put_out(self._plan.steps[ended.acting].id, value)
        if self._plan.wants_data and isinstance(value, dict):
            self._data.update(value)
        taken: list[Edge] = []
        fails = False
        for way in step.ways:
            if refused and not way.about_status:
                continue
            took = self._holds(way, step)
            if took is None:
                continue
            wishes.append(Take(step.id, visit.occurrence, way.target, *took))
            if way.edge is not None:
                taken.append(way.edge)
            fails = fails or way.target == "end_with_failure"
        if fails:
            raise _Stop("EndedWithFailure", f"step {step.id!r} led to end_with_failure")
        self._last[visit.step] = (None if value is MISSING else value, taken)
        self._carry_on(self._marking.end(visit, taken), wishes)

    def _put_out(self, id_: str, value: Any) -> None:
        if value is MISSING:
            self._values.outputs.pop(id_, None)
        else:
            self._values.outputs[id_] = value

    def _holds(self, way: Way, step: StepPlan) -> tuple[str | None, Any] | None:
        """The condition that holds and what it saw; None when none does."""
        for test in way.tests:
            if test is None:
                return None, None
            try:
                holds, saw = test[0](self._values)
            except UnlikeKinds as exc:
                raise _Stop("ConditionFailed", f"after step {step.id!r}: {exc}") from None
            if holds:
                return test[1], saw
        return None

    # -- what starts -------------------------------------------------------------------------------------------------

    def _carry_on(self, visits: list[Visit], wishes: list[Wish]) -> None:
        """Want what the marking says is next: all of it, or, when one of them cannot start, nothing."""
        started: list[Wish] = []
        try:
            for visit in visits:
                step = self._plan.steps[visit.step]
                if visit.skipped:
                    self._values.outputs.pop(step.id, None)
                    self._last.pop(visit.step, None)
                    wishes.append(Skip(step.id, visit.occurrence))
                else:
                    self._count_visit(visit.step, step)
                    started.append(self._start(visit.step, visit.occurrence, visit))
        except _Stop as stop:
            for wish in started:
                if isinstance(wish, (Call, Approve)):
                    self._calls.pop(wish.key, None)
                    self._questions.pop(wish.key, None)
            self._fail(stop.failure)
            return
        wishes += started

    def _count_visit(self, number: int, step: StepPlan) -> None:
        self._visited[number] += 1
        if step.max_visits is not None and self._visited[number] > step.max_visits:
            raise _Stop(
                "TooManyVisits",
                f"step {step.id!r} would start for the {self._visited[number]}th time, and max_visits is "
                f"{step.max_visits}; the loop did not come to its end in time",
            )

    def _start(self, number: int, occurrence: int, visit: Visit) -> Wish:
        step = self._plan.steps[number]
        try:
            if step.question is not None:
                return self._question(number, step, occurrence, visit)
            inputs = self._inputs(step)
            assert step.spec is not None
            if step.by_name:
                given = inputs if step.config is None else {**inputs, "config": step.config.render(self._values)}
                call = Call(step.spec, occurrence, kwargs=given or None)
            else:
                config = None if step.config is None else {"config": step.config.render(self._values)}
                call = Call(step.spec, occurrence, args=({**self._data, **inputs},), kwargs=config)
        except MissingValue as exc:
            raise _Stop("MissingValue", f"step {step.id!r} cannot start: {exc}") from None
        self._calls[call.key] = _Open(visit, number, occurrence)
        return call

    def _inputs(self, step: StepPlan) -> dict[str, Any]:
        inputs: dict[str, Any] = {}
        for name, template, optional in step.inputs:
            try:
                inputs[name] = template.render(self._values)
            except MissingValue:
                if not optional:
                    raise
        if step.input_schema is not None:
            wrong = mismatch(step.input_schema, inputs, "its input")
            if wrong:
                raise _Stop("InputMismatch", f"step {step.id!r} cannot start: {wrong}")
        return inputs

    def _question(self, number: int, step: StepPlan, occurrence: int, visit: Visit) -> Wish:
        question = step.question
        assert question is not None
        shown = step.context.render(self._values)
        title = as_text(step.title.render(self._values))
        severity: Any = question.severity
        approval = Approval(title, shown, step.id, severity, question.policy, question.deadline_s)
        asked = Approve(approval, occurrence)
        self._questions[asked.key] = _Open(visit, number, occurrence, shown)
        return asked

    def _ask_people(self, ended: _Open, step: StepPlan, shown: dict[str, Any], wishes: list[Wish]) -> None:
        """A step of ia_modules has ended by asking for a person: nothing follows before the answer."""
        why = unanswerable(shown)
        if why:
            raise _Stop("UnanswerableForm", f"step {step.id!r} asks people for what an approval cannot answer: {why}")
        try:
            deadline_s = seconds(shown["timeout_seconds"]) if "timeout_seconds" in shown else None
        except BadInput as exc:
            raise _Stop(
                "UnanswerableForm", f"step {step.id!r} asks people, with a time-out that is none: {exc}"
            ) from None
        # A step's id has no dot in it, so this is the name of no other question.
        question = Approval(title_of(shown) or step.id, shown, f"{step.id}.approval", deadline_s=deadline_s)
        asked = Approve(question, ended.occurrence)
        self._questions[asked.key] = _Open(ended.visit, ended.acting, ended.occurrence, shown)
        wishes.append(asked)

    # -- the end -----------------------------------------------------------------------------------------------------

    def _fail(self, failure: Failure) -> None:
        """The first failure counts; from here on nothing starts."""
        if self._failure is None:
            self._failure = failure

    def _finish(self, wishes: list[Wish]) -> None:
        """When nothing is left to wait for, say how it ended, once."""
        if self._over or self._calls:
            return
        if self._failure is None:
            if self._marking.running:
                return
            try:
                wishes.append(Done(self._output()))
                self._over = True
                return
            except _Stop as stop:
                self._fail(stop.failure)
        assert self._failure is not None
        wishes.append(Give(self._failure))
        self._over = True

    def _output(self) -> Any:
        plan = self._plan
        output: Any
        if plan.outputs is not None:
            try:
                output = plan.outputs.render(self._values)
            except MissingValue as exc:
                raise _Stop("MissingValue", f"the outputs of workflow {plan.name!r}: {exc}") from None
        else:
            ends = {
                plan.steps[number].id: value
                for number, (value, handed_to) in sorted(self._last.items(), key=lambda item: item[0])
                if not any(edge.target in self._last for edge in handed_to)
            }
            output = next(iter(ends.values())) if len(ends) == 1 else ends
        if plan.output_schema is not None:
            wrong = mismatch(plan.output_schema, output, "the output")
            if wrong:
                raise _Stop("OutputMismatch", f"workflow {plan.name!r}: {wrong}")
        return output
