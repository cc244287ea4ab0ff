"""Payloads that are kept apart: under a data key, or in two parts, or in the blob store. The same for every backend.

Before an append they are filed: cut, salted, encrypted, and the large ones put into the blob store. What is left for
the backend is to write the boxes in the transaction of the events, but none under a key that is destroyed by then.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from actum.errors import BadInput, StoreRefused, StoreUnavailable
from actum.events import PAYLOAD_LIMIT_BYTES, PartName, RecordedEvent
from actum.eventstore.expected import check_batch
from actum.eventstore.payloads.blobs import BLOB_LIMIT_BYTES
from actum.eventstore.payloads.boxes import Boxes, is_plain
from actum.eventstore.payloads.data_keys import DataKeys
from actum.eventstore.payloads.subjects import PART_NAMES, Box, KeyRows, Parts, Which
from actum.eventstore.payloads.vault import Vault
from actum.eventstore.protocol import Append, Appended, Batch
from actum.eventstore.tables.writer import Answer, GroupWriter, deliver

__all__ = ["GroupAppends", "Protected", "Protection"]


class Filing(NamedTuple):
    """A batch with its parts in boxes, and where the blobs are that were written for it."""

    batch: Batch
    blobs: Sequence[str]


class Protection:
    """One tenant's data keys and blobs. `open_rows` is called when something is kept apart for the first time."""

    def __init__(
        self, url: str, tenant: str, vault: Vault, open_rows: Callable[[], KeyRows], clock: Callable[[], int]
    ) -> None:
        self._url = url
        self._tenant = tenant
        self.vault = vault
        self._clock = clock
        self.keys = DataKeys(url, tenant, vault.ring, open_rows, clock)
        self._boxes = Boxes(url, tenant, vault.blobs, self.keys)

    def close(self) -> None:
        """Let go of what `open_rows` gave."""
        self.keys.close()

    @property
    def limit_bytes(self) -> int:
        """The largest payload that the store takes."""
        return PAYLOAD_LIMIT_BYTES if self.vault.blobs is None else BLOB_LIMIT_BYTES

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
        known = self.keys.find(keys)
        for key in keys - known.keys():
            raise BadInput(f"there is no data key {key!r} in {self._url}; nothing was written. `key_for` gives one.")
        blobs: list[str] = []
        try:
            filed = [
                Append(stream, expected, [self._boxes.pack(event, known, blobs) for event in events], views)
                for stream, expected, events, views in batch
            ]
        except BaseException:
            self.take_back(Filing(batch, blobs))
            raise
        return Filing(filed, blobs)

    def _settle(self, filing: Filing) -> None:
        """Remove blobs that the append did not need: it had been recorded before, or a key is destroyed."""
        if filing.blobs:
            used = self.keys.rows.in_use(filing.blobs)
            self.take_back(filing._replace(blobs=[place for place in filing.blobs if place not in used]))

    def take_back(self, filing: Filing) -> None:
        """Remove the blobs of an append that was refused. What cannot be removed now is left to `sweep_blobs`."""
        for place in filing.blobs:
            with suppress(StoreRefused):
                self._boxes.remove_blob(place)

    # -- removing ------------------------------------------------------------------------------------------------

    def destroy_key(self, key: str) -> int:
        """Destroy the key, and remove what is under it; of how many events."""
        self.keys.destroy(key)
        return self._remove(Which(key=key))

    def drop_payloads(self, positions: Sequence[int], part: PartName | None = None) -> int:
        """Remove the payloads of these events, all or of one part; of how many."""
        number = None if part is None else PART_NAMES.index(part)
        return self._remove(Which(positions=frozenset(positions), part=number))

    def _remove(self, which: Which) -> int:
        # The blobs first: their names are gone with the rows. Interrupted here, doing it again finds the rest.
        for place in self.keys.rows.places(which):
            self._boxes.remove_blob(place)
        return self.keys.rows.remove(which)

    def sweep_blobs(self, older_than_s: float, *, remove: bool) -> list[str]:
        """The blobs that no event refers to; removed when asked to. Younger ones may belong to an append under way."""
        blobs = self.vault.blobs
        if blobs is None:
            return []
        before = self._clock() - int(older_than_s * 1_000_000)
        old = [name for name, written_at in blobs.names(self._tenant) if written_at < before]
        used = self.keys.rows.in_use([name.rpartition("/")[2] for name in old])
        orphans = [name for name in old if name.rpartition("/")[2] not in used]
        for name in orphans if remove else ():
            blobs.delete(name)
        return orphans

    # -- reading -------------------------------------------------------------------------------------------------

    def open_all(self, events: list[RecordedEvent], boxes: Mapping[int, Sequence[Box]]) -> list[RecordedEvent]:
        """The events, by their positions, with what is in their boxes."""
        known = self.keys.find({box.key for some in boxes.values() for box in some if box.key is not None})
        return [
            self._boxes.opened(event, boxes[event.position], known) if event.position in boxes else event
            for event in events
        ]

    def raw_parts(self, event_id: str, boxes: Sequence[Box]) -> Parts | None:
        """For checking: the parts in the boxes of the event with this id; None when there are none."""
        known = self.keys.find({box.key for box in boxes if box.key is not None})
        return tuple(self._boxes.parts(event_id, boxes, known, doomed=True)) or None


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
        return self._protection.keys.of_subject(subject)

    def keys_of(self, subject: str) -> list[str]:
        return [row.key for row in self._protection.keys.rows.of(subject)]

    def subjects(self) -> Iterator[tuple[str, str, str]]:
        return self._protection.keys.subjects()

    def keys_left(self, keys: Collection[str]) -> set[str]:
        return self._protection.keys.rows.remains(keys) if keys else set()

    def destroy_key(self, key: str) -> int:
        return self._protection.destroy_key(key)

    def drop_payloads(self, positions: Sequence[int], part: PartName | None = None) -> int:
        return self._protection.drop_payloads(positions, part)

    def scrub(self, *, thorough: bool = False) -> None:
        self._protection.keys.rows.scrub(thorough=thorough)

    def rewrap_keys(self) -> int:
        return self._protection.keys.rewrap()

    def sweep_blobs(self, older_than_s: float = 3600, *, remove: bool = False) -> list[str]:
        return self._protection.sweep_blobs(older_than_s, remove=remove)


class GroupAppends(Protected):
    """The part of a store that appends through a writer's thread; what is to be kept apart is filed before."""

    _writer: GroupWriter

    def append(self, batch: Batch) -> Appended:
        return self._writer.append(batch) if is_plain(batch) else self._protection.append(batch, self._writer.append)

    def append_soon(self, batch: Batch, done: Callable[[Answer], None]) -> None:
        if is_plain(batch):
            self._writer.append_soon(batch, done)
        else:
            self._protection.append_soon(batch, done, self._writer.append_soon)
