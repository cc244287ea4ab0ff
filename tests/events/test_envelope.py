"""Sealing and reading back: one header per event, in one form, within its limits."""

from __future__ import annotations

import hmac
import json
from dataclasses import fields, replace
from hashlib import sha256
from typing import Any

import pytest
import rfc8785
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.errors import ActumError, BadInput, ProfileError, StoreDamaged, StoreRefused
from actum.events import (
    HEADER_LIMIT_BYTES,
    PAYLOAD_LIMIT_BYTES,
    Actor,
    FiledEvent,
    NewEvent,
    Part,
    RecordedEvent,
    SealedEvent,
    check_new_event,
    leaf_hash,
    payload_digest,
    seal,
)

AT, RECORDED_AT = "2026-11-21T09:14:13.920114Z", "2026-11-21T09:14:13.921003Z"
SALT = bytes(range(32))
PREV = sha256(b"previous").digest()
BARE = NewEvent("message.sent", {"role": "user"}, AT, Actor("agent", "a-1"), id="01939c5e-8a1b-7c00-8000-0000000000ff")
FULL = replace(
    BARE,
    payload=b'{"text":"hi"}',
    payload_class="personal",
    causation="01939c5e-8a1b-7c00-8000-000000000001",
    correlation="01939c5e-8a1b-7c00-8000-000000000002",
    trace="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
)


def sealed(event: NewEvent, version: int = 25, prev: bytes | None = PREV, salt: bytes | None = SALT) -> SealedEvent:
    check_new_event(event, "execution/e-1", 0)
    return seal(event, "default", "execution/e-1", version, prev, RECORDED_AT, salt)


texts = st.text(st.characters(codec="utf-8"))
facts = st.dictionaries(
    st.text(st.characters(max_codepoint=127)), texts | st.integers(-(2**53) + 1, 2**53 - 1) | st.lists(texts)
)
events = st.builds(
    NewEvent,
    type=st.sampled_from(["message.sent", "step.completed"]),
    facts=facts,
    at=st.just(AT),
    actor=st.builds(Actor, st.sampled_from(["worker", "person", "system"]), texts),
    id=st.uuids().map(str),
    payload=st.none() | st.binary(max_size=300),
    payload_class=st.sampled_from(["public", "business", "personal"]),
    causation=st.none() | texts,
    correlation=st.none() | texts,
    trace=st.none() | texts,
)


# -- the header -----------------------------------------------------------------------------------------------


@forall(events, st.integers(0, 2**40), st.none() | st.binary(min_size=32, max_size=32))
def test_what_was_sealed_is_read_back(event: NewEvent, version: int, prev: bytes | None) -> None:
    """Everything the event said, and its place, comes back from the stored bytes."""
    header, leaf, salt = sealed(event, version, prev)
    read = RecordedEvent(9, header, event.payload, salt)

    assert (read.position, read.header, read.leaf) == (9, header, leaf)
    assert (read.type, read.facts, read.id, read.at) == (event.type, event.facts, event.id, AT)
    assert (read.stream, read.version, read.recorded_at) == ("execution/e-1", version, RECORDED_AT)
    assert read.actor == event.actor
    assert read.prev == (prev.hex() if prev else None)
    for name in ("causation", "correlation", "trace"):
        assert read.head.get(name) == getattr(event, name)
    if event.payload is None:
        assert "payload" not in read.head
    else:
        digest = "hmac-sha256:" + hmac.new(SALT, event.payload, "sha256").hexdigest()
        size = len(event.payload)
        assert read.head["payload"] == {"class": event.payload_class, "digest": digest, "size": size}


@forall(events)
def test_a_header_is_its_own_canonical_form(event: NewEvent) -> None:
    """Whatever was sealed, the stored bytes are RFC 8785 of what they say: one event, one spelling."""
    header = sealed(event).header

    assert rfc8785.dumps(json.loads(header)) == header


def test_a_header_has_exactly_these_bytes() -> None:
    """The form of a header is fixed to the byte, because other people's verifiers are."""
    assert sealed(FULL).header == (
        b'{"actor":{"kind":"agent","ref":"a-1"},"at":"2026-11-21T09:14:13.920114Z",'
        b'"causation":"01939c5e-8a1b-7c00-8000-000000000001","correlation":"01939c5e-8a1b-7c00-8000-000000000002",'
        b'"facts":{"role":"user"},"id":"01939c5e-8a1b-7c00-8000-0000000000ff","payload":{"class":"personal",'
        b'"digest":"hmac-sha256:' + hmac.new(SALT, b'{"text":"hi"}', "sha256").hexdigest().encode() + b'","size":13},'
        b'"prev":"' + PREV.hex().encode() + b'","recorded_at":"2026-11-21T09:14:13.921003Z","schema":1,'
        b'"stream":"execution/e-1","tenant":"default","trace":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",'
        b'"type":"message.sent","v":1,"version":25}'
    )


def test_absent_fields_are_left_out() -> None:
    """What an event does not have is not in its header: no nulls, no empty texts."""
    assert sorted(json.loads(sealed(BARE, 0, None).header)) == [
        *("actor", "at", "facts", "id", "recorded_at", "schema", "stream", "tenant", "type", "v", "version"),
    ]


@forall(st.binary())
def test_the_leaf_is_that_of_rfc_6962(header: bytes) -> None:
    """A leaf is SHA-256 of a zero byte and the entry, so that no inner node can pass for one."""
    assert leaf_hash(header) == sha256(b"\x00" + header).digest()
    assert sealed(BARE).leaf == leaf_hash(sealed(BARE).header)


def test_each_event_names_the_leaf_before_it() -> None:
    """The chain of a stream: no prev at version 0, then the leaf hash of the event before."""
    first = sealed(BARE, 0, None)
    second = sealed(BARE, 1, first.leaf)

    assert RecordedEvent(0, first.header).prev is None
    assert RecordedEvent(1, second.header).prev == first.leaf.hex()
    assert second.leaf != sealed(BARE, 1, PREV).leaf


# -- the payload ----------------------------------------------------------------------------------------------


@forall(st.binary(min_size=32, max_size=32) | st.binary(max_size=100), st.binary(max_size=300))
def test_the_digest_is_hmac_sha256(salt: bytes, payload: bytes) -> None:
    """The digest is the standard library's HMAC, for every key and payload."""
    assert payload_digest(salt, payload) == "hmac-sha256:" + hmac.new(salt, payload, "sha256").hexdigest()


def test_the_header_does_not_hold_payload_or_salt() -> None:
    """Neither the payload nor its key is in the bytes that are kept for ever, so both can be erased."""
    header = sealed(replace(BARE, payload=b"secret")).header

    assert b"secret" not in header
    assert SALT.hex().encode() not in header


def test_an_event_without_payload_keeps_no_salt() -> None:
    """A salt that was drawn for nothing is not stored, however short or long the payload would have been."""
    assert sealed(BARE).salt is None
    assert sealed(replace(BARE, payload=b"")).salt == SALT


@pytest.mark.parametrize("salt", [None, b"", bytes(31), bytes(33)])
def test_a_payload_is_never_sealed_under_a_weak_key(salt: bytes | None) -> None:
    """Without 32 bytes of salt nothing is sealed."""
    with pytest.raises(AssertionError):
        sealed(FULL, salt=salt)


def test_the_payload_reads_as_its_value() -> None:
    """`value()` is the payload's JSON, or None when there is none to be had."""
    assert RecordedEvent(0, sealed(FULL).header, FULL.payload).value() == {"text": "hi"}
    assert RecordedEvent(0, sealed(FULL).header).value() is None


# -- limits ---------------------------------------------------------------------------------------------------


def test_the_header_says_where_a_filed_payload_lies() -> None:
    """Each part has its own digest and size; the key stands with the part that is under it."""
    key = "0d5f5c0e-6c8f-4c55-8e0c-5a0a1d3f2b11"
    rest, personal = Part("payload", None, SALT, b'{"n":null}'), Part("personal", key, SALT[::-1], b'{"/n":1}')
    filed = FiledEvent(**{f.name: getattr(FULL, f.name) for f in fields(NewEvent)}, parts=(rest, personal))
    filed.payload_class = "business"
    sealed = seal(filed, "default", "execution/e-1", 0, None, RECORDED_AT, None)
    head = json.loads(sealed.header)

    assert sealed.salt is None
    assert head["payload"] == {"class": "business", "digest": payload_digest(SALT, rest.data), "size": 10}
    assert head["personal"] == {"digest": payload_digest(SALT[::-1], personal.data), "key": key, "size": 8}
    filed.parts = (Part("payload", key, SALT, b"1"),)
    head = json.loads(seal(filed, "default", "execution/e-1", 0, None, RECORDED_AT, None).header)
    assert head["payload"] == {"class": "business", "digest": payload_digest(SALT, b"1"), "key": key, "size": 1}
    assert "personal" not in head


def with_header_of(size: int) -> NewEvent:
    room = size - len(sealed(replace(BARE, facts={"role": ""})).header)
    return replace(BARE, facts={"role": "x" * room})


def test_a_header_may_have_64_kib_and_no_more() -> None:
    """Exactly at the limit an event is sealed; one byte over, it is refused with both numbers."""
    assert len(sealed(with_header_of(HEADER_LIMIT_BYTES)).header) == 65_535
    with pytest.raises(BadInput, match=r"the header of message.sent is 65,536 bytes, over the limit of 65,535") as no:
        sealed(with_header_of(HEADER_LIMIT_BYTES + 1))
    assert "nothing was written" in str(no.value)


def test_a_payload_may_have_256_kib_and_no_more() -> None:
    """Exactly at the limit a payload passes; one byte over, it is refused with both numbers."""
    check_new_event(replace(BARE, payload=bytes(PAYLOAD_LIMIT_BYTES)), "e", 0)
    with pytest.raises(BadInput, match=r"e\[0\]: the payload of message.sent is 262,145 bytes, over .* 262,144"):
        check_new_event(replace(BARE, payload=bytes(256 * 1024 + 1)), "e", 0)


# -- what is refused ------------------------------------------------------------------------------------------

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"type": "step.complete"}, r"unknown event type 'step.complete'; did you mean 'step.completed'\?"),
    ({"type": "zzz"}, r"unknown event type 'zzz'; nothing was written"),
    ({"facts": {"a": 1.5}}, r"facts\.a is a float"),
    ({"facts": [1]}, r"facts is not a JSON object"),
    ({"at": "2026-11-21T09:14:13Z"}, r"at '2026-11-21T09:14:13Z' is not UTC text"),
    ({"at": "2026-02-30T09:14:13.920114Z"}, r"at '2026-02-30T09:14:13.920114Z' is not UTC text"),
    ({"at": ""}, r"at '' is not UTC text"),
    ({"actor": Actor("human", "p")}, r"actor\.kind 'human' is not a kind of actor"),  # type: ignore[arg-type]
    ({"actor": Actor("persn", "p")}, r"'persn' is not a kind of actor; did you mean 'person'\?"),  # type: ignore[arg-type]
    ({"actor": Actor("person", 7)}, r"actor\.ref is not text"),  # type: ignore[arg-type]
    ({"actor": Actor("person", "\ud800")}, r"actor\.ref holds a lone surrogate"),
    ({"causation": "\ud800"}, r"causation holds a lone surrogate"),
    ({"correlation": 1.5}, r"correlation is not text"),
    ({"trace": b"00"}, r"trace is not text"),
    ({"payload": b"{}", "key": "ada"}, r"'ada' is not the id of a data key"),
    ({"payload": b"{}", "payload_class": "personal", "personal": ["/a"]}, r"the payload is personal as a whole"),
    ({"payload": b"{}", "payload_class": "secret"}, r"payload_class 'secret' is not public, business or personal"),
]


@pytest.mark.parametrize(("change", "problem"), REFUSED, ids=lambda v: str(v)[:40])
def test_an_event_that_no_store_may_take_is_refused(change: dict[str, Any], problem: str) -> None:
    """A wrong field is refused before sealing; the error says where, which field, and what is wrong."""
    with pytest.raises(BadInput, match=problem) as refused:
        check_new_event(replace(BARE, **change), "execution/e-1", 3)
    assert str(refused.value).startswith("execution/e-1[3]: ")
    assert "nothing was written" in str(refused.value)


def test_text_of_any_script_is_taken() -> None:
    """Text fields take all of Unicode, written as it is."""
    event = replace(BARE, actor=Actor("person", "ß-世-🌍"), causation="é", correlation="é", trace="é")

    assert RecordedEvent(0, sealed(event).header).actor == event.actor


DAMAGED: list[tuple[bytes, type[ActumError]]] = [
    (b"", StoreDamaged),
    (b"{", StoreDamaged),
    (b"[]", StoreDamaged),
    (b"null", StoreDamaged),
    (b"{}", StoreDamaged),
    (b"\xff\xfe", StoreDamaged),
    (sealed(BARE).header[:-1], StoreDamaged),
    (sealed(BARE).header.replace(b'"facts"', b'"facta"'), StoreDamaged),
    (sealed(BARE).header.replace(b'"message.sent"', b'["message.sent"]'), StoreDamaged),
    (sealed(BARE).header.replace(b'"v":1', b'"v":2'), StoreRefused),
]


@pytest.mark.parametrize(("header", "error"), DAMAGED)
def test_bytes_that_are_no_header_are_named_by_position(header: bytes, error: type[ActumError]) -> None:
    """Damaged bytes, and envelopes of a newer program, are reported with their position, never half read."""
    with pytest.raises(error, match="event 41: "):
        RecordedEvent(41, header)


def test_errors_about_the_profile_are_bad_input() -> None:
    """Whoever catches `BadInput` catches every refusal of an event."""
    assert issubclass(ProfileError, BadInput)
