"""The attack matrix (reference 3.2): each row that concerns the store is a test of its name, on every kind of store.

Each attack is refused, or reported by its name and place. The rows on erasure are beside erasing, those on bundles
beside bundles. `test_check*.py` try the same kinds of damage in more places and more ways.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actum.errors import CheckpointRefused, LogForked, TimestampRefused
from actum.events.checkpoint import Checkpoint, sign, verify
from actum.events.merkle import consistency_proof, root_of, verify_consistency
from actum.events.timestamp import load_roots, stamp_request
from actum.eventstore import EventStore, open_store
from actum.eventstore.check.store import check_store
from actum.eventstore.check.verdict import Bad, Verification
from actum.eventstore.protocol import ANY, Append
from actum.eventstore.sealing.checkpoint_store import MemoryCheckpoint
from actum.eventstore.sealing.record import (
    record_checkpoint,
    record_stamp,
)
from actum.eventstore.sealing.sealer import Sealer
from actum.testing.authority import Authority
from actum.testing.builders import KEY, batch, event, signed
from actum.testing.clock import ManualClock
from actum.testing.fresh import FreshLogs
from actum.testing.logs import STREAMS, fill
from actum.testing.tampering import Tampered
from actum.testing.tampering_postgres import TamperedPostgres

from .sealed_logs import CLOCK, THIEF, VKEY, WITNESS, check, failed, line, log_of, sealed

Forger = Tampered | TamperedPostgres


# -- events changed behind the store's back ------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgresql"])
def forger(request: pytest.FixtureRequest, tmp_path: Path, databases: Callable[[int], str]) -> Forger:
    """Thirty-one events in four streams, signed at 10, 20 and 31, in the hands of somebody who may write to them."""
    url = databases(0) if request.param == "postgresql" else f"sqlite:///{tmp_path}/log.db"
    store = open_store(url)
    fill(store)
    store.append([Append("s/é", ANY, [event("last", name="Zoé", n=1)])])
    store.add_checkpoint(31, signed(store, 31))
    store.close()
    return TamperedPostgres(url) if request.param == "postgresql" else Tampered(tmp_path / "log.db")


def found_by(forger: Forger, **options: Any) -> tuple[Verification, Bad]:
    found = forger.verify(**{"keys": (VKEY,)} | options)
    assert found.verdict == "failed"
    assert found.first_bad is not None, found
    return found, found.first_bad


def cover_up(forger: Forger) -> None:
    """What a forger with the whole database does next: make the tree's state and the heads of the streams fit."""
    forger.fix_tree()
    forger.fix_streams()


@pytest.mark.parametrize("position", [0, 13, 30])
def test_edit_header_byte(forger: Forger, position: int) -> None:
    """One byte of one header: the event is named by position, stream and version."""
    forger.change(position, b'"actor":{"kind":"worker"', b'"actor":{"kind":"Worker"')
    _, bad = found_by(forger)

    place = ("s/é", 0) if position == 30 else (STREAMS[position % 3], position // 3)
    assert bad[:3] == (position, *place)


def test_edit_header_byte_and_cover_it_up(forger: Forger) -> None:
    """With tree and heads made to fit, the next event of the stream still holds the old hash; the checkpoint too."""
    forger.change(13, b'"kind":"worker"', b'"kind":"person"')
    cover_up(forger)
    found, bad = found_by(forger)

    assert (bad.position, "chains" in failed(found), "checkpoints" in failed(found)) == (13, True, True)


def test_edit_payload(forger: Forger) -> None:
    """Other content under the same header does not give the digest in it."""
    forger.put_payload(9, data=b'{"n":8}')
    found, bad = found_by(forger)

    assert (list(failed(found)), bad.position) == (["payloads"], 9)


def test_wrong_salt(forger: Forger) -> None:
    """The right payload under another salt does not, either."""
    forger.put_payload(9, salt=bytes(32))
    found, bad = found_by(forger)

    assert (list(failed(found)), bad.position) == (["payloads"], 9)


@pytest.mark.parametrize(("one", "other", "named"), [(3, 9, 3), (3, 4, 0)], ids=["of one stream", "of two streams"])
def test_swap_two_events(forger: Forger, one: int, other: int, named: int) -> None:
    """Within a stream the first of them is named; across streams the stretch of the tree that holds them."""
    forger.swap(one, other)
    found, bad = found_by(forger)

    assert "tree" in failed(found)
    assert bad.position == named


@pytest.mark.parametrize("covered", [False, True], ids=["as is", "tree and heads forged"])
def test_delete_middle(forger: Forger, covered: bool) -> None:
    """The hole is named, whatever else was made to fit."""
    forger.delete(13)
    if covered:
        forger.fix_tree()
    _, bad = found_by(forger)

    assert bad[:3] == (13, "s/b", 4)
    assert "missing" in bad.reason


@pytest.mark.parametrize("covered", [False, True], ids=["as is", "tree and heads forged"])
def test_delete_tail(forger: Forger, covered: bool) -> None:
    """A log that was cut ends before its tree does, and with all of that forged before its checkpoint does."""
    for position in range(30, 24, -1):
        forger.delete(position)
    if covered:
        forger.sql("DELETE FROM streams WHERE name = 's/é'")
        cover_up(forger)
    found, bad = found_by(forger)

    assert bad.position == 25
    if covered:
        assert "the checkpoint of size 31 covers it" in failed(found)["checkpoints"]


@pytest.mark.parametrize("covered", [False, True], ids=["as is", "tree and heads forged"])
def test_delete_a_whole_stream(forger: Forger, covered: bool) -> None:
    """A stream taken out with its positions closed is missed by its head, and with that forged by the checkpoints."""
    for position in range(1, 30, 3):
        forger.delete(position)
    forger.renumber()
    if covered:
        forger.sql("DELETE FROM streams WHERE name = 's/b'")
        cover_up(forger)
    found, _ = found_by(forger)

    assert ("checkpoints" if covered else "streams") in failed(found)


def test_duplicate_an_event(forger: Forger) -> None:
    """The same header a second time does not belong where it is."""
    forger.duplicate(27, at=31)
    cover_up(forger)
    found, bad = found_by(forger)

    assert (bad.position, "columns" in failed(found)) == (31, True)


@pytest.mark.parametrize("covered", [False, True], ids=["as is", "tree and heads forged"])
def test_insert_a_forged_event_with_valid_versions(forger: Forger, covered: bool) -> None:
    """In place of a true one, with the right version and link, it is named by what follows; covered up or not."""
    forger.delete(15)
    forger.forge(15, after=12)
    if covered:
        cover_up(forger)
    _, bad = found_by(forger)

    assert bad[:3] == (15, "s/a", 5)


def test_append_a_forged_event_with_valid_versions(forger: Forger) -> None:
    """At the end, with the right version and link, it is not in the tree."""
    forger.forge(31, after=27)
    found, bad = found_by(forger)

    assert {"streams", "tree"} <= set(failed(found))
    assert bad[:3] == (31, "s/a", 10)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"facts":{"n":1,"name":"Zo\xc3\xa9"}', b'"facts":{"name":"Zo\xc3\xa9","n":1}'),
        (b'"Zo\xc3\xa9"', b'"Zo\\u00e9"'),
        (b'"n":1', b'"n":1.0'),
        (b'"n":1', b'"n":2,"n":1'),
        (b'"n":1', b'"n": 1'),
        (b'"Zo\xc3\xa9"', b'"Zoe\xcc\x81"'),
    ],
    ids=["key order", "escapes", "1.0 for 1", "duplicate keys", "white space", "NFD for NFC"],
)
@pytest.mark.parametrize("covered", [False, True], ids=["as is", "tree and heads forged"])
def test_non_canonical_header_with_equal_meaning(forger: Forger, old: bytes, new: bytes, covered: bool) -> None:
    """What means the same to some readers is not what was written; only NFD is canonical, and it is another text."""
    forger.change(30, old, new)
    if covered:
        cover_up(forger)
    found, bad = found_by(forger)

    assert "checkpoints" in failed(found)
    if b"\xcc\x81" not in new:
        assert bad[:3] == (30, "s/é", 0)
        assert "not in canonical form" in failed(found)["headers"]


def test_clock_going_backwards_between_positions(logs: FreshLogs) -> None:
    """It is reported with its place, and is no failure by itself: clocks are set back, and writers' clocks differ."""
    clock = ManualClock()
    store = log_of(logs, "a", "b", clock=clock)
    clock.move_s(-60)
    store.append(batch("c"))
    found = check_store(store)

    assert found.verdict == "verified"
    assert line(found, "clock").ok is None
    assert line(found, "clock").detail.startswith("event 2 says that it was recorded before the one at 1")
    assert [one.name for one in check_store(log_of(logs, "a")).checks if one.name == "clock"] == []


# -- a log rebuilt -------------------------------------------------------------------------------------------


def test_rebuild_the_tree_under_the_same_key_caught_by_the_kept_checkpoint(logs: FreshLogs) -> None:
    """Whoever has database and key can make a log that fits itself; not one that fits what was kept apart."""
    _, kept = sealed(logs, "a", "b", "c")
    forged = log_of(logs, "a", "x", "c")
    Sealer(forged, KEY).seal()

    assert failed(check(forged)) == {}
    found = check(forged, kept=kept.note, kept_at="apart")
    assert list(failed(found)) == ["kept checkpoint"]
    assert "the log forked" in failed(found)["kept checkpoint"]


def test_rebuild_the_tree_under_the_same_key_caught_by_the_auditors_checkpoint(logs: FreshLogs) -> None:
    """The same holds for a checkpoint that an auditor took home."""
    store, _ = sealed(logs, "a", "b", "c")
    forged = log_of(logs, "a", "x", "c", "d")
    Sealer(forged, KEY).seal()
    found = check_store(forged, keys=[VKEY], outside=[store.checkpoints()[0][1]])

    assert "do not give the root of the checkpoint of size 3" in failed(found)["checkpoints"]


def test_rebuild_the_tree_under_the_same_key_caught_by_a_witness(logs: FreshLogs) -> None:
    """A witness's line on a checkpoint of the true log does not fit the forged one."""
    store, _ = sealed(logs, "a", "b", "c")
    seen = WITNESS.cosign(store.checkpoints()[0][1], 1_795_262_400)
    forged = log_of(logs, "a", "x", "c")
    forged.add_checkpoint(3, seen)
    found = check(forged, witnesses=[WITNESS.key])

    assert "cosigned another log" in failed(found)["witnesses"]


def test_rebuild_the_tree_under_the_same_key_caught_by_a_token(logs: FreshLogs, tmp_path: Path) -> None:
    """The stamp of the true checkpoint cannot be put on the forged one."""
    authority = Authority(tmp_path / "tsa")
    roots = load_roots(authority.root.read_bytes(), "root")
    store, _ = sealed(logs, "a", "b", "c")
    response = authority.answer(stamp_request(store.checkpoints()[0][1]))
    forged = log_of(logs, "a", "x", "c")
    Sealer(forged, KEY).seal()
    note = forged.checkpoints()[0][1]
    with pytest.raises(TimestampRefused, match="over another checkpoint"):
        record_stamp(forged, CLOCK, note, [VKEY], response, roots)
    record_checkpoint(forged, CLOCK, note, stamp=base64.b64encode(response).decode())

    found = check(forged, roots=roots)
    assert "over another checkpoint" in failed(found)["time stamps"]
    assert found.first_bad is not None
    assert found.first_bad.position == 3


def test_rebuild_under_another_key(logs: FreshLogs) -> None:
    """A log that fits itself under the thief's key is not signed by the one the auditor pinned."""
    forged = log_of(logs, "a", "x", "c")
    Sealer(forged, THIEF).seal()

    assert "no known key signed it" in failed(check(forged))["signatures"]


def test_checkpoint_of_another_origin(logs: FreshLogs) -> None:
    """The same key may sign for many logs: what it signed for one is nothing for another."""
    store = log_of(logs, "a", "b")
    store.add_checkpoint(2, sign(Checkpoint("actum/other", 2, root_of(e.leaf for e in store.read())), KEY))

    assert "is of the log 'actum/other', not of 'actum/default'" in failed(check(store))["signatures"]


def test_smaller_size_than_the_kept_checkpoint(logs: FreshLogs) -> None:
    """A cut log is named as such, at the first event it lacks; and is not signed again."""
    _, kept = sealed(logs, "a", "b", "c")
    cut = log_of(logs, "a", "b")
    found = check(cut, kept=kept.note, kept_at="apart")

    assert "3 events were signed, and it ends before this one" in failed(found)["kept checkpoint"]
    assert found.first_bad is not None
    assert found.first_bad.position == 2
    with pytest.raises(LogForked, match="events are missing"):
        Sealer(cut, KEY, kept).seal()


def test_consistency_proof_of_another_tree(logs: FreshLogs) -> None:
    """The proof between two sizes of one log says nothing of another log's."""
    one, other = ([event.leaf for event in log_of(logs, *names).read()] for names in ("abcde", "abxde"))
    proof = consistency_proof(other, 3, 5)

    assert verify_consistency(3, root_of(other[:3]), 5, root_of(other), proof)
    assert not verify_consistency(3, root_of(one[:3]), 5, root_of(other), proof)
    assert not verify_consistency(3, root_of(one[:3]), 5, root_of(one), proof)


def test_known_key_bad_signature_next_to_a_good_unknown_one(logs: FreshLogs) -> None:
    """Another's good signature does not save a wrong one of the pinned key."""
    store = log_of(logs, "a")
    good = Checkpoint(KEY.name, 1, root_of(e.leaf for e in store.read()))
    bad_line = sign(Checkpoint(KEY.name, 1, bytes(32)), KEY).splitlines()[-1]
    note = sign(good, THIEF) + bad_line + "\n"
    store.add_checkpoint(1, note)

    with pytest.raises(CheckpointRefused, match="is wrong"):
        verify(note, [VKEY])
    assert "is wrong" in failed(check(store))["signatures"]


# -- time stamps -----------------------------------------------------------------------------------------------


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


def test_time_stamp_over_another_checkpoint(logs: FreshLogs, authority: Authority) -> None:
    """A true stamp of one checkpoint proves nothing of a later one, and is named where it is recorded with that."""
    store, kept = sealed(logs, "a", "b", "c")
    roots = load_roots(authority.root.read_bytes(), "root")
    response = authority.answer(stamp_request(kept.note or ""))
    store.append(batch("d"))
    Sealer(store, KEY, kept).seal()
    with pytest.raises(TimestampRefused, match="over another checkpoint"):
        record_stamp(store, CLOCK, kept.note or "", [VKEY], response, roots)
    record_checkpoint(store, CLOCK, kept.note or "", stamp=base64.b64encode(response).decode())
    found = check(store, roots=roots)

    assert "over another checkpoint" in failed(found)["time stamps"]
    assert found.first_bad is not None
    assert found.first_bad[:3] == (4, "system/default", 0)


def test_event_recorded_after_the_checkpoints_time_stamp(logs: FreshLogs, authority: Authority) -> None:
    """What a stamped checkpoint covers cannot have been recorded an hour after it was stamped."""
    store, roots = stamped(logs, authority, ManualClock(now_us() + 3_600_000_000))
    found = check(store, roots=roots)

    assert "which covers it, was time-stamped at" in failed(found)["time stamps"]
    assert found.first_bad is not None
    assert found.first_bad.position == 0


def test_time_stamp_older_than_its_certificate_allows(logs: FreshLogs, tmp_path: Path) -> None:
    """A stamp of a time at which its certificate was not valid is neither recorded nor believed."""
    from datetime import timedelta

    expired = Authority(tmp_path / "tsa", begins=timedelta(days=-5), ends=timedelta(days=-1))
    roots = load_roots(expired.root.read_bytes(), "root")
    store, _ = sealed(logs, "a")
    note = store.checkpoints()[0][1]
    response = expired.answer(stamp_request(note))
    with pytest.raises(TimestampRefused, match="its certificate is valid from"):
        record_stamp(store, CLOCK, note, [VKEY], response, roots)
    record_checkpoint(store, CLOCK, note, stamp=base64.b64encode(response).decode())

    assert "its certificate is valid from" in failed(check(store, roots=roots))["time stamps"]
