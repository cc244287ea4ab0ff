"""The signing key as a file that only its owner can read, and its rotation through a crash at any point.

The new key is on disk before the log names it, and takes the old one's place after. Whoever loads the key in between
looks into the log to see which of the two is in force.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

from actum.errors import BadInput, StoreRefused
from actum.events.checkpoint import SigningKey, VerifierKey
from actum.eventstore.protocol import EventStore
from actum.eventstore.sealing.record import record_rotation
from actum.eventstore.sealing.sealer import origin_of, rotations_in, system_stream

__all__ = ["KeyPlace", "current_key", "rotate"]


class KeyPlace(NamedTuple):
    """Where the secret key lies, and the first public key of the log: the one to pin, from which rotations lead on."""

    secret: Path
    public: Path

    @property
    def coming(self) -> Path:
        """The next key, while a rotation is under way."""
        return self.secret.with_name(f"{self.secret.name}.next")


def current_key(place: KeyPlace, store: EventStore) -> SigningKey:
    """The key in force; made when there is none."""
    if place.coming.exists():
        coming = _load(place.coming)
        handed_over = rotations_in(store.read_stream(system_stream(store.tenant)), origin_of(store.tenant))
        if any(rotation.new == coming.verifier() for rotation in handed_over):
            place.coming.replace(place.secret)
    if place.secret.exists():
        return _load(place.secret)
    key = _make(store, place.secret)
    place.public.write_text(key.verifier().to_text() + "\n")
    return key


def rotate(place: KeyPlace, store: EventStore) -> tuple[VerifierKey, VerifierKey]:
    """Hand over from the key in force to a new one; the public halves of both."""
    old = current_key(place, store)
    new = _load(place.coming) if place.coming.exists() else _make(store, place.coming)
    if new.name != origin_of(store.tenant):
        raise BadInput(f"{place.coming}: is a key for {new.name!r}, not for {origin_of(store.tenant)!r}")
    record_rotation(store, lambda: time.time_ns() // 1000, old, new)
    place.coming.replace(place.secret)
    return old.verifier(), new.verifier()


def _make(store: EventStore, path: Path) -> SigningKey:
    key = SigningKey.generate(origin_of(store.tenant), seed=os.urandom(32))
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _load(path)  # another process was quicker
    except OSError as exc:
        raise StoreRefused(str(path), f"the key cannot be written: {exc.strerror or exc}") from exc
    with os.fdopen(handle, "w") as file:
        file.write(key.to_text() + "\n")
        file.flush()
        os.fsync(file.fileno())
    return key


def _load(path: Path) -> SigningKey:
    try:
        return SigningKey.from_text(path.read_text().strip())
    except (OSError, UnicodeDecodeError) as exc:
        raise StoreRefused(str(path), f"the key cannot be read: {exc}") from exc
