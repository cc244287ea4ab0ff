"""What the log says of erasure: one rule for what to destroy and for why something is missing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from actum.events import Actor, RecordedEvent, canonical, foreign_id, to_text, to_us
from actum.eventstore.custody.erasures import Custody, custody_of
from actum.eventstore.custody.holds import Piece, pieces_of

ANNA, BERT = foreign_id("anna"), foreign_id("bert")
NOON_US = to_us("2026-11-21T12:00:00.000000Z")


def at(minute: int) -> str:
    return to_text(NOON_US + minute * 60_000_000)


def piece(position: int = 3, minute: int = 3, **facts: Any) -> Piece:
    known: dict[str, Any] = {
        "stream": "execution/a",
        "type": "step.completed",
        "part": "payload",
        "payload_class": "business",
    }
    return Piece(**{"position": position, "recorded_at": at(minute), "key": None, **known, **facts})


@dataclass
class Log:
    """The stream `system/default`; the positions are those of minutes, as if one event came every minute."""

    events: list[RecordedEvent] = field(default_factory=list)

    def add(self, type_: str, minute: int, payload: Any = None, **facts: Any) -> str:
        id_ = foreign_id(type_, minute)
        head = {
            "actor": {"kind": "person", "ref": "p-1"},
            "at": at(minute),
            "facts": facts,
            "id": id_,
            "recorded_at": at(minute),
            "schema": 1,
            "stream": "system/default",
            "tenant": "default",
            "type": type_,
            "v": 1,
            "version": len(self.events),
        }
        said = None if payload is None else orjson.dumps(payload)
        self.events.append(RecordedEvent(minute, canonical(head), said))
        return id_

    def erased(self, minute: int, **facts: Any) -> None:
        self.add("payload.erased", minute, basis="test", payloads=1, executions=1, **facts)

    @property
    def custody(self) -> Custody:
        return custody_of(self.events)


@pytest.fixture
def log() -> Log:
    return Log()


def test_a_key_s_erasure_reaches_all_that_is_under_it_for_ever(log: Log) -> None:
    """What is under an erased key is gone, before the erasure and after it; what is under another is not."""
    log.erased(10, key=ANNA)
    erasures = log.custody.erasures

    assert erasures.reaching(piece(key=ANNA)) is not None
    assert erasures.reaching(piece(99, 99, key=ANNA, stream="system/default")) is not None
    assert erasures.reaching(piece(key=BERT)) is None
    assert erasures.reaching(piece()) is None


def test_a_rule_reaches_what_is_older_and_below(log: Log) -> None:
    """A rule is of a class, of the time before an instant, and of the positions below its own."""
    log.erased(10, before=at(5), payload_class="business")
    erasures = log.custody.erasures

    assert erasures.reaching(piece(3, 4)) is not None
    assert erasures.reaching(piece(3, 5)) is None, "recorded at the instant, not before"
    assert erasures.reaching(piece(11, 4)) is None, "above the erasure, though a clock set back says it is older"
    assert erasures.reaching(piece(3, 4, payload_class="personal")) is None


def test_a_rule_of_a_type_and_a_rule_of_a_class_do_not_mix(log: Log) -> None:
    """A type's rule reaches that type in every class; a class's rule leaves out the types that have their own."""
    log.erased(10, before=at(5), event_type="model.called")
    log.erased(11, before=at(5), payload_class="personal", except_types=["tool.called"])
    erasures = log.custody.erasures

    assert erasures.reaching(piece(type="model.called")) is not None
    assert erasures.reaching(piece(type="step.started")) is None
    assert erasures.reaching(piece(type="step.started", payload_class="personal")) is not None
    assert erasures.reaching(piece(type="tool.called", payload_class="personal")) is None


@pytest.mark.parametrize("stream", ["system/default", "workflow/checkout", "execution/spared"])
def test_a_rule_leaves_what_explains_the_log_and_what_had_not_ended(log: Log, stream: str) -> None:
    """Definitions, the log's own life, and the streams that the erasure names are not reached by a rule."""
    log.erased(10, before=at(5), payload_class="business", spared=["execution/spared"])

    assert log.custody.erasures.reaching(piece(stream=stream)) is None
    assert log.custody.erasures.reaching(piece(stream="execution/other")) is not None


@pytest.mark.parametrize("hold", [{"keys": [ANNA]}, {"streams": ["execution/a"]}, {"everything": True}])
def test_a_rule_does_not_reach_what_is_held_at_that_moment(log: Log, hold: dict[str, Any]) -> None:
    """A hold in force when the rule was applied keeps what it covers, also after it has been lifted."""
    id_ = log.add("hold.placed", 8, {"reason": "a case"}, **hold)
    log.erased(10, before=at(5), payload_class="business")
    log.add("hold.lifted", 12, hold=id_)

    assert log.custody.erasures.reaching(piece(key=ANNA)) is None
    log.erased(14, before=at(5), payload_class="business")
    assert log.custody.erasures.reaching(piece(key=ANNA)) is not None


def test_a_hold_ends_when_it_is_lifted_or_its_time_is_over(log: Log) -> None:
    """A fold of the log says which holds are in force, at any moment."""
    first = log.add("hold.placed", 1, {"reason": "one"}, everything=True)
    second = log.add("hold.placed", 2, {"reason": "two"}, streams=["execution/a"], until=at(8))

    assert [hold.id for hold in log.custody.holds.in_force(at(7))] == [first, second]
    assert [hold.id for hold in log.custody.holds.in_force(at(8))] == [first]
    log.add("hold.lifted", 3, hold=first)
    assert [(hold.id, hold.reason) for hold in log.custody.holds.in_force(at(7))] == [(second, "two")]
    assert log.custody.holds.in_force(at(9)) == ()


def test_a_hold_whose_time_is_over_does_not_stop_a_rule(log: Log) -> None:
    """Which holds counted is decided by when the erasure was recorded, so every reader comes to the same."""
    log.add("hold.placed", 2, streams=["execution/a"], until=at(8))
    log.erased(7, before=at(5), payload_class="business", spared=["execution/b"])
    assert log.custody.erasures.reaching(piece()) is None

    log.erased(9, before=at(5), payload_class="business")
    assert log.custody.erasures.reaching(piece()) is not None


def test_the_personal_part_is_a_piece_of_its_own(log: Log) -> None:
    """Erasing the personal fields of a payload leaves the rest of it, and a rule of the rest leaves those fields."""
    head = {
        "stream": "execution/a",
        "type": "step.completed",
        "recorded_at": at(3),
        "payload": {"class": "business", "digest": "", "size": 1},
        "personal": {"digest": "", "size": 1, "key": ANNA},
    }
    rest, personal = pieces_of(3, head)
    log.erased(10, key=ANNA)

    assert (rest.part, rest.payload_class, rest.key) == ("payload", "business", None)
    assert (personal.part, personal.payload_class, personal.key) == ("personal", "personal", ANNA)
    assert log.custody.erasures.reaching(rest) is None
    assert log.custody.erasures.reaching(personal) is not None


def test_the_last_policy_counts(log: Log) -> None:
    """The policy in force is the one that was set last, with its digest and who set it."""
    assert log.custody.policy is None
    log.add("policy.changed", 1, {"rules": []}, policy="retention", digest="sha256:00")
    log.add("policy.changed", 2, {"rules": [1]}, policy="retention", digest="sha256:01")

    policy = log.custody.policy
    assert policy is not None
    assert (policy.value, policy.digest, policy.by) == ({"rules": [1]}, "sha256:01", Actor("person", "p-1"))
