"""New epochs: what the key signs, what is refused, and which checkpoints count as lost."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.errors import CheckpointRefused
from actum.events.checkpoint import Checkpoint, SigningKey, sign
from actum.events.epoch import Epoch, Epochs, epoch_origin, follow_epochs, read_epoch, restored_facts, verify_of
from actum.events.rotation import follow
from actum.testing.builders import KEY

LOG = KEY.name
OTHER = SigningKey.generate(LOG, seed=bytes(32))


def root(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def facts(key: SigningKey = KEY, number: int = 2, origin: str = LOG, agreed: int = 5) -> dict[str, Any]:
    return restored_facts(
        LOG, number, Checkpoint(origin, 9, root("lost")), agreed, Checkpoint(LOG, 6, root("found")), key
    )


def epoch(**given: Any) -> Epoch:
    return read_epoch(7, facts(**given), "a disk died")


def test_an_epoch_is_read_as_it_was_written() -> None:
    """Number, origin, what was abandoned and what was found come back, with the place and the reason."""
    read = epoch()

    assert (read.number, read.origin, read.position) == (2, "actum/default/epoch-2", 7)
    assert (read.abandoned, read.agreed_size) == (Checkpoint(LOG, 9, root("lost")), 5)
    assert (read.found.size, read.found.root, read.key) == (6, root("found"), KEY.verifier())
    assert "abandoned at size 9 by event 7 (a disk died)" in read.loss()


@pytest.mark.parametrize("name", sorted(set(facts()) - {"key", "signature"}))
def test_every_fact_is_signed(name: str) -> None:
    """Whichever fact is changed afterwards, the signature is not of it."""
    changed = facts()
    changed[name] = changed[name] + 1 if isinstance(changed[name], int) else "f" + changed[name][1:]

    with pytest.raises(CheckpointRefused, match="did not sign it"):
        read_epoch(7, changed)


@pytest.mark.parametrize("missing", sorted(facts()))
def test_a_missing_fact_is_refused(missing: str) -> None:
    """Facts that are not all there begin nothing."""
    with pytest.raises(CheckpointRefused):
        read_epoch(7, {name: value for name, value in facts().items() if name != missing})


def test_what_cannot_have_been_is_refused() -> None:
    """An epoch agrees up to a size that both the log and the abandoned checkpoint had, before its event."""
    for position, agreed in ((5, 5), (7, 7)):
        with pytest.raises(CheckpointRefused, match="cannot have had 6 events"):
            read_epoch(position, facts(agreed=agreed))


def test_epochs_count_in_order_under_a_key_in_force() -> None:
    """The second is number 2 and signed by a trusted key; any other is named with what is wrong, and gives nothing."""
    trust, _ = follow([KEY.verifier()], [])
    epochs, strangers = follow_epochs(LOG, [epoch()], trust)
    assert (epochs.number, strangers) == (2, [])
    for wrong, said in (
        (epoch(number=3), "next would be 'actum/default/epoch-2'"),
        (epoch(key=OTHER), "was not in force"),
        (epoch(origin="actum/other"), "which is no origin of this log"),
    ):
        epochs, [(_, reason)] = follow_epochs(LOG, [wrong], trust)
        assert (epochs.number, said in reason) == (1, True), reason


@forall(st.integers(0, 20), st.sampled_from([LOG, epoch_origin(LOG, 2), "actum/other"]))
def test_only_what_was_abandoned_is_lost(size: int, origin: str) -> None:
    """Lost are the old origin's sizes above the agreed one up to the abandoned one: nothing smaller, nothing larger."""
    epochs = Epochs(LOG, (epoch(),))

    assert (epochs.lost(Checkpoint(origin, size, root("lost") if size else root(""))) is not None) == (
        origin == LOG and 5 < size <= 9
    )


def test_two_checkpoints_of_the_abandoned_size_are_not_both_lost() -> None:
    """Only the one that was kept was abandoned: another of its size was a fork before, and stays one."""
    epochs = Epochs(LOG, (epoch(),))

    assert epochs.lost(Checkpoint(LOG, 9, root("another"))) is None


def test_the_origin_changes_after_the_event() -> None:
    """The first checkpoint that covers the epoch's event is the first under the new origin."""
    epochs = Epochs(LOG, (epoch(),))

    assert [epochs.origin_at(size) for size in (0, 7, 8)] == [LOG, LOG, "actum/default/epoch-2"]


@pytest.mark.parametrize(
    "origin", ["actum/other", "actum/default/epoch-x", "actum/default/epoch-2/more", "actum/defaul"]
)
def test_another_logs_checkpoint_is_of_no_epoch(origin: str) -> None:
    """A log's checkpoints are under its name or one of its epochs', and under no name that only looks like it."""
    for good in (LOG, epoch_origin(LOG, 2), epoch_origin(LOG, 17)):
        assert verify_of(LOG, sign(Checkpoint(good, 1, root("x")), KEY), [KEY.verifier()]).origin == good
    with pytest.raises(CheckpointRefused, match="is of the log"):
        verify_of(LOG, sign(Checkpoint(origin, 1, root("x")), KEY), [KEY.verifier()])
