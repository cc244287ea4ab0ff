"""One event's offline proof as a text (C2SP tlog-proof): its index, the audit path, and a signed checkpoint. Pure.

`docs/formats/proof.md` is the normative description. All refusals are `CheckpointRefused`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from actum.errors import CheckpointRefused
from actum.events.checkpoint import Checkpoint, VerifierKey, parse_unverified
from actum.events.envelope import leaf_hash
from actum.events.epoch import verify_of
from actum.events.merkle import verify_inclusion
from actum.events.note import base64_bytes, base64_text

__all__ = ["TlogProof", "verify_event"]

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


def verify_event(proof: TlogProof, header: bytes, vkeys: Iterable[VerifierKey], *, origin: str) -> Checkpoint:
    """The signed checkpoint that has this header at the proof's index.

    Raises `CheckpointRefused` when no known key signed the checkpoint, when it is of another log than `origin` (in
    whichever epoch), and when this header is not at that place of it.
    """
    checkpoint = verify_of(origin, proof.note, vkeys)
    if not verify_inclusion(leaf_hash(header), proof.index, checkpoint.size, proof.path, checkpoint.root):
        raise CheckpointRefused(
            "proof",
            f"does not show these bytes at index {proof.index} of the log of {checkpoint.size} events: "
            "the header, the path or the checkpoint is another one's",
        )
    return checkpoint
