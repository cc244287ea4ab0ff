"""Boxes: how a part of a payload is stored that is kept apart from its header, and how it is read again.

A part goes into its box salted, encrypted under its data key where there is a key ring, and when it is large, into the
blob store; then the box only names the place.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final

from cryptography.exceptions import InvalidTag

from actum.errors import KeyRingRefused, StoreRefused
from actum.events import (
    ERASED,
    PAYLOAD_LIMIT_BYTES,
    FiledEvent,
    NewEvent,
    Part,
    RecordedEvent,
    payload_digest,
)
from actum.events.fields import cut, join
from actum.eventstore.payloads.blobs import BlobStore, blob_name
from actum.eventstore.payloads.data_keys import DataKeys
from actum.eventstore.payloads.subjects import PART_NAMES, PLAIN, SEALED, Box, KeyRow, OpenedEvent, RawPart
from actum.eventstore.protocol import Batch

__all__ = ["KEPT_APART", "BoxedEvent", "Boxes", "is_plain"]

KEPT_APART: Final = b'"digest":"hmac-sha256:'
"""In the header of every event with a payload; if none lies beside it, it is kept apart, or was erased."""

_SALT: Final = 32
_FIELDS: Final = tuple(field.name for field in fields(NewEvent))


@dataclass(slots=True)
class BoxedEvent(FiledEvent):
    """An event whose parts are ready to be stored."""

    boxes: tuple[Box, ...] = ()


def is_plain(batch: Batch) -> bool:
    """Whether nothing of the batch is to be kept apart; a batch that is none is plain too, and refused elsewhere."""
    try:
        for append in batch:
            for event in append[2]:
                payload = event.payload
                if payload is not None and (
                    event.key is not None or event.personal or len(payload) > PAYLOAD_LIMIT_BYTES
                ):
                    return False
    except (AttributeError, TypeError):
        pass  # no event at all, or no payload
    return True


class Boxes:
    """Puts parts into boxes and takes them out again, for one tenant."""

    def __init__(self, url: str, tenant: str, blobs: BlobStore | None, keys: DataKeys) -> None:
        self._url = url
        self._tenant = tenant
        self._blobs = blobs
        self._keys = keys

    def pack(self, event: NewEvent, known: Mapping[str, KeyRow], places: list[str]) -> NewEvent:
        """The event with its parts in boxes, or as it was when it is plain; `places` gets those of its blobs.

        A part under a key that is destroyed has no box: it is erased before it is stored.
        """
        payload = event.payload
        if payload is None or (event.key is None and not event.personal and len(payload) <= PAYLOAD_LIMIT_BYTES):
            return event
        rest, personal = payload, None
        if event.personal:
            rest, personal = cut(payload, event.personal, event.type)
        key_of_rest = None if event.personal else event.key
        parts = [Part("payload", key_of_rest, os.urandom(_SALT), rest)]
        if personal is not None:
            parts.append(Part("personal", event.key, os.urandom(_SALT), personal))
        boxed = BoxedEvent(**{name: getattr(event, name) for name in _FIELDS}, parts=tuple(parts))
        boxed.boxes = tuple(
            self._box(boxed.id, part, places)
            for part in parts
            if part.key is None or known[part.key].destroyed_at is None
        )
        return boxed

    def _box(self, event_id: str, part: Part, places: list[str]) -> Box:
        data, form, number = part.salt + part.data, PLAIN, PART_NAMES.index(part.name)
        sealed = None if part.key is None else self._keys.seal(part.key, event_id, number, data)
        if sealed is not None:
            data, form = sealed, SEALED
        if self._blobs is None or len(part.data) <= PAYLOAD_LIMIT_BYTES:
            return Box(number, part.key, form, data, None)
        place = payload_digest(part.salt, part.data).removeprefix("hmac-sha256:")
        places.append(place)
        self._blobs.put(blob_name(self._tenant, place), data)
        return Box(number, part.key, form, None, place)

    def opened(self, event: RecordedEvent, boxes: Sequence[Box], known: Mapping[str, KeyRow]) -> RecordedEvent:
        """The event with what is in its boxes; what cannot be read is said in it, not raised."""
        parts = {part.name: part for part in self.parts(event.id, boxes, known)}
        wanted = [name for name in PART_NAMES if name in event.head]
        problems = [parts[name].problem if name in parts else ERASED for name in wanted]
        payload, personal = parts.get("payload"), parts.get("personal")
        data = None if payload is None else payload.data
        if data is not None and personal is not None and personal.data is not None:
            data = join(data, personal.data)
        return OpenedEvent(event, data, next(filter(None, problems), None), tuple(parts.values()))

    def parts(
        self, event_id: str, boxes: Sequence[Box], known: Mapping[str, KeyRow], *, doomed: bool = False
    ) -> Iterator[RawPart]:
        """What is in the boxes; with `doomed` also that there is one under a key that is destroyed."""
        for box in boxes:
            name = PART_NAMES[box.part]
            row = None if box.key is None else known.get(box.key)
            if box.key is not None and (row is None or row.destroyed_at is not None):
                if doomed:  # it is on its way out
                    yield RawPart(name, box, None, None, "is there, though its data key is destroyed", True)
                continue
            try:
                inside, problem = self._inside(event_id, box, row)
            except (KeyRingRefused, StoreRefused) as exc:
                yield RawPart(name, box, None, None, f"cannot be read: {exc}", False)
                continue
            if inside is None:
                yield RawPart(name, box, None, None, problem, True)
            else:
                yield RawPart(name, box, inside[:_SALT], inside[_SALT:], None, False)

    def _inside(self, event_id: str, box: Box, row: KeyRow | None) -> tuple[bytes | None, str]:
        """Salt and part; or None, and what is wrong with the box."""
        data = box.data
        if box.place is not None:
            blobs = self.blobs()
            data = blobs.get(blob_name(self._tenant, box.place))
            if data is None:
                return None, f"is missing: there is no blob {box.place} in {blobs.url}"
        where = "its row" if box.place is None else f"the blob {box.place}"
        if not isinstance(data, bytes) or len(data) < _SALT:
            return None, f"was changed: {where} is not what was written"
        if box.form == PLAIN:
            return data, ""
        if row is None or row.wrapped is None:
            return None, f"was changed: {where} is under no data key"
        try:
            return self._keys.unseal(row, event_id, box.part, data), ""
        except InvalidTag:
            return None, f"was changed: {where} is not what was encrypted"

    def remove_blob(self, place: str) -> None:
        """Remove one that is there, or is gone already."""
        self.blobs().delete(blob_name(self._tenant, place))

    def blobs(self) -> BlobStore:
        """Where large payloads are; `StoreRefused` when no place is set."""
        if self._blobs is None:
            raise StoreRefused(self._url, "refers to large payloads in a place that is not set (ACTUM_BLOBS)")
        return self._blobs
