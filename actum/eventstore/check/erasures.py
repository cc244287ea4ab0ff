"""Proving what is missing: each missing payload by the event that says that it was erased, and nothing else missing.

The rule is that of `erasures.py`. An event that the log got while it was being checked counts too.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from actum.errors import ActumError
from actum.eventstore.check.verdict import Faults
from actum.eventstore.custody.erasures import Erasures, read_custody
from actum.eventstore.custody.holds import Piece
from actum.eventstore.protocol import EventStore

__all__ = ["Gone"]

_WHAT: Final = {"payload": "its payload", "personal": "the personal part of its payload"}
_PUT_OFF: Final = 10_000


class _Unexplained(NamedTuple):
    piece: Piece
    version: int


class Gone:
    """What is missing from a log, and the erasures that explain it."""

    def __init__(self, erasures: Erasures | None = None) -> None:
        self.erasures = erasures or Erasures()
        self.until = self.erasures.newest
        """No rule reaches what was recorded at this time or later."""
        self.pieces = 0
        """Payloads, or parts of them, that are missing and that an event says are erased."""
        self._unexplained: list[_Unexplained] = []

    @classmethod
    def read(cls, store: EventStore) -> Gone:
        return cls(_erasures_of(store))

    def reaches_plain(self, position: int, head: dict[str, Any]) -> bool:
        """Whether a payload in one piece, under no key, is to be gone."""
        return self.erasures.reaching_any(position, head)

    def there(self, piece: Piece) -> str | None:
        """What is wrong with this piece being there; None when nothing is."""
        erasure = self.erasures.reaching(piece)
        if erasure is None:
            return None
        return (
            f"{_WHAT[piece.part]} is there, though event {erasure.position} says that it was erased; "
            "`actum erase --finish` completes that"
        )

    def explains(self, piece: Piece) -> bool:
        """Whether an event says that this piece was erased."""
        return self.erasures.reaching(piece) is not None

    def missing(self, piece: Piece, version: int, faults: Faults) -> None:
        """This piece is missing: take it for erased, or for a fault; at the end, where a new event may explain it."""
        if self.explains(piece):
            self.pieces += 1
        elif len(self._unexplained) < _PUT_OFF:
            self._unexplained.append(_Unexplained(piece, version))
        else:
            _unexplained(piece, version, faults)

    def join(self, other: Gone) -> None:
        """Go on with what is missing from the stretch that comes next."""
        self.pieces += other.pieces
        self._unexplained += other._unexplained

    def settle(self, store: EventStore, faults: Faults) -> None:
        """Decide on what was missing without an explanation, by what the log says now."""
        if self._unexplained:
            now = _erasures_of(store)
            for piece, version in self._unexplained:
                if now.reaching(piece) is not None:
                    self.pieces += 1
                else:
                    _unexplained(piece, version, faults)

    def told(self) -> str:
        """For the line of the check: how many are missing rightly."""
        if not self.pieces:
            return ""
        one = self.pieces == 1
        return f"; {self.pieces} {'was' if one else 'were'} erased, as the log says"


def _unexplained(piece: Piece, version: int, faults: Faults) -> None:
    faults.at(
        piece.position, piece.stream, version, f"{_WHAT[piece.part]} is missing, and no event says that it was erased"
    )


def _erasures_of(store: EventStore) -> Erasures:
    try:
        return read_custody(store).erasures
    except (ActumError, LookupError, TypeError, ValueError, AttributeError):
        return Erasures()  # an event of that stream is not what was written: the other checks name it
