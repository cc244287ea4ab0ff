"""Rate limits: never more than was said, never less, and the time to wait is exact."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from actum.engine.resources.declared import RateLimit
from actum.engine.resources.rate import take, wait_us

NOON_US = 1_800_000_000_000_000


def test_a_burst_then_evenly() -> None:
    """Ten at once, then one a second: sixty a minute."""
    limit = RateLimit("openai", 60, per="1m", burst=10)
    arrival, waits, now = 0, [], NOON_US
    for _ in range(13):
        waits.append(wait_us(limit, arrival, now, 1))
        now += waits[-1]
        arrival = take(limit, arrival, now, 1)
    assert waits == [0] * 10 + [1_000_000] * 3


def test_counts_that_do_not_divide_the_time_do_not_drift() -> None:
    """Seven a second for a thousand seconds are seven thousand, and the burst."""
    limit = RateLimit("odd", 7, per="1s", burst=1)
    arrival, now = 0, NOON_US
    for _ in range(7_001):
        now += wait_us(limit, arrival, now, 1)
        arrival = take(limit, arrival, now, 1)
    assert now - NOON_US == 1_000_000_000


@settings(max_examples=50)
@given(
    st.integers(1, 50),
    st.integers(1, 10_000_000),
    st.integers(1, 20),
    st.lists(st.tuples(st.integers(0, 5_000_000), st.integers(1, 20)), max_size=30),
)
def test_in_any_stretch_at_most_the_burst_and_the_rate(
    count: int, per_us: int, burst: int, asks: list[tuple[int, int]]
) -> None:
    """Between any two takings there are no more tokens than the burst and what came in between; and no wait is
    longer than it must be."""
    limit = RateLimit("any", count, per=1, burst=burst)
    limit.per_us = per_us
    arrival, now = 0, NOON_US
    taken: list[tuple[int, int]] = []
    for pause, wanted in asks:
        amount = min(wanted, burst)
        now += pause
        wait = wait_us(limit, arrival, now, amount)
        if wait:
            assert wait_us(limit, arrival, now + wait - 1, amount) > 0, "a microsecond earlier it is too early"
        now += wait
        assert wait_us(limit, arrival, now, amount) == 0
        arrival = take(limit, arrival, now, amount)
        taken.append((now, amount))
    for first, (start, _) in enumerate(taken):
        total = 0
        for at, amount in taken[first:]:
            total += amount
            assert (total - burst) * per_us <= (at - start + 1) * count
