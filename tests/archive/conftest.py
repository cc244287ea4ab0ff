"""A small log whose segments hold eight events each, and an archive in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from actum.archive.places import Folder
from actum.eventstore import ANY, Append, EventStore, open_store
from actum.testing.builders import event, signed

SEGMENT = 8


def grow(store: EventStore, first: int, count: int) -> None:
    """Events over three streams; every third has a payload, every ninth a personal one."""
    for i in range(first, first + count):
        new = event(i, payload=b'{"n":%d}' % i if i % 3 == 0 else None)
        if i % 9 == 0:
            new.payload_class = "personal"
        store.append([Append(f"s/{i % 3}", ANY, [new])])


def sign(store: EventStore) -> None:
    size = store.head()
    store.add_checkpoint(size, signed(store, size))


@pytest.fixture
def log() -> EventStore:
    """Twenty events, all signed: two whole segments and four events more."""
    store = open_store("memory://")
    grow(store, 0, 20)
    sign(store)
    return store


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "archive")
