"""Steps whose code has returned and that are not done: they ask people, or for more input. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actum.engine.durations import seconds
from actum.engine.graphs.asking import do
from actum.engine.graphs.human_form import title_of, unanswerable
from actum.engine.graphs.mapping import do_item
from actum.engine.graphs.plan import StepPlan
from actum.engine.graphs.templates import MissingValue
from actum.engine.graphs.under_way import Open, Stop
from actum.engine.rules.calls import Approval, Approve, Receive
from actum.errors import BadInput

if TYPE_CHECKING:
    from actum.engine.graphs.frame import Frame

__all__ = ["ask_input", "ask_people", "run_again"]


def ask_people(frame: Frame, opened: Open, step: StepPlan, shown: dict[str, Any]) -> None:
    """A step of ia_modules has ended by asking for a person: nothing follows before the answer."""
    why = unanswerable(shown)
    if why:
        raise Stop("UnanswerableForm", f"step {step.id!r} asks people for what an approval cannot answer: {why}")
    try:
        deadline_s = seconds(shown["timeout_seconds"]) if "timeout_seconds" in shown else None
    except BadInput as exc:
        raise Stop("UnanswerableForm", f"step {step.id!r} asks people, with a time-out that is none: {exc}") from None
    # A step's id has no dot in it, so this is the name of no other question.
    question = Approval(title_of(shown) or step.id, shown, f"{step.id}.approval", deadline_s=deadline_s)
    asking = opened.again(opened.occurrence)
    asking.shown = shown
    frame.driver.open(Approve(question, opened.occurrence, opened.scope), asking)


def ask_input(frame: Frame, opened: Open, step: StepPlan, so_far: Any) -> None:
    """A step has come as far as it can without more input: it runs again when that is there."""
    asking = opened.again(opened.occurrence)
    frame.driver.open(Receive(f"{step.id}.input", so_far, opened.occurrence, opened.scope), asking)


def run_again(frame: Frame, opened: Open, given: Any) -> None:
    """The step that asked for more input runs again, with that input over what it had."""
    if isinstance(given, dict):
        frame.values.parameters.update(given)
        frame.data.update(given)
    step = frame.plan.steps[opened.acting]
    again = opened.again(frame.marking.occurrence(opened.acting))
    try:
        if opened.items is None:
            do(frame, step, again)
        else:
            do_item(frame, step, again)
    except MissingValue as exc:
        raise Stop("MissingValue", f"step {step.id!r} cannot start: {exc}") from None
