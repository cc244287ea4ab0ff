"""Sealing, on every kind of store: what is signed, when, and that any other log is refused by name."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from actum.errors import CheckpointMoved, CheckpointRefused, LogForked, StoreDamaged, StoreUnavailable
from actum.events import leaf_hash
from actum.events.checkpoint import Checkpoint, SigningKey, parse_unverified, sign, verify
from actum.events.merkle import Frontier, root_of
from actum.eventstore import EventStore
from actum.eventstore.check.seals import Trusted
from actum.eventstore.check.store import check_store
from actum.eventstore.protocol import TreeState
from actum.eventstore.sealing.checkpoint_store import CheckpointFile, MemoryCheckpoint
from actum.eventstore.sealing.loop import run_sealer, seal_streams_when_due, sign_empty_interval
from actum.eventstore.sealing.record import record_rotation, seal_streams, streams_at
from actum.eventstore.sealing.sealer import Sealer, seal_log
from actum.testing.builders import KEY, batch
from actum.testing.clock import ManualClock
from actum.testing.fresh import FreshLogs, add

VKEY = KEY.verifier()
NEXT = SigningKey.generate(KEY.name, seed=bytes(32))


def failed(store: EventStore, kept: MemoryCheckpoint | None = None, key: Any = VKEY) -> list[str]:
    trusted = Trusted(kept=None if kept is None else kept.note, kept_at="" if kept is None else kept.url)
    return [check.name for check in check_store(store, keys=[key], trusted=trusted).checks if check.ok is False]


def test_a_log_that_grew_is_signed_once(logs: FreshLogs) -> None:
    """Each size is signed once, beside the log and apart from it, with the root of its events."""
    store, kept = logs.of(5), MemoryCheckpoint()
    sealer = Sealer(store, KEY, kept)

    assert sealer.seal() == Checkpoint(KEY.name, 5, root_of(event.leaf for event in store.read()))
    assert sealer.seal() is None
    add(store, 5, 9)
    assert sealer.seal() is not None
    assert [size for size, _ in store.checkpoints()] == [5, 9]
    assert verify(kept.note or "", [VKEY]).size == 9
    assert Sealer(store, KEY, kept).seal() is None
    assert failed(store, kept) == []


def test_an_empty_log_is_not_signed(logs: FreshLogs) -> None:
    """There is nothing to say of a log without events."""
    assert seal_log(logs.of(0), KEY, MemoryCheckpoint()) is None


def test_a_restored_backup_is_refused(logs: FreshLogs) -> None:
    """A log shorter than what was signed lost events, and says up to where it agrees."""
    kept = MemoryCheckpoint()
    whole = logs.of(5)
    Sealer(whole, KEY, kept).seal()
    backup = logs.of(5)
    backup.add_checkpoint(*whole.checkpoints()[0])
    add(whole, 5, 9)
    Sealer(whole, KEY, kept).seal()

    with pytest.raises(LogForked, match="it has 5 events, but 9 were signed, so events are missing") as refused:
        Sealer(backup, KEY, kept).seal()
    assert (refused.value.size, refused.value.signed_size, refused.value.agrees_to) == (5, 9, 5)
    assert verify(kept.note or "", [VKEY]).size == 9


@pytest.mark.parametrize("more", [4, 10])
def test_a_backup_that_went_on_is_refused(logs: FreshLogs, more: int) -> None:
    """A restored log that grew again to the signed size or past it has other events there, and is refused."""
    kept = MemoryCheckpoint()
    whole = logs.of(9)
    Sealer(whole, KEY, kept).seal()
    fork = logs.of(5)
    fork.add_checkpoint(5, sign(Checkpoint(KEY.name, 5, root_of(e.leaf for e in fork.read())), KEY))
    add(fork, 5, 5 + more, "other")

    with pytest.raises(LogForked, match="its first 9 events do not give the root that was signed") as refused:
        Sealer(fork, KEY, kept).seal()
    assert refused.value.agrees_to == 5
    assert len(fork.checkpoints()) == 1
    assert failed(fork, kept) == ["kept checkpoint"]


def test_a_running_sealer_notices_a_fork_by_another_of_its_name(logs: FreshLogs) -> None:
    """Two logs under one key and one checkpoint store: the second is refused, whichever signs first."""
    kept = MemoryCheckpoint()
    one, two = logs.of(3), logs.of(3, "other")
    first, second = Sealer(one, KEY, kept), Sealer(two, KEY, kept)
    first.seal()

    with pytest.raises(LogForked):
        second.seal()


def test_a_cache_saves_reading_and_proves_nothing(logs: FreshLogs, tmp_path: Path) -> None:
    """With the frontier of the last signed size only new events are read; a wrong one is not believed."""
    store, kept, cache = logs.of(40), MemoryCheckpoint(), tmp_path / "frontier"
    Sealer(store, KEY, kept, cache).seal()
    add(store, 40, 42)
    read: list[int] = []
    whole = store.read_raw

    def counted(after: int = -1, limit: int | None = None) -> Any:
        read.append(after)
        return whole(after, limit)

    store.read_raw = counted  # type: ignore[method-assign]
    assert Sealer(store, KEY, kept, cache).seal() is not None
    assert read == [39]

    for wrong in (b"", b"nothing", Frontier().to_bytes(), cache.read_bytes()[:-1] + b"x"):
        cache.write_bytes(wrong)
        add(store, store.head(), store.head() + 1)
        assert Sealer(store, KEY, kept, cache).seal() is not None
    assert failed(store, kept) == []


@pytest.mark.parametrize("where", ["before keeping", "before adding"])
def test_a_crash_while_signing_is_made_good(logs: FreshLogs, where: str) -> None:
    """Killed before or after the checkpoint store took the note, the next sealer brings both to one."""
    store, kept = logs.of(5), MemoryCheckpoint()

    class Dies(MemoryCheckpoint):
        def advance(self, before: str | None, note: str) -> None:
            if where == "before adding":
                kept.advance(before, note)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Sealer(store, KEY, Dies()).seal()
    assert store.checkpoints() == []
    Sealer(store, KEY, kept).seal()

    assert [note for _, note in store.checkpoints()] == [kept.note]
    assert failed(store, kept) == []


def test_a_new_checkpoint_store_takes_what_is_signed(logs: FreshLogs) -> None:
    """A log that was signed before there was a checkpoint store gives it its last checkpoint."""
    store, kept = logs.of(5), MemoryCheckpoint()
    seal_log(store, KEY)

    assert Sealer(store, KEY, kept).seal() is None
    assert kept.note == store.checkpoints()[-1][1]


def test_a_quicker_sealer_is_followed(logs: FreshLogs) -> None:
    """Losing the race for the checkpoint store means looking again, not failing."""
    store, kept = logs.of(5), MemoryCheckpoint()
    real = kept.advance

    def late(before: str | None, note: str) -> None:
        kept.advance = real  # type: ignore[method-assign]
        Sealer(store, KEY, kept).seal()
        raise CheckpointMoved("here")

    kept.advance = late  # type: ignore[method-assign]
    assert Sealer(store, KEY, kept).seal() is None
    assert parse_unverified(kept.note or "").size == 5


def test_a_sealer_that_saw_more_is_no_fork(logs: FreshLogs) -> None:
    """Another sealer signs what came after this one began to look: the log is longer by then, not cut off."""
    store = logs.of(3)
    kept = MemoryCheckpoint()
    Sealer(store, KEY, kept).seal()
    look, looks = kept.latest, iter(range(9))

    def meanwhile() -> str | None:
        if next(looks) == 0:
            add(store, 3, 5)
            Sealer(store, KEY, kept).seal()
        return look()

    sealer = Sealer(store, KEY, kept)
    kept.latest = meanwhile  # type: ignore[method-assign]
    assert sealer.seal() is None
    assert parse_unverified(kept.note or "").size == store.tree().size


def test_sealers_at_once_on_a_growing_log_sign_one_log(logs: FreshLogs, tmp_path: Path) -> None:
    """Four sealers and a writer, none knowing of the others: compare and swap decides, and nothing forks."""
    store, path = logs.of(3), tmp_path / "last.note"
    stop, signed, problems = threading.Event(), list[int](), list[BaseException]()

    def run(own: EventStore) -> None:
        sealer = Sealer(own, KEY, CheckpointFile(path))
        try:
            while not stop.is_set():
                checkpoint = sealer.seal()
                if checkpoint is not None:
                    signed.append(checkpoint.size)
        except CheckpointMoved:  # five times in a row; the next turn tries again
            run(own)
        except BaseException as exc:
            problems.append(exc)

    sealers = [threading.Thread(target=run, args=(logs.again(store),)) for _ in range(4)]
    for sealer in sealers:
        sealer.start()
    add(store, 3, 40)
    stop.set()
    for sealer in sealers:
        sealer.join(60)

    assert problems == []
    Sealer(store, KEY, CheckpointFile(path)).seal()
    table = store.checkpoints()
    assert set(signed) <= {size for size, _ in table}
    assert table[-1] == (40, CheckpointFile(path).latest())
    assert failed(store, MemoryCheckpoint(table[-1][1])) == []


def test_a_kept_checkpoint_by_a_stranger_is_refused(logs: FreshLogs) -> None:
    """What is kept apart must be signed by a key that led to this one."""
    store = logs.of(5)
    kept = MemoryCheckpoint(sign(Checkpoint(KEY.name, 2, root_of(e.leaf for e in store.read(limit=2))), NEXT))

    with pytest.raises(CheckpointRefused, match="no known key"):
        Sealer(store, KEY, kept).seal()


def test_a_tree_that_is_not_that_of_the_events_is_not_signed(logs: FreshLogs) -> None:
    """The root is made from the events' bytes; a store whose tree says otherwise is damaged."""
    store = logs.of(5)
    wrong = Frontier()
    wrong.extend([leaf_hash(b"x")] * 5)
    store.tree = lambda: TreeState(5, wrong.to_bytes())  # type: ignore[method-assign]

    with pytest.raises(StoreDamaged, match="is not that of its events"):
        seal_log(store, KEY)
    assert store.checkpoints() == []


# -- rotation ------------------------------------------------------------------------------------------------


def test_a_replaced_key_signs_no_more(logs: FreshLogs) -> None:
    """After the hand-over the old key is refused, and the new one goes on; who pinned either verifies all."""
    store, kept = logs.of(5), MemoryCheckpoint()
    Sealer(store, KEY, kept).seal()
    record_rotation(store, ManualClock(), KEY, NEXT)

    with pytest.raises(CheckpointRefused, match="was replaced at position 5; sign with its successor"):
        Sealer(store, KEY, kept).seal()
    assert Sealer(store, NEXT, kept).seal() is not None
    assert failed(store, kept) == failed(store, kept, NEXT.verifier()) == []


# -- the loop ------------------------------------------------------------------------------------------------


def test_an_idle_hour_is_signed(logs: FreshLogs) -> None:
    """After an hour without events the log says so itself, once an hour, and the next checkpoint covers it."""
    clock = ManualClock()
    store, kept = logs.of(5, clock=clock), MemoryCheckpoint()
    sealer = Sealer(store, KEY, kept)
    sealer.seal()
    clock.move_s(3599)
    assert not sign_empty_interval(store, clock, 3600)
    clock.move_s(2)
    assert sign_empty_interval(store, clock, 3600)
    assert not sign_empty_interval(store, clock, 3600)
    (last,) = store.read(after=4)
    assert (last.type, last.facts["size"], last.value()["note"]) == ("checkpoint.signed", 5, store.checkpoints()[0][1])
    assert sealer.seal() is not None
    assert failed(store, kept) == []


def test_the_loop_signs_waits_and_ends(logs: FreshLogs) -> None:
    """It signs what is there, tries again what a store could not do, and ends when it is told to."""
    store, kept, stop, clock = logs.of(5), MemoryCheckpoint(), threading.Event(), ManualClock()
    sealer, signed = Sealer(store, KEY, kept), []
    real = kept.advance
    turns = iter([None, StoreUnavailable("lost"), None])

    def sometimes(before: str | None, note: str) -> None:
        problem = next(turns)
        if problem is not None:
            raise problem
        real(before, note)

    kept.advance = sometimes  # type: ignore[method-assign]

    def told(checkpoint: Checkpoint) -> None:
        signed.append(checkpoint.size)
        if len(signed) == 1:
            add(store, 5, 7)
        else:
            stop.set()

    run_sealer(sealer, store, clock, stop, every_s=0.01, on_signed=told)

    assert signed == [6, 8]  # the loop's own streams.sealed among them
    assert failed(store, kept) == []


def test_a_fork_ends_the_loop(logs: FreshLogs) -> None:
    """It does not go on beside a log that is not the one it signed."""
    kept = MemoryCheckpoint()
    Sealer(logs.of(5), KEY, kept).seal()
    fork = logs.of(5, "other")
    with pytest.raises(LogForked):
        run_sealer(Sealer(fork, KEY, kept), fork, ManualClock(), threading.Event())


# -- stream ends ---------------------------------------------------------------------------------------------


def test_stream_ends_are_as_of_a_size(logs: FreshLogs) -> None:
    """The manifest of an earlier size is what the streams were then, also for streams that came later."""
    store = logs.of(4)
    then = {end.stream: end for end in streams_at(store, 4).ends}
    add(store, 4, 9)
    store.append(batch("new", stream="s/new"))

    assert {end.stream: end for end in streams_at(store, 4).ends} == then
    assert {end.stream for end in streams_at(store, 10).ends} == {"s/0", "s/1", "s/2", "s/new"}


def test_recorded_stream_ends_verify(logs: FreshLogs) -> None:
    """What `streams.sealed` records is what verification finds when it comes by that size."""
    store = logs.of(7)
    assert seal_streams(store, ManualClock()) is not None
    add(store, 7, 9)
    seal_streams(store, ManualClock())

    found = {check.name: check for check in check_store(store).checks}["stream ends"]
    assert (found.ok, found.detail) == (True, "2 times, last 4 streams at size 10, and each ended there")


def test_stream_ends_are_recorded_when_due(logs: FreshLogs) -> None:
    """Not more often than asked, and not for what the log says of itself."""
    clock = ManualClock()
    store = logs.of(3, clock=clock)
    assert seal_streams_when_due(store, clock, 3600)
    add(store, 3, 4)
    assert not seal_streams_when_due(store, clock, 3600)
    clock.move_s(3601)
    assert seal_streams_when_due(store, clock, 3600)
    clock.move_s(3601)
    assert not seal_streams_when_due(store, clock, 3600)
