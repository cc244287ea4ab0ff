"""What an engine has to share out, as it was declared. Everything is checked here, once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from actum.engine.durations import seconds
from actum.engine.resources.needs import Hold, Needs, check_amount, check_name, why_twice
from actum.errors import BadInput, near_miss

__all__ = ["Breaker", "Pool", "Quota", "RateLimit", "Resources"]


One = TypeVar("One", "Pool", "RateLimit", "Breaker")


@dataclass(frozen=True, slots=True)
class Pool:
    """So many units of something that is given back: `Pool("gpu", 4)`, `Pool("memory", 64 * 2**30, unit="bytes")`.

    `queue` is how many steps may wait for it; one more fails with `PoolFull` instead of waiting.
    """

    name: str
    capacity: int
    unit: str = ""
    queue: int | None = None

    def __post_init__(self) -> None:
        check_name(self.name, "a pool")
        check_amount(self.capacity, f"pool {self.name!r}: capacity")
        if self.queue is not None:
            check_amount(self.queue, f"pool {self.name!r}: queue", 0)


@dataclass(frozen=True, slots=True)
class Quota:
    """Of one pool, at most so much at the same time for each workflow, or for each value of an attribute."""

    pool: str
    per: str
    at_most: int

    def __post_init__(self) -> None:
        check_name(self.pool, "a quota: pool")
        check_name(self.per, f"quota of {self.pool!r}: per")
        check_amount(self.at_most, f"quota of {self.pool!r}: at_most")


class RateLimit:
    """So many in every stretch of time: `RateLimit("openai", 60, per="1m", burst=10)`. What is taken is not given back.

    Up to `burst` (by default `count`) may go at once after a quiet time; then they come evenly.
    """

    __slots__ = ("burst", "count", "name", "per_us")

    def __init__(self, name: str, count: int, per: float | str, burst: int | None = None) -> None:
        self.name = check_name(name, "a rate limit")
        self.count = check_amount(count, f"rate limit {name!r}: count")
        self.per_us = _us(per, f"rate limit {name!r}: per")
        self.burst = check_amount(count if burst is None else burst, f"rate limit {name!r}: burst")


class Breaker:
    """Stands before a step whose other side may be down: `Breaker("payments", failures=5, within="5m")`.

    - After `failures` failures `within` so long it opens, and nothing goes through for `open_for`.
    - Then it is half open: `probes` attempts at a time go through. One failure opens it again, `successes` of them in
      a row close it.
    - `errors`: types of errors, or names of types, that count; a base class stands for all below it. Empty: all.
    - `when_open`: a step waits, or fails at once with `CircuitOpen`.
    """

    __slots__ = ("errors", "failures", "name", "open_for_us", "probes", "successes", "when_open", "within_us")

    def __init__(
        self,
        name: str,
        *,
        failures: int = 5,
        within: float | str = "5m",
        open_for: float | str = "1m",
        successes: int = 2,
        probes: int = 1,
        errors: Iterable[type[BaseException] | str] = (),
        when_open: Literal["wait", "fail"] = "wait",
    ) -> None:
        what = f"breaker {name!r}"
        self.name = check_name(name, "a breaker")
        self.failures = check_amount(failures, f"{what}: failures")
        self.within_us = _us(within, f"{what}: within")
        self.open_for_us = _us(open_for, f"{what}: open_for")
        self.successes = check_amount(successes, f"{what}: successes")
        self.probes = check_amount(probes, f"{what}: probes")
        self.errors = frozenset(error if isinstance(error, str) else error.__name__ for error in errors)
        if when_open not in ("wait", "fail"):
            raise BadInput(f"{what}: when_open is 'wait' or 'fail', not {when_open!r}")
        self.when_open = when_open

    def counts(self, error_types: Iterable[str]) -> bool:
        """Whether a failure of these types, the class and its bases, speaks against the other side."""
        return not self.errors or not self.errors.isdisjoint(error_types)


class Resources:
    """All that the steps of an engine share, and how.

    `share` is between whom: "workflow", or the name of an attribute that executions have. Every one of them gets as
    much of a pool as the others that wait for it, or in proportion to its weight in `weights`.
    """

    def __init__(
        self,
        *,
        pools: Iterable[Pool] = (),
        limits: Iterable[RateLimit] = (),
        breakers: Iterable[Breaker] = (),
        quotas: Iterable[Quota] = (),
        share: str = "workflow",
        weights: Mapping[str, int] | None = None,
    ) -> None:
        named: set[str] = set()
        self.pools = MappingProxyType({one.name: _new(one, named) for one in pools})
        self.limits = MappingProxyType({one.name: _new(one, named) for one in limits})
        self.breakers = MappingProxyType({one.name: _new(one, set()) for one in breakers})
        self.quotas = tuple(quotas)
        for quota in self.quotas:
            if quota.pool not in self.pools:
                raise BadInput(
                    f"a quota is of pool {quota.pool!r}, which is not there{near_miss(quota.pool, self.pools)}"
                )
        self.share = check_name(share, "share")
        self.weights = {name: check_amount(weight, f"weights.{name}") for name, weight in (weights or {}).items()}

    @property
    def keys(self) -> set[str]:
        """What executions are told apart by: the share's, and those of quotas."""
        return {self.share, *(quota.per for quota in self.quotas)}

    def resolve(self, needs: Needs, hold: Hold | None = None) -> Needs:
        """The same with rate limits told from pools; and with the reason when it can never be given.

        `hold` is what the execution holds already.
        """
        refused = self._never(needs) or ("" if hold is None else why_twice(needs, hold))
        return Needs(
            needs.units,
            needs.breaker,
            tuple(name for name in needs.units if name in self.limits),
            refused,
            needs.priority,
        )

    def resolve_hold(self, needs: Needs) -> Needs:
        """The same for what an execution holds throughout."""
        return replace(needs, refused=self._never_held(needs))

    def check_hold(self, hold: Hold | None) -> None:
        """Raises `BadInput` when an execution can never have what it is to hold throughout."""
        refused = "" if hold is None else self._never_held(hold.needs)
        if refused:
            raise BadInput(f"the workflow can never begin: {refused}; nothing was started")

    def _never_held(self, needs: Needs) -> str:
        for name in needs.units:
            if name in self.limits:
                return f"it holds {name!r}, which is a rate limit: what is taken of it cannot be held"
        return self._never(needs)

    def check(self, step: str, needs: Needs | None) -> None:
        """Raises `BadInput` when a step can never have what it needs."""
        refused = "" if needs is None else self._never(needs)
        if refused:
            raise BadInput(f"step {step!r} can never begin: {refused}; nothing was started")

    def _never(self, needs: Needs) -> str:
        for name, amount in needs.units.items():
            pool, limit = self.pools.get(name), self.limits.get(name)
            if pool is not None:
                least = min([pool.capacity, *(quota.at_most for quota in self.quotas if quota.pool == name)])
                if amount > least:
                    return f"it needs {amount} of pool {name!r}, of which it can never have more than {least}"
            elif limit is None:
                known = [*self.pools, *self.limits]
                return f"it needs {name!r}, which is no pool and no rate limit of this engine{near_miss(name, known)}"
            elif amount > limit.burst:
                return f"it needs {amount} of rate limit {name!r}, whose burst is {limit.burst}"
        if needs.breaker and needs.breaker not in self.breakers:
            return f"breaker {needs.breaker!r} is not there{near_miss(needs.breaker, self.breakers)}"
        return ""


def _new(one: One, named: set[str]) -> One:
    if one.name in named:
        raise BadInput(f"there are two of the name {one.name!r}")
    named.add(one.name)
    return one


def _us(given: Any, what: str) -> int:
    try:
        found = round(seconds(given) * 1_000_000)
    except BadInput as exc:
        raise BadInput(f"{what}: {exc}") from None
    if found <= 0:
        raise BadInput(f"{what} must be longer than nothing")
    return found
