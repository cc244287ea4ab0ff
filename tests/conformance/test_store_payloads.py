"""Payloads that are kept apart from the log: under a data key, in two parts, or in the blob store."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actum.errors import (
    BadInput,
    IdempotencyConflict,
    KeyRingRefused,
    PayloadUnreadable,
    StoreUnavailable,
    VersionConflict,
)
from actum.events import NewEvent, payload_digest
from actum.eventstore import ANY, Append, Appended, Batch, EventStore
from actum.eventstore.check.store import check_store
from actum.testing.builders import STREAM, event
from actum.testing.faults import FaultyStore
from actum.testing.places import Place

ADA = "ada@example.org"
LARGE = b'"' + b"x" * (256 * 1024) + b'"'
ORDER = b'{"customer":{"name":"Ada","since":1843},"items":[{"note":"blue","n":1},{"note":"red","n":2}],"total":7}'
FIELDS = ("/customer/name", "/items/*/note")
WITHOUT = {
    "customer": {"name": None, "since": 1843},
    "items": [{"note": None, "n": 1}, {"note": None, "n": 2}],
    "total": 7,
}
NOBODY = "00000000-0000-4000-8000-000000000000"


def new(name: str, payload: bytes, **changes: Any) -> NewEvent:
    made = event(name, payload=payload)
    for field, value in changes.items():
        setattr(made, field, value)
    return made


def put(store: EventStore, *events: NewEvent) -> Appended:
    return store.append([Append(STREAM, ANY, list(events))])


@pytest.fixture(params=["plain", "encrypted"])
def keys(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"file:{tmp_path}/ring" if request.param == "encrypted" else ""


@pytest.fixture
def kept(place: Place, keys: str, tmp_path: Path) -> EventStore:
    """A store with a place for large payloads, with and without a key ring."""
    return place.open(keys=keys, blobs=f"{tmp_path}/blobs")


def blobs(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]


def verdict(store: EventStore) -> tuple[str, str]:
    found = check_store(store)
    return found.verdict, next(check.detail for check in found.checks if check.name == "payloads")


# -- keys and subjects -----------------------------------------------------------------------------------------------


def test_a_subject_has_one_key(kept: EventStore) -> None:
    """Asking again gives the same key, another subject another one, and the log knows neither name."""
    key = kept.key_for(ADA)
    other = kept.key_for("bob")
    put(kept, new("a", b"1", key=key))

    assert kept.key_for(ADA) == key != other
    assert (kept.keys_of(ADA), kept.keys_of("eve")) == ([key], [])
    assert sorted((k, s) for k, s, _ in kept.subjects()) == sorted([(key, ADA), (other, "bob")])
    assert ADA.encode() not in b"".join(e.header for e in kept.read())


def test_two_who_ask_at_once_get_one_key(kept: EventStore) -> None:
    """However many ask for a new subject's key at the same moment, it has one."""
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(kept.key_for(ADA))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 8
    assert set(found) == set(kept.keys_of(ADA))
    assert len(set(found)) == 1


@pytest.mark.parametrize("subject", ["", "x" * 513, "a\nb", "a\0"])
def test_what_is_no_subject_is_refused(kept: EventStore, subject: str) -> None:
    """A subject is 1 to 512 printable characters."""
    with pytest.raises(BadInput, match="512 printable"):
        kept.key_for(subject)
    assert list(kept.subjects()) == []


def test_keys_survive(place: Place, kept: EventStore, keys: str, tmp_path: Path, reopen: object) -> None:
    """Keys, subjects and payloads are there after closing and opening."""
    key = kept.key_for(ADA)
    put(kept, new("a", b'{"x":1}', key=key), new("b", LARGE, key=key))
    kept.close()
    again = place.open(keys=keys, blobs=f"{tmp_path}/blobs")

    assert again.key_for(ADA) == key
    assert [e.payload for e in again.read()] == [b'{"x":1}', LARGE]


def test_tenants_do_not_share_keys(shared: Place, keys: str) -> None:
    """A subject has a key of its own in each tenant, and one tenant cannot use or destroy another's."""
    a, b = shared.open("a", keys=keys), shared.open("b", keys=keys)
    key = a.key_for(ADA)
    put(a, new("a", b"1", key=key))

    assert b.keys_of(ADA) == []
    assert b.key_for(ADA) != key
    with pytest.raises(BadInput, match="no data key"):
        put(b, new("a", b"1", key=key))
    with pytest.raises(BadInput, match="no data key"):
        b.destroy_key(key)
    assert next(iter(a.read())).payload == b"1"


# -- what is kept, and where -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [b"", b"null", b'{"x":"\xc3\xa4"}', LARGE], ids=["empty", "null", "small", "large"])
def test_a_payload_under_a_key_reads_as_it_was_written(kept: EventStore, payload: bytes) -> None:
    """All ways of reading give the bytes; the header has the key, the size and the salted digest of the plain text."""
    key = kept.key_for(ADA)
    put(kept, new("a", payload, key=key, payload_class="personal"), event("b", payload=b"2"), event("c"))

    for found in (list(kept.read()), kept.read_stream(STREAM), list(kept.read(types=["step.completed"]))):
        assert [e.payload for e in found] == [payload, b"2", None]
        assert [e.missing for e in found] == [None, None, None]
    assert [e.payload for e in kept.read(payloads=False)] == [None, None, None]
    about = kept.read_stream(STREAM)[0].head["payload"]
    (part,) = next(iter(kept.read_raw())).payload or ()
    assert (about["class"], about["key"], about["size"]) == ("personal", key, len(payload))
    assert about["digest"] == payload_digest(part.salt, payload)
    assert verdict(kept) == ("verified", "2 payloads, each giving the digest in its header")


def test_personal_fields_are_kept_apart(kept: EventStore) -> None:
    """They are joined again on reading; the header has a digest of each part, and the key only beside the personal."""
    key = kept.key_for(ADA)
    put(kept, new("a", ORDER, personal=FIELDS, key=key))

    (found,) = kept.read()
    assert found.payload == ORDER
    assert set(found.head["payload"]) == {"class", "digest", "size"}
    assert found.head["personal"]["key"] == key
    rest, part = next(iter(kept.read_raw())).payload or ()
    assert json.loads(rest.data) == WITHOUT
    assert json.loads(part.data) == {"/customer/name": "Ada", "/items/0/note": "blue", "/items/1/note": "red"}
    assert verdict(kept)[0] == "verified"


def test_fields_that_are_not_there_are_nothing_to_keep_apart(kept: EventStore) -> None:
    """A pointer that meets nothing, or null, leaves the payload in one part."""
    put(kept, new("a", b'{"x":null,"l":[]}', personal=("/x", "/y/z", "/l/*", "/l/0"), key=kept.key_for(ADA)))

    (found,) = kept.read()
    assert found.payload == b'{"x":null,"l":[]}'
    assert "personal" not in found.head
    assert "key" not in found.head["payload"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"key": NOBODY}, "there is no data key"),
        ({"key": "ada"}, "'ada' is not the id of a data key"),
        ({"personal": ["name"]}, "'name' is no JSON Pointer"),
        ({"personal": [""]}, "'' is no JSON Pointer"),
        ({"personal": ["/x"], "payload": b"{"}, "JSON only"),
        ({"personal": ["/x"], "payload_class": "personal"}, "personal as a whole"),
    ],
    ids=["unknown key", "no key", "no pointer", "all of it", "no JSON", "all and some"],
)
def test_what_cannot_be_kept_apart_is_refused(kept: EventStore, changes: dict[str, Any], said: str) -> None:
    """The error says what is wrong; nothing is written, and both ways of appending say the same."""
    asked = [Append(STREAM, ANY, [event("good"), new("bad", **{"payload": b'{"x":1}', **changes})])]
    answers: list[Appended | Exception] = []
    done = threading.Event()
    with pytest.raises(BadInput, match=said):
        kept.append(asked)
    kept.append_soon(asked, lambda answer: (answers.append(answer), done.set()))  # type: ignore[func-returns-value]

    assert done.wait(10)
    assert isinstance(answers[0], BadInput)
    assert said in str(answers[0])
    assert kept.head() == 0


def test_encrypted_bytes_do_not_hold_the_text(place: Place, tmp_path: Path) -> None:
    """With a key ring neither rows nor blobs hold what was written; the ring's file is its owner's alone."""
    store = place.open(keys=f"file:{tmp_path}/ring", blobs=f"{tmp_path}/blobs")
    key = store.key_for(ADA)
    put(store, new("a", b'"a secret"', key=key), new("b", b'"a secret' + LARGE, key=key))

    boxes = [part.box for raw in store.read_raw() for part in raw.payload or () if not isinstance(part, int)]
    stored = b"".join([box.data or b"" for box in boxes] + [path.read_bytes() for path in blobs(tmp_path)])
    assert len(stored) > 256 * 1024
    assert b"a secret" not in stored
    assert b"xxxx" not in stored
    assert (tmp_path / "ring").stat().st_mode & 0o777 == 0o600


# -- appending again -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("landed", [False, True], ids=["lost", "landed"])
def test_trying_again_after_no_answer_records_once(kept: EventStore, tmp_path: Path, landed: bool) -> None:
    """Whether or not the first write landed, the second try leaves one copy of everything, blobs too."""
    key = kept.key_for(ADA)
    events = [new("a", LARGE, key=key), new("b", ORDER, personal=FIELDS, key=key), new("c", b"1", key=key)]
    flaky = FaultyStore(kept, landed=landed)
    with pytest.raises(StoreUnavailable):
        put(flaky, *events)
    answer = put(flaky, *events)

    assert put(kept, *events) == answer
    assert [e.payload for e in kept.read()] == [LARGE, ORDER, b"1"]
    assert len(blobs(tmp_path)) == 1
    assert verdict(kept)[0] == "verified"


@pytest.mark.parametrize(
    "changes",
    [
        {"payload": b'{"x":2}'},
        {"key": None},
        {"key": "other"},
        {"personal": ("/x",)},
        {"personal": ("/x",), "key": None},
        {"payload_class": "public"},
    ],
)
def test_the_same_id_with_something_else_is_a_conflict(kept: EventStore, changes: dict[str, Any]) -> None:
    """Other bytes, another key, other personal fields: each is another event."""
    put(kept, new("a", b'{"x":1}', key=kept.key_for(ADA)))
    if changes.get("key") == "other":
        changes = {"key": kept.key_for("other")}

    with pytest.raises(IdempotencyConflict):
        put(kept, new("a", **{"payload": b'{"x":1}', "key": kept.key_for(ADA), **changes}))
    assert kept.head() == 1


def test_other_personal_fields_under_one_id_are_a_conflict(kept: EventStore) -> None:
    """Parts are compared each with its own salt."""
    key = kept.key_for(ADA)
    put(kept, new("a", ORDER, personal=FIELDS, key=key))

    for other in (ORDER.replace(b"Ada", b"Eve"), ORDER.replace(b"7", b"8")):
        with pytest.raises(IdempotencyConflict):
            put(kept, new("a", other, personal=FIELDS, key=key))
    with pytest.raises(IdempotencyConflict):
        put(kept, new("a", ORDER))


# -- destroying ------------------------------------------------------------------------------------------------------


def test_a_destroyed_key_takes_everything_under_it(kept: EventStore, tmp_path: Path) -> None:
    """Payloads, personal parts, blobs and the name go; headers, and what is not under it, stay. Again: nothing more."""
    key, other = kept.key_for(ADA), kept.key_for("bob")
    put(
        kept,
        new("a", b'{"x":1}', key=key),
        new("b", LARGE, key=key),
        new("c", ORDER, personal=FIELDS, key=key),
        new("d", b'"bob"', key=other),
        new("e", LARGE),
        event("f", payload=b"6"),
    )
    headers = [e.header for e in kept.read()]

    assert kept.destroy_key(key) == 3
    assert kept.destroy_key(key) == 0
    found = list(kept.read())
    assert [e.header for e in found] == headers
    assert [e.payload for e in found[:2]] == [None, None]
    assert [e.missing is None for e in found] == [False, False, False, True, True, True]
    assert (found[0].value(), found[2].value()) == (None, WITHOUT)
    assert [e.payload for e in found[3:]] == [b'"bob"', LARGE, b"6"]
    assert [subject for _, subject, _ in kept.subjects()] == ["bob"]
    assert (kept.keys_of(ADA), len(blobs(tmp_path))) == ([], 1)
    assert kept.key_for(ADA) != key


def test_an_append_under_a_destroyed_key_keeps_only_the_header(kept: EventStore, tmp_path: Path) -> None:
    """The event is recorded with the digest and the size of its payload, and of the payload itself nothing is left."""
    key = kept.key_for(ADA)
    kept.destroy_key(key)
    events = [new("a", b'"secret"', key=key), new("b", LARGE, key=key), new("c", ORDER, personal=FIELDS, key=key)]
    answer = put(kept, *events)

    assert put(kept, *events) == answer
    found = list(kept.read())
    assert [e.head["payload"]["size"] for e in found[:2]] == [8, len(LARGE)]
    assert [e.payload for e in found[:2]] == [None, None]
    assert found[2].value() == WITHOUT
    assert blobs(tmp_path) == []


def test_destroying_goes_between_filing_and_writing(place: Place, keys: str, shared: Place, tmp_path: Path) -> None:
    """Another handle destroys the key while this one has it in memory: what comes after is not kept."""
    ours, theirs = (place.open(keys=keys, blobs=f"{tmp_path}/blobs") for _ in range(2))
    key = ours.key_for(ADA)
    put(ours, new("a", b"1", key=key))
    theirs.destroy_key(key)
    put(ours, new("b", b"2", key=key), new("c", LARGE, key=key))

    assert [e.payload for e in ours.read()] == [None, None, None]
    assert [raw.payload for raw in theirs.read_raw()] == [None, None, None]
    assert blobs(tmp_path) == []


def test_a_key_destroyed_before_the_commit_counts(kept: EventStore, tmp_path: Path) -> None:
    """The write itself looks at the key: what was filed while it lived is dropped, and its blob removed."""
    key = kept.key_for(ADA)
    write = getattr(kept, "_append", None) or kept._writer.append  # type: ignore[attr-defined]

    def too_late(batch: Batch) -> Appended:
        kept.destroy_key(key)
        return write(batch)  # type: ignore[no-any-return]

    events = [new("a", b"1", key=key), new("b", LARGE, key=key), new("c", ORDER, personal=FIELDS, key=key)]
    kept._protection.append([Append(STREAM, ANY, events)], too_late)  # type: ignore[attr-defined]

    assert kept.head() == 3
    assert [e.payload for e in kept.read_stream(STREAM, 0, 2)] == [None, None]
    assert kept.read_stream(STREAM)[2].value() == WITHOUT
    assert blobs(tmp_path) == []


def test_appends_and_a_destruction_at_once_leave_nothing(kept: EventStore) -> None:
    """Whatever order they get, when all is done no payload is left under the key."""
    key = kept.key_for(ADA)
    failed: list[Exception] = []

    def write(name: str) -> None:
        try:
            for n in range(10):
                kept.append([Append(f"s/{name}", ANY, [new(f"{name}{n}", b"1", key=key)])])
        except Exception as exc:
            failed.append(exc)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    kept.destroy_key(key)
    for thread in threads:
        thread.join()

    assert failed == []
    assert kept.head() == 40
    assert all(raw.payload is None for raw in kept.read_raw())


def test_payloads_are_dropped_by_position(kept: EventStore, tmp_path: Path) -> None:
    """Those named lose their payload, wherever it lies; the others keep theirs; what is not there is no error."""
    put(kept, event("a", payload=b"1"), new("b", LARGE), event("c"), event("d", payload=b"4"))
    put(kept, new("e", b"5", key=kept.key_for(ADA)))

    assert kept.drop_payloads([0, 1, 2, 4, 99, -1]) == 3
    assert kept.drop_payloads([0, 1]) == 0
    assert [e.payload for e in kept.read()] == [None, None, None, b"4", None]
    assert [e.missing is None for e in kept.read_stream(STREAM)] == [False, False, True, True, False]
    assert blobs(tmp_path) == []


def test_only_a_known_key_is_destroyed(kept: EventStore) -> None:
    """A key that there never was is an error: somebody's payloads would be believed gone."""
    with pytest.raises(BadInput, match="no data key"):
        kept.destroy_key(NOBODY)


# -- key rings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ring", ["none", "another"])
def test_without_the_key_ring_all_but_the_payloads_works(
    place: Place, tmp_path: Path, ring: str, reopen: Callable[[EventStore], EventStore]
) -> None:
    """Encrypted payloads are unreadable, and say so when asked for; verification says what it could not check."""
    store = place.open(keys=f"file:{tmp_path}/ring")
    key = store.key_for(ADA)
    put(store, new("a", b'"secret"', key=key), event("b", payload=b"2"))
    store.close()
    store = place.open(keys="" if ring == "none" else f"file:{tmp_path}/another")

    found, other = store.read()
    assert (found.payload, other.payload) == (None, b"2")
    assert ("no key ring is set" if ring == "none" else "was wrapped by another key ring") in str(found.missing)
    with pytest.raises(PayloadUnreadable, match=r"event 0: its payload cannot be read"):
        found.value()
    said = verdict(store)
    assert said[0] == "verified"
    assert said[1].startswith("not checked: 1 of 2 payloads cannot be read here")
    with pytest.raises(KeyRingRefused, match="key ring"):
        put(store, new("c", b"1", key=key))
    put(store, event("d", payload=b"4"))
    assert store.destroy_key(key) == 1
    assert store.head() == 3


def test_a_key_made_without_a_ring_is_wrapped_when_there_is_one(
    place: Place, tmp_path: Path, reopen: Callable[[EventStore], EventStore]
) -> None:
    """What was stored plain reads on; what comes after is encrypted."""
    store = place.open()
    key = store.key_for(ADA)
    put(store, new("a", b"1", key=key))
    store.close()
    store = place.open(keys=f"file:{tmp_path}/ring")
    put(store, new("b", b"2", key=key))

    assert [e.payload for e in store.read()] == [b"1", b"2"]
    assert [part.box.form for raw in store.read_raw() for part in raw.payload or ()] == [0, 1]  # type: ignore[union-attr]
    assert store.rewrap_keys() == 1
    store.close()
    assert [e.payload for e in place.open(keys=f"file:{tmp_path}/ring").read()] == [b"1", b"2"]


# -- blobs -----------------------------------------------------------------------------------------------------------


def test_without_a_place_the_limit_names_the_setting(place: Place) -> None:
    """A store that has no place for large payloads refuses them and says how to name one."""
    store = place.open()
    if store.payload_limit_bytes > len(LARGE):
        pytest.skip(f"{place.scheme} has a place of its own")
    with pytest.raises(BadInput, match=r"over the limit of 262,144.*ACTUM_BLOBS"):
        put(store, new("a", LARGE))
    assert store.head() == 0


def test_a_large_payload_is_one_blob(kept: EventStore, tmp_path: Path) -> None:
    """It is named after its digest; up to the limit a payload lies in the store."""
    put(kept, new("a", LARGE[:-2]), new("b", LARGE))

    (path,) = blobs(tmp_path)
    assert kept.read_stream(STREAM)[1].head["payload"]["digest"] == f"hmac-sha256:{path.name}"
    assert [e.payload for e in kept.read()] == [LARGE[:-2], LARGE]


def test_a_refused_append_leaves_no_blob(kept: EventStore, tmp_path: Path) -> None:
    """Refused for its version or for its neighbour in the batch: what was put before is removed."""
    put(kept, event("a"))
    with pytest.raises(VersionConflict):
        kept.append([Append(STREAM, 7, [new("b", LARGE)])])
    with pytest.raises(BadInput):
        put(kept, new("b", LARGE), new("c", LARGE, personal=("/x",), payload_class="secret"))
    with pytest.raises(BadInput):
        put(kept, new("b", LARGE), new("c", b"{", personal=("/x",)))

    assert blobs(tmp_path) == []
    assert kept.head() == 1


@pytest.mark.parametrize("harm", ["missing", "altered", "cut"])
def test_a_blob_that_was_harmed_is_found_by_name(kept: EventStore, tmp_path: Path, harm: str) -> None:
    """Verification fails and names the event, and the blob where it is missing; reading the event says so too."""
    put(kept, event("a", payload=b"1"), new("b", LARGE, key=kept.key_for(ADA)))
    (path,) = blobs(tmp_path)
    if harm == "missing":
        path.unlink()
    elif harm == "cut":
        path.write_bytes(b"x")
    else:
        path.write_bytes(path.read_bytes()[:-1] + b"?")

    found = check_store(kept)
    assert found.verdict == "failed"
    assert found.first_bad is not None
    assert found.first_bad.position == 1
    assert "payload" in found.first_bad.reason
    if harm != "altered":
        assert path.name in found.first_bad.reason
        with pytest.raises(PayloadUnreadable, match=path.name):
            kept.read_stream(STREAM)[1].value()


def test_orphans_are_listed_and_swept(kept: EventStore, tmp_path: Path) -> None:
    """Blobs to which no event refers are listed, removed when asked to, and left alone while they are young."""
    put(kept, new("a", LARGE))
    (used,) = blobs(tmp_path)
    orphan = used.with_name("0" * 64)
    orphan.write_bytes(b"left by an append that was interrupted")

    assert kept.sweep_blobs() == []
    assert kept.sweep_blobs(-60) == [f"default/{orphan.name}"]
    assert orphan.exists()
    assert kept.sweep_blobs(-60, remove=True) == [f"default/{orphan.name}"]
    assert blobs(tmp_path) == [used]
    assert [e.payload for e in kept.read()] == [LARGE]
