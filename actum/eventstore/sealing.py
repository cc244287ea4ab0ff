"""Signing the tree's head: a checkpoint says "the log had this many events and this root", and who says so."""

from __future__ import annotations

from actum.errors import CheckpointRefused
from actum.events.checkpoint import Checkpoint, SigningKey, sign
from actum.events.merkle import Frontier
from actum.eventstore.protocol import EventStore

__all__ = ["origin_of", "seal_log"]


def origin_of(tenant: str) -> str:
    """The name that a tenant's checkpoints are signed under, and that of its key."""
    return f"actum/{tenant}".replace(" ", "_").replace("+", "_")


def seal_log(store: EventStore, key: SigningKey) -> Checkpoint | None:
    """Sign the log as it is now and keep the note beside it; None when this size is signed already or nothing is there.

    Raises `CheckpointRefused`, and signs nothing, when the log is shorter than what was signed before.
    """
    size, frontier = store.tree()
    signed = store.checkpoints()
    if signed and signed[-1][0] > size:
        raise CheckpointRefused(
            store.url,
            f"the log has {size} events, but {signed[-1][0]} were signed: events are missing. Nothing was signed.",
        )
    if size == 0 or (signed and signed[-1][0] == size):
        return None
    checkpoint = Checkpoint(origin_of(store.tenant), size, Frontier.from_bytes(frontier).root())
    store.add_checkpoint(size, sign(checkpoint, key))
    return checkpoint
