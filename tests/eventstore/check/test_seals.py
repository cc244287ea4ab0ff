"""What the log says of itself: rotations, recorded checkpoints, cosignatures, stamps, stream ends; each held to it."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from actum.errors import CheckpointRefused
from actum.events import canonical
from actum.events.checkpoint import Checkpoint, SigningKey, sign
from actum.events.merkle import root_of
from actum.events.rotation import rotation_facts
from actum.events.timestamp import load_roots, stamp_request
from actum.eventstore import EventStore
from actum.eventstore.protocol import ANY, Append
from actum.eventstore.sealing.checkpoint_store import MemoryCheckpoint
from actum.eventstore.sealing.record import (
    record_checkpoint,
    record_cosigned,
    record_rotation,
    record_stamp,
    seal_streams,
)
from actum.eventstore.sealing.sealer import Sealer
from actum.testing.authority import Authority
from actum.testing.builders import KEY, batch, event
from actum.testing.clock import ManualClock
from actum.testing.fresh import FreshLogs
from actum.testing.witness import Witness

from .sealed_logs import CLOCK, THIEF, VKEY, WITNESS, check, failed, line, log_of, sealed

NEXT = SigningKey.generate(KEY.name, seed=bytes(32))


# -- keys ----------------------------------------------------------------------------------------------------


def test_a_rotation_followed_from_the_pinned_key(logs: FreshLogs) -> None:
    """Old checkpoints by the old key, new ones by the new: all verify from either."""
    store, kept = sealed(logs, "a", "b")
    record_rotation(store, CLOCK, KEY, NEXT)
    Sealer(store, NEXT, kept).seal()
    store.append(batch("c"))
    Sealer(store, NEXT, kept).seal()

    for pinned in (VKEY, NEXT.verifier()):
        found = check(store, keys=[pinned], kept=kept.note, kept_at="apart")
        assert failed(found) == {}
        assert line(found, "keys").ok


@pytest.mark.parametrize(("forged", "who"), [("new_signature", "the new key"), ("old_signature", "the old key")])
def test_a_rotation_signed_by_only_one_is_refused_by_name(logs: FreshLogs, forged: str, who: str) -> None:
    """With one signature missing the event is named, and nobody follows it."""
    store, kept = sealed(logs, "a", "b")
    facts = rotation_facts(KEY.name, KEY, THIEF)
    facts[forged] = base64.b64encode(bytes(64)).decode()
    store.append([Append("system/default", ANY, [event("r", "key.rotated", **facts)])])
    Sealer(store, KEY, kept).seal()
    found = check(store)

    assert "it is signed by only one key" in failed(found)["keys"]
    assert who in failed(found)["keys"]
    assert found.first_bad is not None
    assert found.first_bad[:3] == (2, "system/default", 0)


def test_a_strangers_rotation_is_refused_by_name(logs: FreshLogs) -> None:
    """A hand-over between two keys of a thief, properly signed, does not begin at the pinned key."""
    store, kept = sealed(logs, "a", "b")
    record_rotation(store, CLOCK, THIEF, NEXT)
    store.append(batch("c"))
    with pytest.raises(CheckpointRefused):
        Sealer(store, NEXT, kept).seal()
    Sealer(store, KEY, kept).seal()

    assert "was not in force, so it cannot hand over" in failed(check(store))["keys"]


def test_a_checkpoint_by_a_replaced_key_is_refused_by_name(logs: FreshLogs) -> None:
    """What a stolen old key signs after its time is not believed, and the answer says that it was replaced."""
    store, _ = sealed(logs, "a", "b")
    record_rotation(store, CLOCK, KEY, NEXT)
    store.add_checkpoint(3, sign(Checkpoint(KEY.name, 3, root_of(e.leaf for e in store.read())), KEY))

    assert "counts only for sizes from 0 to 2" in failed(check(store))["signatures"]


# -- witnesses and time stamps -------------------------------------------------------------------------------


def test_cosignatures_are_recorded_and_checked(logs: FreshLogs) -> None:
    """A witness's line comes back into the log, and verification says who saw which size when."""
    store, kept = sealed(logs, "a", "b", "c")
    note = WITNESS.cosign(store.checkpoints()[0][1], 1_795_262_400)
    with pytest.raises(CheckpointRefused, match="bears no cosignature"):
        record_cosigned(store, CLOCK, store.checkpoints()[0][1], [VKEY], [WITNESS.key])
    record_cosigned(store, CLOCK, note, [VKEY], [WITNESS.key])
    Sealer(store, KEY, kept).seal()

    found = check(store, witnesses=[WITNESS.key])
    assert failed(found) == {}
    assert line(found, "witnesses").detail == "witness.example/w1 saw size 3 at 2026-11-21T12:00:00.000000Z"
    assert line(check(store), "witnesses").ok is None
    other = Witness("witness.example/w2", bytes(32)).key
    assert "bears a cosignature of witness.example/w2" in line(check(store, witnesses=[other]), "witnesses").detail


def test_a_changed_cosignature_is_refused_by_name(logs: FreshLogs) -> None:
    """A known witness's line that does not verify is a finding, wherever the note lies."""
    store, _ = sealed(logs, "a", "b", "c")
    seen = WITNESS.cosign(store.checkpoints()[0][1], 5)
    record_checkpoint(store, CLOCK, seen[:-20] + ("AAAA" if seen[-20:-16] != "AAAA" else "BBBB") + seen[-16:])

    assert "of 'witness.example/w1' is wrong" in failed(check(store, witnesses=[WITNESS.key]))["witnesses"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tsa") / "good")


def stamped(logs: FreshLogs, authority: Authority, clock: ManualClock) -> tuple[EventStore, Any]:
    store, kept = log_of(logs, "a", "b", "c", clock=clock), MemoryCheckpoint()
    Sealer(store, KEY, kept).seal()
    roots = load_roots(authority.root.read_bytes(), "root")
    note = store.checkpoints()[0][1]
    record_stamp(store, clock, note, [VKEY], authority.answer(stamp_request(note)), roots)
    Sealer(store, KEY, kept).seal()
    return store, roots


def now_us() -> int:
    import time

    return time.time_ns() // 1000


def test_time_stamps_are_recorded_and_checked(logs: FreshLogs, authority: Authority) -> None:
    """A stamp comes back into the log, and verification says when how much was there."""
    store, roots = stamped(logs, authority, ManualClock(now_us()))
    found = check(store, roots=roots)

    assert failed(found) == {}
    assert "the last says that 3 events were there at" in line(found, "time stamps").detail
    unsure = line(check(store), "time stamps")
    assert (unsure.ok, unsure.detail) == (None, "not checked: no authority's root was given for the 1 there")


# -- what the log says of itself -----------------------------------------------------------------------------


def system_event(type_: str, **facts: Any) -> list[Append]:
    return [Append("system/default", ANY, [event(type_, type_, **facts)])]


@pytest.mark.parametrize(("size", "said"), [(2, "a root that the events do not give"), (9, "did not have then")])
def test_a_recorded_checkpoint_of_another_log_is_refused_by_name(logs: FreshLogs, size: int, said: str) -> None:
    """A `checkpoint.signed` event must say what the log was."""
    store = log_of(logs, "a", "b", "c")
    store.append(system_event("checkpoint.signed", size=size, root=bytes(32).hex()))
    found = check(store)

    assert said in failed(found)["recorded checkpoints"]
    assert found.first_bad is not None
    assert found.first_bad[:3] == (3, "system/default", 0)


def test_a_recorded_note_of_another_checkpoint_is_refused_by_name(logs: FreshLogs) -> None:
    """The note in the payload must be of the checkpoint in the facts."""
    store, _ = sealed(logs, "a", "b", "c")
    facts = {"size": 2, "root": root_of(e.leaf for e in store.read(limit=2)).hex()}
    new = event("note", "checkpoint.signed", canonical({"note": store.checkpoints()[0][1]}), **facts)
    store.append([Append("system/default", ANY, [new])])

    assert "its note is of another checkpoint than its facts" in failed(check(store))["recorded checkpoints"]


@pytest.mark.parametrize("wrong", [{"streams": 3}, {"root": bytes(32).hex()}, {"size": 99}])
def test_recorded_stream_ends_that_were_not_so_are_refused_by_name(logs: FreshLogs, wrong: dict[str, Any]) -> None:
    """A manifest that leaves a stream out, changes an end or is of no size the log had is named."""
    store = log_of(logs, "a", "bb", "c")
    manifest = seal_streams(store, CLOCK)
    assert manifest is not None
    facts = {"size": 3, "streams": manifest.count, "root": manifest.root().hex()}
    assert failed(check(store)) == {}
    store.append(system_event("streams.sealed", **facts | wrong))
    found = check(store)

    assert "it records" in failed(found)["stream ends"]
    assert found.first_bad is not None
    assert found.first_bad.position == 4
