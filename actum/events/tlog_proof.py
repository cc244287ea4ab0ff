"""One event's offline proof as a text (C2SP tlog-proof): its index, the audit path, and a signed checkpoint. Pure.

`docs/formats/proof.md` is the normative description. All refusals are `CheckpointRefused`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from actum.errors import CheckpointRefused, StoreError
from actum.events.checkpoint import Checkpoint, VerifierKey, parse_unverified
from actum.events.envelope import RecordedEvent, leaf_hash
from actum.events.epoch import verify_of
from actum.events.merkle import verify_inclusion
from actum.events.note import base64_bytes, base64_text
from actum.events.rotation import Trust, follow, read_rotation

__all__ = ["TlogProof", "trust_with", "verify_event"]

_FIRST: Final = "c2sp.org/tlog-proof@v1"
_INDEX: Final = re.compile(r"index (0|[1-9][0-9]{0,18})")
_PATH_LIMIT = 63


@dataclass(frozen=True)
class TlogProof:
    """What shows that an entry is in a log. Nothing in it is verified; `extra` never is: anybody can have put it."""

    index: int
    path: tuple[bytes, ...]
    note: str
    """The checkpoint's signed note, with the cosignatures that it had."""
    extra: bytes | None = None

    def to_text(self) -> str:
        """The text, to be kept as `.tlog-proof`."""
        extra = "" if self.extra is None else f"extra {base64_text(self.extra)}\n"
        path = "".join(f"{base64_text(node)}\n" for node in self.path)
        return f"{_FIRST}\n{extra}index {self.index}\n{path}\n{self.note}"

    @classmethod
    def from_text(cls, text: str) -> TlogProof:
        """Read what `to_text`, or another program, wrote."""
        head, blank, note = text.partition("\n\n")
        lines = head.split("\n")
        if not blank or lines[0] != _FIRST:
            raise CheckpointRefused(
                "proof", f"does not begin with {_FIRST!r} and go on to a checkpoint; is it a proof?"
            )
        extra = None
        at = 1
        if len(lines) > at and lines[at].startswith("extra "):
            extra = base64_bytes(lines[at].removeprefix("extra "))
            if extra is None:
                raise CheckpointRefused("proof", "its extra data is not base64")
            at += 1
        match = _INDEX.fullmatch(lines[at]) if len(lines) > at else None
        if match is None:
            raise CheckpointRefused("proof", "does not say at which index: a line like 'index 1842' is missing")
        path = [base64_bytes(line) for line in lines[at + 1 :]]
        if len(path) > _PATH_LIMIT or any(node is None or len(node) != 32 for node in path):
            raise CheckpointRefused("proof", "a line of its path is not the base64 of 32 bytes, or there are too many")
        parse_unverified(note)
        return cls(int(match[1]), tuple(node for node in path if node is not None), note, extra)


def verify_event(proof: TlogProof, header: bytes, keys: Trust | Iterable[VerifierKey], *, origin: str) -> Checkpoint:
    """The signed checkpoint that has this header at the proof's index.

    Raises `CheckpointRefused` when no known key signed the checkpoint, or only one that was not in force at its size,
    when it is of another log than `origin` (in whichever epoch), and when this header is not at that place of it.
    """
    vkeys = keys.keys_at(parse_unverified(proof.note).size) if isinstance(keys, Trust) else keys
    checkpoint = verify_of(origin, proof.note, vkeys)
    if not verify_inclusion(leaf_hash(header), proof.index, checkpoint.size, proof.path, checkpoint.root):
        raise CheckpointRefused(
            "proof",
            f"does not show these bytes at index {proof.index} of the log of {checkpoint.size} events: "
            "the header, the path or the checkpoint is another one's",
        )
    return checkpoint


def trust_with(pinned: Iterable[VerifierKey], rotations: Iterable[TlogProof], *, origin: str) -> Trust:
    """Which keys count when these are trusted: those too with which proved `key.rotated` events connect them.

    Raises `CheckpointRefused` for a proof of another event, of a rotation that both keys did not sign or that is not
    connected with a trusted key, and for one that itself is not proved under a key that counts then.
    """
    proofs = sorted(rotations, key=lambda proof: proof.index)
    found = [read_rotation(proof.index, _facts_of_rotation(proof)) for proof in proofs]
    trust, strangers = follow(pinned, found)
    for rotation in found:
        if rotation in strangers or rotation.origin != origin:
            raise CheckpointRefused(
                "key rotation",
                f"at index {rotation.position} {rotation.old.name}+{rotation.old.id.hex()} hands over, which is not "
                f"connected with a key that was given, or of another log than {origin!r}",
            )
    for proof in proofs:
        verify_event(proof, proof.extra or b"", trust, origin=origin)
    return trust


def _facts_of_rotation(proof: TlogProof) -> dict[str, Any]:
    try:
        event = RecordedEvent(proof.index, proof.extra or b"")
    except StoreError as exc:
        raise CheckpointRefused("key rotation", f"the proof holds no event's header as extra data ({exc})") from exc
    if event.type != "key.rotated":
        raise CheckpointRefused("key rotation", f"the proof is of an event {event.type!r}, not of 'key.rotated'")
    return event.facts
