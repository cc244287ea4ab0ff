"""The manifest of all streams: where each ended, as of one size of the log, under one hash. Pure.

A log proves that an event is in it; the manifest proves that an event is the *last* of its stream, so that nothing was
held back at the end. An entry is the canonical JSON of stream, version and leaf; entries stand in the order of the
streams' names in UTF-8, and the hash is the root of the tree (RFC 6962) over them. `docs/formats/proof.md` has it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import NamedTuple

from actum.events.canonical import canonical
from actum.events.envelope import leaf_hash
from actum.events.merkle import Frontier, inclusion_proof, root_of, verify_inclusion

__all__ = ["Manifest", "StreamEnd", "TailProof", "root_of_ends", "verify_tail"]


class StreamEnd(NamedTuple):
    """Where a stream ended: the number of its events, and the leaf hash of the last one."""

    stream: str
    version: int
    leaf: bytes

    def entry(self) -> bytes:
        """The bytes that stand in the manifest."""
        return canonical({"leaf": self.leaf.hex(), "stream": self.stream, "version": self.version})


class TailProof(NamedTuple):
    """Shows where one stream ended, to whoever has the manifest's count and root."""

    end: StreamEnd
    place: int
    path: list[bytes]


class Manifest:
    """The ends of all streams."""

    def __init__(self, ends: Iterable[StreamEnd]) -> None:
        self.ends = sorted(ends, key=_order)
        self._leaves = [leaf_hash(end.entry()) for end in self.ends]

    @property
    def count(self) -> int:
        return len(self.ends)

    def root(self) -> bytes:
        return root_of(self._leaves)

    def prove(self, stream: str) -> TailProof:
        """The proof for one stream. Raises `ValueError` when it is not in the manifest."""
        at = bisect_left(self.ends, stream.encode(), key=_order)
        if at == len(self.ends) or self.ends[at].stream != stream:
            raise ValueError(f"stream {stream!r} is not in the manifest")
        return TailProof(self.ends[at], at, inclusion_proof(self._leaves, at, len(self._leaves)))


def root_of_ends(ends: Iterable[StreamEnd]) -> tuple[int, bytes]:
    """Count and root of the manifest of these, which come in its order; flat memory, however many there are."""
    tree = Frontier()
    for end in ends:
        tree.extend([leaf_hash(end.entry())])
    return tree.size, tree.root()


def verify_tail(proof: TailProof, count: int, root: bytes) -> bool:
    """Whether the stream ended there, given count and root from a `streams.sealed` event that is itself proved."""
    return verify_inclusion(leaf_hash(proof.end.entry()), proof.place, count, proof.path, root)


def _order(end: StreamEnd) -> bytes:
    return end.stream.encode()
