"""The rules all backends share, as functions of values."""

from __future__ import annotations

import pytest

from actum.errors import IdempotencyConflict, VersionConflict
from actum.events import RecordedEvent, seal
from actum.eventstore import ANY, EXISTS, Append, Appended
from actum.eventstore.expected import answer_from, check_expected, same_event, sort_out_conflict
from actum.testing.builders import event, event_id

SALT = bytes(32)


def recorded(name: str, position: int = 0, version: int = 0, payload: bytes | None = None) -> RecordedEvent:
    sealed = seal(event(name, payload=payload), "default", "s/1", version, None, "2026-11-21T12:00:00.000000Z", SALT)
    return RecordedEvent(position, sealed.header, payload, None if payload is None else SALT)


@pytest.mark.parametrize("actual", [0, 1, 5])
@pytest.mark.parametrize("expected", [ANY, EXISTS, 0, 1, 5])
def test_what_fits_is_said_by_the_number(expected: int, actual: int) -> None:
    """ANY always fits, EXISTS from one event on, and a number only itself."""
    fits = {ANY: True, EXISTS: actual > 0}.get(expected, expected == actual)
    if fits:
        check_expected("s/1", expected, actual)
    else:
        with pytest.raises(VersionConflict, match=f"version {actual}"):
            check_expected("s/1", expected, actual)


def test_content_is_the_same_however_it_was_put_together() -> None:
    """The order of facts and the kind of actor tuple make no difference; the salt of the payload is not content."""
    new = event("a", payload=b"1", x=1, y=[1, {"b": 2, "a": 1}])
    there = seal(new, "default", "s/1", 0, None, "2026-11-21T12:00:00.000000Z", SALT)
    new.facts = {"y": [1, {"a": 1, "b": 2}], "x": 1}
    new.actor = ("worker", "w-1")  # type: ignore[assignment]

    assert same_event(new, RecordedEvent(0, there.header, b"1", SALT))


def test_after_erasure_the_size_is_what_is_left_to_compare() -> None:
    """Without its salt a payload's digest says nothing: an equal size counts as the same, another does not."""
    there = recorded("a", payload=b"secret")
    erased = RecordedEvent(0, there.header)

    assert same_event(event("a", payload=b"secret"), erased)
    assert same_event(event("a", payload=b"secreT"), erased)
    assert not same_event(event("a", payload=b"secrets"), erased)
    assert not same_event(event("a"), erased)


def test_all_there_none_there_and_in_between() -> None:
    """All recorded: the first answer; none: go on; some: a conflict that names one that is there."""
    batch = [Append("s/1", ANY, [event("a"), event("b")])]
    a, b = recorded("a"), recorded("b", 1, 1)

    assert sort_out_conflict(batch, [a, b]) == [a, b]
    assert sort_out_conflict(batch, [None, None]) is None
    for some in ([a, None], [None, b]):
        with pytest.raises(IdempotencyConflict) as caught:
            sort_out_conflict(batch, some)
        assert caught.value.event in (event_id("a"), event_id("b"))


def test_the_first_answer_spans_all_positions() -> None:
    """Made again from its events, in whatever order they are asked for, the answer names first, last and versions."""
    events = [recorded("c", 9, 4), recorded("a", 3, 2), recorded("b", 5, 3)]

    assert answer_from(events) == Appended(3, 9, {"s/1": 5})
