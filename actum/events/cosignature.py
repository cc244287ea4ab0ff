"""Cosignatures of outside witnesses (C2SP tlog-cosignature v1): "I saw this log, and it only ever grew". Pure.

A witness adds a signature line to a checkpoint's note. It is Ed25519 (type 0x04) or ML-DSA-44 (type 0x06), and holds
the time at which the witness signed. All refusals are `CheckpointRefused`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NamedTuple

from actum.errors import CheckpointRefused
from actum.events.checkpoint import Checkpoint, parse_unverified
from actum.events.note import base64_bytes, base64_text, name_problem, split_note

__all__ = ["Cosignature", "WitnessKey", "cosigned_message", "open_cosigned"]

_ED25519: Final = 0x04
_ML_DSA_44: Final = 0x06
_SIZES: Final = {_ED25519: (32, 64), _ML_DSA_44: (1312, 2420)}  # type: bytes of public key and signature
_NAMES: Final = {_ED25519: "Ed25519", _ML_DSA_44: "ML-DSA-44"}


@dataclass(frozen=True)
class WitnessKey:
    """The public key of a witness. It is only as good as the way it reached the verifier."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        problem = name_problem(self.name)
        if problem:
            raise CheckpointRefused("witness key", f"the name {self.name!r} {problem}")
        if len(self.public) not in (32, 1312):
            raise CheckpointRefused(
                "witness key", f"is {len(self.public)} bytes; an Ed25519 key is 32, an ML-DSA-44 key 1,312"
            )

    @property
    def type(self) -> int:
        """The signature type of the C2SP registry."""
        return _ED25519 if len(self.public) == 32 else _ML_DSA_44

    @property
    def algorithm(self) -> str:
        return _NAMES[self.type]

    @property
    def id(self) -> bytes:
        """The 4 bytes that say in a note which key signed."""
        return sha256(self.name.encode() + b"\n" + bytes([self.type]) + self.public).digest()[:4]

    def to_text(self) -> str:
        """The key as one line: `name+id+base64`."""
        return f"{self.name}+{self.id.hex()}+{base64_text(bytes([self.type]) + self.public)}"

    @classmethod
    def from_text(cls, text: str) -> WitnessKey:
        """Read a verifier key of type 0x04 or 0x06. Surrounding white space is the caller's to strip."""
        name, _, rest = text.partition("+")
        stated, _, encoded = rest.partition("+")
        raw = base64_bytes(encoded)
        if not raw:
            raise CheckpointRefused("witness key", "is not of the form name+id+base64; it was cut short or changed")
        if raw[0] not in _SIZES:
            kind = "an ordinary Ed25519 key (0x01)" if raw[0] == 1 else f"of type {raw[0]:#04x}"
            raise CheckpointRefused(
                "witness key", f"is {kind}; a witness cosigns with 0x04 (Ed25519) or 0x06 (ML-DSA-44)"
            )
        if len(raw) - 1 != _SIZES[raw[0]][0]:
            raise CheckpointRefused("witness key", f"has {len(raw) - 1} bytes, which {_NAMES[raw[0]]} keys have not")
        key = cls(name, raw[1:])
        if key.id.hex() != stated:
            raise CheckpointRefused(
                "witness key", f"states the id {stated}, but name and key give {key.id.hex()}; get it again"
            )
        return key


class Cosignature(NamedTuple):
    """What a known witness said of a checkpoint: that at this time it was the log's largest, and fit all before."""

    by: WitnessKey
    at_s: int
    """Seconds since the epoch by the witness's clock; 0 says nothing about time."""


def open_cosigned(note: str, witnesses: Iterable[WitnessKey]) -> list[Cosignature]:
    """The cosignatures in a checkpoint's note that known witnesses made; unknown ones are ignored.

    A wrong one of a known witness refuses the note, whatever others say. That the log itself signed is not looked at.
    """
    text, signatures = split_note(note)
    checkpoint = parse_unverified(note)
    known = {(key.name, key.id): key for key in witnesses}
    found = []
    for signature in signatures:
        key = known.get(signature.by)
        if key is None:
            continue
        if len(signature.value) != 8 + _SIZES[key.type][1]:
            raise CheckpointRefused(
                "cosignature", f"of {key.name!r} has {len(signature.value)} bytes, the wrong length"
            )
        at_s = int.from_bytes(signature.value[:8], "big")
        if at_s >= 2**63:
            raise CheckpointRefused("cosignature", f"of {key.name!r} states a time beyond 2^63")
        if not _is_signed(key, signature.value[8:], cosigned_message(key, at_s, checkpoint, text)):
            raise CheckpointRefused(
                "cosignature", f"of {key.name!r} is wrong: this checkpoint is not what that witness signed"
            )
        found.append(Cosignature(key, at_s))
    return found


def cosigned_message(key: WitnessKey, at_s: int, checkpoint: Checkpoint, text: str) -> bytes:
    """The bytes that a witness signs. Raises `CheckpointRefused` when a name is too long for them."""
    if key.type == _ED25519:
        return f"cosignature/v1\ntime {at_s}\n{text}".encode()
    name, origin = key.name.encode(), checkpoint.origin.encode()
    if len(name) > 255 or len(origin) > 255:
        raise CheckpointRefused("cosignature", "ML-DSA-44 signs names of at most 255 bytes; one here is longer")
    start, end = (0).to_bytes(8, "big"), checkpoint.size.to_bytes(8, "big")
    named = bytes([len(name)]) + name + at_s.to_bytes(8, "big") + bytes([len(origin)]) + origin
    return b"subtree/v1\n\x00" + named + start + end + checkpoint.root


def _is_signed(key: WitnessKey, signature: bytes, message: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        if key.type == _ED25519:
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

            Ed25519PublicKey.from_public_bytes(key.public).verify(signature, message)
        else:
            from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

            MLDSA44PublicKey.from_public_bytes(key.public).verify(signature, message)
    except InvalidSignature:
        return False
    except (ImportError, UnsupportedAlgorithm) as exc:
        raise CheckpointRefused(
            "cosignature", f"of {key.name!r} is ML-DSA-44, which this `cryptography` has not; upgrade it"
        ) from exc
    return True
