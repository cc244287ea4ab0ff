"""How often a step is tried, and how long it waits in between. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actum.errors import BadInput, near_miss

__all__ = ["NEVER_RETRIED", "ONCE", "Retry"]

NEVER_RETRIED = (
    "TypeError",
    "NotImplementedError",
    "AssertionError",
    "SyntaxError",
    "NameError",
    "AttributeError",
    "UnrecordableResult",
)
"""Mistakes in the program: another attempt cannot help. The last one has had its effect, which must not come twice."""


@dataclass(frozen=True, slots=True)
class Retry:
    """`attempts` in all; the wait before attempt n+1 is `first_delay_s * factor**(n-1)`, at most `max_delay_s`.

    `jitter` (0 to 1) shortens the wait by a random share of up to that much, so that many failed steps do not
    come back at the same instant. `on` limits retries to these error types; empty means every error except those
    in `never`. Both hold class names, and the name of a base class stands for all below it. Time-outs are retried
    like errors, as `TimeoutError`. Raises `BadInput`, naming the field, for a value outside its range.
    """

    attempts: int = 1
    first_delay_s: float = 1.0
    factor: float = 2.0
    max_delay_s: float = 60.0
    jitter: float = 0.0
    on: tuple[str, ...] = ()
    never: tuple[str, ...] = NEVER_RETRIED

    def __post_init__(self) -> None:
        if type(self.attempts) is not int or self.attempts < 1:
            raise BadInput(f"retry.attempts must be a whole number of at least 1, not {self.attempts!r}")
        for name in ("first_delay_s", "factor", "max_delay_s"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e9:
                raise BadInput(f"retry.{name} must be a number from 0 to 10^9, not {value!r}")
        for name in ("on", "never"):
            names = getattr(self, name)
            if not isinstance(names, tuple) or not all(isinstance(one, str) for one in names):
                raise BadInput(f"retry.{name} must be a tuple of names of error types, not {names!r}")
        if isinstance(self.jitter, bool) or not isinstance(self.jitter, (int, float)) or not 0 <= self.jitter <= 1:
            raise BadInput(f"retry.jitter must be between 0 and 1, not {self.jitter!r}")

    def allows(self, attempt: int, error_types: tuple[str, ...]) -> bool:
        """Whether another attempt follows a failed one; `error_types` is the error's class and its bases."""
        if attempt >= self.attempts:
            return False
        if self.on:
            return not set(self.on).isdisjoint(error_types)
        return set(self.never).isdisjoint(error_types)

    def delay_us(self, attempt: int, chance: float) -> int:
        """The wait after attempt number `attempt` failed; `chance` in [0, 1) is the jitter's draw."""
        try:
            delay = min(self.first_delay_s * self.factor ** (attempt - 1), self.max_delay_s)
        except OverflowError:
            delay = self.max_delay_s
        return int(delay * (1 - self.jitter * chance) * 1_000_000)

    @classmethod
    def of(cls, value: Retry | int | Mapping[str, Any] | None) -> Retry:
        """Read what users write: a number of retries after the first attempt, a mapping of the fields, or a Retry."""
        match value:
            case None:
                return cls()
            case Retry():
                return value
            case bool():
                raise BadInput(f"retries must be a number, a mapping or a Retry, not {value!r}")
            case int():
                return cls(attempts=value + 1)
            case Mapping():
                known = set(cls.__slots__)
                for key in value:
                    if key not in known:
                        raise BadInput(f"retry has no field {key!r}{near_miss(str(key), known)}")
                given = dict(value)
                for name in ("on", "never"):
                    if isinstance(given.get(name), list):
                        given[name] = tuple(given[name])
                return cls(**given)
            case _:
                raise BadInput(f"retries must be a number, a mapping or a Retry, not {type(value).__name__}")


ONCE = Retry()
"""No second attempt."""
