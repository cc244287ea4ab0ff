"""What can happen to a question put to people. Stream `execution/<id>`."""

from __future__ import annotations

from typing import Literal

from actum.events.facts import Count, Digest, DurationUs, Facts, Instant, Name

__all__ = ["EVENTS"]


class ApprovalFacts(Facts):
    approval: Name
    """What the question is called inside its execution."""
    occurrence: Count
    scope: Name | None = None


class ApprovalRequested(ApprovalFacts):
    """Payload: `{"title": …, "context": …}`, what the approver is shown."""

    type = "approval.requested"
    severity: Literal["low", "medium", "high", "critical"] = "medium"
    policy: Name | None = None
    deadline: Instant | None = None


class ApprovalDecided(ApprovalFacts):
    """Payload: `{"comment": …}`. The actor of the event is the person who decided."""

    shown: Digest
    """The payload digest in the header of the request: the decision is bound to exactly what was shown."""
    waited_us: DurationUs


class ApprovalGranted(ApprovalDecided):
    type = "approval.granted"


class ApprovalRejected(ApprovalDecided):
    type = "approval.rejected"


class ApprovalExpired(ApprovalFacts):
    """Nobody answered before the deadline, which counts as no; no human act."""

    type = "approval.expired"
    waited_us: DurationUs


class ApprovalWithdrawn(ApprovalFacts):
    """Nobody needs the answer any more; no human act."""

    type = "approval.withdrawn"
    waited_us: DurationUs


class InterventionRecorded(Facts):
    """A person did what the workflow had not planned. Payload: `{"before": …, "after": …, "reason": …}`."""

    type = "intervention.recorded"
    kind: Literal[
        "override", "edit", "manual_retry", "skip", "takeover", "stop", "escalation", "correction", "manual_step"
    ]
    step: Name | None = None


EVENTS: tuple[type[Facts], ...] = (
    ApprovalRequested,
    ApprovalGranted,
    ApprovalRejected,
    ApprovalExpired,
    ApprovalWithdrawn,
    InterventionRecorded,
)
