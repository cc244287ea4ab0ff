"""What can happen to a schedule. Stream `schedule/<name>`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from actum.events.facts import Attribute, AttributeName, Count, DurationUs, Facts, Instant, Name

__all__ = ["EVENTS"]


class ScheduleDefined(Facts):
    """It is so from now on, whatever it was before. Payload: `{"input": …}`, what each execution gets.

    Exactly one of `cron`, `every_us` and `on` says when.
    """

    type = "schedule.defined"
    schedule: Name
    workflow: Name
    cron: Name | None = None
    """Minute, hour, day, month and weekday, on the clocks of `zone`."""
    every_us: DurationUs | None = None
    """Counted from `start`, or else from the beginning of 1970."""
    on: Name | None = None
    """A type of event: each one in the log is an occasion."""
    on_facts: dict[AttributeName, Attribute] | None = None
    """Which of them: those whose facts have these values."""
    zone: Name = "UTC"
    start: Instant | None = None
    end: Instant | None = None
    jitter_us: DurationUs = 0
    missed: Literal["skip", "one", "all"] = "one"
    catch_up_us: DurationUs
    overlap: Literal["skip", "buffer_one", "allow", "cancel_other", "terminate_other"] = "skip"
    max_running: Annotated[int, Field(ge=1)] | None = None


class ScheduleFired(Facts):
    """In one append with the beginning of `execution`."""

    type = "schedule.fired"
    schedule: Name
    execution: Name
    kind: Literal["due", "buffered", "manual", "backfill", "event"]
    due: Instant
    """The time that it was meant for; for an event, when that happened."""
    position: Count | None = None
    """Of the event that it was fired for."""
    late_us: DurationUs
    ended: list[Name] | None = None
    """Executions that it began earlier and that were seen to have ended: it need not look at them again."""


class ScheduleBuffered(Facts):
    """What was to run at this time begins as soon as an earlier execution has ended."""

    type = "schedule.buffered"
    schedule: Name
    due: Instant


class ScheduleMadeRoom(Facts):
    """Executions that it began earlier were asked to cancel, or ended, in one append with that."""

    type = "schedule.made_room"
    schedule: Name
    due: Instant
    """The time whose execution they make room for."""
    executions: list[Name]
    force: bool
    """They were ended at once; otherwise they may clean up first."""


class ScheduleMissed(Facts):
    """`count` executions did not begin. Payload, when they were refused: `{"message": …}`."""

    type = "schedule.missed"
    schedule: Name
    first: Instant
    last: Instant
    count: Annotated[int, Field(ge=1)]
    reason: Literal["nobody_ran", "overlap", "refused", "id_taken"]
    error_type: Name | None = None
    position: Count | None = None
    """Of the last event that was an occasion for it."""


class SchedulePaused(Facts):
    """Payload, when something was said: `{"reason": …}`."""

    type = "schedule.paused"
    schedule: Name


class ScheduleResumed(Facts):
    """What fell due in between is left out."""

    type = "schedule.resumed"
    schedule: Name


class ScheduleRemoved(Facts):
    type = "schedule.removed"
    schedule: Name


EVENTS: tuple[type[Facts], ...] = (
    ScheduleDefined,
    ScheduleFired,
    ScheduleBuffered,
    ScheduleMadeRoom,
    ScheduleMissed,
    SchedulePaused,
    ScheduleResumed,
    ScheduleRemoved,
)
