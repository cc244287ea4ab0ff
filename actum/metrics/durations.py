"""A set of durations: exact while they are few, a sketch when they are many, and which of the two it is.

What it says depends only on the values it holds, never on the order or the parts in which they came: parts merge
into exactly what one fold over everything would have made.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, Final

from actum.metrics.histogram import Histogram

__all__ = ["EXACT_LIMIT", "PERCENTILES", "Durations"]

EXACT_LIMIT: Final = 10_000
"""Up to so many values each one is kept, eight bytes apiece."""

PERCENTILES: Final = (50, 90, 95, 99)


class Durations:
    """Durations in whole microseconds, with those that are unknown or impossible counted beside them.

    `edges_us` are upper bounds at which values are also counted exactly, whatever their number, for consumers
    that want fixed buckets.
    """

    __slots__ = ("_below", "_exact", "_limit", "_sketch", "count", "edges_us", "rejected", "sum_us", "unknown")

    def __init__(self, edges_us: Sequence[int] = (), limit: int = EXACT_LIMIT) -> None:
        self.edges_us = tuple(edges_us)
        self.count = 0
        self.sum_us = 0
        self.unknown = 0
        """Things that took some time, and nobody knows how much."""
        self.rejected = 0
        """Negative durations: two clocks disagreed. They are in no other number."""
        self._limit = limit
        self._exact: array[int] | None = array("q")
        self._sketch: Histogram | None = None
        self._below = [0] * len(self.edges_us)

    @property
    def things(self) -> int:
        """Everything that was added, known or not."""
        return self.count + self.unknown + self.rejected

    def add(self, value_us: int | None) -> None:
        """Count one duration; None is one that is unknown, and a negative one is rejected and counted as such."""
        if value_us is None:
            self.unknown += 1
            return
        if value_us < 0:
            self.rejected += 1
            return
        self.count += 1
        self.sum_us += value_us
        place = bisect_left(self.edges_us, value_us)
        if place < len(self._below):
            self._below[place] += 1
        if self._exact is None:
            assert self._sketch is not None
            self._sketch.add(value_us)
        else:
            self._exact.append(value_us)
            if self.count > self._limit:
                self._sketch = self.histogram()
                self._exact = None

    def merge(self, other: Durations) -> Durations:
        """Both sets in one. Raises `ValueError` when they count at different edges or up to different limits."""
        if (self.edges_us, self._limit) != (other.edges_us, other._limit):
            raise ValueError("durations counted at different edges or limits cannot be merged")
        merged = Durations(self.edges_us, self._limit)
        merged.count = self.count + other.count
        merged.sum_us = self.sum_us + other.sum_us
        merged.unknown = self.unknown + other.unknown
        merged.rejected = self.rejected + other.rejected
        merged._below = [a + b for a, b in zip(self._below, other._below, strict=True)]
        if self._exact is not None and other._exact is not None and merged.count <= self._limit:
            merged._exact = self._exact + other._exact
        else:
            merged._exact = None
            merged._sketch = self.histogram().merge(other.histogram())
        return merged

    def histogram(self) -> Histogram:
        """All values as a histogram of scale 5; the caller may keep and change it."""
        if self._exact is None:
            assert self._sketch is not None
            return self._sketch.downscale(self._sketch.scale)
        sketch = Histogram()
        for value in self._exact:
            sketch.add(value)
        return sketch

    def cumulative(self) -> list[tuple[int, int]]:
        """(edge in microseconds, number of values up to and including it), exact for every edge."""
        passed = 0
        counts = []
        for edge, here in zip(self.edges_us, self._below, strict=True):
            passed += here
            counts.append((edge, passed))
        return counts

    def percentiles_us(self) -> dict[int, float] | None:
        """The 50th, 90th, 95th and 99th percentile by nearest rank, ⌈p·n/100⌉; None without values."""
        if self.count == 0:
            return None
        ranks = {p: -(-p * self.count // 100) for p in PERCENTILES}
        if self._exact is not None:
            in_order = sorted(self._exact)
            return {p: in_order[rank - 1] for p, rank in ranks.items()}
        assert self._sketch is not None
        return {p: self._sketch.at_rank(rank) for p, rank in ranks.items()}

    @property
    def method(self) -> str:
        """`nearest_rank`: percentiles are values that occurred. `histogram`: they are within 1.08 % of such."""
        return "histogram" if self._exact is None else "nearest_rank"

    def to_json(self) -> dict[str, Any]:
        """Seconds, under the names of the `metrics` contract; null where there is no data."""
        percentiles = self.percentiles_us()
        return {
            "count": self.count,
            **{f"p{p}_s": None if percentiles is None else percentiles[p] / 1e6 for p in PERCENTILES},
            "mean_s": self.sum_us / self.count / 1e6 if self.count else None,
            "method": self.method if self.count else None,
            "unknown": self.unknown,
            "rejected": self.rejected,
        }

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Durations):
            return NotImplemented
        return self._content() == other._content()

    __hash__ = None  # type: ignore[assignment]  # it changes while values are added

    def _content(self) -> tuple[object, ...]:
        exact = None if self._exact is None else sorted(self._exact)
        return (self.edges_us, self.count, self.sum_us, self.unknown, self.rejected, self._below, exact, self._sketch)
