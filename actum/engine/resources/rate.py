"""Rate limits by the generic cell rate algorithm, in whole numbers: no drift, and one number to keep. Pure.

That number, the *theoretical arrival time*, is kept in units of 1/count microseconds, so that the time between two
tokens is the whole number `per_us` whatever the count.
"""

from __future__ import annotations

from actum.engine.resources.declared import RateLimit

__all__ = ["take", "wait_us"]


def wait_us(limit: RateLimit, arrival: int, now_us: int, amount: int) -> int:
    """How long until so many tokens can be had, when nobody takes any before; 0 for now."""
    early = _after(limit, arrival, now_us, amount) - limit.burst * limit.per_us - now_us * limit.count
    return 0 if early <= 0 else -(-early // limit.count)


def take(limit: RateLimit, arrival: int, now_us: int, amount: int) -> int:
    """The theoretical arrival time after so many tokens were taken now."""
    return _after(limit, arrival, now_us, amount)


def _after(limit: RateLimit, arrival: int, now_us: int, amount: int) -> int:
    now = now_us * limit.count
    if now - limit.count < arrival < now:  # late by less than the clock can tell: that must not add up
        now = arrival
    return max(arrival, now) + amount * limit.per_us
