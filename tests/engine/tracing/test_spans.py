"""Spans as a function of events: what no workflow of this program writes by itself, too."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.engine.tracing.spans import Span, SpanFold, caller_of
from actum.engine.tracing.traceparent import check_traceparent, parse_traceparent
from actum.errors import BadInput
from actum.events import Actor, NewEvent, foreign_id, to_text
from actum.testing.clock import NOON_US

WORKER = Actor("worker", "w-1")
STEP = {"step": "match", "occurrence": 0}


def events_of(*said: tuple[str, dict[str, Any]], name: str = "e") -> list[NewEvent]:
    """Events a second apart."""
    return [
        NewEvent(type_, facts, to_text(NOON_US + n * 1_000_000), WORKER, foreign_id(name, n))
        for n, (type_, facts) in enumerate(said)
    ]


def spans(*said: tuple[str, dict[str, Any]]) -> list[Span]:
    fold = SpanFold("one")
    return [span for n, event in enumerate(events_of(*said)) for span in fold.add(event, n)]


STARTED = ("execution.started", {"workflow": "checkout", "kind": "function"})
COMPLETED = ("execution.completed", {"outcome": "success"})


def test_calls_of_tools_and_models_hang_below_the_attempt_that_made_them() -> None:
    """With the names that OpenTelemetry has for what they are and what they used."""
    call = {"call": "c-1", "step": "match"}
    used = {"outcome": "success", "input_tokens": 812, "output_tokens": 96, "duration_us": 5}
    found = spans(
        STARTED,
        ("step.started", STEP),
        ("tool.called", {"tool": "ledger", **call}),
        ("tool.returned", {"tool": "ledger", **call, "outcome": "failure", "error_type": "Busy"}),
        ("model.called", {"model": "m-small", **call, "call": "c-2"}),
        ("model.returned", {"model": "m-small", **call, "call": "c-2", **used}),
        ("step.completed", {**STEP, "outcome": "success"}),
        COMPLETED,
    )

    tool, model, attempt, whole, execution = found
    assert [one.kind for one in found] == ["tool", "model", "attempt", "step", "execution"]
    assert tool.parent_id == model.parent_id == attempt.span_id
    assert attempt.parent_id == whole.span_id
    assert whole.parent_id == execution.span_id
    assert (tool.error, tool.attributes["gen_ai.tool.name"]) == ("Busy", "ledger")
    assert model.attributes["gen_ai.usage.input_tokens"] == 812
    assert (tool.end_us - tool.start_us, model.end_us - model.start_us) == (1_000_000, 1_000_000)


def test_what_was_recorded_only_at_its_end_began_as_long_ago_as_it_took() -> None:
    """An imported step has a span too."""
    found = spans(STARTED, ("step.completed", {**STEP, "outcome": "success", "duration_us": 400_000}), COMPLETED)

    assert (found[0].kind, found[0].end_us - found[0].start_us) == ("step", 400_000)


def test_what_has_no_end_of_its_own_ends_with_the_execution() -> None:
    """A branch that was let go of is shown as unfinished, not as failed."""
    found = spans(STARTED, ("step.started", STEP), COMPLETED)

    assert [(one.kind, one.error, one.attributes.get("actum.unfinished")) for one in found] == [
        ("attempt", None, True),
        ("step", None, True),
        ("execution", None, None),
    ]


def test_a_child_hangs_below_the_call_in_its_parent() -> None:
    """One trace for both; the child's events need not say whose it is, where the parent's are at hand."""
    child = {"child": "ship", "occurrence": 0, "execution": "one.ship", "workflow": "shipping"}
    parent_fold, child_fold = SpanFold("one"), SpanFold("one.ship")
    folds = {"one": parent_fold, "one.ship": child_fold}
    begun = events_of(STARTED, ("child.started", child))
    born = events_of(
        ("execution.started", {"workflow": "shipping", "kind": "function", "parent": "one", "parent_key": "ship#0"}),
        COMPLETED,
        name="child",
    )
    ended = events_of(STARTED, ("child.started", child), ("child.ended", {**child, "outcome": "completed"}), COMPLETED)

    for event in begun:
        assert parent_fold.add(event, None) == []
    child_fold.add(born[0], None, caller_of(born[0], folds))
    (execution_of_child,) = child_fold.add(born[1], None)
    (call,) = parent_fold.add(ended[2], None)
    (execution,) = parent_fold.add(ended[3], None)

    assert execution_of_child.trace_id == call.trace_id == execution.trace_id
    assert execution_of_child.parent_id == call.span_id
    assert call.parent_id == execution.span_id
    assert call.error is None
    assert str(parent_fold.child_of("ship#0")) == f"00-{call.trace_id}-{call.span_id}-01"


NOTHING_ODD = st.sampled_from(
    [
        COMPLETED,
        ("execution.failed", {"outcome": "failure", "error_type": "E"}),
        ("execution.claimed", {"worker": "w-2", "reason": "takeover"}),
        ("step.started", STEP),
        ("step.started", {**STEP, "attempt": 2}),
        ("step.failed", {**STEP, "outcome": "failure", "error_type": "E", "final": True}),
        ("step.failed", {**STEP, "outcome": "failure", "error_type": "E"}),
        ("step.in_doubt", {**STEP, "action": "retry"}),
        ("step.completed", {**STEP, "outcome": "success"}),
        ("step.skipped", {**STEP, "reason": "person"}),
        ("compensation.started", {**STEP, "compensation": "undo"}),
        ("compensation.completed", {**STEP, "compensation": "undo", "outcome": "success"}),
        ("timer.set", {"timer": "t", "occurrence": 0, "due": to_text(NOON_US)}),
        ("timer.fired", {"timer": "t", "occurrence": 0, "late_us": 0}),
        ("tool.called", {"tool": "x", "call": "c"}),
        ("tool.returned", {"tool": "x", "call": "c", "outcome": "success"}),
        ("message.sent", {"role": "assistant"}),
    ]
)


@forall(st.lists(NOTHING_ODD, max_size=30))
def test_whatever_was_recorded_has_spans_that_hang_together(said: list[tuple[str, dict[str, Any]]]) -> None:
    """Nothing is refused, nothing ends before it begins, and each span has its place in one trace."""
    found = spans(STARTED, *said)

    assert len({span.trace_id for span in found}) <= 1
    for span in found:
        assert span.start_us <= span.end_us
        assert span.span_id != span.parent_id
        assert len(span.span_id) == 16


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00-0-0-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ],
)
def test_what_is_no_traceparent_is_not_believed(text: str) -> None:
    """Read from a log it counts as nothing; given by a person it is refused."""
    assert parse_traceparent(text) is None
    with pytest.raises(BadInput, match="no traceparent"):
        check_traceparent(text)


def test_a_step_that_waited_says_how_long() -> None:
    """Its span begins when it was due, that of its attempt when it had what it needed."""
    found = spans(
        STARTED,
        ("step.scheduled", {**STEP, "needs": {"gpu": 1}}),
        ("timer.set", {"timer": "t", "occurrence": 0, "due": to_text(NOON_US)}),
        ("step.started", STEP),
        ("step.completed", {**STEP, "outcome": "success"}),
        COMPLETED,
    )
    attempt, whole = found[0], found[1]
    assert attempt.attributes["actum.waited_us"] == 2_000_000
    assert attempt.start_us - whole.start_us == 2_000_000
