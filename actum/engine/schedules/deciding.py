"""What a schedule does now: which executions begin, wait, or were missed. Pure."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from actum.engine.schedules.definition import Schedule
from actum.engine.schedules.state import ScheduleState
from actum.engine.schedules.times import Span, begins_at, due, next_due, span

__all__ = ["LATE_US", "Buffer", "Decision", "Fire", "Miss", "Terminate", "decide_schedule", "execution_id", "wake_us"]

LATE_US: Final = 60_000_000
"""What begins later than this was missed: somebody who carries schedules out looks much more often."""
_AT_ONCE: Final = 100


class Fire(NamedTuple):
    """Begin the execution of this time."""

    due_us: int
    kind: Literal["due", "buffered", "manual", "backfill"] = "due"


class Buffer(NamedTuple):
    """The execution of this time begins as soon as there is room; so many of the oldest are asked to cancel for it."""

    due_us: int
    cancel: int = 0


class Terminate(NamedTuple):
    """So many of the oldest are ended at once, so that the execution of this time can begin."""

    due_us: int
    number: int


class Miss(NamedTuple):
    """The executions of these times do not begin any more."""

    times: Span
    reason: Literal["nobody_ran", "overlap", "refused", "id_taken"]


Decision = Fire | Buffer | Miss | Terminate


def execution_id(name: str, due_text: str) -> str:
    """The id of the execution of a time: whoever begins it, it is the same one."""
    return f"{name}@{due_text.removesuffix('.000000Z').removesuffix('Z')}Z"


def decide_schedule(state: ScheduleState, now_us: int, running: int) -> list[Decision]:
    """What is to be recorded, in this order, when so many of the schedule's executions run.

    Of very much that is due the first hundred: asked again, it goes on from there.
    """
    schedule = state.schedule
    if schedule is None or state.status != "active":
        return []
    decisions: list[Decision] = []
    limit = schedule.limit
    if limit is not None and schedule.overlap in ("cancel_other", "terminate_other"):
        return _the_newest(state, schedule, limit, now_us, running)
    if state.buffered_us is not None and (limit is None or running < limit):
        decisions.append(Fire(state.buffered_us, "buffered"))
        running += 1
    waits = state.buffered_us is not None and not decisions
    lost, now_due = _due(schedule, state.done_us, now_us)
    decisions += [Miss(one, "nobody_ran") for one in lost]
    for one in now_due:
        if len(decisions) >= _AT_ONCE:
            break
        if limit is None or running < limit:
            decisions.append(Fire(one))
            running += 1
        elif schedule.overlap == "buffer_one" and not waits:
            decisions.append(Buffer(one))
            waits = True
        else:
            _miss_too(decisions, one)
    return decisions


def _the_newest(state: ScheduleState, schedule: Schedule, limit: int, now_us: int, running: int) -> list[Decision]:
    """What begins, or waits, is the newest that is due: for it the oldest that run make room, and others are missed."""
    lost, now_due = _due(schedule, state.done_us, now_us)
    kept = [] if state.buffered_us is None else [state.buffered_us]
    room = max(0, limit - running)
    decisions: list[Decision] = [Miss(one, "nobody_ran") for one in lost]
    if not now_due and not room:
        return decisions
    wanted = kept + now_due
    for one in wanted[: -(room or 1)]:
        _miss_too(decisions, one)
    for one in wanted[-(room or 1) :]:
        if room:
            decisions.append(Fire(one, "buffered" if one in kept else "due"))
        elif schedule.overlap == "cancel_other":
            decisions.append(Buffer(one, cancel=running + 1 - limit))
        else:
            decisions.append(Terminate(one, running + 1 - limit))
    return decisions


def _due(schedule: Schedule, done_us: int, now_us: int) -> tuple[list[Span], list[int]]:
    """Which of the times since `done_us` nobody carried out and nobody will, and which are to be carried out now."""
    window_us = LATE_US if schedule.missed == "skip" else max(schedule.catch_up_us, LATE_US)
    horizon_us = now_us - window_us - schedule.jitter_us
    old = span(schedule, done_us, horizon_us)
    lost = [] if old is None else [old]
    times: list[int] = []
    for one in due(schedule, max(done_us, horizon_us), now_us):
        times.append(one)
        if schedule.missed == "all" and len(times) > _AT_ONCE:
            break
    late = [one for one in times if now_us - begins_at(schedule, one) > LATE_US]
    if schedule.missed == "all" or not late:
        return lost, times
    fresh = times[len(late) :]
    # One stands for all that were missed: the newest of them, or what is due just now.
    kept = [] if fresh or schedule.missed == "skip" else [late.pop()]
    if late:
        lost.append(Span(late[0], late[-1], len(late)))
    return lost, kept + fresh


def _miss_too(decisions: list[Decision], due_us: int) -> None:
    """Add a time that there was no room for, to the ones before it if they had none either."""
    last = decisions[-1] if decisions else None
    if isinstance(last, Miss) and last.reason == "overlap":
        decisions[-1] = Miss(Span(last.times.first_us, due_us, last.times.number + 1), "overlap")
    else:
        decisions.append(Miss(Span(due_us, due_us, 1), "overlap"))


def wake_us(state: ScheduleState) -> int | None:
    """When the schedule will have something to decide; None when no time will bring it."""
    schedule = state.schedule
    if schedule is None or state.status != "active":
        return None
    following = next_due(schedule, state.done_us)
    return None if following is None else begins_at(schedule, following)
