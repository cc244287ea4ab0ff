"""Older shapes of events: their bytes stay, their facts become today's, and the future is refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from actum.errors import StoreRefused
from actum.events import CURRENT, UPCASTERS, Actor, NewEvent, RecordedEvent, SealedEvent, leaf_hash, seal, upcast

TYPE = "message.sent"
AT = "2026-11-21T12:00:00.000000Z"


def recorded(facts: dict[str, Any]) -> SealedEvent:
    event = NewEvent(TYPE, facts, AT, Actor("agent", "a-1"), id="01939c5e-8a1b-7c00-8000-0000000000ff")
    return seal(event, "default", "execution/e-1", 0, None, AT, None)


def rename(facts: dict[str, Any]) -> dict[str, Any]:
    facts["speaker"] = facts.pop("role")
    facts["tags"].append("renamed")
    return facts


def count(facts: dict[str, Any]) -> dict[str, Any]:
    return {**facts, "tag_count": len(facts["tags"])}


@pytest.fixture
def third_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    """Today's shape of the type is the third, with an upcaster from each older one."""
    monkeypatch.setitem(CURRENT, TYPE, 3)
    monkeypatch.setitem(UPCASTERS, (TYPE, 1), rename)
    monkeypatch.setitem(UPCASTERS, (TYPE, 2), count)


OLD = recorded({"role": "user", "tags": ["a"]})


@pytest.mark.usefixtures("third_schema")
def test_old_facts_are_read_in_todays_shape() -> None:
    """Facts written under schema 1 pass through every upcaster in order, and arrive in today's shape."""
    assert RecordedEvent(0, OLD.header).facts == {"speaker": "user", "tags": ["a", "renamed"], "tag_count": 2}
    assert upcast(TYPE, 2, {"speaker": "user", "tags": []}) == {"speaker": "user", "tags": [], "tag_count": 0}


@pytest.mark.usefixtures("third_schema")
def test_old_bytes_do_not_change() -> None:
    """Reading through upcasters, even ones that edit in place, leaves the stored bytes and the parsed header alone."""
    event = RecordedEvent(0, OLD.header)

    assert event.header == OLD.header
    assert leaf_hash(event.header) == event.leaf == OLD.leaf
    assert event.head["facts"] == {"role": "user", "tags": ["a"]}
    assert event.head["schema"] == 1


@pytest.mark.usefixtures("third_schema")
def test_new_events_are_written_in_todays_shape() -> None:
    """What is sealed today carries today's schema number and is read without an upcaster."""
    event = RecordedEvent(0, recorded({"speaker": "user"}).header)

    assert event.head["schema"] == 3
    assert event.facts == {"speaker": "user"}


def test_todays_facts_are_given_back_as_they_are() -> None:
    """Without an older schema there is nothing to do and nothing is copied."""
    facts = {"role": "user"}

    assert upcast(TYPE, 1, facts) is facts


def test_a_newer_schema_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """An event that only a newer program knows is refused, with its type, both numbers and the next step."""
    with monkeypatch.context() as future:
        future.setitem(CURRENT, TYPE, 2)
        new = recorded({"role": "user"})
    with pytest.raises(StoreRefused) as refused:
        RecordedEvent(7, new.header)

    said = str(refused.value)
    assert TYPE in said
    assert "schema 2" in said
    assert "than this program reads (1)" in said
    assert "upgrade actum" in said


def test_an_unknown_type_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A type that a newer program added is refused by its name, without a word about schemas."""
    header = OLD.header.replace(b'"message.sent"', b'"message.sung"')
    with pytest.raises(StoreRefused, match=r"^message\.sung: this program does not know this event type; upgrade"):
        RecordedEvent(7, header)


@pytest.mark.parametrize("schema", [b"0", b"-1", b'"1"', b"null", b"1.5"])
def test_a_schema_that_never_was_is_refused(schema: bytes) -> None:
    """A number nobody wrote is not taken for the oldest or today's shape."""
    with pytest.raises(StoreRefused, match="is none that was ever written; run `actum verify`"):
        RecordedEvent(7, OLD.header.replace(b'"schema":1', b'"schema":' + schema))


def test_every_older_schema_has_an_upcaster() -> None:
    """From every schema that was ever written there is a way to today's, and no upcaster leads nowhere."""
    assert set(UPCASTERS) == {(type_, number) for type_, today in CURRENT.items() for number in range(1, today)}
