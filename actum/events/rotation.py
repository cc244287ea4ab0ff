"""Key rotation: an event in the log that the old and the new signing key both signed. Pure.

Whoever has pinned a key follows the rotations to the one in force; nobody has to hand out the new key. From the
position of the event on, only the new key's signatures count: a key stolen after its time signs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from actum.errors import CheckpointRefused
from actum.events.checkpoint import SigningKey, VerifierKey
from actum.events.note import base64_bytes, base64_text

__all__ = ["Rotation", "Trust", "follow", "is_signed_by", "read_rotation", "rotation_facts", "sign_text"]

_WHAT = "key rotation"


class Rotation(NamedTuple):
    """At this position of the log, the old key handed over to the new one, and both signed that."""

    position: int
    origin: str
    old: VerifierKey
    new: VerifierKey


def rotation_facts(origin: str, old: SigningKey, new: SigningKey) -> dict[str, Any]:
    """The facts of the `key.rotated` event."""
    text = _text(origin, old.verifier().to_text(), new.verifier().to_text())
    return {
        "origin": origin,
        "old": old.verifier().to_text(),
        "new": new.verifier().to_text(),
        "old_signature": base64_text(sign_text(old, text)),
        "new_signature": base64_text(sign_text(new, text)),
    }


def read_rotation(position: int, facts: Mapping[str, Any]) -> Rotation:
    """The rotation that an event states. Raises `CheckpointRefused`, saying who did not sign, unless both keys did."""
    origin, old, new = (str(facts.get(name, "")) for name in ("origin", "old", "new"))
    keys = {"old": VerifierKey.from_text(old), "new": VerifierKey.from_text(new)}
    text = _text(origin, old, new)
    wrong = [
        f"the {which} key {key.name}+{key.id.hex()}"
        for which, key in keys.items()
        if not is_signed_by(key, base64_bytes(str(facts.get(f"{which}_signature", ""))), text)
    ]
    if wrong:
        signed = "neither key signed it" if len(wrong) == 2 else f"it is signed by only one key: {wrong[0]} did not"
        raise CheckpointRefused(_WHAT, f"{signed}; a rotation counts only with the signatures of both")
    return Rotation(position, origin, keys["old"], keys["new"])


class Trust(NamedTuple):
    """Which keys count for which sizes of the log."""

    spans: Mapping[VerifierKey, tuple[int, int | None]]
    """Each trusted key, with the first size it may sign and the last; None for a key in force."""

    def keys_at(self, size: int) -> list[VerifierKey]:
        """The trusted keys that may sign a checkpoint of this size."""
        return [key for key, (first, last) in self.spans.items() if first <= size and (last is None or size <= last)]

    def named(self) -> str:
        """The names and ids of all trusted keys."""
        return ", ".join(sorted(f"{key.name}+{key.id.hex()}" for key in self.spans))


def follow(pinned: Iterable[VerifierKey], rotations: Sequence[Rotation]) -> tuple[Trust, list[Rotation]]:
    """Who is trusted when these keys are: the successors of each, and its predecessors up to their end.

    Both keys signed each hand-over, so trust goes either way. Also given are the rotations that lead neither to a
    trusted key nor away from one that was in force: somebody else's, which count for nothing.
    """
    spans: dict[VerifierKey, tuple[int, int | None]] = {}
    strangers = list(rotations)
    for pin in pinned:
        chain = _chain(pin, rotations)
        first = 0
        for rotation in chain:
            spans[rotation.old] = (first, rotation.position)
            first = rotation.position + 1
        spans[chain[-1].new if chain else pin] = (first, None)
        strangers = [rotation for rotation in strangers if rotation not in chain]
    return Trust(spans), strangers


def _chain(pin: VerifierKey, rotations: Sequence[Rotation]) -> list[Rotation]:
    """The hand-overs from the first key before this one to the last after it. No key comes back into force."""
    rotations = _without_returns(rotations)
    chain: list[Rotation] = []
    seen, key = {pin}, pin
    for rotation in reversed(rotations):
        if rotation.new == key and rotation.old not in seen:
            chain.insert(0, rotation)
            key = rotation.old
            seen.add(key)
    since, key = chain[-1].position if chain else -1, pin
    for rotation in rotations:
        if rotation.old == key and rotation.new not in seen and rotation.position > since:
            chain.append(rotation)
            key = rotation.new
            seen.add(key)
    return chain


def _without_returns(rotations: Sequence[Rotation]) -> list[Rotation]:
    known: set[VerifierKey] = set()
    onward = []
    for rotation in rotations:
        if rotation.new not in known and rotation.new != rotation.old:
            onward.append(rotation)
        known |= {rotation.old, rotation.new}
    return onward


def _text(origin: str, old: str, new: str) -> bytes:
    # The first line has spaces and the second is no number: neither can be read as a checkpoint.
    return f"actum key rotation v1\norigin {origin}\nold {old}\nnew {new}\n".encode()


def sign_text(key: SigningKey, text: bytes) -> bytes:
    """An Ed25519 signature of a text that is no note. Its first line must be one that no checkpoint can have."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(key.seed).sign(text)


def is_signed_by(key: VerifierKey, signature: bytes | None, text: bytes) -> bool:
    """Whether this is the key's signature of the text."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature or b"", text)
    except InvalidSignature:
        return False
    return True
