"""No single byte of what is stored can be changed unseen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given as forall
from hypothesis import settings
from hypothesis import strategies as st

from actum.eventstore import RawEvent
from actum.eventstore.check.store import check_store
from actum.eventstore.memory import MemoryStore
from actum.testing.logs import fill

FIELDS = ("header", "payload", "salt")


class Edited(MemoryStore):
    """A store of which one stored value reads differently than it was written."""

    def __init__(self, store: MemoryStore, position: int, field: str, value: bytes) -> None:
        self.__dict__.update(store.__dict__)
        self._edit = (position, field, value)

    def read_raw(self, after: int = -1, limit: int | None = None) -> Iterator[RawEvent]:
        position, field, value = self._edit
        for raw in super().read_raw(after, limit):
            yield RawEvent(**{**raw._asdict(), field: value}) if raw.position == position else raw


@pytest.fixture(scope="module")
def store() -> MemoryStore:
    store = MemoryStore()
    fill(store)
    return store


def found_at(store: MemoryStore, position: int, field: str, value: bytes) -> tuple[object, ...]:
    raw = next(store.read_raw(position - 1, 1))
    found = check_store(Edited(store, position, field, value))
    assert found.verdict == "failed", (position, field, value)
    assert found.first_bad is not None, found
    assert (found.first_bad.stream, found.first_bad.version) == (raw.stream, raw.version), found
    return (found.first_bad.position,)


@pytest.mark.parametrize("position", [0, 11, 28, 29])
@pytest.mark.parametrize("field", FIELDS)
def test_every_byte_is_watched(store: MemoryStore, position: int, field: str) -> None:
    """One bit changed in any byte of a header, payload or salt fails the check, which names this event."""
    value = getattr(next(store.read_raw(position - 1, 1)), field) or b""
    for at in range(len(value)):
        changed = bytearray(value)
        changed[at] ^= 1
        assert found_at(store, position, field, bytes(changed)) == (position,), bytes(changed)


@settings(max_examples=400, deadline=None)
@forall(st.data())
def test_any_byte_in_any_event(store: MemoryStore, data: st.DataObject) -> None:
    """Whichever byte is changed to whichever other, or left out, or doubled, its event is named."""
    position = data.draw(st.integers(0, 29))
    raw = next(store.read_raw(position - 1, 1))
    field = data.draw(st.sampled_from([f for f in FIELDS if getattr(raw, f)]))
    value = getattr(raw, field)
    at = data.draw(st.integers(0, len(value) - 1))
    by = data.draw(st.sampled_from(["change", "remove", "double", "cut"]))
    if by == "change":
        changed = value[:at] + bytes([value[at] ^ data.draw(st.integers(1, 255))]) + value[at + 1 :]
    elif by == "remove":
        changed = value[:at] + value[at + 1 :]
    elif by == "double":
        changed = value[:at] + value[at : at + 1] + value[at:]
    else:
        changed = value[:at]

    assert found_at(store, position, field, changed) == (position,)
