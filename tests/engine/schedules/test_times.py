"""When a schedule is due: every time once, in order, whatever clocks do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.engine.schedules.definition import Schedule, schedule_of
from actum.engine.schedules.times import begins_at, due, next_due, occurrences, span
from actum.errors import BadInput

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Havana",  # midnight does not exist in spring
    "Australia/Lord_Howe",  # by half an hour
    "Asia/Kathmandu",
    "Africa/Casablanca",  # back and forth within a year
    "America/St_Johns",
)
CRONS = (
    "30 2 * * *",
    "0 0 * * *",
    "*/15 * * * *",
    "5,45 1-3 * * *",
    "0 */6 * * *",
    "0 12 29 2 *",
    "15 1 L * *",
    "0 9 * * MON-FRI",
    "30 0 1 1 *",
    "* 2 * * *",
)
START = int(datetime(2023, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
YEARS_US = 4 * 366 * 86_400_000_000


def of(**more: Any) -> Schedule:
    return schedule_of("nightly", "flow", **more)


schedules = st.one_of(
    st.builds(
        lambda cron, zone, jitter: of(cron=cron, zone=zone, jitter=jitter),
        st.sampled_from(CRONS),
        st.sampled_from(ZONES),
        st.sampled_from((None, "1m", "3h")),
    ),
    st.builds(
        lambda every, start, jitter: of(every=every, start=start, jitter=jitter),
        st.integers(1, 100_000),
        st.sampled_from((None, "2024-02-29T23:59:59Z")),
        st.sampled_from((None, "1m")),
    ),
)
instants = st.integers(START, START + YEARS_US)


def local(us: int, zone: str) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)).astimezone(ZoneInfo(zone)).isoformat()


def of_day(schedule: Schedule, day: str) -> list[str]:
    """What is due on one local day."""
    begin = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(schedule.zone))
    before_us = int(begin.timestamp()) * 1_000_000 - 1
    found = [local(us, schedule.zone) for us in islice(occurrences(schedule, before_us), 200)]
    return [text[11:] for text in found if text.startswith(day)]


@forall(schedules, instants)
def test_each_time_is_later_than_the_one_before(schedule: Schedule, after: int) -> None:
    """Times only go forward, from wherever one looks."""
    times = list(islice(occurrences(schedule, after), 20))

    assert all(a < b for a, b in pairwise([after, *times]))


@forall(schedules, instants, st.integers(0, 3 * 86_400_000_000))
def test_which_times_there_are_does_not_depend_on_where_one_looks_from(
    schedule: Schedule, after: int, further: int
) -> None:
    """A worker that looks later sees the same times: none twice, none left out."""
    mine = list(islice(occurrences(schedule, after), 300))
    assume(mine)
    horizon = min(mine[-1], after + 2 * further)
    later = after + further
    theirs = [us for us in islice(occurrences(schedule, later), 600) if us <= horizon]

    assert [us for us in mine if later < us <= horizon] == theirs


@forall(schedules, instants, st.lists(st.integers(1, 86_400_000_000), min_size=1, max_size=8))
def test_looking_now_and_then_finds_every_time_once(schedule: Schedule, begin: int, gaps: list[int]) -> None:
    """Whenever somebody looks, together the looks find what one look at the end would have found."""
    assume(schedule.every_us is None or schedule.every_us > 600_000_000)
    now, last, found = begin, begin, []
    for gap in gaps:
        now += gap
        fresh = list(due(schedule, last, now))
        found += fresh
        last = fresh[-1] if fresh else last

    assert found == list(due(schedule, begin, now))


@forall(schedules, instants)
def test_jitter_moves_a_start_back_and_never_past_the_next(schedule: Schedule, after: int) -> None:
    """With jitter the order stays, and every process draws the same."""
    times = list(islice(occurrences(schedule, after), 5))

    for one, following in pairwise(times):
        assert one <= begins_at(schedule, one) < following
        assert begins_at(schedule, one) <= one + schedule.jitter_us
        assert begins_at(schedule, one) == begins_at(schedule, one)


@forall(schedules, instants, st.integers(0, 2 * 86_400_000_000))
def test_counting_is_as_walking(schedule: Schedule, after: int, width: int) -> None:
    """A span says how many times there are, without having walked through them."""
    assume(schedule.every_us is None or width // schedule.every_us < 2_000)
    walked = []
    for one in occurrences(schedule, after):
        if one > after + width:
            break
        walked.append(one)

    counted = span(schedule, after, after + width)

    assert counted == (None if not walked else (walked[0], walked[-1], len(walked)))


@pytest.mark.parametrize(
    ("zone", "cron", "day", "times"),
    [
        ("Europe/Berlin", "30 2 * * *", "2026-03-29", ["03:00:00+02:00"]),  # 02:30 is not there
        ("Europe/Berlin", "30 2 * * *", "2026-10-25", ["02:30:00+02:00"]),  # 02:30 is there twice
        ("Europe/Berlin", "0 3 * * *", "2026-03-29", ["03:00:00+02:00"]),
        ("America/New_York", "30 2 * * *", "2026-03-08", ["03:00:00-04:00"]),
        ("America/New_York", "30 1 * * *", "2026-11-01", ["01:30:00-04:00"]),
        ("America/Havana", "0 0 * * *", "2026-03-08", ["01:00:00-04:00"]),
        ("Australia/Lord_Howe", "15 2 * * *", "2026-10-04", ["02:30:00+11:00"]),
        ("Asia/Kathmandu", "0 6 * * *", "2026-06-01", ["06:00:00+05:45"]),
    ],
)
def test_where_clocks_are_set_a_day_has_its_one_execution(zone: str, cron: str, day: str, times: list[str]) -> None:
    """A time that does not exist happens when clocks have been set; one that exists twice happens once."""
    assert of_day(of(cron=cron, zone=zone), day) == times


@pytest.mark.parametrize(("day", "count"), [("2026-03-29", 92), ("2026-10-25", 100), ("2026-06-01", 96)])
def test_every_quarter_of_an_hour_follows_the_time_that_passes(day: str, count: int) -> None:
    """An expression about intervals has 23 hours of them in spring, and 25 in autumn."""
    assert len(of_day(of(cron="*/15 * * * *", zone="Europe/Berlin"), day)) == count


@pytest.mark.parametrize("zone", ZONES[1:])
def test_around_every_change_of_clocks_the_times_are_the_same_from_wherever_one_looks(zone: str) -> None:
    """A worker that begins to look in the middle of the night in which clocks are set sees what the others see."""
    place, hour = ZoneInfo(zone), timedelta(hours=1)
    instants_ = [datetime(2026, 1, 1, tzinfo=UTC) + n * hour for n in range(365 * 24)]
    changes = [a for a, b in pairwise(instants_) if a.astimezone(place).utcoffset() != b.astimezone(place).utcoffset()]
    for cron in CRONS:
        schedule = of(cron=cron, zone=zone)
        for change in changes:
            begin = int((change - 4 * hour).timestamp()) * 1_000_000
            end = begin + 9 * 3_600_000_000
            times = []
            for one in occurrences(schedule, begin - 86_400_000_000):
                if one > end:
                    break
                times.append(one)
            for after in range(begin, end, 1_200_000_000):
                expected = next((one for one in times if one > after), None)
                assert expected is None or next_due(schedule, after) == expected, (cron, local(after, zone))


def test_a_leap_day_comes_in_leap_years() -> None:
    """The 29th of February is waited for."""
    schedule = of(cron="0 12 29 2 *")

    assert [local(us, "UTC")[:10] for us in islice(occurrences(schedule, START), 3)] == [
        "2024-02-29",
        "2028-02-29",
        "2032-02-29",
    ]


def test_an_interval_counts_from_its_start_and_ends_at_its_end() -> None:
    """Times are start, start and an interval, and so on, up to and with the end."""
    schedule = of(every="20m", start="2026-11-21T12:05:00Z", end="2026-11-21T12:45:00Z")

    assert [local(us, "UTC")[11:16] for us in occurrences(schedule, 0)] == ["12:05", "12:25", "12:45"]
    assert next_due(schedule, next_due(schedule, 0) or 0) is not None


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "by one of cron, every and on"),
        ({"cron": "* * * * *", "every": "5m"}, "by one of cron, every and on, not by cron and every"),
        ({"cron": "61 * * * *"}, "Bad minute"),
        ({"cron": "* * * *"}, "has 4 fields"),
        ({"cron": "0 0 30 2 *"}, "Bad day-of-month"),
        ({"cron": "@dayly"}, "did you mean '@daily'"),
        ({"cron": "0 0 * * *", "zone": "Europe/Berln"}, "did you mean 'Europe/Berlin'"),
        ({"every": "5 minutes"}, "is no duration"),
        ({"every": "10ms"}, "a second is the shortest"),
        ({"every": "5m", "zone": "Europe/Berlin"}, "a zone is for cron"),
        ({"every": "5m", "overlap": "bufer_one"}, "did you mean 'buffer_one'"),
        ({"every": "5m", "missed": "none"}, "missed is one of skip, one, all"),
        ({"every": "5m", "start": "2026-11-21T12:00:00"}, "no UTC offset"),
        ({"every": "5m", "start": "2026-11-21T12:00:00Z", "end": "2026-11-20T12:00:00Z"}, "before it starts"),
        ({"every": "5m", "max_running": 0}, "max_running is a number from 1"),
        ({"on": "execution.complete"}, "did you mean 'execution.completed'"),
        ({"every": "5m", "on_facts": {"workflow": "x"}}, "name its type with on"),
        ({"on": "execution.completed", "jitter": "5m"}, "are for times"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_field(more: dict[str, Any], said: str) -> None:
    """A definition that is wrong says where."""
    with pytest.raises(BadInput, match=said):
        of(**more)


@forall(schedules)
def test_a_definition_comes_back_from_its_facts(schedule: Schedule) -> None:
    """What is recorded of a schedule is all of it."""
    assert Schedule.recorded(schedule.facts(), b'{"input":null}') == schedule
