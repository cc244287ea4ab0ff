"""Cosignatures of witnesses: the public vectors, and that only what the witness signed is believed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from actum.errors import CheckpointRefused
from actum.events.checkpoint import Checkpoint, sign
from actum.events.cosignature import WitnessKey, cosigned_message, open_cosigned
from actum.events.merkle import root_of
from actum.events.note import split_note, with_signatures
from actum.testing.builders import KEY
from actum.testing.witness import Witness

NOTE = sign(Checkpoint(KEY.name, 3, root_of([bytes(32)] * 3)), KEY)
WITNESSES = [Witness("witness.example/ed", bytes(32), ed25519=True), Witness("witness.example/ml", bytes(32))]
both = pytest.mark.parametrize("witness", WITNESSES, ids=["Ed25519", "ML-DSA-44"])

# Of transparency-dev/formats, note_cosigv1_test.go.
REMORA = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"
# The example of https://c2sp.org/tlog-cosignature; its key is not published.
C2SP = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZ"
    "qhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)


def test_a_published_witness_key_is_read() -> None:
    """A key of type 0x04 gives the id that its owner published."""
    key = WitnessKey.from_text(REMORA)

    assert (key.algorithm, key.id.hex(), key.to_text()) == ("Ed25519", "da77ade7", REMORA)


def test_the_signed_text_is_that_of_the_specification() -> None:
    """Ed25519 witnesses sign header line, time line and the checkpoint's text."""
    text, (line,) = split_note(C2SP)
    at_s = int.from_bytes(line.value[:8], "big")
    key = WitnessKey(line.by[0], bytes(32))

    assert cosigned_message(key, at_s, Checkpoint("x", 0, root_of([])), text) == (
        b"cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\n"
        b"CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    )


def test_torchwoods_ml_dsa_signature_verifies() -> None:
    """The checkpoint that filippo.io/torchwood signed with the key of a published seed is accepted."""
    seed = bytes.fromhex("2886adc2b0eabfce67c0472939127998bf886cf256bfee8ba76a253fce1146e0")
    key = Witness("example.com/mldsa-log", seed).key
    note = (Path(__file__).parent / "vectors/mldsa-44.note").read_text("utf-8")

    assert key.id.hex() == "b5df45c5"
    assert [(one.by, one.at_s) for one in open_cosigned(note, [key])] == [(key, 0)]
    with pytest.raises(CheckpointRefused, match="is wrong"):
        open_cosigned(note.replace("\n1\n", "\n2\n"), [key])


@both
def test_a_cosignature_is_found(witness: Witness) -> None:
    """A witness's line on a checkpoint tells who it was and when; keys survive their text form."""
    cosigned = witness.cosign(NOTE, 1_795_262_400)
    key = WitnessKey.from_text(witness.key.to_text())

    assert open_cosigned(cosigned, [key]) == [(key, 1_795_262_400)]
    assert open_cosigned(NOTE, [key]) == []


@both
@pytest.mark.parametrize(("old", "new"), [("\n3\n", "\n4\n"), ("actum/default\n", "actum/other\n")])
def test_a_cosignature_of_another_checkpoint_is_refused(witness: Witness, old: str, new: str) -> None:
    """The line counts only under the text that the witness signed."""
    with pytest.raises(CheckpointRefused, match=f"of '{witness.key.name}' is wrong"):
        open_cosigned(witness.cosign(NOTE, 5).replace(old, new, 1), [witness.key])


@both
def test_a_changed_time_is_refused(witness: Witness) -> None:
    """The time is signed too."""
    text, signatures = split_note(witness.cosign(NOTE, 5))
    other = split_note(witness.cosign(NOTE, 6))[1][-1]
    forged = signatures[-1]._replace(value=other.value[:8] + signatures[-1].value[8:])
    from actum.events.note import signature_line

    with pytest.raises(CheckpointRefused, match="is wrong"):
        open_cosigned(f"{text}\n{signature_line(*forged.by, forged.value)}", [witness.key])


def test_a_bad_known_one_beside_a_good_one_is_refused() -> None:
    """One wrong signature of a known witness refuses the note, whatever the others say."""
    ed, ml = WITNESSES
    note = ml.cosign(ed.cosign(NOTE, 5), 5)
    line = re.findall(r"^— witness.example/ed .*\n", note, re.MULTILINE)[0]
    bad = note.replace(line, line.replace("A", "B", 5))

    assert len(open_cosigned(note, [ed.key, ml.key])) == 2
    assert len(open_cosigned(bad, [ml.key])) == 1
    with pytest.raises(CheckpointRefused):
        open_cosigned(bad, [ed.key, ml.key])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (KEY.verifier().to_text(), "an ordinary Ed25519 key"),
        (REMORA.replace("da77ade7", "da77ade8"), "states the id"),
        (REMORA[:-4], "has 29 bytes|cut short"),
        ("nothing", "not of the form"),
        ("a+00000000+BQ==", "of type 0x05"),
    ],
)
def test_what_is_no_witness_key_is_refused(text: str, said: str) -> None:
    """Other keys, changed ones and cut ones are refused, saying why."""
    with pytest.raises(CheckpointRefused, match=said):
        WitnessKey.from_text(text)


def test_signatures_of_one_text_go_together() -> None:
    """Lines are added once each, and only to a note of the same text."""
    ed, ml = WITNESSES
    one, two = ed.cosign(NOTE, 5), ml.cosign(NOTE, 6)
    merged = with_signatures(one, two)

    assert len(split_note(merged)[1]) == 3
    assert with_signatures(merged, two) == merged
    with pytest.raises(CheckpointRefused, match="not of the same text"):
        with_signatures(one, two.replace("\n3\n", "\n4\n"))
