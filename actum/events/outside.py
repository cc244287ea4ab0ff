"""Calls of tools and models, messages, and judgements of what came of them. Stream `execution/<id>`."""

from __future__ import annotations

from typing import Literal

from actum.events.facts import Count, Decimal, DurationUs, Facts, Name, Outcome

__all__ = ["EVENTS"]


class ToolCalled(Facts):
    """Payload: the arguments."""

    type = "tool.called"
    tool: Name
    call: Name
    step: Name | None = None


class ToolReturned(Facts):
    """Payload: the result, or the error's text."""

    type = "tool.returned"
    tool: Name
    call: Name
    step: Name | None = None
    outcome: Outcome
    error_type: Name | None = None
    duration_us: DurationUs | None = None


class ModelCalled(Facts):
    """Payload: what the model was sent."""

    type = "model.called"
    model: Name
    call: Name
    step: Name | None = None


class ModelReturned(Facts):
    """Payload: what the model said."""

    type = "model.returned"
    model: Name
    call: Name
    step: Name | None = None
    outcome: Outcome
    error_type: Name | None = None
    duration_us: DurationUs | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cost_nanousd: Count | None = None


class MessageSent(Facts):
    """Payload: the message."""

    type = "message.sent"
    role: Name


class JudgementRecorded(Facts):
    """A verdict on a decision, possibly long after it. Payload: `{"explanation": …}`."""

    type = "judgement.recorded"
    decision: Name
    """What was decided: `execution` for the whole outcome, or the name of a step or decision kind."""
    verdict: Literal["correct", "incorrect"]
    source: Literal["human", "deterministic", "model"]
    sampling: Literal["random", "census", "targeted"]
    """How the decision was chosen for judging: at random, all of them, or because it looked wrong."""
    of: Count | None = None
    """The version, in this stream, of the judged event."""
    model: Name | None = None
    score: Decimal | None = None
    confidence: Decimal | None = None
    """What the decider had stated, 0 to 1."""


EVENTS: tuple[type[Facts], ...] = (
    ToolCalled,
    ToolReturned,
    ModelCalled,
    ModelReturned,
    MessageSent,
    JudgementRecorded,
)
