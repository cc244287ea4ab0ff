"""Snapshots: what a fold had come to at a position, in a file, so that it need not begin at the beginning again.

A snapshot is a cache and never evidence. It is used only by the code that made it, over the log that it was made of;
otherwise it is as if it were not there, and everything is folded anew.
"""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from actum.eventstore.protocol import EventStore

__all__ = ["Snapshot", "load_snapshot", "save_snapshot"]

_FORMAT = 1


class Snapshot(NamedTuple):
    """The state after the event at `position`."""

    position: int
    state: bytes


def load_snapshot(path: Path, store: EventStore, code: str) -> Snapshot | None:
    """The snapshot in a file; None when there is none that is whole, of this code, and of this store's log."""
    try:
        first, _, state = path.read_bytes().partition(b"\n")
        about: dict[str, Any] = orjson.loads(first)
        wanted = _about(store, about["position"], code, state)
    except (OSError, ValueError, TypeError, LookupError):
        return None
    return Snapshot(about["position"], state) if about == wanted else None


def save_snapshot(path: Path, store: EventStore, code: str, snapshot: Snapshot) -> bool:
    """Keep it, in place of what the file held; False when the file cannot be written, which costs only time."""
    about = _about(store, snapshot.position, code, snapshot.state)
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        beside.write_bytes(orjson.dumps(about) + b"\n" + snapshot.state)
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        return False
    return True


def _about(store: EventStore, position: int, code: str, state: bytes) -> dict[str, Any]:
    """What must be equal for a snapshot to be used. `LookupError` when the log has no such position."""
    event = next(iter(store.read(position - 1, 1, payloads=False)), None) if position >= 0 else None
    if event is None or event.position != position:
        raise LookupError(position)
    return {
        "actum_snapshot": _FORMAT,
        "code": code,
        "tenant": store.tenant,
        "position": position,
        "event": event.id,
        "leaf": event.leaf.hex(),
        "state": sha256(state).hexdigest(),
    }
