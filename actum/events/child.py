"""What can happen between an execution and the executions that it starts. Stream `execution/<id>` of the parent."""

from __future__ import annotations

from typing import Literal

from actum.events.facts import Count, Digest, Facts, Name, Reserved, UsedFacts

__all__ = ["EVENTS"]


class ChildFacts(Facts):
    child: Name
    """What the child is called inside its parent."""
    occurrence: Count
    scope: Name | None = None
    execution: Name
    """The child's own id."""


class ChildStarted(ChildFacts):
    """Recorded in one append with the child's `execution.started`."""

    type = "child.started"
    workflow: Name
    definition: Digest | None = None
    on_parent_close: Literal["cancel", "abandon", "wait"] = "cancel"
    reserved: Reserved | None = None


class ChildCancelRequested(ChildFacts):
    """Its parent needs it no more; in one append with the child's `execution.cancel_requested`."""

    type = "child.cancel_requested"


class ChildSignalled(ChildFacts):
    """Its parent has sent it a signal; in one append with the child's `signal.received`. Payload: `{"value": …}`."""

    type = "child.signalled"
    signal: Name


class ChildEnded(ChildFacts, UsedFacts):
    """Recorded in one append with the child's own end. Payload: `{"output": …}` or `{"error": …}`, as there."""

    type = "child.ended"
    outcome: Literal["success", "failure", "timeout", "cancelled"]
    error_type: Name | None = None


EVENTS: tuple[type[Facts], ...] = (ChildStarted, ChildCancelRequested, ChildSignalled, ChildEnded)
