"""Durations: exact while few, a sketch when many, and the same whatever the parts."""

from __future__ import annotations

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.metrics.durations import EXACT_LIMIT, PERCENTILES, Durations

LIMIT = 8
given_values = st.lists(st.one_of(st.none(), st.integers(-3, 10**9)), max_size=20)


def of(values: list[int | None], limit: int = LIMIT) -> Durations:
    durations = Durations((10, 1_000, 1_000_000), limit)
    for value in values:
        durations.add(value)
    return durations


@forall(given_values, given_values, given_values)
def test_parts_merge_into_the_whole(a: list[int | None], b: list[int | None], c: list[int | None]) -> None:
    """Whether the parts are exact or sketched, merging gives what one fold over all values gives, in any order."""
    whole = of(a + b + c)

    assert of(a).merge(of(b)).merge(of(c)) == of(c).merge(of(a).merge(of(b))) == whole


@forall(st.lists(st.integers(0, 10**9), min_size=1, max_size=LIMIT))
def test_few_durations_have_exact_percentiles(values: list[int]) -> None:
    """Up to the limit each percentile is a value that occurred: the one at rank ⌈p·n/100⌉."""
    in_order = sorted(values)
    durations = of(list(values))

    assert durations.method == "nearest_rank"
    assert durations.percentiles_us() == {p: in_order[-(-p * len(values) // 100) - 1] for p in PERCENTILES}


@forall(st.lists(st.integers(0, 10**9), min_size=LIMIT + 1, max_size=40))
def test_many_durations_are_sketched_and_say_so(values: list[int]) -> None:
    """Past the limit percentiles are within 1.08 %, the method says `histogram`, and count and mean stay exact."""
    in_order = sorted(values)
    durations = of(list(values))
    found = durations.percentiles_us()

    assert durations.method == "histogram"
    assert found is not None
    for p in PERCENTILES:
        exact = in_order[-(-p * len(values) // 100) - 1]
        assert found[p] == pytest.approx(exact, rel=0.010831)
    assert durations.to_json()["mean_s"] == sum(values) / len(values) / 1e6


@forall(given_values)
def test_fixed_buckets_are_exact_either_way(values: list[int | None]) -> None:
    """Counts at the edges are exact, also when percentiles are not: an edge itself belongs below."""
    known = [value for value in values if value is not None and value >= 0]

    assert of(values).cumulative() == [(edge, sum(value <= edge for value in known)) for edge in (10, 1_000, 1_000_000)]


def test_unknown_and_negative_are_counted_and_left_out() -> None:
    """Neither a missing nor a negative duration enters any time; both are counted."""
    durations = of([5, None, -1])

    assert (durations.count, durations.unknown, durations.rejected, durations.things) == (1, 1, 1, 3)
    assert durations.sum_us == 5


def test_no_duration_is_no_data() -> None:
    """Without a known duration every time is null; the count is a true 0."""
    found = of([None]).to_json()

    assert found["count"] == 0
    assert {found[key] for key in ("p50_s", "p90_s", "p95_s", "p99_s", "mean_s", "method")} == {None}


def test_the_limit_is_ten_thousand() -> None:
    """The ten-thousandth duration is still exact, the next one is not."""
    durations = Durations()
    for value in range(EXACT_LIMIT):
        durations.add(value)
    assert durations.method == "nearest_rank"
    durations.add(0)

    assert (EXACT_LIMIT, durations.method) == (10_000, "histogram")


def test_durations_counted_differently_do_not_merge() -> None:
    """Other edges are refused instead of being counted wrongly."""
    with pytest.raises(ValueError, match="edges"):
        Durations((1,)).merge(Durations((2,)))
