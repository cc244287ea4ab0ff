"""A rate: what was counted, out of what, and how sure that makes us. Counts add up; ratios never do."""

from __future__ import annotations

from typing import Any, NamedTuple

from actum.metrics.interval import clopper_pearson

__all__ = ["NO_RATE", "Rate"]


class Rate(NamedTuple):
    """`good` of `valid`. The ratio is always good / valid, whatever the rate is a rate of."""

    good: int
    valid: int

    @property
    def ratio(self) -> float | None:
        """None when nothing was counted: no data is neither perfect nor broken."""
        return self.good / self.valid if self.valid else None

    def merge(self, other: Rate) -> Rate:
        return Rate(self.good + other.good, self.valid + other.valid)

    def to_json(self) -> dict[str, Any]:
        """Counts, ratio and the exact 95 % interval."""
        interval = clopper_pearson(self.good, self.valid)
        return {
            "good": self.good,
            "valid": self.valid,
            "ratio": self.ratio,
            "ci_lower": interval.lower,
            "ci_upper": interval.upper,
            "ci_method": interval.method,
        }

    def share_json(self) -> dict[str, Any]:
        """Counts and ratio of something that was counted in full, so that no interval belongs to it."""
        return {"good": self.good, "valid": self.valid, "ratio": self.ratio}


NO_RATE = Rate(0, 0)
