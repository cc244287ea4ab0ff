"""Repeated trials of the same tasks: how often *all* of k tries pass, and how often *any* of k does.

pass^k = C(c, k)/C(n, k) and pass@k = 1 − C(n−c, k)/C(n, k) for a task with c passes in n trials, then the mean over
the tasks with at least k trials (tau-bench, arXiv:2406.12045, section 3; Chen et al., arXiv:2107.03374, section 2.1).
Both are the chance of drawing k trials without putting any back, so they say nothing beyond the trials there were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from math import comb
from typing import NamedTuple

__all__ = ["PassK", "pass_k"]


class PassK(NamedTuple):
    """pass^k and pass@k, and how many tasks had at least k trials or too few of them."""

    hat: float
    at: float
    tasks: int
    left_out: int


def pass_k(tasks: Iterable[tuple[int, int]]) -> dict[int, PassK]:
    """For every k up to the most trials that any task has; tasks are (trials, passes). Empty when there are none.

    Computed in fractions and rounded once, so the order of the tasks changes nothing.
    """
    counts = Counter((trials, passes) for trials, passes in tasks if trials)
    total = sum(counts.values())
    found = {}
    for k in range(1, max((trials for trials, _ in counts), default=0) + 1):
        enough = {task: times for task, times in counts.items() if task[0] >= k}
        number = sum(enough.values())
        hat = sum((times * Fraction(comb(c, k), comb(n, k)) for (n, c), times in enough.items()), Fraction())
        miss = sum((times * Fraction(comb(n - c, k), comb(n, k)) for (n, c), times in enough.items()), Fraction())
        found[k] = PassK(float(hat / number), float(1 - miss / number), number, total - number)
    return found
