"""Payloads that are kept apart: under a data key, or in two parts, or in the blob store. The same for every backend.

Before an append they are filed: cut, salted, encrypted, and the large ones put into the blob store. What is left for
the backend is to write the boxes in the transaction of the events, but none under a key that is destroyed by then.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple
from uuid import uuid4

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from actum.errors import BadInput, KeyRingRefused, StoreRefused, StoreUnavailable
from actum.events import (
    ERASED,
    PAYLOAD_LIMIT_BYTES,
    FiledEvent,
    NewEvent,
    Part,
    PartName,
    RecordedEvent,
    payload_digest,
    to_text,
)
from actum.events.fields import cut, join
from actum.eventstore.blobs import BLOB_LIMIT_BYTES, BlobStore, FolderBlobs, blob_name, open_blobs
from actum.eventstore.expected import check_batch
from actum.eventstore.key_ring import KeyRing, open_key_ring
from actum.eventstore.protocol import Append, Appended, Batch
from actum.eventstore.subjects import (
    PART_NAMES,
    PLAIN,
    SEALED,
    Box,
    KeyRow,
    KeyRows,
    OpenedEvent,
    Parts,
    RawPart,
    Which,
)
from actum.eventstore.writer import deliver

__all__ = ["KEPT_APART", "BoxedEvent", "Protected", "Protection", "Vault", "is_plain", "open_vault"]

KEPT_APART: Final = b'"digest":"hmac-sha256:'
"""In the header of every event with a payload; if none lies beside it, it is kept apart, or was erased."""

_SALT: Final = 32
_NONCE: Final = 12
_KEPT_OPEN: Final = 10_000  # data keys in memory
_SUBJECT_LIMIT: Final = 512
_FIELDS: Final = tuple(field.name for field in fields(NewEvent))


class Vault(NamedTuple):
    """What the settings say about payloads: who wraps data keys, and where large payloads go."""

    ring: KeyRing | None = None
    blobs: BlobStore | None = None

    def or_in(self, folder: Path) -> Vault:
        """With this folder for large payloads where no other place is named."""
        return self if self.blobs is not None else self._replace(blobs=FolderBlobs(folder))

    def names(self) -> tuple[str, str]:
        """What `open_vault` opens the same from, in another process too."""
        return self.ring.url if self.ring else "", self.blobs.url if self.blobs else ""


def open_vault(keys: str = "", blobs: str = "") -> Vault:
    """The key ring and the place for large payloads that these name; none for what is empty."""
    return Vault(open_key_ring(keys) if keys else None, open_blobs(blobs) if blobs else None)


@dataclass(slots=True)
class BoxedEvent(FiledEvent):
    """An event whose parts are ready to be stored."""

    boxes: tuple[Box, ...] = ()


class Filing(NamedTuple):
    """A batch with its parts in boxes, and where the blobs are that were written for it."""

    batch: Batch
    blobs: Sequence[str]


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


class Protection:
    """One tenant's data keys and blobs. `open_rows` is called when something is kept apart for the first time."""

    def __init__(
        self, url: str, tenant: str, vault: Vault, open_rows: Callable[[], KeyRows], clock: Callable[[], int]
    ) -> None:
        self._url = url
        self._tenant = tenant
        self.vault = vault
        self._ring, self._blobs = vault
        self._open_rows = open_rows
        self._clock = clock
        self._data_keys: dict[str, bytes] = {}

    @cached_property
    def _rows(self) -> KeyRows:
        return self._open_rows()

    def close(self) -> None:
        """Let go of what `open_rows` gave."""
        if "_rows" in self.__dict__:
            self._rows.close()

    @property
    def limit_bytes(self) -> int:
        """The largest payload that the store takes."""
        return PAYLOAD_LIMIT_BYTES if self._blobs is None else BLOB_LIMIT_BYTES

    # -- appending -----------------------------------------------------------------------------------------------

    def append(self, batch: Batch, write: Callable[[Batch], Appended]) -> Appended:
        """File the batch and write it; when it is refused, its blobs are removed again."""
        filing = self.file(batch)
        try:
            answer = write(filing.batch)
        except StoreUnavailable:
            raise  # the events may be there, so what they refer to stays
        except BaseException:
            self.take_back(filing)
            raise
        self._settle(filing)
        return answer

    def append_soon(
        self,
        batch: Batch,
        done: Callable[[Appended | Exception], None],
        write: Callable[[Batch, Callable[[Appended | Exception], None]], None],
    ) -> None:
        """The same without waiting for the write. Filing is done here and now."""
        try:
            check_batch(batch, self.limit_bytes)
        except Exception:  # noqa: BLE001 - the writer finds the same, and answers it in its turn
            write(batch, done)
            return
        try:
            filing = self.file(batch)
        except Exception as exc:  # noqa: BLE001 - it is the answer
            deliver(done, exc)
            return

        def settled(answer: Appended | Exception) -> None:
            try:
                if isinstance(answer, Appended):
                    self._settle(filing)
                elif not isinstance(answer, StoreUnavailable):
                    self.take_back(filing)
            finally:
                done(answer)

        write(filing.batch, settled)

    def file(self, batch: Batch) -> Filing:
        """The batch with its parts in boxes; the blobs are durable. Raises, and then nothing is left behind."""
        check_batch(batch, self.limit_bytes)
        keys = {event.key for _, _, events, _ in batch for event in events if event.key and event.payload is not None}
        known = self._find(keys)
        for key in keys - known.keys():
            raise BadInput(f"there is no data key {key!r} in {self._url}; nothing was written. `key_for` gives one.")
        blobs: list[str] = []
        try:
            filed = [
                Append(stream, expected, [self._boxed(event, known, blobs) for event in events], views)
                for stream, expected, events, views in batch
            ]
        except BaseException:
            self.take_back(Filing(batch, blobs))
            raise
        return Filing(filed, blobs)

    def _boxed(self, event: NewEvent, known: Mapping[str, KeyRow], blobs: list[str]) -> NewEvent:
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
            self._box(boxed.id, part, blobs)
            for part in parts
            if part.key is None or known[part.key].destroyed_at is None
        )
        return boxed

    def _box(self, event_id: str, part: Part, blobs: list[str]) -> Box:
        data, form, number = part.salt + part.data, PLAIN, PART_NAMES.index(part.name)
        data_key = None if part.key is None else self._data_key_for_writing(part.key)
        if part.key is not None and data_key is not None:
            nonce = os.urandom(_NONCE)
            data = nonce + AESGCM(data_key).encrypt(nonce, data, self._context(part.key, event_id, number))
            form = SEALED
        if self._blobs is None or len(part.data) <= PAYLOAD_LIMIT_BYTES:
            return Box(number, part.key, form, data, None)
        place = payload_digest(part.salt, part.data).removeprefix("hmac-sha256:")
        blobs.append(place)
        self._blobs.put(blob_name(self._tenant, place), data)
        return Box(number, part.key, form, None, place)

    def _settle(self, filing: Filing) -> None:
        """Remove blobs that the append did not need: it had been recorded before, or a key is destroyed."""
        if filing.blobs:
            used = self._rows.in_use(filing.blobs)
            self.take_back(filing._replace(blobs=[place for place in filing.blobs if place not in used]))

    def take_back(self, filing: Filing) -> None:
        """Remove the blobs of an append that was refused. What cannot be removed now is left to `sweep_blobs`."""
        for place in filing.blobs:
            with suppress(StoreRefused):
                self._blobs_or_refuse().delete(blob_name(self._tenant, place))

    # -- data keys -----------------------------------------------------------------------------------------------

    def _find(self, keys: Collection[str]) -> dict[str, KeyRow]:
        return {row.key: row for row in self._rows.find(keys)} if keys else {}

    def _data_key_for_writing(self, key: str) -> bytes | None:
        """The data key; None when nothing is encrypted here."""
        data_key = self._data_keys.get(key)
        if data_key is not None:
            return data_key
        for row in self._rows.find([key]):
            if row.destroyed_at is not None:
                return None  # what is filed now is dropped by the write
            if row.wrapped is not None:
                return self._unwrapped(row)
            if self._ring is None:
                return None
            fresh = os.urandom(32)  # the key was made when there was no key ring
            if self._rows.rewrap(key, None, self._ring.wrap(fresh, self._tenant, key)):
                self._data_keys[key] = fresh
                return fresh
        return self._data_key_for_writing(key)

    def _unwrapped(self, row: KeyRow) -> bytes:
        data_key = self._data_keys.get(row.key)
        if data_key is None:
            assert row.wrapped is not None
            if self._ring is None:
                raise KeyRingRefused("no key ring", row.key, "is wrapped, and no key ring is set (ACTUM_KEY_RING)")
            data_key = self._ring.unwrap(row.wrapped, self._tenant, row.key)
            if len(self._data_keys) >= _KEPT_OPEN:
                self._data_keys.clear()
            self._data_keys[row.key] = data_key
        return data_key

    def _context(self, key: str, event_id: str, number: int) -> bytes:
        return f"{self._tenant}\n{key}\n{event_id}\n{number}".encode()

    def key_for(self, subject: str) -> str:
        if not subject or not subject.isprintable() or len(subject) > _SUBJECT_LIMIT:
            raise BadInput(f"a subject is 1 to {_SUBJECT_LIMIT} printable characters, not {subject!r:.600}")
        while not (live := self._rows.of(subject)):
            key = str(uuid4())
            wrapped = None if self._ring is None else self._ring.wrap(os.urandom(32), self._tenant, key)
            self._rows.add(KeyRow(key, subject, wrapped, to_text(self._clock())))
        return live[0].key

    def keys_of(self, subject: str) -> list[str]:
        return [row.key for row in self._rows.of(subject)]

    def subjects(self) -> Iterator[tuple[str, str, str]]:
        for row in self._rows.all():
            if row.subject is not None:
                yield row.key, row.subject, row.created_at

    def destroy_key(self, key: str) -> int:
        if not self._rows.destroy(key, to_text(self._clock())):
            raise BadInput(f"there is no data key {key!r} in {self._url}; nothing was destroyed")
        self._data_keys.pop(key, None)
        return self._remove(Which(key=key))

    def drop_payloads(self, positions: Sequence[int], part: PartName | None = None) -> int:
        number = None if part is None else PART_NAMES.index(part)
        return self._remove(Which(positions=frozenset(positions), part=number))

    def scrub(self, *, thorough: bool) -> None:
        self._rows.scrub(thorough=thorough)

    def _remove(self, which: Which) -> int:
        # The blobs first: their names are gone with the rows. Interrupted here, doing it again finds the rest.
        for place in self._rows.places(which):
            self._blobs_or_refuse().delete(blob_name(self._tenant, place))
        return self._rows.remove(which)

    def rewrap_keys(self) -> int:
        """Wrap every live data key again, with what the key ring wraps with now; how many."""
        if self._ring is None:
            raise BadInput("no key ring is set (ACTUM_KEY_RING); nothing was wrapped")
        done = 0
        for row in self._rows.all():
            while row.destroyed_at is None:
                data_key = os.urandom(32) if row.wrapped is None else self._unwrapped(row)
                if self._rows.rewrap(row.key, row.wrapped, self._ring.wrap(data_key, self._tenant, row.key)):
                    self._data_keys[row.key] = data_key
                    done += 1
                    break
                (row,) = self._rows.find([row.key])
        return done

    # -- blobs ---------------------------------------------------------------------------------------------------

    def _blobs_or_refuse(self) -> BlobStore:
        if self._blobs is None:
            raise StoreRefused(self._url, "refers to large payloads in a place that is not set (ACTUM_BLOBS)")
        return self._blobs

    def sweep_blobs(self, older_than_s: float, *, remove: bool) -> list[str]:
        """The blobs that no event refers to; removed when asked to. Younger ones may belong to an append under way."""
        if self._blobs is None:
            return []
        before = self._clock() - int(older_than_s * 1_000_000)
        old = [name for name, written_at in self._blobs.names(self._tenant) if written_at < before]
        used = self._rows.in_use([name.rpartition("/")[2] for name in old])
        orphans = [name for name in old if name.rpartition("/")[2] not in used]
        for name in orphans if remove else ():
            self._blobs.delete(name)
        return orphans

    # -- reading -------------------------------------------------------------------------------------------------

    def open_all(self, events: list[RecordedEvent], boxes: Mapping[int, Sequence[Box]]) -> list[RecordedEvent]:
        """The events, by their positions, with what is in their boxes."""
        known = self._find({box.key for some in boxes.values() for box in some if box.key is not None})
        return [
            self._opened(event, boxes[event.position], known) if event.position in boxes else event for event in events
        ]

    def _opened(self, event: RecordedEvent, boxes: Sequence[Box], known: Mapping[str, KeyRow]) -> RecordedEvent:
        parts = {part.name: part for part in self._parts(event.id, boxes, known)}
        wanted = [name for name in PART_NAMES if name in event.head]
        problems = [parts[name].problem if name in parts else ERASED for name in wanted]
        payload, personal = parts.get("payload"), parts.get("personal")
        data = None if payload is None else payload.data
        if data is not None and personal is not None and personal.data is not None:
            data = join(data, personal.data)
        return OpenedEvent(event, data, next(filter(None, problems), None), tuple(parts.values()))

    def raw_parts(self, event_id: str, boxes: Sequence[Box]) -> Parts | None:
        """For checking: the parts in the boxes of the event with this id; None when there are none."""
        known = self._find({box.key for box in boxes if box.key is not None})
        return tuple(self._parts(event_id, boxes, known, doomed=True)) or None

    def _parts(
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
            blobs = self._blobs_or_refuse()
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
        data_key = self._unwrapped(row)
        try:
            context = self._context(row.key, event_id, box.part)
            return AESGCM(data_key).decrypt(data[:_NONCE], data[_NONCE:], context), ""
        except InvalidTag:
            return None, f"was changed: {where} is not what was encrypted"


class Protected:
    """The part of a store that hands on to its `Protection`."""

    _protection: Protection

    @property
    def payload_limit_bytes(self) -> int:
        return self._protection.limit_bytes

    def _boxes(self, positions: list[int]) -> Mapping[int, Sequence[Box]]:
        """What is kept apart of the events at these positions."""
        raise NotImplementedError

    def opened(self, events: list[RecordedEvent]) -> list[RecordedEvent]:
        """The events, with the payloads that are kept apart; their headers may have left for the archive."""
        apart = [event.position for event in events if event.payload is None and "payload" in event._head]
        return self._protection.open_all(events, self._boxes(apart)) if apart else events

    def parts_of(self, position: int, event_id: str) -> Parts | None:
        """For checking: what is kept apart of one event; None when there is nothing."""
        return self._protection.raw_parts(event_id, self._boxes([position]).get(position, ()))

    def key_for(self, subject: str) -> str:
        return self._protection.key_for(subject)

    def keys_of(self, subject: str) -> list[str]:
        return self._protection.keys_of(subject)

    def subjects(self) -> Iterator[tuple[str, str, str]]:
        return self._protection.subjects()

    def destroy_key(self, key: str) -> int:
        return self._protection.destroy_key(key)

    def drop_payloads(self, positions: Sequence[int], part: PartName | None = None) -> int:
        return self._protection.drop_payloads(positions, part)

    def scrub(self, *, thorough: bool = False) -> None:
        self._protection.scrub(thorough=thorough)

    def rewrap_keys(self) -> int:
        return self._protection.rewrap_keys()

    def sweep_blobs(self, older_than_s: float = 3600, *, remove: bool = False) -> list[str]:
        return self._protection.sweep_blobs(older_than_s, remove=remove)
