"""The tree against three others: the RFC's definitions written out, RFC test vectors, and pymerkle."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pymerkle
import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.events import leaf_hash
from actum.events.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    root_of,
    verify_consistency,
    verify_inclusion,
)


def leaves_of(count: int, salt: str = "") -> list[bytes]:
    return [leaf_hash(f"{salt}{i}".encode()) for i in range(count)]


# -- RFC 6962, 2.1, word for word: D is a list of leaf hashes ---------------------------------------------------


def split(n: int) -> int:
    """The largest power of two smaller than n."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def mth(d: list[bytes]) -> bytes:
    if not d:
        return sha256(b"").digest()
    if len(d) == 1:
        return d[0]
    k = split(len(d))
    return sha256(b"\x01" + mth(d[:k]) + mth(d[k:])).digest()


def path(m: int, d: list[bytes]) -> list[bytes]:
    if len(d) == 1:
        return []
    k = split(len(d))
    if m < k:
        return [*path(m, d[:k]), mth(d[k:])]
    return [*path(m - k, d[k:]), mth(d[:k])]


def subproof(m: int, d: list[bytes], whole: bool) -> list[bytes]:
    if m == len(d):
        return [] if whole else [mth(d)]
    k = split(len(d))
    if m <= k:
        return [*subproof(m, d[:k], whole), mth(d[k:])]
    return [*subproof(m - k, d[k:], False), mth(d[:k])]


sizes = st.integers(1, 130)


@st.composite
def places(draw: st.DrawFn) -> tuple[int, int]:
    """A leaf of a tree: index and size."""
    size = draw(sizes)
    return draw(st.integers(0, size - 1)), size


@st.composite
def growths(draw: st.DrawFn) -> tuple[int, int]:
    """A tree that grew: old and new size, not equal."""
    new = draw(st.integers(2, 130))
    return draw(st.integers(1, new - 1)), new


# -- roots ------------------------------------------------------------------------------------------------------


def test_roots_of_the_known_test_tree() -> None:
    """The eight-leaf tree that certificate-transparency implementations share has the published roots."""
    entries = [bytes.fromhex(e) for e in ("", "00", "10", "2021", "3031", "40414243")]
    entries += [bytes.fromhex("5051525354555657"), bytes.fromhex("606162636465666768696a6b6c6d6e6f")]
    leaves = [leaf_hash(entry) for entry in entries]

    assert root_of([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert root_of(leaves[:1]).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert root_of(leaves[:3]).hex() == "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"
    assert root_of(leaves[:7]).hex() == "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"
    assert root_of(leaves).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


@forall(st.integers(0, 200))
def test_root_is_the_rfc_root(size: int) -> None:
    """For every size the root is the one of the RFC's recursive definition."""
    assert root_of(leaves_of(size)) == mth(leaves_of(size))


@forall(st.lists(st.integers(0, 70), max_size=8), st.booleans())
def test_how_leaves_arrive_does_not_matter(groups: list[int], singly: bool) -> None:
    """Appended one by one or in groups of any sizes, across the switch of algorithms, the tree is the same."""
    leaves = leaves_of(sum(groups))
    frontier, at = Frontier(), 0
    for group in groups:
        if singly and group % 2:
            for leaf in leaves[at : at + group]:
                frontier.append(leaf)
        else:
            frontier.extend(leaves[at : at + group])
        at += group
        assert frontier.size == at
        assert frontier.root() == mth(leaves[:at])


@forall(st.integers(0, 300), st.integers(0, 80))
def test_frontier_goes_on_from_its_bytes(size: int, more: int) -> None:
    """A frontier read back from its bytes grows into the same tree, and its bytes have one form."""
    leaves = leaves_of(size + more)
    frontier = Frontier()
    frontier.extend(leaves[:size])

    read = Frontier.from_bytes(frontier.to_bytes())
    assert (read, read.to_bytes()) == (frontier, frontier.to_bytes())
    read.extend(leaves[size:])
    assert read.root() == root_of(leaves)


def test_frontier_bytes_are_stable() -> None:
    """Stored frontiers stay readable: the size in 8 bytes, then the peaks, the widest first."""
    a, b, c = leaves_of(3)
    frontier = Frontier()
    frontier.extend([a, b, c])

    assert frontier.to_bytes() == b"\0\0\0\0\0\0\0\3" + sha256(b"\x01" + a + b).digest() + c
    assert Frontier().to_bytes() == bytes(8)


@pytest.mark.parametrize(
    "data", [b"", bytes(7), bytes(9), b"\0" * 7 + b"\3" + bytes(32), b"\0" * 7 + b"\1" + bytes(33), b"\xff" * 8]
)
def test_frontier_of_a_wrong_length_is_refused(data: bytes) -> None:
    """Bytes that do not fit the size they state are never taken for a tree."""
    with pytest.raises(ValueError, match="rebuild it from the leaf hashes"):
        Frontier.from_bytes(data)


def test_a_copy_grows_on_its_own() -> None:
    """What is added to a copy is not added to the original, so a failed commit can drop it."""
    frontier = Frontier()
    frontier.extend(leaves_of(5))
    before = frontier.to_bytes()
    frontier.copy().extend(leaves_of(60))

    assert frontier.to_bytes() == before


@forall(st.integers(0, 6), st.integers(0, 5), st.integers(0, 64))
def test_trees_grown_apart_join(level: int, whole: int, more: int) -> None:
    """Leaves hashed by somebody else from a multiple of 2^k on, up to 2^k of them, join to the tree of all."""
    start, count = whole << level, min(more, 1 << level)
    leaves = leaves_of(start + count)
    left, right = Frontier(), Frontier()
    left.extend(leaves[:start])
    right.extend(leaves[start:])

    left.join(right)
    assert (left.size, left.root()) == (len(leaves), mth(leaves))
    left.extend(leaves_of(3))
    assert left.root() == mth(leaves + leaves_of(3))


@pytest.mark.parametrize(("start", "count"), [(1, 2), (3, 2), (4, 9), (6, 4)])
def test_trees_that_begin_elsewhere_do_not_join(start: int, count: int) -> None:
    """Subtrees that are none of this tree's are refused, and the tree is as it was."""
    left, right = Frontier(), Frontier()
    left.extend(leaves_of(start))
    right.extend(leaves_of(count))
    before = left.to_bytes()
    with pytest.raises(ValueError, match="do not join on"):
        left.join(right)
    assert left.to_bytes() == before


@pytest.mark.parametrize("count", [1, 3, 100])
def test_a_wrong_leaf_leaves_the_tree_as_it_was(count: int) -> None:
    """One leaf that is no hash, however many good ones stand before it, and nothing is added."""
    frontier = Frontier()
    frontier.extend(leaves_of(5))
    before = frontier.to_bytes()
    with pytest.raises(ValueError, match="not 31"):
        frontier.extend([*leaves_of(count), bytes(31)])
    with pytest.raises(ValueError, match="not 33"):
        frontier.append(bytes(33))

    assert frontier.to_bytes() == before


# -- proofs -----------------------------------------------------------------------------------------------------


@forall(places())
def test_inclusion_proof_is_the_rfc_path(place: tuple[int, int]) -> None:
    """The audit path is the RFC's, and it verifies."""
    index, size = place
    leaves = leaves_of(size)
    proof = inclusion_proof(leaves, index, size)

    assert proof == path(index, leaves)
    assert verify_inclusion(leaves[index], index, size, proof, mth(leaves))


@forall(growths())
def test_consistency_proof_is_the_rfc_proof(growth: tuple[int, int]) -> None:
    """The consistency proof is the RFC's, and it verifies."""
    old, new = growth
    leaves = leaves_of(new)
    proof = consistency_proof(leaves, old, new)

    assert proof == subproof(old, leaves, True)
    assert verify_consistency(old, mth(leaves[:old]), new, mth(leaves), proof)


@forall(places(), st.integers(0, 20))
def test_proofs_come_from_stored_subtrees_too(place: tuple[int, int], later: int) -> None:
    """With a look-up of complete subtrees only, as tiles give, the proofs are the same, for older sizes as well."""
    index, size = place
    leaves = leaves_of(size + later)
    levels = [leaves]
    while len(levels[-1]) > 1:
        row = levels[-1]
        levels.append(
            [sha256(b"\x01" + row[i] + row[i + 1]).digest() for i in range(0, len(row) - 1, 2)]  # complete ones only
        )

    def stored(level: int, i: int) -> bytes:
        return levels[level][i]

    assert inclusion_proof(stored, index, size) == path(index, leaves[:size])
    assert consistency_proof(stored, index + 1, size) == consistency_proof(leaves, index + 1, size)


@forall(places())
def test_pymerkle_agrees(place: tuple[int, int]) -> None:
    """An independent implementation gives the same roots and, but for its own wrapping, the same proofs."""
    index, size = place
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    entries = [f"{i}".encode() for i in range(size)]
    for entry in entries:
        tree.append_entry(entry)
    leaves = [leaf_hash(entry) for entry in entries]
    root = root_of(leaves)

    assert tree.get_root() == root
    theirs = tree.prove_inclusion(index + 1, size)
    assert theirs.path == [leaves[index], *inclusion_proof(leaves, index, size)]
    pymerkle.verify_inclusion(leaves[index], root, theirs, index=index + 1, size=size)
    pymerkle.verify_consistency(root_of(leaves[: index + 1]), root, tree.prove_consistency(index + 1, size))
    assert tree.get_root(index + 1) == root_of(leaves[: index + 1])


def test_a_tree_is_consistent_with_itself_and_with_the_empty_one() -> None:
    """Equal sizes need equal roots, the empty tree begins every tree, and neither takes any hash to show it."""
    leaves = leaves_of(7)
    root = mth(leaves)

    assert verify_consistency(7, root, 7, root, [])
    assert verify_consistency(0, EMPTY_ROOT, 7, root, [])
    assert verify_consistency(0, EMPTY_ROOT, 0, EMPTY_ROOT, [])
    assert not verify_consistency(7, root, 7, mth(leaves_of(7, "x")), [])
    assert not verify_consistency(7, root, 7, root, [root])
    assert not verify_consistency(0, EMPTY_ROOT, 7, root, [root])
    assert not verify_consistency(0, root, 7, root, [])
    assert not verify_consistency(0, EMPTY_ROOT, 0, root, [])
    assert not verify_consistency(0, root, 0, root, [])


def test_a_tree_of_one_leaf_needs_no_proof() -> None:
    """The root of a single leaf is that leaf."""
    (leaf,) = leaves_of(1)

    assert inclusion_proof([leaf], 0, 1) == []
    assert verify_inclusion(leaf, 0, 1, [], leaf)
    assert not verify_inclusion(leaf, 0, 1, [leaf], leaf)


@pytest.mark.parametrize(
    ("index", "size", "problem"),
    [(3, 3, "has no leaf 3"), (-1, 3, "has no leaf -1"), (0, 0, "has no leaf 0"), (0, 4, "needs all of them")],
)
def test_no_proof_of_what_is_not_there(index: int, size: int, problem: str) -> None:
    """Asking for a leaf or a tree that does not exist is an error that names it, not a wrong proof."""
    with pytest.raises(ValueError, match=problem):
        inclusion_proof(leaves_of(3), index, size)


@pytest.mark.parametrize(
    ("old", "new", "problem"), [(4, 3, "not the beginning"), (-1, 3, "not the beginning"), (1, 4, "needs all of them")]
)
def test_no_proof_that_a_tree_shrank(old: int, new: int, problem: str) -> None:
    """There is no consistency proof from a larger tree to a smaller one."""
    with pytest.raises(ValueError, match=problem):
        consistency_proof(leaves_of(3), old, new)


# -- forged proofs ----------------------------------------------------------------------------------------------


def flipped(value: bytes, bit: int) -> bytes:
    return value[: bit // 8] + bytes([value[bit // 8] ^ 1 << bit % 8]) + value[bit // 8 + 1 :]


def forgeries(proof: list[bytes]) -> list[list[bytes]]:
    """Every proof that differs by one bit, one hash less, one hash more, or two hashes changing places."""
    n = len(proof)
    bits = [[*proof[:i], flipped(proof[i], bit), *proof[i + 1 :]] for i in range(n) for bit in range(256)]
    shorter = [proof[:i] + proof[i + 1 :] for i in range(n)]
    longer = [[*proof[:i], other, *proof[i:]] for i in range(n + 1) for other in (bytes(32), *proof[:1])]
    swapped = []
    for i in range(n):
        for j in range(i):
            other = list(proof)
            other[i], other[j] = proof[j], proof[i]
            swapped.append(other)
    return bits + shorter + longer + swapped


@pytest.mark.parametrize("size", [1, 2, 3, 6, 7, 8, 13])
def test_every_corrupted_inclusion_proof_is_refused(size: int) -> None:
    """No single-bit change, cut, addition or reordering of an audit path, its leaf or its root goes unseen."""
    leaves = leaves_of(size)
    root = mth(leaves)
    for index, leaf in enumerate(leaves):
        proof = inclusion_proof(leaves, index, size)
        assert not any(verify_inclusion(leaf, index, size, forged, root) for forged in forgeries(proof))
        assert not any(verify_inclusion(flipped(leaf, bit), index, size, proof, root) for bit in range(256))
        assert not any(verify_inclusion(leaf, index, size, proof, flipped(root, bit)) for bit in range(256))
        assert not any(verify_inclusion(leaf, other, size, proof, root) for other in range(size) if other != index)


@pytest.mark.parametrize("new", [2, 3, 4, 7, 8, 13])
def test_every_corrupted_consistency_proof_is_refused(new: int) -> None:
    """No single-bit change, cut, addition or reordering of a consistency proof or of either root goes unseen."""
    leaves = leaves_of(new)
    new_root = mth(leaves)
    for old in range(1, new):
        old_root = mth(leaves[:old])
        proof = consistency_proof(leaves, old, new)
        assert not any(verify_consistency(old, old_root, new, new_root, forged) for forged in forgeries(proof))
        for bit in range(256):
            assert not verify_consistency(old, flipped(old_root, bit), new, new_root, proof)
            assert not verify_consistency(old, old_root, new, flipped(new_root, bit), proof)


@forall(growths(), st.data())
def test_a_rewritten_past_has_no_consistency_proof(growth: tuple[int, int], data: st.DataObject) -> None:
    """When one old leaf was changed, the proof that the rewritten log gives does not fit the kept root."""
    old, new = growth
    leaves = leaves_of(new)
    rewritten = list(leaves)
    rewritten[data.draw(st.integers(0, old - 1))] = leaf_hash(b"forged")

    proof = consistency_proof(rewritten, old, new)
    assert not verify_consistency(old, root_of(leaves[:old]), new, root_of(rewritten), proof)


def test_a_proof_of_another_length_than_the_sizes_ask_for_is_refused() -> None:
    """A true proof does not pass for a tree so much larger or smaller that its path would have another length."""
    leaves = leaves_of(4)
    root = mth(leaves)
    inclusion, consistency = inclusion_proof(leaves, 1, 4), consistency_proof(leaves, 2, 4)

    assert not any(verify_inclusion(leaves[1], 1, size, inclusion, root) for size in (2, 5, 8, 9))
    assert not any(verify_consistency(2, mth(leaves[:2]), size, root, consistency) for size in (2, 5, 8, 9))


junk: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(), st.binary(max_size=40), st.lists(st.binary(max_size=33))
)


@forall(junk, junk, junk, junk, junk)
def test_checking_junk_answers_no(a: Any, b: Any, c: Any, d: Any, e: Any) -> None:
    """Whatever strangers hand in, checking answers False and never raises."""
    assert verify_inclusion(a, b, c, d, e) is False
    assert verify_consistency(a, b, c, d, e) is False


@pytest.mark.parametrize("proof", [None, b"", b"x" * 64, "ab", [None], [bytes(31)], ["0" * 32], {}, [bytearray(32)]])
def test_a_proof_that_is_no_list_of_hashes_is_refused(proof: Any) -> None:
    """With everything else right, a proof of the wrong kind is refused and not raised about."""
    leaves = leaves_of(2)

    assert verify_inclusion(leaves[0], 0, 2, proof, mth(leaves)) is False
    assert verify_consistency(1, leaves[0], 2, mth(leaves), proof) is False
