"""Small sealed logs of every kind, and what a check of them says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from actum.events.checkpoint import SigningKey
from actum.eventstore import EventStore
from actum.eventstore.check.seals import Trusted
from actum.eventstore.check.store import check_store
from actum.eventstore.check.verdict import Check, Verification
from actum.eventstore.sealing.checkpoint_store import MemoryCheckpoint
from actum.eventstore.sealing.sealer import Sealer
from actum.testing.builders import KEY, batch
from actum.testing.clock import ManualClock
from actum.testing.fresh import FreshLogs
from actum.testing.witness import Witness

VKEY = KEY.verifier()
THIEF = SigningKey.generate(KEY.name, seed=bytes(range(1, 33)))
WITNESS = Witness("witness.example/w1", bytes(32))
CLOCK = ManualClock()


def log_of(logs: FreshLogs, *names: str, clock: ManualClock = CLOCK) -> EventStore:
    store = logs.of(0, clock=clock)
    for name in names:
        store.append(batch(name, stream=f"s/{len(name) % 2}"))
    return store


def check(store: EventStore, **beliefs: Any) -> Verification:
    trusted = replace(Trusted(keys=[VKEY]), **beliefs)
    return check_store(store, keys=trusted.keys, trusted=trusted)


def failed(found: Verification) -> dict[str, str]:
    return {line.name: line.detail for line in found.checks if line.ok is False}


def line(found: Verification, name: str) -> Check:
    return next(one for one in found.checks if one.name == name)


def sealed(logs: FreshLogs, *names: str) -> tuple[EventStore, MemoryCheckpoint]:
    store, kept = log_of(logs, *names), MemoryCheckpoint()
    Sealer(store, KEY, kept).seal()
    return store, kept
