"""Checkpoints: a tree's size and root, signed. A C2SP tlog-checkpoint in a C2SP signed note, Ed25519.

    actum/default
    1842
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

    — actum/default Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=

`docs/formats/checkpoint.md` is the normative description. Each text has exactly one spelling here: what reads also
refuses every other way of writing the same thing. All refusals are `CheckpointRefused`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from actum.errors import CheckpointRefused
from actum.events.merkle import EMPTY_ROOT
from actum.events.note import (
    base64_bytes,
    base64_text,
    check_characters,
    name_problem,
    signature_line,
    split_note,
)

__all__ = [
    "Checkpoint",
    "SigningKey",
    "VerifierKey",
    "open_note",
    "parse_unverified",
    "sign",
    "sign_note",
    "verify",
]

_ED25519: Final = b"\x01"  # the signature type of the C2SP registry
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_KEY_ID: Final = re.compile(r"[0-9a-f]{8}")


# -- keys ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class VerifierKey:
    """The public half of a signing key. It is only as good as the way it reached the verifier: never the note's own."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        _check_name(self.name, "verifier key")
        if len(self.public) != 32:
            raise CheckpointRefused("verifier key", f"an Ed25519 public key is 32 bytes, not {len(self.public)}")

    @property
    def id(self) -> bytes:
        """The 4 bytes that say in a note which key signed. A hint only: it is too short to tell keys apart safely."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:4]

    def to_text(self) -> str:
        """The key as one line: `name+id+base64`."""
        return f"{self.name}+{self.id.hex()}+{base64_text(_ED25519 + self.public)}"

    @classmethod
    def from_text(cls, text: str) -> VerifierKey:
        """Read what `to_text`, or Go's note package, wrote. Surrounding white space is the caller's to strip."""
        name, stated, key = _split_key(text, "verifier key")
        verifier = cls(name, key)
        _check_id(verifier, stated, "verifier key")
        return verifier


@dataclass(frozen=True)
class SigningKey:
    """An Ed25519 key with the name it signs under. Its text form is a secret; `repr` does not show it."""

    name: str
    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        _check_name(self.name, "signing key")
        if len(self.seed) != 32:
            raise CheckpointRefused("signing key", f"an Ed25519 seed is 32 bytes, not {len(self.seed)}")

    @classmethod
    def generate(cls, name: str, *, seed: bytes) -> SigningKey:
        """The key of this seed: 32 fresh bytes of `os.urandom`, which this pure area does not fetch itself."""
        return cls(name, seed)

    def verifier(self) -> VerifierKey:
        """The public half, to hand out."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return VerifierKey(self.name, Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw())

    def to_text(self) -> str:
        """The secret key as one line: `PRIVATE+KEY+name+id+base64`."""
        return f"PRIVATE+KEY+{self.name}+{self.verifier().id.hex()}+{base64_text(_ED25519 + self.seed)}"

    @classmethod
    def from_text(cls, text: str) -> SigningKey:
        """Read what `to_text`, or Go's note package, wrote. The secret is never part of an error."""
        prefix = "PRIVATE+KEY+"
        if not text.startswith(prefix):
            raise CheckpointRefused("signing key", f"does not start with {prefix!r}; is this the public key?")
        name, stated, seed = _split_key(text[len(prefix) :], "signing key")
        key = cls(name, seed)
        _check_id(key.verifier(), stated, "signing key")
        return key


def _check_name(name: str, what: str) -> None:
    problem = name_problem(name)
    if problem:
        raise CheckpointRefused(what, f"the name {name!r} {problem}; choose one like 'actum/default'")


def _split_key(text: str, what: str) -> tuple[str, str, bytes]:
    parts = text.split("+", 2)  # base64 may hold a plus, so the first two are the separators
    if len(parts) != 3 or not _KEY_ID.fullmatch(parts[1]):
        raise CheckpointRefused(what, "is not of the form name+id+base64, the id being 8 lower-case hex digits")
    name, stated, encoded = parts
    key = base64_bytes(encoded)
    if key is None or len(key) != 33:
        raise CheckpointRefused(what, "does not end in the base64 of 33 bytes; it was cut short or changed")
    if key[:1] != _ED25519:
        raise CheckpointRefused(what, f"is of type {key[0]:#04x}; only Ed25519 (0x01) is read here")
    return name, stated, key[1:]


def _check_id(verifier: VerifierKey, stated: str, what: str) -> None:
    if verifier.id.hex() != stated:
        raise CheckpointRefused(
            what,
            f"states the id {stated}, but name and key give {verifier.id.hex()}; one of them was changed, get it again",
        )


# -- checkpoints ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Checkpoint:
    """What a log was at one moment. Making one proves nothing; `verify` returns one that somebody signed."""

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        problem = name_problem(self.origin)
        if problem:
            raise CheckpointRefused("checkpoint", f"the origin {self.origin!r} {problem}")
        if type(self.size) is not int or not 0 <= self.size < 2**63:
            raise CheckpointRefused("checkpoint", f"the size {self.size!r} is not an integer from 0 to 2^63 - 1")
        if len(self.root) != 32:
            raise CheckpointRefused("checkpoint", f"the root is {len(self.root)} bytes, not 32")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise CheckpointRefused("checkpoint", "the size is 0, but the root is not that of the empty tree")

    def body(self) -> str:
        """The text that is signed: origin, size and root, a line each."""
        return f"{self.origin}\n{self.size}\n{base64_text(self.root)}\n"


def sign(checkpoint: Checkpoint, key: SigningKey, *more: SigningKey) -> str:
    """The checkpoint as a signed note, one signature line per key. Equal arguments give equal notes."""
    return sign_note(checkpoint.body(), key, *more)


def verify(note: str, vkeys: Iterable[VerifierKey], *, origin: str | None = None) -> Checkpoint:
    """The checkpoint in a note that a known key signed; of another origin than asked for, it is refused.

    Signatures of unknown keys are ignored. Raises `CheckpointRefused` when no known key signed, when a signature
    of a known key is wrong (whatever others say), and for anything that is not exactly in the format.
    """
    checkpoint = _parse_body(open_note(note, vkeys))
    if origin is not None and checkpoint.origin != origin:
        raise CheckpointRefused("checkpoint", f"is of the log {checkpoint.origin!r}, not of {origin!r}")
    return checkpoint


def parse_unverified(note: str) -> Checkpoint:
    """What a note claims. Anyone can have written it: find the right key by it, and `verify` before believing it."""
    return _parse_body(split_note(note)[0])


def _parse_body(text: str) -> Checkpoint:
    lines = text.split("\n")
    if len(lines) != 4:
        raise CheckpointRefused(
            "checkpoint", f"has {len(lines) - 1} lines, not the 3 of origin, size and root; extensions are not read"
        )
    origin, size, encoded, _ = lines
    if not _SIZE.fullmatch(size):
        raise CheckpointRefused("checkpoint", f"the size {size[:40]!r} is not a plain decimal number below 2^63")
    root = base64_bytes(encoded)
    if root is None or len(root) != 32:
        raise CheckpointRefused("checkpoint", f"the root {encoded[:60]!r} is not the base64 of 32 bytes")
    return Checkpoint(origin, int(size), root)


# -- signed notes --------------------------------------------------------------------------------------------


def sign_note(text: str, key: SigningKey, *more: SigningKey) -> str:
    """Any text as a signed note. Raises `CheckpointRefused` for a text that no note can hold."""
    check_characters(text)
    if not text.endswith("\n"):
        raise CheckpointRefused("note", "the text does not end in a newline; add one")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    lines = []
    for signer in (key, *more):
        signature = Ed25519PrivateKey.from_private_bytes(signer.seed).sign(text.encode())
        lines.append(signature_line(signer.name, signer.verifier().id, signature))
    return f"{text}\n{''.join(lines)}"


def open_note(note: str, vkeys: Iterable[VerifierKey]) -> str:
    """The text of a note that at least one of these keys signed, and none of them wrongly; raises as `verify` does."""
    text, signatures = split_note(note)
    known: dict[tuple[str, bytes], VerifierKey] = {}
    for vkey in vkeys:
        if known.setdefault((vkey.name, vkey.id), vkey) != vkey:
            raise CheckpointRefused("note", f"two known keys are called {vkey.name!r} and share an id; pass only one")
    believed = [signature for signature in signatures if signature.by in known]
    for signature in believed:
        if not _is_signed(known[signature.by], signature.value, text.encode()):
            raise CheckpointRefused(
                "note", f"the signature of {signature.by[0]!r} is wrong: this text is not what that key signed"
            )
    if not believed:
        raise CheckpointRefused(
            "note",
            f"no known key signed it (signed by {_listed(s.by for s in signatures)}; known: {_listed(known)}); "
            "get the log's key from its operator, not from the note",
        )
    return text


def _listed(keys: Iterable[tuple[str, bytes]]) -> str:
    return ", ".join(sorted({f"{name}+{id_.hex()}" for name, id_ in keys})) or "none"


def _is_signed(vkey: VerifierKey, signature: bytes, signed: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(vkey.public).verify(signature, signed)
    except InvalidSignature:
        return False
    return True
