"""What reaches an execution without being asked for. Stream `execution/<id>`."""

from __future__ import annotations

from actum.events.facts import Count, Facts, Name

__all__ = ["EVENTS"]


class SignalAwaited(Facts):
    """The workflow waits for the next signal of this name that it has not read."""

    type = "signal.awaited"
    signal: Name
    occurrence: Count
    scope: Name | None = None


class SignalReceived(Facts):
    """Somebody sent a signal, whether or not anything waited for it. Payload: `{"value": …}`."""

    type = "signal.received"
    signal: Name
    signal_id: Name | None = None
    """The sender's own id: the same one twice is one signal."""


EVENTS: tuple[type[Facts], ...] = (SignalAwaited, SignalReceived)
