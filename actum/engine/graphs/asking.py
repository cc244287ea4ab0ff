"""What a step asks for when it starts: the call, question, timer, signal, child or input that it is. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actum.engine.durations import seconds
from actum.engine.graphs.kinds import ABSENT, AwaitSignal, FailWith, Inner, SucceedWith
from actum.engine.graphs.plan import StepPlan
from actum.engine.graphs.templates import MissingValue, as_text
from actum.engine.graphs.times import instant_us
from actum.engine.graphs.under_way import Open, Stop
from actum.engine.payloads.json_schema import mismatch
from actum.engine.rules.calls import Approval, Approve, Call, Child, Receive, Sleep, Wait
from actum.errors import BadInput

if TYPE_CHECKING:
    from actum.engine.graphs.frame import Frame

__all__ = ["do", "scope_of"]


def do(frame: Frame, step: StepPlan, opened: Open) -> None:
    """Ask for what the step is; what needs no asking is over at once."""
    driver, occurrence, scope = frame.driver, opened.occurrence, opened.scope
    match step.kind:
        case "run":
            _spend(frame, step)
            driver.open(_call(frame, step, occurrence, scope), opened)
        case "approval":
            driver.open(_question(frame, step, opened), opened)
        case "wait":
            driver.open(_sleep(frame, step, occurrence, scope), opened)
        case "signal":
            _await_signal(frame, step, opened)
        case "input":
            driver.open(Receive(step.id, step.said.render(frame.values), occurrence, scope), opened)
        case "workflow":
            _spend(frame, step)
            _inner(frame, step, opened)
        case "pass":
            frame.completed(opened, step.said.render(frame.values))
        case "fail":
            assert isinstance(step.does, FailWith)
            raise Stop(step.does.error, as_text(step.said.render(frame.values)))
        case _:
            assert isinstance(step.does, SucceedWith)
            frame.early = frame.output() if step.does.output is ABSENT else frame.fitting(frame.rendered(step.said))


def _spend(frame: Frame, step: StepPlan) -> None:
    """Count a step that is about to start, and refuse it when that is more than may be."""
    around: Frame | None = frame
    limit = step.budget
    while around is not None:
        if limit is not None and limit.steps is not None and around.started >= limit.steps:
            raise Stop(
                "BudgetExceeded",
                f"step {step.id!r} would be number {around.started + 1}, and the budget is {limit.steps} steps",
            )
        if limit is not None and limit.seconds is not None:
            gone = (frame.driver.now_us - frame.driver.started_us) / 1_000_000
            if gone > limit.seconds:
                raise Stop(
                    "BudgetExceeded",
                    f"step {step.id!r} would start after {gone:g} s, and the budget is {limit.seconds:g} s",
                )
        owner = around.owner
        around.started += 1
        around = None if owner is None else owner.frame
        limit = None if owner is None or around is None else around.plan.steps[owner.acting].budget


def _call(frame: Frame, step: StepPlan, occurrence: int, scope: str) -> Call:
    inputs = _inputs(frame, step)
    assert step.spec is not None
    config = None if step.config is None else step.config.render(frame.values)
    if not step.by_name:
        kwargs = None if config is None else {"config": config}
        return Call(step.spec, occurrence, scope, ({**frame.data, **inputs},), kwargs)
    if config is not None:
        inputs["config"] = config
    return Call(step.spec, occurrence, scope, (), inputs or None)


def _inputs(frame: Frame, step: StepPlan) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    for name, template, optional in step.inputs:
        try:
            inputs[name] = template.render(frame.values)
        except MissingValue:
            if not optional:
                raise
    if step.input_schema is not None:
        wrong = mismatch(step.input_schema, inputs, "its input")
        if wrong:
            raise Stop("InputMismatch", f"step {step.id!r} cannot start: {wrong}")
    return inputs


def _question(frame: Frame, step: StepPlan, opened: Open) -> Approve:
    question = step.question
    assert question is not None
    opened.shown = step.context.render(frame.values)
    title = as_text(step.title.render(frame.values))
    severity: Any = question.severity
    approval = Approval(title, opened.shown, step.id, severity, question.policy, question.deadline_s)
    return Approve(approval, opened.occurrence, opened.scope)


def _sleep(frame: Frame, step: StepPlan, occurrence: int, scope: str) -> Sleep:
    given = step.said.render(frame.values)
    try:
        if step.until:
            return Sleep(0, occurrence, scope, step.id, instant_us(given))
        return Sleep(0 if given == 0 else seconds(given), occurrence, scope, step.id)
    except BadInput as exc:
        raise Stop("NoTime", f"step {step.id!r} cannot wait: {exc}") from None


def _await_signal(frame: Frame, step: StepPlan, opened: Open) -> None:
    does = step.does
    assert isinstance(does, AwaitSignal)
    number = frame.signals.get(does.signal, 0)
    frame.signals[does.signal] = number + 1
    frame.driver.open(Wait(does.signal, number, opened.scope), opened)
    if does.timeout_s is not None:
        timeout = Sleep(does.timeout_s, opened.occurrence, opened.scope, f"{step.id}.timeout")
        frame.driver.open(timeout, opened)


def _inner(frame: Frame, step: StepPlan, opened: Open) -> None:
    does = step.does
    assert isinstance(does, Inner)
    given = _inputs(frame, step)
    if isinstance(does.workflow, str):
        closing = does.on_parent_close
        child = Child(step.id, does.workflow, given, opened.occurrence, opened.scope, on_parent_close=closing)
        frame.driver.open(child, opened)
        return
    scope = scope_of(frame, step, opened.occurrence) if opened.items is None else opened.scope
    try:
        frame.begin_inner(step, opened, scope, given)
    except BadInput as exc:
        raise Stop("InputMismatch", f"step {step.id!r} cannot start: {exc}") from None


def scope_of(frame: Frame, step: StepPlan, occurrence: int) -> str:
    """The scope of what a visit of the step has inside."""
    own = step.id if occurrence == 0 else f"{step.id}#{occurrence}"
    return f"{frame.scope}/{own}" if frame.scope else own
