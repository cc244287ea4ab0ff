"""What happened to a subscription (`subscription/<name>`) that its own position does not say."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from actum.events.facts import Count, Facts, Name

__all__ = ["EVENTS"]


class SubscriptionResized(Facts):
    """From the event after this one on, the group's streams are shared out among `members` consumers."""

    type = "subscription.resized"
    subscription: Name
    members: Annotated[int, Field(ge=1)]


class SubscriptionDeadLettered(Facts):
    """An event could not be taken, and the subscription went on without it. Payload: `{"message": …}`."""

    type = "subscription.dead_lettered"
    subscription: Name
    source: Name
    """The id of the event that was not taken, which lies at `position`."""
    position: Count
    source_type: Name
    attempts: Annotated[int, Field(ge=1)]
    error_type: Name


EVENTS: tuple[type[Facts], ...] = (SubscriptionResized, SubscriptionDeadLettered)
