"""How long payloads are kept: the policy as data, and calendar arithmetic."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.errors import BadInput
from actum.events import to_text, to_us
from actum.eventstore.custody.retention import Keep, Policy

instants = st.integers(to_us("1990-01-01T00:00:00.000000Z"), to_us("2300-01-01T00:00:00.000000Z")).map(to_text)


@pytest.mark.parametrize("text", ["30d", "6mo", "7y", "1d", "18mo"])
def test_a_time_to_keep_reads_as_it_is_written(text: str) -> None:
    """What `retention show` says can be given to `retention set`."""
    assert str(Keep.parse(text, "here")) == text


@pytest.mark.parametrize("text", ["", "30", "d", "0d", "-1d", "1.5y", "6 mo", "6m", "999999d", "9999y", None, 6])
def test_anything_else_is_no_time_to_keep(text: Any) -> None:
    """A time that could be misread is refused, with what to say instead."""
    with pytest.raises(BadInput, match="here"):
        Keep.parse(text, "here")


@pytest.mark.parametrize(
    ("keep", "now", "before"),
    [
        ("30d", "2026-03-01T12:00:00.000000Z", "2026-01-30T12:00:00.000000Z"),
        ("6mo", "2026-08-31T00:00:00.000001Z", "2026-02-28T00:00:00.000001Z"),
        ("6y", "2032-02-29T00:00:00.000000Z", "2026-02-28T00:00:00.000000Z"),
        ("1mo", "2026-01-15T00:00:00.000000Z", "2025-12-15T00:00:00.000000Z"),
    ],
)
def test_months_and_years_are_those_of_the_calendar(keep: str, now: str, before: str) -> None:
    """Six years are six years, leap days or not; where a day does not exist, the last one before it counts."""
    assert Keep.parse(keep, "").before(now) == before


@forall(instants, st.sampled_from(["1d", "45d", "1mo", "6mo", "1y", "10y"]))
def test_nothing_is_due_before_its_time(instant: str, text: str) -> None:
    """What was recorded now is not past its time at any moment before the one that is shown as its due date."""
    keep = Keep.parse(text, "")

    due = keep.after(instant)

    assert instant < due
    assert keep.before(due) <= instant  # `recorded < before` is what destroys, so at `due` it is just kept


def test_a_type_s_own_rule_counts_before_that_of_the_class() -> None:
    """A payload has one rule: of its event's type, else of its class; without either it is kept."""
    policy = Policy.from_words(["personal=6mo", "type:model.called=30d"])

    assert str(policy.rule_of("model.called", "personal")) == "type:model.called"
    assert str(policy.rule_of("step.started", "personal")) == "personal"
    assert policy.rule_of("step.started", "business") is None


def test_words_and_file_say_the_same_policy() -> None:
    """Both ways to write a policy give the same bytes, so the same digest stands in the log."""
    words = Policy.from_words(["personal=6mo", "type:model.called=30d"])
    file = Policy.from_json(
        {"rules": [{"class": "personal", "keep": "6mo"}, {"type": "model.called", "keep": "30d"}]}, "policy.json"
    )

    assert words == file
    assert words.digest == file.digest
    assert Policy.from_json(words.to_json(), "again") == words


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ([], "rules"),
        ({"rules": {}}, "rules"),
        ({"rules": [], "more": 1}, "nothing else"),
        ({"rules": [{"class": "personal"}]}, "rule 1"),
        ({"rules": [{"class": "persnal", "keep": "1d"}]}, "did you mean 'personal'"),
        ({"rules": [{"type": "model.call", "keep": "1d"}]}, "did you mean 'model.called'"),
        ({"rules": [{"class": "personal", "type": "model.called", "keep": "1d"}]}, "rule 1"),
        ({"rules": [{"class": "personal", "keep": "1d"}, {"class": "personal", "keep": "2d"}]}, "two rules"),
    ],
)
def test_what_is_no_policy_is_refused_by_place(value: Any, problem: str) -> None:
    """A policy with a mistake in it is refused as a whole, and the message says where."""
    with pytest.raises(BadInput, match=problem):
        Policy.from_json(value, "policy.json")
