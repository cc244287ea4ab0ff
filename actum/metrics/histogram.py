"""The latency sketch: a base-2 exponential histogram, the one OpenTelemetry sends.

At scale s bucket i holds the values in (base^i, base^(i+1)] seconds, with base = 2^(2^−s). At scale 5 a quantile
is within 1.08 % of the true value. Values come in whole microseconds, and the bucket is found in integers whenever
floating point could be in doubt, so every machine puts every value into the same bucket. Counts are integers:
merging adds them, in any order, with the same result.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Final

__all__ = ["SCALE", "Histogram", "bucket_index"]

SCALE: Final = 5
_STEPS: Final = 2**SCALE
_OFFSET: Final = _STEPS * math.log2(1_000_000)  # buckets are borders in seconds, values are microseconds
_MILLION: Final = 1_000_000**_STEPS


def bucket_index(value_us: int) -> int:
    """The bucket of a value of at least one microsecond, at scale 5: the greatest i with base^i < value in seconds."""
    place = _STEPS * math.log2(value_us) - _OFFSET
    nearest = round(place)
    if abs(place - nearest) > 1e-9:
        return math.floor(place)
    # Too near to a border for floats: base^i < v / 10^6  ⟺  2^i · 10^(6·32) < v^32, which integers decide.
    power = value_us**_STEPS
    beyond = _MILLION << nearest < power if nearest >= 0 else power << -nearest > _MILLION
    return nearest if beyond else nearest - 1


class Histogram:
    """Durations in microseconds: exact count, sum, least and greatest, and the rest to 1.08 %."""

    __slots__ = ("buckets", "count", "max_us", "min_us", "scale", "sum_us", "zeros")

    def __init__(self, scale: int = SCALE) -> None:
        if scale > SCALE:
            raise ValueError(f"scale {scale} is finer than {SCALE}, the scale at which values are taken in")
        self.scale = scale
        self.buckets: Counter[int] = Counter()
        self.zeros = 0
        self.count = 0
        self.sum_us = 0
        self.min_us: int | None = None
        self.max_us: int | None = None

    def add(self, value_us: int, times: int = 1) -> None:
        """Count a duration. Raises `ValueError` for a negative one: no clock measured that."""
        if value_us < 0:
            raise ValueError(f"{value_us} µs is not a duration")
        if value_us == 0:
            self.zeros += times
        else:
            self.buckets[bucket_index(value_us) >> (SCALE - self.scale)] += times
        self.count += times
        self.sum_us += value_us * times
        self.min_us = value_us if self.min_us is None else min(self.min_us, value_us)
        self.max_us = value_us if self.max_us is None else max(self.max_us, value_us)

    def merge(self, other: Histogram) -> Histogram:
        """The histogram of both sets of values, at the coarser of the two scales."""
        scale = min(self.scale, other.scale)
        merged = self.downscale(scale)
        finer = other.downscale(scale)
        merged.buckets.update(finer.buckets)
        merged.zeros += finer.zeros
        merged.count += finer.count
        merged.sum_us += finer.sum_us
        least = [h.min_us for h in (self, other) if h.min_us is not None]
        greatest = [h.max_us for h in (self, other) if h.max_us is not None]
        merged.min_us = min(least, default=None)
        merged.max_us = max(greatest, default=None)
        return merged

    def downscale(self, scale: int) -> Histogram:
        """The same values in coarser buckets: each step down joins neighbours in pairs. A copy at the same scale."""
        if scale > self.scale:
            raise ValueError(f"a histogram of scale {self.scale} cannot be made finer (scale {scale})")
        coarser = Histogram(scale)
        for index, count in self.buckets.items():
            coarser.buckets[index >> (self.scale - scale)] += count
        coarser.zeros, coarser.count, coarser.sum_us = self.zeros, self.count, self.sum_us
        coarser.min_us, coarser.max_us = self.min_us, self.max_us
        return coarser

    def at_rank(self, rank: int) -> float:
        """About the value, in microseconds, that stands at this place (from 1) when all values are sorted.

        Within (base−1)/(base+1) of the true one: 1.08 % at scale 5. Raises `ValueError` for a place outside.
        """
        if not 1 <= rank <= self.count:
            raise ValueError(f"rank {rank} of {self.count} values")
        assert self.min_us is not None
        assert self.max_us is not None
        passed = self.zeros
        if rank <= passed:
            return 0.0
        for index in sorted(self.buckets):
            passed += self.buckets[index]
            if rank <= passed:
                lower, upper = (math.exp2(i / 2**self.scale) * 1e6 for i in (index, index + 1))
                # The harmonic mean of the borders is where the relative error to either of them is the same.
                middle = 2 * lower * upper / (lower + upper)
                return min(max(middle, self.min_us), self.max_us)
        raise AssertionError("the buckets hold fewer values than were counted")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]  # it changes while values are added

    def __repr__(self) -> str:
        return f"<Histogram of {self.count} values, scale {self.scale}, {len(self.buckets)} buckets>"
