"""A witness who cosigns checkpoints, with both kinds of key. It checks nothing: tests say what it saw."""

from __future__ import annotations

from actum.events.checkpoint import parse_unverified
from actum.events.cosignature import WitnessKey, cosigned_message
from actum.events.note import signature_line, split_note

__all__ = ["Witness"]


class Witness:
    """The key of this seed: ML-DSA-44 unless Ed25519 is asked for."""

    def __init__(self, name: str, seed: bytes, *, ed25519: bool = False) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

        self._secret: Ed25519PrivateKey | MLDSA44PrivateKey
        if ed25519:
            self._secret = Ed25519PrivateKey.from_private_bytes(seed)
        else:
            self._secret = MLDSA44PrivateKey.from_seed_bytes(seed)
        self.key = WitnessKey(name, self._secret.public_key().public_bytes_raw())

    def cosign(self, note: str, at_s: int) -> str:
        """The note with this witness's line."""
        message = cosigned_message(self.key, at_s, parse_unverified(note), split_note(note)[0])
        return note + signature_line(self.key.name, self.key.id, at_s.to_bytes(8, "big") + self._secret.sign(message))
