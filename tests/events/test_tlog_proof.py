"""C2SP tlog-proof: the published forms, the golden file, and that nothing else is read."""

from __future__ import annotations

import base64
from hashlib import sha256
from pathlib import Path

import pytest

from actum.errors import CheckpointRefused
from actum.events import canonical, leaf_hash
from actum.events.checkpoint import Checkpoint, SigningKey, sign
from actum.events.merkle import inclusion_proof, root_of
from actum.events.rotation import rotation_facts
from actum.events.tlog_proof import TlogProof, trust_with, verify_event
from actum.testing.builders import KEY

HEADERS = [f"header {i}".encode() for i in range(7)]
LEAVES = [leaf_hash(header) for header in HEADERS]
NOTE = sign(Checkpoint(KEY.name, 7, root_of(LEAVES)), KEY)
PROOF = TlogProof(3, tuple(inclusion_proof(LEAVES, 3, 7)), NOTE, HEADERS[3])
GOLDEN = Path(__file__).parents[1] / "golden/formats/event.tlog-proof"


@pytest.mark.parametrize("extra", [None, b"extra information"])
def test_it_is_written_as_others_write_it(extra: bytes | None) -> None:
    """The layout is that of transparency-dev/formats, with and without extra data, and is read again."""
    one, two = (sha256(text).digest() for text in (b"hash1", b"hash2"))
    lines = [base64.b64encode(node).decode() for node in (one, two)]
    said = [] if extra is None else [f"extra {base64.b64encode(extra).decode()}"]
    text = "\n".join(["c2sp.org/tlog-proof@v1", *said, "index 5", *lines, "", NOTE])
    proof = TlogProof(5, (one, two), NOTE, extra)

    assert proof.to_text() == text
    assert TlogProof.from_text(text) == proof


def test_a_proof_without_path_is_of_a_log_of_one() -> None:
    """The only event of a log needs no hashes."""
    note = sign(Checkpoint(KEY.name, 1, LEAVES[0]), KEY)
    proof = TlogProof(0, (), note)

    assert proof.to_text() == f"c2sp.org/tlog-proof@v1\nindex 0\n\n{note}"
    assert TlogProof.from_text(proof.to_text()) == proof
    assert verify_event(proof, HEADERS[0], [KEY.verifier()], origin=KEY.name).size == 1


def test_the_golden_proof_is_read() -> None:
    """What was once written proves its event for ever."""
    key = SigningKey.generate("actum/default", seed=sha256(b"golden").digest())
    proof = TlogProof.from_text(GOLDEN.read_text("utf-8"))
    assert proof.extra is not None

    assert verify_event(proof, proof.extra, [key.verifier()], origin="actum/default").size == 3
    assert proof.to_text() == GOLDEN.read_text("utf-8")


def test_an_event_is_proved() -> None:
    """The right header at the right index of the signed log, and nothing beside it."""
    assert verify_event(PROOF, HEADERS[3], [KEY.verifier()], origin=KEY.name).size == 7


OTHER = SigningKey.generate(KEY.name, seed=bytes(32))
ELSEWHERE = sign(Checkpoint("actum/other", 7, root_of(LEAVES)), KEY)


@pytest.mark.parametrize(
    ("proof", "header", "said"),
    [
        (PROOF, b"another header", "does not show these bytes"),
        (TlogProof(4, PROOF.path, NOTE), HEADERS[3], "at index 4"),
        (TlogProof(3, PROOF.path[:-1], NOTE), HEADERS[3], "does not show"),
        (TlogProof(3, (*PROOF.path, bytes(32)), NOTE), HEADERS[3], "does not show"),
        (TlogProof(3, PROOF.path, sign(Checkpoint(KEY.name, 7, root_of(LEAVES)), OTHER)), HEADERS[3], "no known key"),
        (TlogProof(3, PROOF.path, ELSEWHERE), HEADERS[3], "is of the log 'actum/other'"),
        (TlogProof(3, PROOF.path, NOTE.replace("\n7\n", "\n8\n")), HEADERS[3], "is wrong"),
    ],
)
def test_anything_else_is_refused(proof: TlogProof, header: bytes, said: str) -> None:
    """Another header, index, path, key, log or size is no proof."""
    with pytest.raises(CheckpointRefused, match=said):
        verify_event(proof, header, [KEY.verifier()], origin=KEY.name)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("tlog-proof@v1", "tlog-proof@v2", "does not begin with"),
        ("index 3", "index 03", "at which index"),
        ("index 3", "index -3", "at which index"),
        ("index 3\n", "", "at which index"),
        ("extra ", "extra !", "extra data is not base64"),
        ("index 3\n", "index 3\nAAAA\n", "not the base64 of 32 bytes"),
        ("index 3\n", f"index 3\n{base64.b64encode(bytes(32)).decode()[:-1]}\n", "not the base64 of 32 bytes"),
        ("\n\nactum", "\nactum", "base64 of 32 bytes"),
        ("\n7\n", "\n07\n", "plain decimal"),
    ],
)
def test_other_spellings_are_refused(old: str, new: str, said: str) -> None:
    """There is one way to write a proof, and every other is refused with its reason."""
    text = PROOF.to_text()
    assert old in text
    with pytest.raises(CheckpointRefused, match=said):
        TlogProof.from_text(text.replace(old, new, 1))


def test_a_key_that_handed_over_proves_nothing_later() -> None:
    """A note of a later size by the old key, stolen perhaps, is refused once the rotation is known."""
    new = SigningKey.generate(KEY.name, seed=bytes(range(32, 64)))
    facts = rotation_facts(KEY.name, KEY, new)
    rotated = canonical(
        {"actor": {"kind": "system", "ref": "x"}, "facts": facts, "schema": 1, "type": "key.rotated", "v": 1}
    )
    headers = [HEADERS[0], rotated, *HEADERS[2:]]
    leaves = [leaf_hash(header) for header in headers]

    def proof(index: int, size: int, key: SigningKey) -> TlogProof:
        note = sign(Checkpoint(KEY.name, size, root_of(leaves[:size])), key)
        return TlogProof(index, tuple(inclusion_proof(leaves[:size], index, size)), note, headers[index])

    trust = trust_with([KEY.verifier()], [proof(1, 7, new)], origin=KEY.name)
    assert verify_event(proof(3, 7, new), headers[3], trust, origin=KEY.name).size == 7
    assert verify_event(proof(0, 1, KEY), headers[0], trust, origin=KEY.name).size == 1
    with pytest.raises(CheckpointRefused):
        verify_event(proof(3, 7, KEY), headers[3], trust, origin=KEY.name)
    with pytest.raises(CheckpointRefused):
        trust_with([KEY.verifier()], [proof(1, 7, KEY)], origin=KEY.name)
    with pytest.raises(CheckpointRefused, match="connected"):
        trust_with([SigningKey.generate(KEY.name, seed=bytes(32)).verifier()], [proof(1, 7, new)], origin=KEY.name)
    with pytest.raises(CheckpointRefused, match="no event's header"):
        trust_with([KEY.verifier()], [PROOF], origin=KEY.name)
