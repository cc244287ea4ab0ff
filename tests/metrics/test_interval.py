"""Intervals and posteriors, held against scipy."""

from __future__ import annotations

import math

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st
from scipy import stats

from actum.metrics.interval import (
    clopper_pearson,
    mean_time_interval,
    pass_confidence,
    passes_needed,
    regularised_beta,
    regularised_gamma,
)

ORACLE = 1e-9


@st.composite
def counts(draw: st.DrawFn, most: int = 100_000) -> tuple[int, int]:
    valid = draw(st.integers(1, most))
    return draw(st.integers(0, valid)), valid


@forall(counts(), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_clopper_pearson_is_the_exact_interval(count: tuple[int, int], confidence: float) -> None:
    """Both bounds agree with scipy's exact binomial interval."""
    good, valid = count
    expected = stats.binomtest(good, valid).proportion_ci(confidence, method="exact")

    lower, upper, method = clopper_pearson(good, valid, confidence)

    assert lower == pytest.approx(expected.low, abs=ORACLE)
    assert upper == pytest.approx(expected.high, abs=ORACLE)
    assert method == "clopper_pearson"


@forall(counts())
def test_an_interval_holds_its_ratio(count: tuple[int, int]) -> None:
    """The observed ratio lies within its own interval, and the interval within 0 and 1."""
    good, valid = count
    lower, upper, _ = clopper_pearson(good, valid)

    assert lower is not None
    assert upper is not None
    assert 0 <= lower <= good / valid <= upper <= 1


def test_no_observation_has_no_interval() -> None:
    """Without data there are no bounds, not the bounds 0 and 1."""
    assert clopper_pearson(0, 0)[:2] == (None, None)


def test_the_figures_of_the_specification() -> None:
    """98 of 100 gives the interval that the specification prints."""
    lower, upper, _ = clopper_pearson(98, 100)

    assert (round(lower or 0, 4), round(upper or 0, 4)) == (0.9296, 0.9976)


@forall(counts(), st.floats(0.001, 0.999))
def test_pass_confidence_is_the_jeffreys_posterior(count: tuple[int, int], target: float) -> None:
    """It agrees with scipy's Beta(k+½, n−k+½) above the target."""
    good, valid = count

    value = pass_confidence(good, valid, target)

    assert value == pytest.approx(stats.beta.sf(target, good + 0.5, valid - good + 0.5), abs=ORACLE)


def test_pass_confidence_without_runs_is_none() -> None:
    """A prior alone is no finding."""
    assert pass_confidence(0, 0, 0.9) is None


@pytest.mark.parametrize(("target", "needed"), [(0.8, 9), (0.9, 18), (0.95, 38), (0.99, 191), (0.999, 1920)])
def test_passes_needed_from_nothing(target: float, needed: int) -> None:
    """From no run at all, as many clean passes are needed as the specification lists."""
    assert passes_needed(0, 0, target) == needed


@forall(counts(most=300), st.sampled_from([0.5, 0.8, 0.9, 0.95]))
def test_passes_needed_are_enough_and_not_one_too_many(count: tuple[int, int], target: float) -> None:
    """With so many more passes the confidence reaches 95 %, with one fewer it does not."""
    good, valid = count
    needed = passes_needed(good, valid, target)

    assert (pass_confidence(good + needed, valid + needed, target) or 0) >= 0.95
    if needed:
        assert (pass_confidence(good + needed - 1, valid + needed - 1, target) or 0) < 0.95


@forall(st.integers(1, 5_000), st.floats(1, 1e9))
def test_mean_time_interval_is_the_exact_poisson_one(errors: int, exposure_s: float) -> None:
    """[2E/χ²(1−α/2; 2k+2), 2E/χ²(α/2; 2k)], with scipy's χ² quantiles."""
    lower, upper, _ = mean_time_interval(errors, exposure_s)

    assert lower == pytest.approx(2 * exposure_s / stats.chi2.ppf(0.975, 2 * errors + 2), rel=ORACLE)
    assert upper == pytest.approx(2 * exposure_s / stats.chi2.ppf(0.025, 2 * errors), rel=ORACLE)


def test_no_error_leaves_only_a_lower_bound() -> None:
    """Without an error the time to one is at least E / 2.996, and nothing bounds it from above."""
    lower, upper, method = mean_time_interval(0, 2996)

    assert lower == pytest.approx(1000, rel=1e-3)
    assert upper is None
    assert method == "poisson_exact_one_sided"


@forall(st.floats(0.05, 1e5), st.floats(0.05, 1e5), st.floats(0, 1))
def test_incomplete_beta_against_scipy(a: float, b: float, x: float) -> None:
    """I_x(a, b) agrees with scipy over the whole range that counts can give."""
    assert regularised_beta(a, b, x) == pytest.approx(float(stats.beta.cdf(x, a, b)), abs=ORACLE)


@forall(st.floats(0.05, 1e5), st.floats(0, 2))
def test_incomplete_gamma_against_scipy(a: float, ratio: float) -> None:
    """P(a, x) agrees with scipy on both sides of a."""
    assert regularised_gamma(a, a * ratio) == pytest.approx(float(stats.gamma.cdf(a * ratio, a)), abs=ORACLE)


@pytest.mark.parametrize(("good", "valid"), [(-1, 3), (4, 3)])
def test_counts_that_are_no_share_are_refused(good: int, valid: int) -> None:
    """More than all, or fewer than none, is a bug of the caller and raises."""
    with pytest.raises(ValueError, match="not a share"):
        clopper_pearson(good, valid)


@pytest.mark.parametrize("target", [0.0, 1.0, math.nan])
def test_targets_at_the_ends_are_refused(target: float) -> None:
    """Certainty cannot be a target."""
    with pytest.raises(ValueError, match="target"):
        pass_confidence(1, 1, target)


def test_a_prior_alone_is_never_enough() -> None:
    """However low the target, at least one pass must be seen."""
    assert passes_needed(0, 0, 0.001) == 1
