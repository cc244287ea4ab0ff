"""How long to wait before the same thing is tried again."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Backoff"]


@dataclass(frozen=True)
class Backoff:
    """Twice as long after each failure, up to `most_s`; a random half of it, so that many do not come at once."""

    first_s: float = 0.5
    most_s: float = 60.0
    chance: Callable[[], float] = random.random

    def delay_s(self, failures: int, at_least_s: float | None = None) -> float:
        """Seconds to wait after so many failures in a row; not less than the other side asked for."""
        whole = min(self.most_s, self.first_s * 2.0 ** min(failures - 1, 30))
        return max(whole / 2 + whole / 2 * self.chance(), min(at_least_s or 0.0, 3600.0))
