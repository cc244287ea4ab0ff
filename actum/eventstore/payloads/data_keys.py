"""One tenant's data keys: made for a subject, wrapped by the key ring, and gone for good when they are destroyed."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from functools import cached_property
from typing import Final
from uuid import uuid4

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from actum.errors import BadInput, KeyRingRefused
from actum.events import to_text
from actum.eventstore.payloads.key_ring import KeyRing
from actum.eventstore.payloads.subjects import KeyRow, KeyRows

__all__ = ["DataKeys"]

_NONCE: Final = 12
_KEPT_OPEN: Final = 10_000  # data keys in memory
_SUBJECT_LIMIT: Final = 512


class DataKeys:
    """What is kept under a data key is encrypted with it; without a key ring it is only filed under it."""

    def __init__(
        self, url: str, tenant: str, ring: KeyRing | None, open_rows: Callable[[], KeyRows], clock: Callable[[], int]
    ) -> None:
        """`open_rows` is called when a row is asked for, for the first time."""
        self._url = url
        self._tenant = tenant
        self._ring = ring
        self._open_rows = open_rows
        self._clock = clock
        self._open: dict[str, bytes] = {}

    @cached_property
    def rows(self) -> KeyRows:
        """What the backend keeps: the rows of the keys, and the boxes under them."""
        return self._open_rows()

    def close(self) -> None:
        """Let go of what `open_rows` gave."""
        if "rows" in self.__dict__:
            self.rows.close()

    def find(self, keys: Collection[str]) -> dict[str, KeyRow]:
        """The rows of these keys, of those that there are, destroyed ones too."""
        return {row.key: row for row in self.rows.find(keys)} if keys else {}

    # -- under a key ---------------------------------------------------------------------------------------------

    def seal(self, key: str, event_id: str, part: int, data: bytes) -> bytes | None:
        """The bytes encrypted under the key, for this part of this event only; None when nothing is encrypted here."""
        data_key = self._for_writing(key)
        if data_key is None:
            return None
        nonce = os.urandom(_NONCE)
        return nonce + AESGCM(data_key).encrypt(nonce, data, self._context(key, event_id, part))

    def unseal(self, row: KeyRow, event_id: str, part: int, data: bytes) -> bytes:
        """What `seal` was given. Raises `InvalidTag` when these are not the bytes it gave, and `KeyRingRefused`."""
        context = self._context(row.key, event_id, part)
        return AESGCM(self._unwrapped(row)).decrypt(data[:_NONCE], data[_NONCE:], context)

    def _context(self, key: str, event_id: str, part: int) -> bytes:
        return f"{self._tenant}\n{key}\n{event_id}\n{part}".encode()

    def _for_writing(self, key: str) -> bytes | None:
        data_key = self._open.get(key)
        if data_key is not None:
            return data_key
        for row in self.rows.find([key]):
            if row.destroyed_at is not None:
                return None  # what is filed now is dropped by the write
            if row.wrapped is not None:
                return self._unwrapped(row)
            if self._ring is None:
                return None
            fresh = os.urandom(32)  # the key was made when there was no key ring
            if self.rows.rewrap(key, None, self._ring.wrap(fresh, self._tenant, key)):
                self._open[key] = fresh
                return fresh
        return self._for_writing(key)

    def _unwrapped(self, row: KeyRow) -> bytes:
        data_key = self._open.get(row.key)
        if data_key is None:
            assert row.wrapped is not None
            if self._ring is None:
                raise KeyRingRefused("no key ring", row.key, "is wrapped, and no key ring is set (ACTUM_KEY_RING)")
            data_key = self._ring.unwrap(row.wrapped, self._tenant, row.key)
            if len(self._open) >= _KEPT_OPEN:
                self._open.clear()
            self._open[row.key] = data_key
        return data_key

    # -- whose they are ------------------------------------------------------------------------------------------

    def of_subject(self, subject: str) -> str:
        """The live key of a subject; made when there is none."""
        if not subject or not subject.isprintable() or len(subject) > _SUBJECT_LIMIT:
            raise BadInput(f"a subject is 1 to {_SUBJECT_LIMIT} printable characters, not {subject!r:.600}")
        while not (live := self.rows.of(subject)):
            key = str(uuid4())
            wrapped = None if self._ring is None else self._ring.wrap(os.urandom(32), self._tenant, key)
            self.rows.add(KeyRow(key, subject, wrapped, to_text(self._clock())))
        return live[0].key

    def subjects(self) -> Iterator[tuple[str, str, str]]:
        """Key, subject and when it was made, of every live key."""
        for row in self.rows.all():
            if row.subject is not None:
                yield row.key, row.subject, row.created_at

    def destroy(self, key: str) -> None:
        """Forget the subject and the key. Raises `BadInput` for a key that never was."""
        if not self.rows.destroy(key, to_text(self._clock())):
            raise BadInput(f"there is no data key {key!r} in {self._url}; nothing was destroyed")
        self._open.pop(key, None)

    def rewrap(self) -> int:
        """Wrap every live data key again, with what the key ring wraps with now; how many."""
        if self._ring is None:
            raise BadInput("no key ring is set (ACTUM_KEY_RING); nothing was wrapped")
        done = 0
        for row in self.rows.all():
            while row.destroyed_at is None:
                data_key = os.urandom(32) if row.wrapped is None else self._unwrapped(row)
                if self.rows.rewrap(row.key, row.wrapped, self._ring.wrap(data_key, self._tenant, row.key)):
                    self._open[row.key] = data_key
                    done += 1
                    break
                (row,) = self.rows.find([row.key])
        return done
