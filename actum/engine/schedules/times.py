"""When a schedule is due. Pure: the time is an argument, and jitter is drawn from the name and the time."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Final, NamedTuple

from actum.engine.schedules.cron import next_by_clock
from actum.engine.schedules.definition import Schedule

__all__ = ["Span", "begins_at", "due", "next_due", "occurrences", "span"]

_DRAW: Final = 2**32


def next_due(schedule: Schedule, after_us: int) -> int | None:
    """The first time after `after_us` that the schedule names; None when there is none any more.

    The times are those that it names, without jitter. They depend on nothing but the definition.
    """
    if schedule.start_us is not None:
        after_us = max(after_us, schedule.start_us - 1)
    found: int | None = None
    if schedule.every_us is not None:
        first = schedule.start_us or 0
        found = first + ((after_us - first) // schedule.every_us + 1) * schedule.every_us
    elif schedule.cron is not None:
        found = next_by_clock(schedule.cron, schedule.zone, after_us)
    if found is None or (schedule.end_us is not None and found > schedule.end_us):
        return None
    return found


def occurrences(schedule: Schedule, after_us: int) -> Iterator[int]:
    """Every time after `after_us`, in order."""
    found = next_due(schedule, after_us)
    while found is not None:
        yield found
        found = next_due(schedule, found)


def begins_at(schedule: Schedule, due_us: int) -> int:
    """When what is due at this time begins: with jitter later by a part of it, and before the next one is due.

    The same in every process, so that workers agree.
    """
    if not schedule.jitter_us:
        return due_us
    following = next_due(schedule, due_us)
    room = schedule.jitter_us if following is None else min(schedule.jitter_us, following - due_us)
    draw = int.from_bytes(sha256(f"{schedule.name}\n{due_us}".encode()).digest()[:4], "big")
    return due_us + room * draw // _DRAW


def due(schedule: Schedule, last_us: int, now_us: int) -> Iterator[int]:
    """Every time after `last_us` whose execution should have begun by now, in order."""
    for one in occurrences(schedule, last_us):
        if one > now_us or begins_at(schedule, one) > now_us:
            return
        yield one


class Span(NamedTuple):
    """So many times, the first and the last of them."""

    first_us: int
    last_us: int
    number: int


def span(schedule: Schedule, after_us: int, until_us: int) -> Span | None:
    """The times after the one and up to the other, counted; None when there are none."""
    first = next_due(schedule, after_us)
    if first is None or first > until_us:
        return None
    if schedule.every_us is not None:  # years of seconds are counted, not walked through
        end_us = until_us if schedule.end_us is None else min(until_us, schedule.end_us)
        more = (end_us - first) // schedule.every_us
        return Span(first, first + more * schedule.every_us, more + 1)
    last, count = first, 1
    for last in occurrences(schedule, first):
        if last > until_us:
            break
        count += 1
        seen = last
    return Span(first, seen if count > 1 else first, count)
