"""Proofs out of a store: that an event is in the log somebody signed, and that the log only grew since they looked.

Made from a folder of tiles they need a few files (measured: 2 ms); made from the store alone, all events are read and
hashed (1 s for 100,000 on the same machine). Either way a proof is checked before it is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from actum.errors import BadInput, CheckpointRefused, StoreDamaged
from actum.events import leaf_hash
from actum.events.checkpoint import Checkpoint, parse_unverified
from actum.events.merkle import (
    NodeAt,
    consistency_proof,
    inclusion_proof,
    root_at,
    verify_consistency,
    verify_inclusion,
)
from actum.events.note import base64_text
from actum.events.tlog_proof import TlogProof
from actum.eventstore.protocol import EventStore
from actum.eventstore.sealing.tile_folder import TileFolder

__all__ = ["find_event", "prove_event", "witness_request"]


def find_event(store: EventStore, which: str) -> int:
    """The position of an event, given as a position, as `STREAM@VERSION`, or by its id (then the log is searched)."""
    if which.isdecimal() and which.isascii():
        return int(which)
    stream, at, version = which.rpartition("@")
    if at and version.isdecimal():
        for event in store.read_stream(stream, int(version), int(version) + 1):
            return event.position
        raise BadInput(f"stream {stream!r} has no version {version}")
    for row in store.read_raw():
        if row.id == which:
            return row.position
    raise BadInput(f"no event {which!r} in this store; name a position, STREAM@VERSION, or an event's id")


def prove_event(store: EventStore, position: int, tiles: TileFolder | None = None) -> TlogProof:
    """The proof that the event at this position is in the log, with the event's header as its extra data.

    Raises `BadInput` when no checkpoint covers the event yet, and `StoreDamaged` or `CheckpointRefused` when the log
    or the tiles do not give the checkpoint's root.
    """
    rows = list(store.read_raw(after=position - 1, limit=1)) if position >= 0 else []
    if not rows or rows[0].position != position:
        raise BadInput(f"the log has no event {position}; it has {store.head()}")
    note, node, checkpoint = _signed(store, tiles, position)
    path = inclusion_proof(node, position, checkpoint.size)
    header = rows[0].header
    if not verify_inclusion(leaf_hash(header), position, checkpoint.size, path, checkpoint.root):
        raise StoreDamaged(position, f"it is not the event that the checkpoint of size {checkpoint.size} covers there")
    return TlogProof(position, tuple(path), note, header)


def witness_request(store: EventStore, old_size: int, tiles: TileFolder | None = None) -> str:
    """The last checkpoint with the proof that it extends what a witness saw at `old_size` (C2SP tlog-witness)."""
    note, node, checkpoint = _signed(store, tiles, old_size - 1)
    path = consistency_proof(node, old_size, checkpoint.size)
    if not verify_consistency(old_size, root_at(node, old_size), checkpoint.size, checkpoint.root, path):
        raise CheckpointRefused(
            store.url, f"the log does not give the root of its checkpoint of size {checkpoint.size}"
        )
    return "\n".join([f"old {old_size}", *map(base64_text, path), "", note])


def _signed(store: EventStore, tiles: TileFolder | None, position: int) -> tuple[str, NodeAt, Checkpoint]:
    """A checkpoint that covers the position, and the tree that it is of."""
    note = tiles.note() if tiles is not None else None
    if tiles is not None and note is not None and parse_unverified(note).size > position:
        checkpoint = parse_unverified(note)
        return note, tiles.nodes(checkpoint.size), checkpoint
    signed = store.checkpoints()
    if not signed or signed[-1][0] <= position:
        covered = signed[-1][0] if signed else 0
        raise BadInput(
            f"event {position} is not signed yet: the last checkpoint covers {covered} events; run `actum seal`"
        )
    checkpoint = parse_unverified(signed[-1][1])
    leaves = [leaf_hash(row.header) for row in islice(store.read_raw(limit=checkpoint.size), checkpoint.size)]
    return signed[-1][1], _nodes(leaves), checkpoint


def _nodes(leaves: Sequence[bytes]) -> NodeAt:
    from actum.events.merkle import root_of

    return lambda level, i: root_of(leaves[i << level : (i + 1) << level])
