"""A small log whose segments hold eight events each, and an archive in a folder."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from actum.archive.places import ArchivePlace, Folder, open_place
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


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """An S3 server, and the environment in which boto3 finds it."""
    from moto.server import ThreadedMotoServer

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    known = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }
    before = {name: os.environ.get(name) for name in known}
    os.environ.update(known)
    import boto3

    boto3.client("s3").create_bucket(
        Bucket="evidence", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    yield "s3://evidence"
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value
    server.stop()


@pytest.fixture
def s3_place(s3: str, tmp_path: Path) -> ArchivePlace:
    """An archive of its own in the bucket."""
    return open_place(f"{s3}/{tmp_path.name}")
