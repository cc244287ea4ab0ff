"""Proving payloads: each against its event's header, and each that is missing against the word of its erasure. Pure."""

from __future__ import annotations

import hmac
from typing import Any, Final

from actum.eventstore.check.erasures import Gone
from actum.eventstore.check.verdict import Check, Faults, count
from actum.eventstore.custody.holds import Piece, pieces_of
from actum.eventstore.floor import stays
from actum.eventstore.payloads.subjects import PART_NAMES, Parts
from actum.eventstore.protocol import RawEvent

__all__ = ["PayloadScan"]

_WHAT: Final = {"payload": "its payload", "personal": "the personal part of its payload"}


class PayloadScan:
    """Takes payloads in the order of the log, and collects what is wrong with them."""

    def __init__(self, rebuilt: int = 0, gone: Gone | None = None) -> None:
        """`rebuilt`: personal payloads before this position were lost, and the log says so."""
        self._rebuilt = rebuilt
        self.gone = gone or Gone()
        self.faults = Faults("payloads")
        self.count = 0
        self.left_behind = 0
        """Payloads that did not come back from the archive, since they never leave their store."""
        self.unread = 0
        """Payloads, or parts of them, that cannot be read here, so that nothing can be said about them."""
        self.why_unread = ""

    def look(self, row: RawEvent, stream: str, version: int, head: dict[str, Any]) -> None:
        """Check the payload of an event with this header, which is at this place as far as anybody can say."""
        salt, payload, about = row.salt, row.payload, head.get("payload")

        def bad(reason: str) -> None:
            self.faults.at(row.position, stream, version, reason)

        pieces = _pieces(row.position, head)
        if isinstance(payload, tuple):
            self._parts(row, stream, version, head, payload, pieces)
            return
        if about is None:
            if salt is not None or payload is not None:
                bad("it has a payload that its header does not know")
            return
        if not isinstance(about, dict) or not {"digest", "size"} <= about.keys() or not pieces:
            bad("its header does not say what its payload is")
            return
        if payload is None:
            missing = list(pieces.values())
            if row.position < self._rebuilt and _stays(head):
                explained = [piece for piece in missing if self.gone.explains(piece)]
                self.left_behind += len(explained) < len(missing)
                missing = explained
            for piece in missing:
                self.gone.missing(piece, version, self.faults)
            return
        self.count += 1
        if "personal" in pieces:  # the rest was put where whole ones lie
            self.gone.missing(pieces["personal"], version, self.faults)
        problem = self.gone.there(pieces["payload"])
        if problem is not None:
            bad(problem)
        elif not isinstance(payload, bytes) or not isinstance(salt, bytes) or len(salt) != 32:
            bad("its payload or salt is not stored as bytes of the right length")
        elif "hmac-sha256:" + hmac.digest(salt, payload, "sha256").hex() != about["digest"]:
            bad("its payload or salt was changed: they do not give the digest in its header")
        elif len(payload) != about["size"]:
            bad(f"its payload has {len(payload)} bytes, its header says {about['size']!r}")

    def _parts(
        self, row: RawEvent, stream: str, version: int, head: dict[str, Any], parts: Parts, pieces: dict[str, Piece]
    ) -> None:
        """A payload that is kept apart from its header: each part of it against what the header says of that part."""

        def bad(reason: str) -> None:
            self.faults.at(row.position, stream, version, reason)

        self.count += 1
        there = {part.name: part for part in parts}
        for name in (name for name in PART_NAMES if name in head or name in there):
            about, part, what = head.get(name), there.get(name), _WHAT[name]
            if not isinstance(about, dict) or not {"digest", "size"} <= about.keys() or name not in pieces:
                bad(f"it has {what} that its header does not know")
            elif part is None:
                self.gone.missing(pieces[name], version, self.faults)
            elif (problem := self.gone.there(pieces[name])) is not None:
                bad(problem)
            elif part.box.key != about.get("key"):
                bad(f"{what} is under the data key {part.box.key}, its header says {about.get('key')}")
            elif part.problem is not None and part.wrong:
                bad(f"{what} {part.problem}")
            elif part.salt is None or part.data is None:
                self.unread += 1
                self.why_unread = self.why_unread or f"position {row.position}: {what} {part.problem}"
            elif "hmac-sha256:" + hmac.digest(part.salt, part.data, "sha256").hex() != about["digest"]:
                bad(f"{what} or its salt was changed: they do not give the digest in its header")
            elif len(part.data) != about["size"]:
                bad(f"{what} has {len(part.data)} bytes, its header says {about['size']!r}")

    def join(self, other: PayloadScan) -> None:
        """Go on with what was found of the stretch that comes next."""
        self.count += other.count
        self.left_behind += other.left_behind
        self.unread += other.unread
        self.why_unread = self.why_unread or other.why_unread
        self.gone.join(other.gone)

    def check(self) -> Check:
        """What was found; not ok and not failed when some could not be read here."""
        told = self.gone.told()
        if self.unread and self.faults.count == 0:
            of = f"{self.unread:,} of {count(self.count, 'payload')}"
            return Check("payloads", None, f"not checked: {of} cannot be read here ({self.why_unread}){told}")
        return self.faults.check(f"{count(self.count, 'payload')}, each giving the digest in its header{told}")


def _pieces(position: int, head: dict[str, Any]) -> dict[str, Piece]:
    try:
        pieces: dict[str, Piece] = {piece.part: piece for piece in pieces_of(position, head)}
    except (LookupError, TypeError, AttributeError):
        return {}
    said = [value for piece in pieces.values() for value in piece[1:]]
    return pieces if all(value is None or type(value) is str for value in said) else {}


def _stays(head: dict[str, Any]) -> bool:
    try:
        return stays(head)
    except (LookupError, TypeError):
        return False
