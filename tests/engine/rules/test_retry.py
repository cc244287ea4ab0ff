"""How often, how long, and for which errors."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.engine.rules.retry import NEVER_RETRIED, ONCE, Retry
from actum.errors import BadInput

RETRIES = st.tuples(st.integers(1, 10), st.floats(0, 1e6), st.floats(0, 1e3), st.floats(0, 1e6), st.floats(0, 1)).map(
    lambda fields: Retry(*fields)
)


def test_a_step_runs_once_unless_it_says_otherwise() -> None:
    """No declaration means no second attempt."""
    assert Retry.of(None) == ONCE
    assert not ONCE.allows(1, ("ValueError",))


def test_a_number_counts_the_attempts_after_the_first() -> None:
    """`retries=2` is three attempts in all."""
    retry = Retry.of(2)

    assert [retry.allows(attempt, ("ValueError",)) for attempt in (1, 2, 3)] == [True, True, False]


def test_a_mapping_names_the_fields() -> None:
    """What stands in a graph's JSON reads like the class."""
    assert Retry.of({"attempts": 4, "on": ["OSError"]}) == Retry(attempts=4, on=("OSError",))
    assert Retry.of(Retry(attempts=4)) == Retry(attempts=4)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (True, "not True"),
        ("3", "not str"),
        (-1, "at least 1, not 0"),
        ({"attempts": 0}, "at least 1, not 0"),
        ({"attempts": 2.0}, "whole number"),
        ({"attemps": 3}, "did you mean 'attempts'"),
        ({"jitter": 1.5}, "between 0 and 1"),
        ({"jitter": "much"}, "between 0 and 1"),
        ({"first_delay_s": -1}, "first_delay_s"),
        ({"factor": float("nan")}, "factor"),
        ({"max_delay_s": True}, "max_delay_s"),
        ({"on": "OSError"}, "a tuple of names of error types"),
        ({"on": [OSError]}, "a tuple of names of error types"),
        ({"never": "OSError"}, "a tuple of names of error types"),
    ],
)
def test_what_makes_no_sense_is_refused(value: Any, says: str) -> None:
    """A wrong declaration is an error where it is written, and the message names the field."""
    with pytest.raises(BadInput, match=says):
        Retry.of(value)


def test_a_base_class_stands_for_all_below_it() -> None:
    """`on` and `never` mean error types as `except` does."""
    reset = ("ConnectionResetError", "ConnectionError", "OSError", "Exception")

    assert Retry(attempts=2, on=("OSError",)).allows(1, reset)
    assert not Retry(attempts=2, on=("ValueError",)).allows(1, reset)
    assert not Retry(attempts=2, never=("OSError",)).allows(1, reset)


@pytest.mark.parametrize("error", NEVER_RETRIED)
def test_mistakes_are_retried_only_when_named(error: str) -> None:
    """Another attempt cannot help a mistake, unless somebody knows better."""
    assert not Retry(attempts=2).allows(1, (error, "Exception"))
    assert Retry(attempts=2, on=(error,)).allows(1, (error, "Exception"))


def test_the_wait_grows_by_the_factor_up_to_the_longest() -> None:
    """Exponential back-off with a cap."""
    retry = Retry(attempts=9, first_delay_s=1, factor=2, max_delay_s=5)

    assert [retry.delay_us(attempt, 0) for attempt in (1, 2, 3, 4, 5)] == [1_000_000, 2_000_000, 4_000_000] + [
        5_000_000
    ] * 2


def test_a_wait_beyond_all_numbers_is_the_longest() -> None:
    """The ten-thousandth attempt waits as long as the cap says, and does not overflow."""
    assert Retry(factor=1e3).delay_us(10_000, 0) == 60_000_000


@forall(RETRIES, st.integers(1, 50), st.floats(0, 1, exclude_max=True))
def test_jitter_takes_away_at_most_its_share(retry: Retry, attempt: int, chance: float) -> None:
    """Whatever is drawn, the wait is no longer than without jitter, and shorter by no more than the share."""
    full = retry.delay_us(attempt, 0)

    assert 0 <= full <= retry.max_delay_s * 1_000_000
    assert full * (1 - retry.jitter) - 1 <= retry.delay_us(attempt, chance) <= full
