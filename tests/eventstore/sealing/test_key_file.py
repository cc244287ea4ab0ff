"""The signing key on disk: made once, readable by its owner, and rotated through a crash at any point."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from actum.errors import BadInput, StoreRefused
from actum.events.checkpoint import SigningKey
from actum.eventstore import EventStore
from actum.eventstore.check.store import check_store
from actum.eventstore.sealing import key_file
from actum.eventstore.sealing.key_file import KeyPlace, current_key, rotate
from actum.eventstore.sealing.sealer import seal_log
from actum.testing.fresh import FreshLogs


@pytest.fixture
def place(tmp_path: Path) -> KeyPlace:
    return KeyPlace(tmp_path / "key", tmp_path / "vkey")


@pytest.fixture
def store(logs: FreshLogs) -> EventStore:
    return logs.of(2)


def test_a_key_is_made_once(place: KeyPlace, store: EventStore) -> None:
    """The first use makes it, for its owner only, and its public half beside it; every other finds it."""
    key = current_key(place, store)

    assert current_key(place, store) == key
    assert stat.S_IMODE(place.secret.stat().st_mode) == 0o600
    assert place.public.read_text() == key.verifier().to_text() + "\n"


def test_a_rotation_leaves_one_secret(place: KeyPlace, store: EventStore) -> None:
    """After it the new key signs, the old secret is gone, and the public half to pin is still the first."""
    first = current_key(place, store)
    seal_log(store, first)
    old, new = rotate(place, store)

    assert (old, current_key(place, store).verifier()) == (first.verifier(), new)
    assert first.to_text() not in place.secret.read_text()
    assert not place.coming.exists()
    seal_log(store, current_key(place, store))
    assert [one.name for one in check_store(store, keys=[old]).checks if one.ok is False] == []


@pytest.mark.parametrize("landed", [False, True], ids=["before the event", "after the event"])
def test_a_crash_in_a_rotation_is_made_good(
    place: KeyPlace, store: EventStore, landed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before the log has the event the old key stays; after it, the new one is taken by the next use."""
    first = current_key(place, store)
    real = key_file.record_rotation

    def dies(*given: object) -> None:
        if landed:
            real(*given)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(key_file, "record_rotation", dies)
    with pytest.raises(KeyboardInterrupt):
        rotate(place, store)
    monkeypatch.undo()

    now = current_key(place, store)
    assert (now != first) == landed
    rotate(place, store)
    assert current_key(place, store) not in (now, first)
    seal_log(store, current_key(place, store))
    assert [one.name for one in check_store(store, keys=[first.verifier()]).checks if one.ok is False] == []


def test_a_key_that_cannot_be_read_is_named(place: KeyPlace, store: EventStore) -> None:
    """A folder in its place, and a next key of another log, are refused by name, and nothing is rotated."""
    current_key(place, store)
    place.coming.write_text(SigningKey.generate("actum/other", seed=bytes(32)).to_text())
    with pytest.raises(BadInput, match="is a key for 'actum/other'"):
        rotate(place, store)
    assert store.head() == 2
    place.secret.unlink()
    place.secret.mkdir()
    with pytest.raises(StoreRefused, match="the key cannot be read"):
        current_key(place, store)
