"""Payloads go when their time is over, and no others."""

from __future__ import annotations

import pytest

from actum.errors import BadInput, StoreUnavailable
from actum.eventstore import EventStore
from actum.eventstore.check.store import check_store
from actum.eventstore.custody.custodian import lift_hold, set_retention
from actum.eventstore.custody.erasures import read_custody
from actum.eventstore.custody.retaining import Standing, look, run_retention
from actum.eventstore.custody.retention import Policy
from actum.testing.faults import FaultyStore
from tests.conformance.erasing import ANNA, OFFICER, at, hold, now, payloads, write


def retain(store: EventStore, *words: str) -> Standing:
    set_retention(store, Policy.from_words(words), by=OFFICER, clock=now)
    return run_retention(store, by=OFFICER, clock=now)


def test_retention_destroys_what_is_past_its_time(store: EventStore) -> None:
    """Payloads of the classes and types that the policy names go when they are old enough; headers never."""
    personal, business = write(store, "x"), write(store, "y", payload_class="business")
    called = write(store, "z", type="model.called", payload_class="business")
    public = write(store, "w", payload_class="public")

    standing = retain(store, "personal=30d", "business=100y", "type:model.called=7d")

    assert [(str(one.rule), one.to_go) for one in standing.rules] == [
        ("personal", 1),
        ("business", 0),
        ("type:model.called", 1),
    ]
    assert [at(store, e.position).payload is None for e in (personal, business, called, public)] == [
        True,
        False,
        True,
        False,
    ]
    assert at(store, personal.position).header == personal.header
    assert payloads(store).detail.endswith("2 were erased, as the log says")


def test_retention_says_by_which_rule_it_went(store: EventStore) -> None:
    """One event for each rule, exact enough to tell for any payload whether it is meant."""
    write(store, "x")
    write(store, "z", type="model.called")

    retain(store, "personal=30d", "type:model.called=7d")

    of_class, of_type = [e.facts for e in store.read(types=["payload.erased"])]
    assert of_class["basis"] == of_type["basis"] == "retention"
    assert (of_class["payload_class"], of_class["except_types"]) == ("personal", ["model.called"])
    assert of_type["event_type"] == "model.called"
    assert of_class["payloads"] == of_type["payloads"] == 1


def test_retention_reaches_payloads_under_a_key_and_single_parts(store: EventStore) -> None:
    """A personal part goes by the rule of personal, and the rest of its payload by its own."""
    whole = write(store, "x", ANNA)
    parted = write(store, "y", ANNA, payload_class="business", personal=("/name",))

    retain(store, "personal=30d")

    assert at(store, whole.position).payload is None
    assert at(store, parted.position).value() == {"name": None, "n": 1}
    assert store.keys_of(ANNA), "retention is of payloads; the subject is still known"


def test_retention_leaves_what_is_held(store: EventStore) -> None:
    """A hold wins over the policy; when it is lifted, the next run takes what it kept."""
    kept, gone = write(store, "x"), write(store, "y", stream="execution/b")
    id_ = hold(store, execution="a")

    standing = retain(store, "personal=30d")

    assert (standing.rules[0].to_go, standing.rules[0].held) == (1, 1)
    assert at(store, kept.position).payload is not None
    assert at(store, gone.position).payload is None
    assert check_store(store).verdict == "verified"
    lift_hold(store, id_, reason="over", by=OFFICER, clock=now)
    run_retention(store, by=OFFICER, clock=now)
    assert at(store, kept.position).payload is None


def test_retention_leaves_what_has_not_ended(store: EventStore) -> None:
    """An execution that still runs keeps its payloads however old they are; the log names it."""
    kept = write(store, "x", status="waiting")
    gone = write(store, "y", stream="execution/b")

    standing = retain(store, "personal=30d")

    assert standing.rules[0].spared == ("execution/a",)
    assert at(store, kept.position).payload is not None
    assert at(store, gone.position).payload is None
    assert next(iter(store.read(types=["payload.erased"]))).facts["spared"] == ["execution/a"]


def test_retention_leaves_what_explains_the_log(store: EventStore) -> None:
    """Definitions and the log's own events have no time to go, whatever the policy says."""
    definition = write(store, "x", stream="workflow/w", type="workflow.published", payload_class="public")
    set_retention(store, Policy.from_words(["public=1d", "business=1d"]), by=OFFICER, clock=now)

    standing = run_retention(store, by=OFFICER, clock=now)

    assert [one.kept for one in standing.rules] == [0, 0]
    assert at(store, definition.position).payload is not None


def test_nothing_is_due_twice(store: EventStore) -> None:
    """What went is not counted again, and a run with nothing due says nothing in the log."""
    write(store, "x")
    retain(store, "personal=30d")
    head = store.head()

    standing = run_retention(store, by=OFFICER, clock=now)

    assert (standing.rules[0].kept, standing.rules[0].to_go, store.head()) == (0, 0, head)


def test_a_run_that_was_killed_is_completed_by_the_next(store: EventStore) -> None:
    """The word is there and the payloads are too: the next run destroys them without another word."""
    kept = write(store, "x")
    set_retention(store, Policy.from_words(["personal=30d"]), by=OFFICER, clock=now)
    with pytest.raises(StoreUnavailable):
        run_retention(FaultyStore(store, landed=True), by=OFFICER, clock=now)
    assert payloads(store).ok is False

    run_retention(store, by=OFFICER, clock=now)

    assert at(store, kept.position).payload is None
    assert len(list(store.read(types=["payload.erased"]))) == 1


def test_looking_changes_nothing(store: EventStore) -> None:
    """What is due, what is the oldest, and when the next is due can be asked without anything going."""
    kept = write(store, "x")
    set_retention(store, Policy.from_words(["personal=1y"]), by=OFFICER, clock=now)
    head = store.head()

    (rule,) = look(store, kept.recorded_at).rules

    assert (rule.kept, rule.to_go, rule.oldest) == (1, 0, kept.recorded_at)
    assert rule.next_due is not None
    assert rule.next_due > kept.recorded_at
    assert store.head() == head


def test_without_a_policy_nothing_is_due(store: EventStore) -> None:
    """Everything is kept until somebody says otherwise."""
    write(store, "x")

    with pytest.raises(BadInput, match="no retention policy"):
        run_retention(store, by=OFFICER, clock=now)
    assert read_custody(store).policy is None
