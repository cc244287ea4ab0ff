"""Errors as the States Language names them, and which of them a Retry or Catch is about. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from actum.engine.rules.calls import Failure
from actum.engine.rules.retry import ONCE, Retry

__all__ = ["OnlyByName", "StateError", "delay_s", "matching", "named", "retry_of"]

_NEVER_BY_ALL = frozenset({"States.Runtime", "States.DataLimitExceeded"})
_NEVER = ("UnrecordableResult", "UnrecordableInput")


class StateError(Exception):
    """A state has failed. `also` are names under which the same failure may be caught."""

    def __init__(self, error: str, cause: str, also: tuple[str, ...] = (), traceback: str = "") -> None:
        super().__init__(error, cause)
        self.error = error
        self.cause = cause
        self.also = also
        self.traceback = traceback

    @property
    def output(self) -> dict[str, str]:
        return {"Error": self.error, "Cause": self.cause}


def named(failure: Failure) -> StateError:
    """A step's failure under its name in the language: a time-out is `States.Timeout`, all others keep theirs."""
    error = "States.Timeout" if failure.error_type == "TimeoutError" else failure.error_type
    return StateError(error, failure.message, ("States.TaskFailed",), failure.traceback)


def matching(names: Sequence[str], error: StateError) -> bool:
    """Whether `ErrorEquals` is about this error."""
    if error.error in names:
        return True
    if error.error in _NEVER_BY_ALL:
        return False
    also = error.also if error.error != "States.Timeout" else ()
    return "States.ALL" in names or any(name in names for name in also)


class Retrier(NamedTuple):
    """One element of `Retry`, with its defaults."""

    names: tuple[str, ...]
    interval_s: float
    attempts: int
    rate: float
    longest_s: float
    jitter: bool


def retrier(given: Mapping[str, Any]) -> Retrier:
    return Retrier(
        tuple(given["ErrorEquals"]),
        given.get("IntervalSeconds", 1),
        given.get("MaxAttempts", 3),
        given.get("BackoffRate", 2.0),
        given.get("MaxDelaySeconds", 1e8),
        given.get("JitterStrategy", "NONE") == "FULL",
    )


def delay_s(one: Retrier, attempt: int, chance: float) -> float:
    """The wait before retry number `attempt`, from 1; `chance` in [0, 1) draws the jitter."""
    try:
        delay = min(one.interval_s * one.rate ** (attempt - 1), one.longest_s)
    except OverflowError:
        delay = one.longest_s
    return delay * (1 - chance) if one.jitter else delay


class OnlyByName(Retry):
    """Retries the errors of exactly these names; the classes above an exception do not count."""

    __slots__ = ()

    def allows(self, attempt: int, error_types: tuple[str, ...]) -> bool:
        return Retry.allows(self, attempt, error_types[:1])


def retry_of(given: Sequence[Mapping[str, Any]]) -> Retry:
    """What one element of `Retry`, or none, says, as the engine counts retries."""
    if not given:
        return ONCE
    one = retrier(given[0])
    attempts, jitter = one.attempts + 1, 1.0 if one.jitter else 0.0
    every = "States.ALL" in one.names or {"States.TaskFailed", "States.Timeout"} <= set(one.names)
    on: tuple[str, ...] = one.names
    never: tuple[str, ...] = _NEVER
    if every:
        on = ()
    elif "States.TaskFailed" in one.names:
        on, never = (), (*_NEVER, "TimeoutError")
    elif "States.Timeout" in one.names:
        on = (*on, "TimeoutError")
    return OnlyByName(attempts, one.interval_s, one.rate, one.longest_s, jitter, on, never)
