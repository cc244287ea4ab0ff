"""The Merkle tree of RFC 6962 (section 2.1; the same tree as RFC 9162) over leaf hashes. Pure.

A leaf here is already hashed: `leaf_hash(header)`. A tree is known by its size and its root; nothing else about it
needs to be stored to go on appending (`Frontier`), and nothing else needs to be trusted to check a proof.

The functions that make proofs raise `ValueError` when asked for what does not exist. The `verify_…` functions take
what strangers hand in: they answer True or False and never raise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Final

__all__ = [
    "EMPTY_ROOT",
    "Frontier",
    "NodeAt",
    "consistency_proof",
    "inclusion_proof",
    "root_at",
    "root_of",
    "verify_consistency",
    "verify_inclusion",
]

EMPTY_ROOT: Final = sha256(b"").digest()
"""The root of the tree without leaves."""

NodeAt = Callable[[int, int], bytes]
"""`node(level, i)`: the hash of the complete subtree over the leaves i·2^level up to (i + 1)·2^level, as in tiles."""

_MAX_SIZE = 2**63 - 1
_BY_LEVEL = 32  # from so many leaves on, hashing level by level is faster than leaf by leaf


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def _is_hash(value: object) -> bool:
    return isinstance(value, bytes) and len(value) == 32


class Frontier:
    """Everything needed to append to a tree and to know its root: one hash per complete subtree, O(log n) of them."""

    __slots__ = ("_peaks", "_size")

    def __init__(self) -> None:
        self._size = 0
        self._peaks: list[bytes] = []  # roots of the complete subtrees, the widest first

    @property
    def size(self) -> int:
        """How many leaves the tree has."""
        return self._size

    def append(self, leaf: bytes) -> None:
        """Add one leaf. Raises `ValueError` for anything but 32 bytes; the tree is then as it was."""
        if len(leaf) != 32:
            raise ValueError(f"a leaf hash is 32 bytes, not {len(leaf)}; the tree is as it was")
        peaks, left = self._peaks, self._size
        while left & 1:  # every complete subtree of the same width merges with the new one
            leaf = sha256(b"\x01" + peaks.pop() + leaf).digest()
            left >>= 1
        peaks.append(leaf)
        self._size += 1

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add leaves in order; the same as appending each, only faster. All are added, or none."""
        nodes = list(leaves)
        count = len(nodes)
        for leaf in nodes:
            if len(leaf) != 32:
                raise ValueError(f"a leaf hash is 32 bytes, not {len(leaf)}; the tree is as it was")
        if count >= _BY_LEVEL:
            self._extend_by_level(nodes)
            return
        peaks, size = self._peaks, self._size
        for node in nodes:
            left = size
            while left & 1:
                node = sha256(b"\x01" + peaks.pop() + node).digest()
                left >>= 1
            peaks.append(node)
            size += 1
        self._size = size

    def _extend_by_level(self, nodes: list[bytes]) -> None:
        # What is left over at a level, having no right sibling yet, is the peak of that level: one from before
        # (the bit of the old size says so) that found no partner, or a new one.
        peaks, left = self._peaks, self._size
        self._size += len(nodes)
        fresh = []
        while nodes:
            if left & 1:
                nodes.insert(0, peaks.pop())
            if len(nodes) & 1:
                fresh.append(nodes.pop())
            pairs = iter(nodes)
            nodes = [sha256(b"\x01" + a + b).digest() for a, b in zip(pairs, pairs, strict=True)]
            left >>= 1
        peaks += reversed(fresh)

    def join(self, right: Frontier) -> None:
        """Add the leaves of a tree that was grown apart, as if each had been appended here.

        Raises `ValueError` when a subtree of it does not begin here at a multiple of its width: then its hashes are
        none of this tree's. This one is then as it was.
        """
        if right._size and self._size % (1 << (right._size.bit_length() - 1)):
            raise ValueError(f"{right._size} leaves grown apart do not join on at {self._size}; the tree is as it was")
        left = right._size
        for peak in right._peaks:
            width = 1 << (left.bit_length() - 1)
            at = self._size // width
            while at & 1:
                peak = _node(self._peaks.pop(), peak)
                at >>= 1
            self._peaks.append(peak)
            self._size += width
            left -= width

    def root(self) -> bytes:
        """The root over all leaves added so far."""
        if not self._peaks:
            return EMPTY_ROOT
        return _fold(self._peaks)

    def copy(self) -> Frontier:
        """A frontier of the same tree that grows on its own."""
        twin = Frontier()
        twin._size = self._size
        twin._peaks = self._peaks.copy()
        return twin

    def to_bytes(self) -> bytes:
        """The size in 8 bytes, big-endian, then the 32-byte peaks, the widest subtree first. This form is stable."""
        return self._size.to_bytes(8, "big") + b"".join(self._peaks)

    @classmethod
    def from_bytes(cls, data: bytes) -> Frontier:
        """Read what `to_bytes` wrote. Raises `ValueError` when the length does not fit the size it states."""
        size = int.from_bytes(data[:8], "big")
        wanted = 8 + 32 * size.bit_count()
        if len(data) != wanted or size > _MAX_SIZE:
            raise ValueError(
                f"a frontier of size {size} has {wanted} bytes, not {len(data)}; rebuild it from the leaf hashes"
            )
        frontier = cls()
        frontier._size = size
        frontier._peaks = [data[at : at + 32] for at in range(8, wanted, 32)]
        return frontier

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Frontier):
            return NotImplemented
        return self._size == other._size and self._peaks == other._peaks

    __hash__ = None  # type: ignore[assignment]  # it grows

    def __repr__(self) -> str:
        return f"<Frontier of {self._size} leaves, root {self.root().hex()[:8]}…>"


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root of the tree over these leaf hashes."""
    frontier = Frontier()
    frontier.extend(leaves)
    return frontier.root()


def root_at(node: NodeAt, size: int) -> bytes:
    """The root of the tree of this size, out of its complete subtrees."""
    return _range_root(node, 0, size) if size else EMPTY_ROOT


# -- making proofs -------------------------------------------------------------------------------------------


def inclusion_proof(tree: Sequence[bytes] | NodeAt, index: int, size: int) -> list[bytes]:
    """The audit path that shows leaf `index` to be in the tree of the first `size` leaves (RFC 9162, 2.1.3.1).

    `tree` is the leaf hashes, or a function that looks up complete subtrees: O(log² n) look-ups then make the proof.
    Raises `ValueError` when there is no such leaf.
    """
    node = _nodes_of(tree, size)
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    path = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_range_root(node, middle, end))
            end = middle
        else:
            path.append(_range_root(node, start, middle))
            start = middle
    return path[::-1]


def consistency_proof(tree: Sequence[bytes] | NodeAt, old_size: int, new_size: int) -> list[bytes]:
    """The hashes that show that the tree of `old_size` leaves begins the one of `new_size` (RFC 9162, 2.1.4.1).

    `tree` as for `inclusion_proof`. Empty when the sizes are equal or the old tree was empty: there is nothing to show.
    Raises `ValueError` when `old_size` is not between 0 and `new_size`, or the tree is smaller than that.
    """
    node = _nodes_of(tree, new_size)
    if not 0 <= old_size <= new_size:
        raise ValueError(f"a tree of {old_size} leaves is not the beginning of one of {new_size}")
    if old_size == 0:
        return []
    path = []
    start, end = 0, new_size
    while end != old_size:
        middle = start + _split(end - start)
        if old_size <= middle:
            path.append(_range_root(node, middle, end))
            end = middle
        else:
            path.append(_range_root(node, start, middle))
            start = middle
    if start:  # else the old tree is itself a complete subtree, whose root the verifier has
        path.append(_range_root(node, start, end))
    return path[::-1]


def _nodes_of(tree: Sequence[bytes] | NodeAt, size: int) -> NodeAt:
    if callable(tree):
        return tree
    leaves = tree
    if size > len(leaves):
        raise ValueError(f"a proof in a tree of {size} leaves needs all of them; {len(leaves)} were given")
    return lambda level, i: root_of(leaves[i << level : (i + 1) << level])


def _split(width: int) -> int:
    """The largest power of two smaller than the width: how many leaves go to the left."""
    return 1 << ((width - 1).bit_length() - 1)


def _range_root(node: NodeAt, start: int, end: int) -> bytes:
    """The root over the leaves from `start` to `end`, where `start` is where a subtree begins."""
    peaks = []
    while start < end:
        level = (end - start).bit_length() - 1
        peaks.append(node(level, start >> level))
        start += 1 << level
    return _fold(peaks)


def _fold(peaks: Sequence[bytes]) -> bytes:
    node = peaks[-1]
    for peak in peaks[-2::-1]:
        node = sha256(b"\x01" + peak + node).digest()
    return node


# -- checking proofs -----------------------------------------------------------------------------------------


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the proof shows this leaf hash at this index of the tree of this size and root (RFC 9162, 2.1.3.2).

    Size and root must come from one verified checkpoint: a proof says nothing about a size it was not made for.
    """
    if not (_are_sizes(index, size) and index < size and _are_hashes([leaf, root]) and _are_hashes(proof)):
        return False
    here, last, node = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if here & 1 or here == last:
            node = _node(sibling, node)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            node = _node(node, sibling)
        here, last = here >> 1, last >> 1
    return last == 0 and node == root


def verify_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the proof shows that the new tree begins with the old one, so nothing was changed (RFC 9162, 2.1.4.2).

    Each size and its root must come from one verified checkpoint.
    """
    if not (_are_sizes(old_size, new_size) and old_size <= new_size):
        return False
    if not (_are_hashes([old_root, new_root]) and _are_hashes(proof)):
        return False
    if old_size == 0 and old_root != EMPTY_ROOT:
        return False
    if old_size in (0, new_size):
        return not proof and (old_size < new_size or old_root == new_root)
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)  # a complete subtree: the proof leaves it out
    if not path:
        return False
    here, last = old_size - 1, new_size - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if here & 1 or here == last:
            old, new = _node(sibling, old), _node(sibling, new)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            new = _node(new, sibling)
        here, last = here >> 1, last >> 1
    return last == 0 and old == old_root and new == new_root


def _are_sizes(*values: object) -> bool:
    return all(type(value) is int and 0 <= value <= _MAX_SIZE for value in values)


def _are_hashes(values: object) -> bool:
    return isinstance(values, list | tuple) and all(map(_is_hash, values))
