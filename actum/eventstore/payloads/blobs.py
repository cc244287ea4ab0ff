"""Where large payloads lie: a folder, or a bucket (`blobs_s3.py`). The store keeps their names.

A blob is named after its tenant and the digest that stands in the event's header, and is written once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import quote

from actum.errors import StoreRefused

__all__ = ["BLOB_LIMIT_BYTES", "BlobStore", "FolderBlobs", "blob_name", "open_blobs"]

BLOB_LIMIT_BYTES: Final = 64 * 1024 * 1024


class BlobStore(Protocol):
    """Bytes under names of the form `tenant/digest`. Everything raises `StoreRefused` when it cannot be done."""

    url: str

    def put(self, name: str, data: bytes) -> None:
        """Keep the bytes. When this returns they survive power loss."""

    def get(self, name: str) -> bytes | None:
        """The bytes of that name; None when there are none."""

    def delete(self, name: str) -> None:
        """Remove them; when there are none, fine."""

    def names(self, tenant: str) -> Iterator[tuple[str, int]]:
        """Every name of a tenant, with the time of writing in microseconds."""


def blob_name(tenant: str, place: str) -> str:
    """The name of the blob for a part; its place is the digest that stands in the event's header."""
    return f"{quote(tenant, safe='')}/{place}"


def open_blobs(url: str) -> BlobStore:
    """A folder's path, or `s3://bucket/prefix`."""
    if url.startswith("s3://"):
        from actum.eventstore.payloads.blobs_s3 import BucketBlobs

        return BucketBlobs(url)
    return FolderBlobs(Path(url))


class FolderBlobs:
    """Files of a folder, which is made with the first of them; each under its name only when it is whole."""

    def __init__(self, path: Path) -> None:
        self.url = str(path)
        self._path = path

    def put(self, name: str, data: bytes) -> None:
        path = self._path / name
        try:
            self._make(path.parent)
            coming = path.with_name(f"{path.name}.coming")
            with coming.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            coming.replace(path)
            _flush(path.parent)
        except OSError as exc:
            raise StoreRefused(self.url, f"{name} cannot be written: {exc.strerror or exc}; nothing was kept") from exc

    def get(self, name: str) -> bytes | None:
        try:
            return (self._path / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise StoreRefused(self.url, f"{name} cannot be read: {exc.strerror or exc}") from exc

    def delete(self, name: str) -> None:
        path = self._path / name
        try:
            path.unlink(missing_ok=True)
            if path.parent.exists():
                _flush(path.parent)
        except OSError as exc:
            raise StoreRefused(self.url, f"{name} cannot be removed: {exc.strerror or exc}") from exc

    def names(self, tenant: str) -> Iterator[tuple[str, int]]:
        folder = self._path / quote(tenant, safe="")
        if folder.is_dir():
            for path in sorted(folder.iterdir()):
                yield f"{folder.name}/{path.name}", path.stat().st_mtime_ns // 1000

    def _make(self, folder: Path) -> None:
        if not folder.is_dir():
            self._make(folder.parent)
            folder.mkdir(exist_ok=True)
            _flush(folder.parent)


def _flush(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
