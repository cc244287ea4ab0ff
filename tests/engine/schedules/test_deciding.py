"""What a schedule does now: given what is dealt with, the time, and what runs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.engine.schedules.deciding import Buffer, Fire, Miss, Terminate, decide_schedule
from actum.engine.schedules.definition import schedule_of
from actum.engine.schedules.state import ScheduleState
from actum.engine.schedules.times import Span, occurrences
from actum.errors import BadInput
from actum.testing.clock import NOON_US

HOUR_US = 3_600_000_000
MINUTE_US = 60_000_000


def state(since_us: int = NOON_US, *, buffered_us: int | None = None, **more: Any) -> ScheduleState:
    """A schedule of every hour, of which everything is dealt with up to then."""
    it = ScheduleState("hourly")
    it.schedule = schedule_of("hourly", "flow", every="1h", **more)
    it.status = "active"
    it.done_us = since_us
    it.buffered_us = buffered_us
    return it


def hours(first: int, last: int | None = None) -> Span:
    last = first if last is None else last
    return Span(NOON_US + first * HOUR_US, NOON_US + last * HOUR_US, last - first + 1)


def fire(hour: int) -> Fire:
    return Fire(NOON_US + hour * HOUR_US)


def test_what_is_due_begins_and_nothing_before() -> None:
    """At its time, not a microsecond earlier."""
    assert decide_schedule(state(), NOON_US + HOUR_US - 1, 0) == []
    assert decide_schedule(state(), NOON_US + HOUR_US, 0) == [fire(1)]


@pytest.mark.parametrize(
    ("missed", "decisions"),
    [
        ("skip", [Miss(hours(1, 4), "nobody_ran")]),
        ("one", [Miss(hours(1, 3), "nobody_ran"), fire(4)]),
        ("all", [fire(1), fire(2), fire(3), fire(4)]),
    ],
)
def test_what_nobody_began_in_time_is_caught_up_with_as_declared(missed: str, decisions: list[Any]) -> None:
    """None, one or all of them begin; the others are recorded as missed."""
    it = state(missed=missed, overlap="allow")

    assert decide_schedule(it, NOON_US + 4 * HOUR_US + 30 * MINUTE_US, 0) == decisions


def test_one_that_is_due_just_now_stands_for_all_that_were_missed() -> None:
    """With `one`, nothing begins twice when somebody comes back on the hour."""
    assert decide_schedule(state(missed="one"), NOON_US + 4 * HOUR_US, 0) == [Miss(hours(1, 3), "nobody_ran"), fire(4)]


def test_what_is_older_than_the_window_is_missed_even_with_all() -> None:
    """`all` means all within `catch_up`."""
    it = state(missed="all", catch_up="2h", overlap="allow")

    found = decide_schedule(it, NOON_US + 10 * HOUR_US + MINUTE_US, 0)

    assert found == [Miss(hours(1, 8), "nobody_ran"), fire(9), fire(10)]


@pytest.mark.parametrize(
    ("overlap", "more", "running", "decisions"),
    [
        ("skip", {}, 1, [Miss(hours(1), "overlap")]),
        ("buffer_one", {}, 1, [Buffer(NOON_US + HOUR_US)]),
        ("allow", {}, 7, [fire(1)]),
        ("allow", {"max_running": 2}, 2, [Miss(hours(1), "overlap")]),
        ("skip", {"max_running": 2}, 1, [fire(1)]),
        ("cancel_other", {}, 0, [fire(1)]),
        ("cancel_other", {}, 1, [Buffer(NOON_US + HOUR_US, cancel=1)]),
        ("cancel_other", {"max_running": 3}, 4, [Buffer(NOON_US + HOUR_US, cancel=2)]),
        ("terminate_other", {}, 1, [Terminate(NOON_US + HOUR_US, 1)]),
        ("terminate_other", {"max_running": 2}, 1, [fire(1)]),
        ("terminate_other", {"max_running": 2}, 3, [Terminate(NOON_US + HOUR_US, 2)]),
    ],
)
def test_where_others_run_the_policy_says_what_becomes_of_it(
    overlap: str, more: dict[str, Any], running: int, decisions: list[Any]
) -> None:
    """Left out, kept, or begun beside them, up to the greatest number."""
    assert decide_schedule(state(overlap=overlap, **more), NOON_US + HOUR_US, running) == decisions


def test_only_one_is_kept_and_it_begins_when_there_is_room() -> None:
    """With one waiting, the next is missed; the one that waits begins with its own time."""
    it = state(NOON_US + HOUR_US, buffered_us=NOON_US + HOUR_US, overlap="buffer_one")

    assert decide_schedule(it, NOON_US + 2 * HOUR_US, 1) == [Miss(hours(2), "overlap")]
    assert decide_schedule(it, NOON_US + HOUR_US + 5, 0) == [Fire(NOON_US + HOUR_US, "buffered")]


def test_the_newest_takes_the_place_of_the_one_that_waits() -> None:
    """With `cancel_other` what waits is missed when the next is due, and not when nothing is."""
    it = state(NOON_US + HOUR_US, buffered_us=NOON_US + HOUR_US, overlap="cancel_other")
    waits = NOON_US + 2 * HOUR_US

    assert decide_schedule(it, NOON_US + HOUR_US + 5, 1) == []
    assert decide_schedule(it, waits, 1) == [Miss(hours(1), "overlap"), Buffer(waits, cancel=1)]
    assert decide_schedule(it, NOON_US + HOUR_US + 5, 0) == [Fire(NOON_US + HOUR_US, "buffered")]
    assert decide_schedule(it, waits, 0) == [Miss(hours(1), "overlap"), fire(2)]


def test_what_would_begin_only_to_be_ended_is_refused() -> None:
    """`missed` all contradicts a policy by which the newest ends the others; events are not kept for later."""
    for overlap in ("cancel_other", "terminate_other"):
        with pytest.raises(BadInput, match="only to end one another"):
            schedule_of("hourly", "flow", every="1h", missed="all", overlap=overlap)
    with pytest.raises(BadInput, match="none is kept for later"):
        schedule_of("after", "flow", on="execution.failed", overlap="cancel_other")


@pytest.mark.parametrize("status", ["paused", "removed"])
def test_a_schedule_that_is_paused_or_removed_decides_nothing(status: Any) -> None:
    """Until it is resumed nothing begins, and nothing is recorded as missed."""
    it = state()
    it.status = status

    assert decide_schedule(it, NOON_US + 9 * HOUR_US, 0) == []


@forall(
    missed=st.sampled_from(("skip", "one", "all")),
    overlap=st.sampled_from(("skip", "buffer_one", "allow")),
    max_running=st.sampled_from((None, 1, 3)),
    jitter=st.sampled_from((None, "20m")),
    gaps=st.lists(st.integers(0, 40 * HOUR_US), min_size=1, max_size=12),
    running=st.lists(st.integers(0, 4), min_size=12, max_size=12),
)
def test_every_time_is_dealt_with_once_and_in_order(
    missed: str, overlap: str, max_running: int | None, jitter: str | None, gaps: list[int], running: list[int]
) -> None:
    """Whenever somebody looks and whatever runs: each time begins, waits, or is missed, exactly once."""
    it = state(missed=missed, overlap=overlap, max_running=max_running, jitter=jitter)
    now, dealt = NOON_US, []
    for gap, others in zip(gaps, running, strict=False):
        now += gap
        for decision in decide_schedule(it, now, others):
            match decision:
                case Fire(_, "buffered"):
                    it.buffered_us = None
                    continue
                case Fire(due_us):
                    times = Span(due_us, due_us, 1)
                case Buffer(due_us):
                    assert it.buffered_us is None
                    it.buffered_us = due_us
                    times = Span(due_us, due_us, 1)
                case Miss(times):
                    pass
            between = list(range(times.first_us, times.last_us + 1, HOUR_US))
            assert len(between) == times.number
            dealt += between
            it.done_us = max(it.done_us, times.last_us)
    assert it.schedule is not None

    expected = []
    for one in occurrences(it.schedule, NOON_US):
        if one > it.done_us:
            break
        expected.append(one)
    assert dealt == expected
    assert decide_schedule(it, now, 4) == [] or it.buffered_us is not None or len(dealt) >= 100
