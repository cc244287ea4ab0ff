"""How sure a number is: exact binomial and Poisson intervals, and the Jeffreys posterior of a pass rate.

Everything rests on two special functions, computed here so that nothing but the standard library runs in
production: the regularised incomplete beta function I_x(a, b) by its continued fraction (DLMF 8.17.22) and the
regularised lower incomplete gamma function P(a, x) by series and continued fraction (DLMF 8.7.1, 8.9.2). Inverses
are found by bisection down to the last bit that can be told apart. `tests/metrics/test_interval.py` holds all of it
against scipy to 1e-9.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple

__all__ = [
    "CONFIDENCE",
    "Interval",
    "clopper_pearson",
    "mean_time_interval",
    "pass_confidence",
    "passes_needed",
    "regularised_beta",
    "regularised_gamma",
]

CONFIDENCE: Final = 0.95
"""Two-sided confidence of every interval that does not say otherwise."""

_TINY: Final = 1e-300  # keeps Lentz's recurrence from dividing by zero
_EPS: Final = 1e-16


class Interval(NamedTuple):
    """Bounds and the name of the method that gave them; a bound that does not exist is None."""

    lower: float | None
    upper: float | None
    method: str


@lru_cache(maxsize=8192)
def clopper_pearson(good: int, valid: int, confidence: float = CONFIDENCE) -> Interval:
    """The exact two-sided interval of a rate (Clopper and Pearson 1934): it covers at least as often as it says.

    Lower bound: the α/2 quantile of Beta(k, n−k+1); upper: the 1−α/2 quantile of Beta(k+1, n−k). Without
    observations there is no interval: both bounds are None.
    """
    _check_counts(good, valid)
    if valid == 0:
        return Interval(None, None, "clopper_pearson")
    tail = (1 - confidence) / 2
    lower = 0.0 if good == 0 else _beta_quantile(tail, good, valid - good + 1)
    upper = 1.0 if good == valid else 1 - _beta_quantile(tail, valid - good, good + 1)
    return Interval(lower, upper, "clopper_pearson")


def pass_confidence(good: int, valid: int, target: float) -> float | None:
    """P(true rate ≥ target | good of valid), Jeffreys prior: 1 − I_target(k+½, n−k+½). None without observations."""
    _check_counts(good, valid)
    _check_target(target)
    if valid == 0:
        return None
    return regularised_beta(valid - good + 0.5, good + 0.5, 1 - target)


@lru_cache(maxsize=1024)
def passes_needed(good: int, valid: int, target: float, confidence: float = CONFIDENCE) -> int:
    """How many further passes, without one failure, raise the pass confidence to at least `confidence`."""
    _check_counts(good, valid)
    _check_target(target)

    def enough(more: int) -> bool:
        reached = regularised_beta(valid - good + 0.5, good + more + 0.5, 1 - target)
        return valid + more > 0 and reached >= confidence

    if enough(0):
        return 0
    high = 1
    while not enough(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def mean_time_interval(errors: int, exposure_s: float, confidence: float = CONFIDENCE) -> Interval:
    """The exact interval of exposure per error, in seconds, for errors that come as a Poisson process.

    [2E/χ²(1−α/2; 2k+2), 2E/χ²(α/2; 2k)] (Garwood 1936). With no error there is only the one-sided lower bound
    E / −ln(1−confidence), which is E / 2.996 at 95 %.
    """
    if errors < 0 or exposure_s < 0:
        raise ValueError(f"{errors} errors in {exposure_s} s: neither can be negative")
    if errors == 0:
        return Interval(exposure_s / -math.log1p(-confidence), None, "poisson_exact_one_sided")
    tail = (1 - confidence) / 2
    # χ²(p; 2k) is twice the p quantile of Gamma(k), so the twos cancel.
    return Interval(
        exposure_s / _gamma_quantile(1 - tail, errors + 1), exposure_s / _gamma_quantile(tail, errors), "poisson_exact"
    )


def regularised_beta(a: float, b: float, x: float) -> float:
    """I_x(a, b) for a, b > 0: the probability that a Beta(a, b) variable is at most x."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    if x < (a + 1) / (a + b + 2):
        return math.exp(log_front) * _beta_fraction(a, b, x) / a
    return 1 - math.exp(log_front) * _beta_fraction(b, a, 1 - x) / b


def regularised_gamma(a: float, x: float) -> float:
    """P(a, x) for a > 0: the probability that a Gamma(a) variable of unit scale is at most x."""
    if x <= 0:
        return 0.0
    log_front = a * math.log(x) - x - math.lgamma(a)
    if x < a + 1:
        term = total = 1 / a
        n = a
        while term > total * _EPS:
            n += 1
            term *= x / n
            total += term
        return math.exp(log_front) * total
    b = x + 1 - a
    c = 1 / _TINY
    d = 1 / b
    fraction = d
    i = 0
    while True:
        i += 1
        step = -i * (i - a)
        b += 2
        d = 1 / _nonzero(step * d + b)
        c = _nonzero(b + step / c)
        fraction *= c * d
        if abs(c * d - 1) < _EPS * 8:
            return 1 - math.exp(log_front) * fraction


def _beta_fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of I_x(a, b) by Lentz's method; it converges in O(√max(a, b)) steps."""
    c = 1.0
    d = 1 / _nonzero(1 - (a + b) * x / (a + 1))
    fraction = d
    m = 0
    while True:
        m += 1
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / _nonzero(1 + even * d)
        c = _nonzero(1 + even / c)
        fraction *= d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1 / _nonzero(1 + odd * d)
        c = _nonzero(1 + odd / c)
        fraction *= d * c
        if abs(d * c - 1) < _EPS * 8:
            return fraction


def _nonzero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def _beta_quantile(probability: float, a: float, b: float) -> float:
    return _bisect(lambda x: regularised_beta(a, b, x) < probability, 0.0, 1.0)


def _gamma_quantile(probability: float, a: float) -> float:
    high = a + 1
    while regularised_gamma(a, high) < probability:
        high *= 2
    return _bisect(lambda x: regularised_gamma(a, x) < probability, 0.0, high)


def _bisect(too_low: Callable[[float], bool], low: float, high: float) -> float:
    """The border between where `too_low` holds and where it does not, to the precision of a float."""
    while high - low > 1e-15 * high:
        middle = (low + high) / 2
        if not low < middle < high:
            break
        if too_low(middle):
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _check_counts(good: int, valid: int) -> None:
    if not 0 <= good <= valid:
        raise ValueError(f"{good} of {valid} is not a share of a whole")


def _check_target(target: float) -> None:
    if not 0 < target < 1:
        raise ValueError(f"a target of {target} leaves nothing to be sure of; it lies between 0 and 1")
