"""The exponential histogram: where values go, how exact it is, and that merging is plain addition."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.metrics.histogram import SCALE, Histogram, bucket_index

values = st.one_of(st.integers(0, 2**53 - 1), st.integers(0, 100_000))
many = st.lists(values, max_size=60)
BASE = 2 ** (2**-SCALE)
ERROR = (BASE - 1) / (BASE + 1)


def of(durations: Iterable[int], scale: int = SCALE) -> Histogram:
    histogram = Histogram(scale)
    for value in durations:
        histogram.add(value)
    return histogram


@forall(st.integers(1, 2**53 - 1))
def test_a_value_lies_within_its_bucket(value: int) -> None:
    """base^i < v ≤ base^(i+1) in seconds, decided in exact rational arithmetic."""
    index = bucket_index(value)
    power = Fraction(value, 1_000_000) ** 32

    assert Fraction(2) ** index < power <= Fraction(2) ** (index + 1)


@pytest.mark.parametrize("exponent", range(-6, 30))
def test_borders_belong_to_the_bucket_below(exponent: int) -> None:
    """A value on a border, 2^m seconds, is in the bucket that ends there, and one microsecond more is not."""
    value = int(Fraction(2) ** exponent * 1_000_000)

    assert bucket_index(value) == 32 * exponent - 1
    assert bucket_index(value + 1) >= 32 * exponent


@forall(many, many)
def test_merging_does_not_care_which_comes_first(a: list[int], b: list[int]) -> None:
    """a + b = b + a = everything in one."""
    assert of(a).merge(of(b)) == of(b).merge(of(a)) == of(a + b)


@forall(many, many, many)
def test_merging_does_not_care_how_parts_are_grouped(a: list[int], b: list[int], c: list[int]) -> None:
    """(a + b) + c = a + (b + c)."""
    assert of(a).merge(of(b)).merge(of(c)) == of(a).merge(of(b).merge(of(c)))


@forall(many, many, st.integers(-3, SCALE), st.integers(-3, SCALE))
def test_downscaling_and_merging_commute(a: list[int], b: list[int], one: int, other: int) -> None:
    """Coarsening before or after merging, or while taking values in, gives the same buckets."""
    coarsest = min(one, other)

    assert of(a).merge(of(b)).downscale(coarsest) == of(a, one).merge(of(b, other)) == of(a + b, coarsest)


@forall(st.lists(values, min_size=1, max_size=200), st.integers(1, 100))
def test_a_quantile_is_within_its_bound(durations: list[int], percent: int) -> None:
    """Every nearest-rank quantile is within (base−1)/(base+1) = 1.08 % of the exact one."""
    rank = -(-percent * len(durations) // 100)
    exact = sorted(durations)[rank - 1]

    assert abs(of(durations).at_rank(rank) - exact) <= exact * ERROR * (1 + 1e-9)


def test_the_bound_is_what_the_documents_say() -> None:
    """Scale 5 means at most 1.08 %, and some 730 buckets from a millisecond to two hours."""
    assert ERROR < 0.01084
    assert bucket_index(7_200_000_000) - bucket_index(1_000) + 1 <= 732


@forall(st.lists(values, min_size=1, max_size=60))
def test_count_sum_and_ends_are_exact(durations: list[int]) -> None:
    """What is kept beside the buckets is exact."""
    histogram = of(durations)

    assert (histogram.count, histogram.sum_us) == (len(durations), sum(durations))
    assert (histogram.min_us, histogram.max_us) == (min(durations), max(durations))
    assert histogram.zeros + sum(histogram.buckets.values()) == histogram.count


@forall(many, many)
def test_merging_leaves_its_parts_alone(a: list[int], b: list[int]) -> None:
    """A merged histogram shares nothing with what it was made from."""
    one, other = of(a), of(b)
    one.merge(other).add(7)
    one.downscale(one.scale).add(7)

    assert (one, other) == (of(a), of(b))


def test_negative_and_impossible_are_refused() -> None:
    """A negative duration, a finer scale and a rank outside raise; nothing is changed."""
    histogram = of([1])
    with pytest.raises(ValueError, match="not a duration"):
        histogram.add(-1)
    with pytest.raises(ValueError, match="finer"):
        histogram.downscale(SCALE + 1)
    with pytest.raises(ValueError, match="finer"):
        Histogram(SCALE + 1)
    with pytest.raises(ValueError, match="rank 2"):
        histogram.at_rank(2)
    assert histogram == of([1])
    assert math.isclose(histogram.at_rank(1), 1)
