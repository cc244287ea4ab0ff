"""More input, which an execution asks for on its way. Stream `execution/<id>`."""

from __future__ import annotations

from actum.events.facts import Count, DurationUs, Facts, Name

__all__ = ["EVENTS"]


class InputFacts(Facts):
    input: Name
    """What the request is called inside its execution."""
    occurrence: Count
    scope: Name | None = None


class InputRequested(InputFacts):
    """The execution is incomplete until more input comes. Payload: `{"prompt": …}`, what it has to say until then."""

    type = "input.requested"


class InputReceived(InputFacts):
    """Payload: `{"value": …}`. The actor is who gave it."""

    type = "input.received"
    waited_us: DurationUs


EVENTS: tuple[type[Facts], ...] = (InputRequested, InputReceived)
