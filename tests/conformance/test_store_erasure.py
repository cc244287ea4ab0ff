"""A subject's payloads are erased, or what stands against it is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from actum.errors import BadInput, ErasureRefused, StoreUnavailable
from actum.eventstore import ANY, Append, EventStore
from actum.eventstore.check.store import check_store
from actum.eventstore.custody.custodian import lift_hold, place_hold
from actum.eventstore.custody.erasing import Found, erase_subject, finish, unfinished
from actum.testing.builders import event
from actum.testing.faults import FaultyStore
from tests.conformance.erasing import ANNA, BERT, DAY_US, FAR_US, OFFICER, at, hold, now, payloads, write


def erase(store: EventStore, subject: str, **options: Any) -> Found:
    return erase_subject(
        store, subject, **{"basis": "gdpr-17", "reason": "asked", "by": OFFICER, "clock": now} | options
    )


# -- erasing a subject -------------------------------------------------------------------------------------------


def test_an_erased_subject_s_payloads_are_gone_and_the_rest_is_not(store: EventStore) -> None:
    """Whatever is under the subject's key is unreadable; other payloads, every header and the tree are as before."""
    anna, bert = write(store, "x", ANNA), write(store, "y", BERT)
    tree = store.tree()

    found = erase(store, ANNA)

    assert sum(found.payloads.values()) == 1
    assert at(store, anna.position).payload is None
    assert at(store, anna.position).header == anna.header
    assert at(store, bert.position).payload == bert.payload
    assert store.tree().size == tree.size + 1
    assert [subject for _, subject, _ in store.subjects()] == [BERT]
    assert store.keys_of(ANNA) == []


def test_the_log_says_who_erased_what_on_which_ground(store: EventStore) -> None:
    """One event for each key: ground, person, counts; the reason is its payload and no name is anywhere in it."""
    key = write(store, "x", ANNA).head["payload"]["key"]
    write(store, "y", ANNA, stream="execution/b")

    erase(store, ANNA, basis="request", reason="letter of Tuesday")

    (said,) = [e for e in store.read() if e.type == "payload.erased"]
    assert said.facts == {"basis": "request", "key": key, "payloads": 2, "executions": 2}
    assert said.actor == OFFICER
    assert said.value() == {"reason": "letter of Tuesday"}
    assert said.stream == "system/default"


def test_only_the_personal_part_goes(store: EventStore) -> None:
    """Of a business payload with personal fields the rest still reads, with null in their place."""
    before = write(store, "x", ANNA, payload_class="business", personal=("/name",))
    assert before.value() == {"name": "x", "n": 1}

    erase(store, ANNA)

    assert at(store, before.position).value() == {"name": None, "n": 1}


def test_erasing_again_does_nothing(store: EventStore) -> None:
    """A subject that is erased, or was never there, is no error and leaves no event."""
    write(store, "x", ANNA)
    erase(store, ANNA)
    head = store.head()

    assert erase(store, ANNA).keys == ()
    assert erase(store, "nobody").keys == ()
    assert store.head() == head


def test_what_is_appended_after_the_erasure_is_not_kept(store: EventStore) -> None:
    """A running execution goes on under the erased key: its events are recorded, their payloads are not."""
    key = store.key_for(ANNA)
    erase(store, ANNA)

    late = replace(event("late", payload=b'"late"'), key=key, payload_class="personal")
    position = store.append([Append("execution/a", ANY, [late])]).first_position

    assert at(store, position).payload is None
    assert payloads(store).detail.endswith("1 was erased, as the log says")


def test_the_same_name_begins_anew(store: EventStore) -> None:
    """A person who comes back gets another key: what was erased stays so, what is new is kept."""
    old = write(store, "x", ANNA)
    erase(store, ANNA)
    new = write(store, "y", ANNA)

    assert new.payload is not None
    assert new.head["payload"]["key"] != old.head["payload"]["key"]


@pytest.mark.parametrize("reason", ["", "  ", "Anna@Example.org asked"])
def test_a_reason_says_why_and_not_who(store: EventStore, reason: str) -> None:
    """No reason, and one that would keep the subject's name in the log, are refused before anything is done."""
    kept = write(store, "x", ANNA)

    with pytest.raises(BadInput):
        erase(store, ANNA, reason=reason)

    assert at(store, kept.position).payload is not None


# -- what stands against it --------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", [{"subject": ANNA}, {"execution": "a"}, {}], ids=["subject", "execution", "all"])
def test_a_hold_forbids_erasing_until_it_is_lifted(store: EventStore, what: dict[str, Any]) -> None:
    """While a hold covers a payload of the subject nothing of the subject is erased, and the refusal names the hold."""
    kept = write(store, "x", ANNA)
    write(store, "y", ANNA, stream="execution/b")
    id_ = hold(store, **what)

    with pytest.raises(ErasureRefused) as refused:
        erase(store, ANNA)

    assert refused.value.holds == (id_,)
    assert id_ in str(refused.value)
    assert at(store, kept.position).payload is not None
    lift_hold(store, id_, reason="over", by=OFFICER, clock=now)
    erase(store, ANNA)
    assert at(store, kept.position).payload is None


@pytest.mark.parametrize("what", [{"subject": BERT}, {"execution": "b"}], ids=["subject", "execution"])
def test_a_hold_on_something_else_does_not(store: EventStore, what: dict[str, Any]) -> None:
    """A hold covers what it names and nothing more."""
    write(store, "x", ANNA)
    write(store, "y", BERT, stream="execution/b")
    hold(store, **what)

    assert erase(store, ANNA).holds == ()


def test_a_hold_on_a_subject_covers_what_comes_later(store: EventStore) -> None:
    """A subject that has nothing in the log yet can be held already."""
    id_ = hold(store, subject=ANNA)
    write(store, "x", ANNA)

    with pytest.raises(ErasureRefused, match=id_):
        erase(store, ANNA)


def test_a_hold_ends_by_itself(store: EventStore) -> None:
    """After its time a hold forbids nothing."""
    write(store, "x", ANNA)
    place_hold(store, reason="a case", by=OFFICER, clock=lambda: FAR_US - 2 * DAY_US, until="2029-08-17T00:00:00Z")

    assert erase(store, ANNA).keys


def test_a_hold_is_lifted_once(store: EventStore) -> None:
    """Lifting what is not there, or was lifted, is refused with the nearest id there is."""
    id_ = hold(store)
    with pytest.raises(BadInput, match=f"did you mean '{id_}'"):
        lift_hold(store, id_[:-1], reason="over", by=OFFICER, clock=now)
    lift_hold(store, id_, reason="over", by=OFFICER, clock=now)

    with pytest.raises(BadInput, match="no hold"):
        lift_hold(store, id_, reason="over", by=OFFICER, clock=now)


@pytest.mark.parametrize("status", ["running", "waiting", "parked", "paused", "compensating"])
def test_an_execution_that_has_not_ended_forbids_erasing(store: EventStore, status: str) -> None:
    """Who still needs a payload is named; nothing is erased under a running execution."""
    kept = write(store, "x", ANNA, status=status)

    with pytest.raises(ErasureRefused) as refused:
        erase(store, ANNA)

    assert refused.value.running == ("a",)
    assert at(store, kept.position).payload is not None


def test_force_overrides_both_and_is_recorded(store: EventStore) -> None:
    """A forced erasure is done against holds and running executions, and the log says against which."""
    write(store, "x", ANNA, status="running")
    id_ = hold(store, subject=ANNA)

    erase(store, ANNA, force=True)

    said = next(iter(store.read(types=["payload.erased"]))).facts
    assert (said["forced"], said["against"], said["running"]) == (True, [id_], 1)
    assert not list(store.subjects())


def test_force_that_was_not_needed_is_not_recorded(store: EventStore) -> None:
    """The log says forced only where something stood against it."""
    write(store, "x", ANNA)

    erase(store, ANNA, force=True)

    assert "forced" not in next(iter(store.read(types=["payload.erased"]))).facts


# -- killed on the way -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("landed", [False, True], ids=["lost", "landed"])
def test_an_erasure_without_an_answer_is_completed_by_the_next(store: EventStore, landed: bool) -> None:
    """Whether or not the word got into the log, erasing again leaves one word and no payload."""
    kept = write(store, "x", ANNA)
    with pytest.raises(StoreUnavailable):
        erase(FaultyStore(store, landed=landed), ANNA)
    assert at(store, kept.position).payload is not None
    if landed:
        found = check_store(store)
        assert found.verdict == "failed"
        assert found.first_bad is not None
        assert found.first_bad.position == kept.position
        assert "is there, though event 1 says that it was erased" in found.first_bad.reason

    erase(store, ANNA)

    assert at(store, kept.position).payload is None
    assert len(list(store.read(types=["payload.erased"]))) == 1


def test_finish_completes_what_was_recorded(store: EventStore) -> None:
    """Without the subject's name too: what the log says is erased is destroyed, and nothing else."""
    kept, other = write(store, "x", ANNA), write(store, "y", BERT)
    with pytest.raises(StoreUnavailable):
        erase(FaultyStore(store, landed=True), ANNA)

    left = finish(store)

    assert (left.keys, left.payloads) == (1, 1)
    assert at(store, kept.position).payload is None
    assert at(store, other.position).payload is not None
    assert finish(store) == (left.__class__(0, 0))


def test_an_erasure_that_was_killed_after_the_name_went_is_completed_too(store: EventStore) -> None:
    """The name goes first, the payloads then: killed in between, verifying finds it and the same command ends it."""
    kept = write(store, "x", ANNA)
    key = store.key_for(ANNA)
    with pytest.raises(StoreUnavailable):
        erase(FaultyStore(store, landed=True), ANNA)
    rows = store._protection.keys.rows  # type: ignore[attr-defined]  # there is no other way to die at this place
    other = store.key_for("bert@example.org")
    assert unfinished(store) == {key}
    rows.destroy(key, kept.at)
    assert payloads(store).ok is False
    assert unfinished(store) == {key}
    assert store.keys_left([key, other, str(uuid4())]) == {key, other}

    assert erase(store, ANNA).keys == ()

    assert payloads(store).ok is True
    assert unfinished(store) == set()
    assert finish(store).payloads == 0


# -- verification ------------------------------------------------------------------------------------------------


def test_a_payload_that_is_missing_without_a_word_is_found(place_store: EventStore) -> None:
    """Removing a payload behind the log's back is a failure that names the event."""
    store = place_store
    write(store, "x", ANNA)
    taken = write(store, "y")
    store.drop_payloads([taken.position])

    found = check_store(store)

    assert found.verdict == "failed"
    assert found.first_bad is not None
    assert found.first_bad.position == taken.position
    assert "no event says that it was erased" in found.first_bad.reason


def test_a_key_that_is_destroyed_without_a_word_is_found(place_store: EventStore) -> None:
    """So is destroying a key: every payload under it is missing and unexplained."""
    store = place_store
    taken = write(store, "x", ANNA)
    store.destroy_key(store.key_for(ANNA))

    found = check_store(store)

    assert found.first_bad is not None
    assert (found.verdict, found.first_bad.position) == ("failed", taken.position)


@pytest.fixture
def place_store(place: Any) -> EventStore:
    """A store that need not verify at the end."""
    store: EventStore = place.open()
    return store


def test_erased_and_verified_after_opening_again(store: EventStore, reopen: Callable[[EventStore], EventStore]) -> None:
    """What was erased stays erased, and the log verifies with the number said."""
    write(store, "x", ANNA)
    erase(store, ANNA)

    again = reopen(store)

    assert at(again, 0).payload is None
    assert check_store(again).verdict == "verified"
    assert payloads(again).detail == "1 payload, each giving the digest in its header; 1 was erased, as the log says"
