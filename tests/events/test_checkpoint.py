"""Signed notes and checkpoints: the public vectors, and that nothing else than the exact format is read."""

from __future__ import annotations

import base64
import subprocess
import sys

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from actum.errors import CheckpointRefused
from actum.events.checkpoint import (
    Checkpoint,
    SigningKey,
    VerifierKey,
    open_note,
    parse_unverified,
    sign,
    sign_note,
    verify,
)
from actum.events.merkle import EMPTY_ROOT

# The example of Go's golang.org/x/mod/sumdb/note, from its documentation.
GO_SECRET = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_LINE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
GO_NOTE = f"{GO_TEXT}\n{GO_LINE}"

# The example of https://c2sp.org/tlog-checkpoint; its key is not published.
C2SP_NOTE = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)

ORIGIN = "actum/default"
KEY = SigningKey.generate(ORIGIN, seed=bytes(range(32)))
OTHER = SigningKey.generate("witness.example/w1", seed=bytes(range(1, 33)))
ROOT = bytes(range(32))
HEAD = Checkpoint(ORIGIN, 1842, ROOT)
NOTE = sign(HEAD, KEY)

names = st.from_regex(r"[a-z0-9./é世-]{1,20}", fullmatch=True)


# -- public vectors -----------------------------------------------------------------------------------------


def test_gos_note_verifies() -> None:
    """The note that Go's package documents is read, with the key it documents."""
    assert open_note(GO_NOTE, [VerifierKey.from_text(GO_VKEY)]) == GO_TEXT


def test_gos_key_signs_gos_note() -> None:
    """Signing the same text with the same key gives Go's note to the byte, and both keys their text."""
    key = SigningKey.from_text(GO_SECRET)

    assert sign_note(GO_TEXT, key) == GO_NOTE
    assert key.to_text() == GO_SECRET
    assert key.verifier().to_text() == GO_VKEY


def test_the_checkpoint_of_the_specification_is_read() -> None:
    """The example of the C2SP specification parses, and its parts write the same body again."""
    checkpoint = parse_unverified(C2SP_NOTE)

    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert C2SP_NOTE.startswith(checkpoint.body() + "\n— ")


# -- what verify believes -----------------------------------------------------------------------------------


@forall(
    names,
    st.integers(1, 2**63 - 1),
    st.binary(min_size=32, max_size=32),
    names,
    st.binary(min_size=32, max_size=32),
)
def test_what_was_signed_is_read_back(origin: str, size: int, root: bytes, name: str, seed: bytes) -> None:
    """For every checkpoint and key, the signed note verifies with the key's public text and says the same."""
    key = SigningKey.generate(name, seed=seed)
    checkpoint = Checkpoint(origin, size, root)
    note = sign(checkpoint, SigningKey.from_text(key.to_text()))

    assert verify(note, [VerifierKey.from_text(key.verifier().to_text())], origin=origin) == checkpoint
    assert parse_unverified(note) == checkpoint


@forall(st.lists(st.sampled_from(["", "a", "— b c", "世界"]), min_size=1).map(lambda lines: "\n".join(lines) + "\n"))
def test_any_text_survives_a_note(text: str) -> None:
    """A text with empty lines, or with lines that look like signatures, is given back as it was."""
    assert open_note(sign_note(text, KEY), [KEY.verifier()]) == text


@pytest.mark.parametrize("at", range(len(NOTE)))
def test_no_changed_character_goes_unseen(at: int) -> None:
    """Whichever single character of a note is changed or left out, the note is refused."""
    for other in ("", "A", "1", "\n", " "):
        if other != NOTE[at]:
            with pytest.raises(CheckpointRefused):
                verify(NOTE[:at] + other + NOTE[at + 1 :], [KEY.verifier()])


def test_signatures_of_strangers_are_ignored() -> None:
    """A witness nobody here knows changes nothing, wherever its line stands and whatever it holds."""
    first, second = sign(HEAD, KEY, OTHER), sign(HEAD, OTHER, KEY)
    junk = f"{NOTE}— someone.example/else {base64.b64encode(bytes(9)).decode()}\n"

    for note in (first, second, junk):
        assert verify(note, [KEY.verifier()]) == HEAD


def test_a_key_of_the_same_name_is_a_stranger() -> None:
    """Name and id together say who signed: another key under the known name is neither known nor wrong."""
    namesake = SigningKey.generate(ORIGIN, seed=bytes(32))

    assert verify(sign(HEAD, namesake, KEY), [KEY.verifier()]) == HEAD
    with pytest.raises(CheckpointRefused, match="no known key signed it"):
        verify(sign(HEAD, namesake), [KEY.verifier()])


def test_a_wrong_signature_of_a_known_key_spoils_the_note() -> None:
    """One known key signed something else: then the good signature beside it does not save the note."""
    line = sign(Checkpoint(ORIGIN, 1843, ROOT), OTHER).splitlines()[-1]
    note = f"{NOTE}{line}\n"

    assert verify(note, [KEY.verifier()]) == HEAD
    with pytest.raises(CheckpointRefused, match=r"signature of 'witness.example/w1' is wrong"):
        verify(note, [KEY.verifier(), OTHER.verifier()])


def test_without_a_known_key_there_is_no_checkpoint() -> None:
    """No keys, or only keys that did not sign: refused, with both sides named and the next step said."""
    with pytest.raises(CheckpointRefused) as refused:
        verify(NOTE, [OTHER.verifier()])

    assert f"{ORIGIN}+{KEY.verifier().id.hex()}" in str(refused.value)
    assert f"{OTHER.name}+{OTHER.verifier().id.hex()}" in str(refused.value)
    assert "get the log's key from its operator" in str(refused.value)
    with pytest.raises(CheckpointRefused, match="known: none"):
        verify(NOTE, [])


def test_a_checkpoint_of_another_log_is_refused() -> None:
    """Well signed, but of another origin than was asked for, is not the checkpoint that was asked for."""
    with pytest.raises(CheckpointRefused, match="is of the log 'actum/default', not of 'actum/other'"):
        verify(NOTE, [KEY.verifier()], origin="actum/other")


def test_two_known_keys_that_cannot_be_told_apart_are_refused() -> None:
    """A colliding id, which takes an attacker seconds to find, cannot smuggle in a second key."""
    target = KEY.verifier()

    class Colliding(VerifierKey):
        @property
        def id(self) -> bytes:
            return target.id

    with pytest.raises(CheckpointRefused, match="share an id"):
        verify(NOTE, [target, Colliding(ORIGIN, bytes(32))])
    assert verify(NOTE, [target, target]) == HEAD


# -- one spelling only ----------------------------------------------------------------------------------------

SIGNATURE = NOTE.split("\n\n")[1]
BODY = HEAD.body()
URL_SAFE = base64.urlsafe_b64encode(b"\xff" * 32).decode()
B64 = base64.b64encode(ROOT).decode()


@pytest.mark.parametrize(
    "body",
    [
        f"{ORIGIN}\n01842\n{B64}\n",
        f"{ORIGIN}\n+1842\n{B64}\n",
        f"{ORIGIN}\n-1\n{B64}\n",
        f"{ORIGIN}\n1_842\n{B64}\n",
        f"{ORIGIN}\n١٨٤٢\n{B64}\n",
        f"{ORIGIN}\n 1842\n{B64}\n",
        f"{ORIGIN}\n{2**63}\n{B64}\n",
        f"{ORIGIN}\n{'9' * 5000}\n{B64}\n",
        f"{ORIGIN}\n0\n{B64}\n",
        f"{ORIGIN}\n\n{B64}\n",
        f"{ORIGIN}\n1842\n{B64.rstrip('=')}\n",
        f"{ORIGIN}\n1842\n{B64[:-2]}9=\n",
        f"{ORIGIN}\n1842\n{base64.b64encode(bytes(31)).decode()}\n",
        f"{ORIGIN}\n1842\n{URL_SAFE}\n",
        f"{ORIGIN}\n1842\n{B64} \n",
        f"{ORIGIN}\n1842\n{B64}\nextension\n",
        f"{ORIGIN}\n1842\n",
        f"\n1842\n{B64}\n",
        f"actum default\n1842\n{B64}\n",
        f"actum\u2028default\n1842\n{B64}\n",
        f"actum+default\n1842\n{B64}\n",
    ],
)
def test_a_body_in_any_other_spelling_is_refused(body: str) -> None:
    """Rightly signed or not, a body that is not exactly origin, size and root is no checkpoint."""
    with pytest.raises(CheckpointRefused):
        verify(sign_note(body, KEY), [KEY.verifier()])
    with pytest.raises(CheckpointRefused):
        parse_unverified(sign_note(body, KEY))


@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n",
        BODY,
        f"{BODY}\n",
        f"{BODY}\n{SIGNATURE.rstrip()}",
        f"{BODY}{SIGNATURE}",
        f"{BODY}\n{SIGNATURE}\n",
        f"{BODY}\r\n{SIGNATURE}",
        NOTE.replace("\n", "\r\n"),
        NOTE.replace("—", "-"),
        NOTE.replace("—", "–"),
        NOTE.replace("— ", "—"),
        NOTE.replace("— ", "—  "),
        NOTE.replace("— ", "—\u00a0"),
        NOTE.replace("=\n", "\n"),
        NOTE[:-1] + " \n",
        NOTE + "\0\n",
        NOTE + "a line\n",
        NOTE + "— actum/default AAAAAA==\n",
        NOTE + f"— a+b {base64.b64encode(bytes(68)).decode()}\n",
        NOTE + SIGNATURE * 100,
        "x" * 1_000_001 + NOTE,
        "\ud800" + NOTE,
    ],
)
def test_a_note_in_any_other_spelling_is_refused(note: str) -> None:
    """Other dashes, line ends, white space, missing padding, cuts and floods are refused, never repaired."""
    with pytest.raises(CheckpointRefused):
        verify(note, [KEY.verifier()])


@pytest.mark.parametrize(
    ("origin", "size", "root"),
    [
        ("", 1, ROOT),
        ("two words", 1, ROOT),
        ("a\nb", 1, ROOT),
        ("a+b", 1, ROOT),
        ("a\x00", 1, ROOT),
        (ORIGIN, -1, ROOT),
        (ORIGIN, 2**63, ROOT),
        (ORIGIN, True, ROOT),
        (ORIGIN, 1, ROOT[:31]),
        (ORIGIN, 0, ROOT),
    ],
)
def test_a_checkpoint_that_no_note_can_hold_is_not_made(origin: str, size: int, root: bytes) -> None:
    """What could not be read back is refused before it is signed; so is an empty log with a root."""
    with pytest.raises(CheckpointRefused):
        Checkpoint(origin, size, root)


def test_the_empty_log_has_a_checkpoint() -> None:
    """An interval in which nothing happened, from the start, is signed like any other."""
    empty = Checkpoint(ORIGIN, 0, EMPTY_ROOT)

    assert verify(sign(empty, KEY), [KEY.verifier()]) == empty


@pytest.mark.parametrize("text", ["", "no newline", "tab\t\n", "\ud800\n"])
def test_a_text_that_no_note_can_hold_is_not_signed(text: str) -> None:
    """A text without its newline, with control characters or with invalid Unicode gets an error, not a note."""
    with pytest.raises(CheckpointRefused):
        sign_note(text, KEY)


# -- keys -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not of the form"),
        ("PeterNeumann", "not of the form"),
        (GO_VKEY.replace("c74f20a3", "C74F20A3"), "not of the form"),
        (GO_VKEY.replace("c74f20a3", "c74f20a4"), "states the id c74f20a4, but name and key give c74f20a3"),
        (GO_VKEY.replace("Peter", "Petra"), "states the id c74f20a3"),
        (GO_VKEY[:-4], "33 bytes"),
        (GO_VKEY + "\n", "33 bytes"),
        (f"a+00000000+{base64.b64encode(bytes([4]) * 33).decode()}", "type 0x04"),
        (GO_VKEY.replace("PeterNeumann", "Peter Neumann"), "white space"),
    ],
)
def test_a_damaged_verifier_key_is_refused(text: str, problem: str) -> None:
    """A key that was mistyped, cut or is of another kind is named as such and never used."""
    with pytest.raises(CheckpointRefused, match=problem):
        VerifierKey.from_text(text)


@pytest.mark.parametrize(
    "text", [GO_VKEY, GO_SECRET[:-4], GO_SECRET.replace("c74f20a3", "c74f20a4"), "", GO_SECRET + " "]
)
def test_a_damaged_signing_key_is_refused_without_showing_it(text: str) -> None:
    """The error about a secret key does not hold the secret."""
    with pytest.raises(CheckpointRefused) as refused:
        SigningKey.from_text(text)

    assert "AYEKFALVFGyNhPJEMzD1QIDr" not in str(refused.value)


def test_a_signing_key_does_not_show_its_seed() -> None:
    """Neither `repr` nor an error about its length puts the secret into a log file."""
    secret = b"correct horse battery staple!!!!"

    assert "horse" not in repr(SigningKey.generate("a", seed=secret))
    with pytest.raises(CheckpointRefused) as refused:
        SigningKey.generate("a", seed=secret[:-1])
    assert "horse" not in str(refused.value)


@pytest.mark.parametrize("name", ["", "two words", "a+b", "a\nb", "a\u3000b", "\ud800", "a\x7f+"])
def test_a_name_that_no_signature_line_can_hold_is_refused(name: str) -> None:
    """Key names have no white space, no plus and no control characters, because notes are split at them."""
    with pytest.raises(CheckpointRefused, match="the name"):
        SigningKey.generate(name, seed=bytes(32))
    with pytest.raises(CheckpointRefused, match="the name"):
        VerifierKey(name, bytes(32))


def test_importing_events_imports_neither_cryptography_nor_pydantic() -> None:
    """A workflow that signs nothing does not pay for the libraries that signing and the catalogue need."""
    script = "import sys, actum.events; print([m for m in ('cryptography', 'pydantic') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
