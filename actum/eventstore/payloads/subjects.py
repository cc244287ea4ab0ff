"""Data keys and whose they are: what the store keeps outside the log, so that it can be destroyed.

In the log there is only a data key's id. `KeyRows` is what a backend keeps: rows of keys, and the boxes under them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final, NamedTuple, Protocol

from actum.errors import PayloadUnreadable
from actum.events import ERASED, PartName, RecordedEvent

__all__ = [
    "PART_NAMES",
    "PLAIN",
    "SEALED",
    "Box",
    "KeyRow",
    "KeyRows",
    "OpenedEvent",
    "Parts",
    "RawPart",
    "Which",
]

PART_NAMES: Final[tuple[PartName, ...]] = ("payload", "personal")
"""The parts of a payload, by their numbers in the table."""
PLAIN: Final = 0
SEALED: Final = 1
"""The forms of a box."""


class KeyRow(NamedTuple):
    """A data key. When it was destroyed, subject and wrapped key are gone; `wrapped` is None without a key ring too."""

    key: str
    subject: str | None
    wrapped: bytes | None
    created_at: str
    destroyed_at: str | None = None


class Box(NamedTuple):
    """One part of a payload as it is stored: in `data`, or in the blob at `place`.

    `form` PLAIN: salt ‖ part. SEALED: nonce ‖ AES-256-GCM of that under the data key.
    """

    part: int
    key: str | None
    form: int
    data: bytes | None
    place: str | None


class RawPart(NamedTuple):
    """A part of a payload for checking: what is in its box, or why that cannot be said."""

    name: PartName
    box: Box
    salt: bytes | None
    data: bytes | None
    problem: str | None
    """Half a sentence; None when it can be read."""
    wrong: bool
    """Whether the problem is the box's, as against that of who reads."""


Parts = tuple[RawPart, ...]


class OpenedEvent(RecordedEvent):
    """An event of the log whose payload was kept apart. `parts` are what of it could be found."""

    __slots__ = ("_missing", "parts")

    def __init__(self, event: RecordedEvent, payload: bytes | None, missing: str | None, parts: Parts) -> None:
        super().__init__(event.position, event.header, payload)
        self._missing = missing
        self.parts = parts

    @property
    def missing(self) -> str | None:
        return self._missing

    @property
    def impersonal(self) -> bytes | None:
        return next((part.data for part in self.parts if part.name == "payload"), None)

    def value(self) -> Any:
        if self.payload is None and self._missing is not None and self._missing != ERASED:
            raise PayloadUnreadable(self.position, self._missing)
        return super().value()


class Which(NamedTuple):
    """Some of the boxes: all that are under a key, or those of the events at these positions, all or of one part."""

    key: str | None = None
    positions: Collection[int] = ()
    part: int | None = None

    @property
    def beside(self) -> Collection[int]:
        """The positions whose payloads beside their headers are meant too."""
        return self.positions if self.part in (None, 0) else ()


class KeyRows(Protocol):
    """What a backend does for `Protection`. Each call is durable when it returns, and all of it or nothing."""

    def find(self, keys: Collection[str]) -> list[KeyRow]:
        """The rows of these ids, of those that there are."""

    def of(self, subject: str) -> list[KeyRow]:
        """The live keys of a subject."""

    def all(self) -> Iterator[KeyRow]:
        """Every row, destroyed ones too, in the order of making."""

    def add(self, row: KeyRow) -> None:
        """Keep a new key, unless its subject has a live one."""

    def rewrap(self, key: str, before: bytes | None, after: bytes) -> bool:
        """Replace a live key's wrapped form, if it still is `before`."""

    def destroy(self, key: str, at: str) -> bool:
        """Forget the subject and the wrapped key; from then on nothing is kept under it. False for no such key."""

    def places(self, which: Which) -> list[str]:
        """Where the blobs of some boxes are."""

    def in_use(self, places: Collection[str]) -> set[str]:
        """Those of the places to which a box refers."""

    def remains(self, keys: Collection[str]) -> set[str]:
        """Those of these keys that are not destroyed, or under which there still is a box."""

    def remove(self, which: Which) -> int:
        """Remove boxes, and for positions the payloads that lie beside their headers; of how many events."""

    def scrub(self, *, thorough: bool) -> None:
        """As `EventStore.scrub`."""

    def close(self) -> None:
        """Let go of connections of its own."""
