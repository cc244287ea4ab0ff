"""After a restore that lost signed events: a new epoch, and nothing of the loss hidden."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from actum.errors import BadInput, LogForked
from actum.events import canonical
from actum.events.checkpoint import Checkpoint, SigningKey, parse_unverified, sign
from actum.events.epoch import restored_facts
from actum.events.merkle import EMPTY_ROOT, Frontier
from actum.eventstore import open_store
from actum.eventstore.check.seals import Trusted
from actum.eventstore.check.store import check_store
from actum.eventstore.check.verdict import Check, Verification
from actum.eventstore.protocol import ANY
from actum.eventstore.sealing.checkpoint_store import MemoryCheckpoint
from actum.eventstore.sealing.record import record, record_rotation
from actum.eventstore.sealing.restored import begin_epoch
from actum.eventstore.sealing.sealer import Sealer
from actum.testing.builders import KEY, signed
from actum.testing.clock import ManualClock
from actum.testing.fresh import FreshLogs, add
from actum.testing.witness import Witness

VKEY = KEY.verifier()
THIEF = SigningKey.generate(KEY.name, seed=bytes(range(1, 33)))
CLOCK = ManualClock()


class Lost:
    """A log of 9 signed events of which a backup has 5, and the notes an auditor took home on the way."""

    def __init__(self, logs: FreshLogs, after: int = 0) -> None:
        self.kept = MemoryCheckpoint()
        self.whole, self.backup = logs.of(0), logs.of(0)
        self.notes: dict[int, str] = {}
        for size in (3, 5, 7, 9):
            add(self.whole, self.whole.head(), size)
            Sealer(self.whole, KEY, self.kept).seal()
            self.notes[size] = self.whole.checkpoints()[-1][1]
            if size <= 5:
                add(self.backup, self.backup.head(), size)
                self.backup.add_checkpoint(size, self.notes[size])
        add(self.backup, 5, 5 + after, "other")

    def begin(self) -> LogForked:
        return begin_epoch(self.backup, KEY, self.kept, CLOCK, "the disk died")

    def check(self, *outside: str, keys: Any = (VKEY,)) -> Verification:
        trusted = Trusted(keys=list(keys), kept=self.kept.note, kept_at="apart")
        return check_store(self.backup, keys=list(keys), outside=outside, trusted=trusted)


def line(found: Verification, name: str) -> Check:
    return next(check for check in found.checks if check.name == name)


@pytest.mark.parametrize("after", [0, 2, 4, 9])
def test_a_log_that_lost_events_goes_on_under_a_new_origin(logs: FreshLogs, after: int) -> None:
    """Refused before, it is signed again after; from the recorded event on under the next origin, apart and beside."""
    lost = Lost(logs, after)
    with pytest.raises(LogForked, match="new-epoch"):
        Sealer(lost.backup, KEY, lost.kept).seal()
    fork = lost.begin()

    assert (fork.signed_size, fork.agrees_to) == (9, 5)
    event = list(lost.backup.read())[-1]
    assert (event.type, event.position) == ("log.restored", 5 + after)
    assert event.value() == {"reason": "the disk died", "note": lost.notes[9]}
    last = lost.backup.checkpoints()[-1][1]
    assert lost.kept.note == last
    assert parse_unverified(last).origin == "actum/default/epoch-2"
    assert parse_unverified(last).size == 6 + after
    add(lost.backup, 20, 25)
    assert Sealer(lost.backup, KEY, lost.kept).seal() == Checkpoint(
        "actum/default/epoch-2", 11 + after, Frontier.from_bytes(lost.backup.tree().frontier).root()
    )
    assert Sealer(lost.backup, KEY, lost.kept).seal() is None


@pytest.mark.parametrize("after", [0, 2, 9])
def test_the_loss_is_never_silent(logs: FreshLogs, after: int) -> None:
    """Everything that is there verifies, and the verdict is never better than "with gaps", naming what is lost."""
    lost = Lost(logs, after)
    lost.begin()
    found = lost.check()

    assert found.verdict == "verified_with_gaps", found
    assert line(found, "epochs") == Check(
        "epochs",
        None,
        f"event {5 + after} begins epoch 2: 9 events were signed, the log is what was signed only up to size 5, "
        "so up to 4 events are lost or replaced: the disk died",
    )
    assert line(found, "kept checkpoint").ok
    assert line(found, "signatures").ok


def test_an_auditors_checkpoint_holds_or_is_named_as_lost(logs: FreshLogs) -> None:
    """Up to the restored size it holds as ever; above it, the answer says which epoch it belongs to, and why."""
    lost = Lost(logs, after=3)
    lost.begin()

    for size in (3, 5):
        assert line(lost.check(lost.notes[size]), "checkpoints").ok
    for size in (7, 9):
        found = lost.check(lost.notes[size])
        assert found.verdict == "verified_with_gaps"
        assert line(found, "checkpoints").ok is None
        assert (
            f"that of size {size} belongs to the lost epoch of actum/default, abandoned at size 9 by event 8 "
            "(the disk died)" in line(found, "checkpoints").detail
        )
        assert line(found, "signatures").ok


@pytest.mark.parametrize("after", [0, 9])
def test_a_witness_of_the_lost_part_is_no_liar(logs: FreshLogs, after: int) -> None:
    """Its line on a lost checkpoint is right and of a log that is gone; on one that never was, it is a finding."""
    witness = Witness("witness.example/w1", bytes(32))
    lost = Lost(logs, after)
    lost.begin()
    trusted = Trusted(keys=[VKEY], witnesses=[witness.key])
    for note, verdict in (
        (lost.notes[9], "verified_with_gaps"),
        (sign(Checkpoint(KEY.name, 4, bytes(32)), KEY), "failed"),
    ):
        seen = witness.cosign(note, 1_795_262_400)
        found = check_store(lost.backup, keys=[VKEY], outside=[seen], trusted=trusted)
        assert (found.verdict, line(found, "witnesses").ok) == (verdict, verdict != "failed"), found


def test_a_new_epoch_hides_no_rewrite(logs: FreshLogs) -> None:
    """Below the agreed size, above the abandoned one, and beside it, a checkpoint that does not hold still fails."""
    lost = Lost(logs)
    lost.begin()
    more = Lost(logs)
    add(more.whole, 9, 12)
    for note in (
        sign(Checkpoint(KEY.name, 4, bytes(32)), KEY),
        signed(more.whole, 12),
        sign(Checkpoint(KEY.name, 9, bytes(32)), KEY),
    ):
        found = lost.check(note)
        assert (found.verdict, line(found, "checkpoints").ok) == ("failed", False), note


def test_a_checkpoint_under_the_old_origin_is_no_longer_believed(logs: FreshLogs) -> None:
    """Who goes on signing the right root under the abandoned origin would make two logs of one name."""
    lost = Lost(logs)
    lost.begin()
    add(lost.backup, 20, 21)
    lost.backup.add_checkpoint(7, signed(lost.backup, 7))

    assert "is of the log 'actum/default', not of 'actum/default/epoch-2'" in line(lost.check(), "signatures").detail


def test_the_old_primary_cannot_be_signed_any_more(logs: FreshLogs) -> None:
    """When the log that was given up comes back, its sealer meets the new epoch's checkpoint, and refuses."""
    lost = Lost(logs)
    lost.begin()
    add(lost.whole, 9, 12)

    with pytest.raises(LogForked, match="do not give the root that was signed"):
        Sealer(lost.whole, KEY, lost.kept).seal()
    found = check_store(lost.whole, keys=[VKEY], trusted=Trusted(kept=lost.kept.note, kept_at="apart"))
    assert (found.verdict, line(found, "kept checkpoint").ok) == ("failed", False)


def test_what_the_old_primary_signed_meanwhile_is_a_loss_of_its_own(logs: FreshLogs) -> None:
    """A checkpoint that was not the one abandoned is not given up with it: that takes another decision, on record."""
    lost = Lost(logs)
    real = lost.kept.advance

    def late(before: str | None, note: str) -> None:
        lost.kept.advance = real  # type: ignore[method-assign]
        add(lost.whole, 9, 12)
        Sealer(lost.whole, KEY, lost.kept).seal()
        real(before, note)

    lost.kept.advance = late  # type: ignore[method-assign]
    with pytest.raises(LogForked, match="12 were signed"):
        lost.begin()
    lost.begin()

    assert parse_unverified(lost.kept.note or "").origin == "actum/default/epoch-3"
    found = lost.check(signed(lost.whole, 12), signed(lost.whole, 9))
    assert found.verdict == "verified_with_gaps"
    assert "begins epoch 3: 12 events were signed" in line(found, "epochs").detail
    assert line(found, "checkpoints").ok is None


def test_a_second_loss_begins_a_third_epoch(tmp_path: Path) -> None:
    """Each loss has its own epoch; the checkpoints of every one before hold as far as they agree."""
    logs = FreshLogs("sqlite", tmp_path, str)
    lost = Lost(logs)
    lost.begin()
    second = lost.kept.note or ""
    backup = tmp_path / "backup.db"
    with contextlib.closing(sqlite3.connect(tmp_path / "log1.db")) as con:
        con.execute("VACUUM INTO ?", (str(backup),))
    add(lost.backup, 30, 34)
    Sealer(lost.backup, KEY, lost.kept).seal()
    third = lost.kept.note or ""
    lost.backup = open_store(f"sqlite:///{backup}")
    lost.begin()

    assert parse_unverified(lost.kept.note or "").origin == "actum/default/epoch-3"
    found = lost.check(lost.notes[5], lost.notes[9], second, third)
    assert found.verdict == "verified_with_gaps", found
    said = line(found, "checkpoints").detail
    assert "that of size 9 belongs to the lost epoch of actum/default, abandoned at size 9 by event 5" in said
    assert "that of size 10 belongs to the lost epoch of actum/default/epoch-2, abandoned at size 10 by event 6" in said
    assert said.count("that of size") == 2
    lost.backup.close()
    logs.close()


def killed_after_the_event(lost: Lost) -> None:
    real = lost.kept.advance

    def dies(before: str | None, note: str) -> None:
        lost.kept.advance = real  # type: ignore[method-assign]
        raise KeyboardInterrupt

    lost.kept.advance = dies  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        lost.begin()


def test_killed_after_the_event_the_next_sealer_finishes(logs: FreshLogs) -> None:
    """The event alone is enough: whoever seals next signs under the new origin; asking again changes nothing."""
    lost = Lost(logs)
    killed_after_the_event(lost)
    waiting = lost.check()
    assert waiting.verdict == "verified_with_gaps"
    assert "belongs to the lost epoch" in line(waiting, "kept checkpoint").detail
    assert Sealer(lost.backup, KEY, lost.kept).seal() is not None
    with pytest.raises(BadInput, match="nothing is lost"):
        lost.begin()
    assert lost.backup.head() == 6


def test_an_epoch_counts_only_for_sizes_that_cover_its_event(logs: FreshLogs) -> None:
    """A sealer that looked at the log just before the event was there must not sign that size: it is still a fork."""
    lost = Lost(logs)
    before = lost.backup.tree()
    killed_after_the_event(lost)
    lost.backup.tree = lambda: before  # type: ignore[method-assign]

    with pytest.raises(LogForked):
        Sealer(lost.backup, KEY, lost.kept).seal()
    assert lost.kept.note == lost.notes[9]


def test_a_lost_checkpoint_is_by_a_key_of_its_own_time(logs: FreshLogs) -> None:
    """When the key is replaced after the loss, at a smaller size, the old key's lost checkpoints are still its own."""
    new = SigningKey.generate(KEY.name, seed=bytes(32))
    lost = Lost(logs)
    lost.begin()
    record_rotation(lost.backup, CLOCK, KEY, new)
    Sealer(lost.backup, new, lost.kept).seal()

    found = lost.check(lost.notes[9])
    assert (found.verdict, line(found, "signatures").ok) == ("verified_with_gaps", True), found


def test_a_log_that_lost_nothing_begins_nothing(logs: FreshLogs) -> None:
    """Without a fork, without a kept checkpoint, or without a reason, nothing is appended."""
    lost = Lost(logs)
    for reason in ("", " \n", "x" * 4_001):
        with pytest.raises(BadInput, match="say in 1 to 4000 characters"):
            begin_epoch(lost.backup, KEY, lost.kept, CLOCK, reason)
    with pytest.raises(BadInput, match="nothing is lost"):
        begin_epoch(lost.whole, KEY, lost.kept, CLOCK, "to be sure")
    assert (lost.backup.head(), lost.whole.head()) == (5, 9)


def test_everything_lost_is_said_too(logs: FreshLogs) -> None:
    """An empty database in place of the log begins its epoch at position 0, and agrees with nothing."""
    lost = Lost(logs)
    lost.backup = logs.of(0)
    assert lost.begin().agrees_to == 0
    found = lost.check(*lost.notes.values())

    assert found.verdict == "verified_with_gaps"
    assert "only up to size 0, so up to 9 events are lost" in line(found, "epochs").detail


@pytest.mark.parametrize(
    ("key", "number", "found_root", "said"),
    [
        (THIEF, 2, None, "was not in force"),
        (KEY, 3, None, "it begins epoch 3"),
        (KEY, 2, bytes(32), "with another root than they give"),
    ],
)
def test_a_forged_epoch_gives_nothing_up(
    logs: FreshLogs, key: SigningKey, number: int, found_root: bytes | None, said: str
) -> None:
    """One that the log's key did not begin, or that is not of this log, is named; sealing and checks stay refused."""
    lost = Lost(logs)
    size, frontier = lost.backup.tree()
    found = Checkpoint(KEY.name, size, found_root or Frontier.from_bytes(frontier).root())
    facts = restored_facts(KEY.name, number, parse_unverified(lost.notes[9]), 5, found, key)
    record(lost.backup, CLOCK, "log.restored", facts, ANY, canonical({"reason": "x", "note": lost.notes[9]}))
    checked = lost.check(lost.notes[9])

    assert checked.verdict == "failed"
    assert said in line(checked, "epochs").detail
    assert line(checked, "checkpoints").ok is False
    if found_root is None:
        with pytest.raises(LogForked):
            Sealer(lost.backup, KEY, lost.kept).seal()


def test_an_unsigned_or_nonsense_epoch_is_named(logs: FreshLogs) -> None:
    """Facts that are none, or changed after signing, are a finding at their place."""
    lost = Lost(logs)
    facts = restored_facts(KEY.name, 2, parse_unverified(lost.notes[9]), 5, Checkpoint(KEY.name, 0, EMPTY_ROOT), KEY)
    record(lost.backup, CLOCK, "log.restored", facts | {"agreed_size": 0}, ANY, None)
    found = lost.check()

    assert "did not sign it" in line(found, "epochs").detail
    assert found.first_bad is not None
    assert found.first_bad.position == 5


def test_without_a_key_nobody_vouches_for_an_epoch(logs: FreshLogs) -> None:
    """The loss is said all the same, and that no key was there to believe it by."""
    lost = Lost(logs)
    lost.begin()
    found = lost.check(keys=())

    assert found.verdict == "verified_with_gaps"
    assert "no key was given, so nobody vouches for that" in line(found, "epochs").detail


def test_when_a_hand_over_was_lost_both_keys_are_pinned(logs: FreshLogs) -> None:
    """A rotation among the lost events leads nowhere any more: the old pin alone is not enough, both together are."""
    new = SigningKey.generate(KEY.name, seed=bytes(32))
    lost = Lost(logs)
    record_rotation(lost.whole, CLOCK, KEY, new)
    Sealer(lost.whole, new, lost.kept).seal()
    begin_epoch(lost.backup, new, lost.kept, CLOCK, "the disk died")

    assert "was not in force" in line(lost.check(), "epochs").detail
    found = lost.check(keys=(VKEY, new.verifier()))
    assert found.verdict == "verified_with_gaps", found
