"""Where an archive lies: a folder, or a bucket. A file is written once; only erased payloads are taken out of it."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from actum.errors import ArchiveDamaged, BadInput, StoreRefused

__all__ = ["ArchivePlace", "Bucket", "Folder", "open_place"]


class ArchivePlace(Protocol):
    """Files by name. It can be sent to another process."""

    url: str

    def names(self) -> list[str]:
        """The names of all Parquet files, in order."""

    def put(self, name: str, path: Path) -> None:
        """Keep a copy of the file under this name, durably. The same content again is no error.

        Raises `ArchiveDamaged` when the name holds other content, and then nothing was written.
        """

    def replace(self, name: str, path: Path) -> None:
        """Keep a copy of the file under this name, durably, whatever it held: it is always the old or the new one."""

    def fetch(self, name: str) -> Path:
        """The file on this machine, for reading only."""

    def fetch_again(self, name: str) -> Path:
        """As `fetch`, but as the place has it now: never a copy from before."""

    def end_of(self, name: str, most_bytes: int) -> bytes:
        """The last bytes of the file, all of it when it is no longer than that."""


def open_place(url: str) -> ArchivePlace:
    """The archive at a folder's path, or at `s3://bucket/prefix` with the credentials that boto3 finds."""
    if url.startswith("s3://"):
        return Bucket(url)
    if "://" in url:
        raise BadInput(f"{url!r} is no archive: name a folder, or s3://bucket/prefix")
    return Folder(Path(url))


class Folder:
    """A folder of files, made when it is not there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = str(path)
        if path.exists() and not path.is_dir():
            raise BadInput(f"{path} is a file; an archive is a folder")

    def names(self) -> list[str]:
        if not self.path.exists():
            return []
        return sorted(entry.name for entry in self.path.iterdir() if entry.suffix == ".parquet")

    def put(self, name: str, path: Path) -> None:
        def name_it(copy: str, target: Path) -> None:
            try:
                os.link(copy, target)
            except FileExistsError:
                if _digest(target) != _digest(path):
                    raise _other(self.url, name) from None

        self._write(name, path, name_it)

    def replace(self, name: str, path: Path) -> None:
        self._write(name, path, os.replace)

    def _write(self, name: str, path: Path, name_it: Callable[[str, Path], None]) -> None:
        """Copy beside, flush, then give it the name: a name never stands for half a file."""
        target_path = self.path / name
        target_path.parent.mkdir(parents=True, exist_ok=True)
        handle, copy = tempfile.mkstemp(dir=target_path.parent, prefix=f".{target_path.name}.")
        try:
            os.fchmod(handle, 0o644)
            with os.fdopen(handle, "wb") as target, path.open("rb") as source:
                shutil.copyfileobj(source, target, 1 << 20)
                target.flush()
                os.fsync(target.fileno())
            name_it(copy, target_path)
        except OSError as exc:
            raise StoreRefused(self.url, f"cannot be written: {exc.strerror or exc}; nothing was archived") from exc
        finally:
            Path(copy).unlink(missing_ok=True)
        for parent in (target_path.parent, self.path):
            folder = os.open(parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def fetch(self, name: str) -> Path:
        path = self.path / name
        if not path.exists():
            raise ArchiveDamaged(self.url, 0, f"there is no file {name}")
        return path

    def fetch_again(self, name: str) -> Path:
        return self.fetch(name)

    def end_of(self, name: str, most_bytes: int) -> bytes:
        return _end_of(self.fetch(name), most_bytes)


class Bucket:
    """Objects of an S3 bucket under a prefix. What was fetched lies in a temporary folder as long as this object.

    In another process it has that folder too, so that no file is fetched twice.
    """

    def __init__(self, url: str, here: Path | None = None) -> None:
        """`here`: where another one, which will outlast this one, keeps what was fetched."""
        import boto3

        self._bucket, _, prefix = url.removeprefix("s3://").strip("/").partition("/")
        if not self._bucket:
            raise BadInput(f"{url!r} names no bucket")
        self.url = f"s3://{self._bucket}/{prefix}".rstrip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._s3: Any = boto3.client("s3")
        self._here = here or Path(tempfile.mkdtemp(prefix="actum-archive-"))
        if here is None:
            weakref.finalize(self, shutil.rmtree, self._here, ignore_errors=True)

    def __reduce__(self) -> tuple[Callable[[str, Path], Bucket], tuple[str, Path]]:
        return _again, (self.url, self._here)

    def names(self) -> list[str]:
        pages = self._asked(
            lambda: list(self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix))
        )
        found = [item["Key"].removeprefix(self._prefix) for page in pages for item in page.get("Contents", ())]
        return sorted(name for name in found if name.endswith(".parquet") and "/" not in name)

    def put(self, name: str, path: Path) -> None:
        """One conditional request: whoever comes second is told."""
        from botocore.exceptions import ClientError

        try:
            self._send(name, path, IfNoneMatch="*")
        except ClientError as exc:
            if exc.response["ResponseMetadata"]["HTTPStatusCode"] != 412:
                raise self._refused(exc) from exc
            if _digest(self.fetch(name)) != _digest(path):
                raise _other(self.url, name) from None
        except Exception as exc:
            raise self._refused(exc) from exc

    def replace(self, name: str, path: Path) -> None:
        self._asked(lambda: self._send(name, path))
        (self._here / name).unlink(missing_ok=True)

    def _send(self, name: str, path: Path, **condition: str) -> None:
        with path.open("rb") as body:
            self._s3.put_object(
                Bucket=self._bucket,
                Key=self._prefix + name,
                Body=body,
                Metadata={"sha256": _digest(path)},
                ChecksumAlgorithm="SHA256",
                **condition,
            )

    def fetch(self, name: str) -> Path:
        path = self._here / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            beside = path.with_name(f"{path.name}.{os.getpid()}.part")
            self._asked(lambda: self._s3.download_file(self._bucket, self._prefix + name, str(beside)))
            beside.rename(path)
        return path

    def fetch_again(self, name: str) -> Path:
        (self._here / name).unlink(missing_ok=True)
        return self.fetch(name)

    def end_of(self, name: str, most_bytes: int) -> bytes:
        path = self._here / name
        if path.exists():
            return _end_of(path, most_bytes)

        def ask() -> bytes:
            from botocore.exceptions import ClientError

            try:
                there = self._s3.get_object(Bucket=self._bucket, Key=self._prefix + name, Range=f"bytes=-{most_bytes}")
            except ClientError as exc:
                if exc.response["ResponseMetadata"]["HTTPStatusCode"] == 416:
                    return b""  # an empty object has no last bytes
                raise
            return bytes(there["Body"].read())

        end: bytes = self._asked(ask)
        return end

    def _asked(self, ask: Any) -> Any:
        try:
            return ask()
        except Exception as exc:
            raise self._refused(exc) from exc

    def _refused(self, exc: Exception) -> StoreRefused:
        return StoreRefused(self.url, f"the bucket did not answer as it should: {exc}")


@cache
def _again(url: str, here: Path) -> Bucket:
    """In another process: one for all that is sent there, since a client takes long to make."""
    return Bucket(url, here)


def _end_of(path: Path, most_bytes: int) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - most_bytes))
        return file.read()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _other(url: str, name: str) -> ArchiveDamaged:
    return ArchiveDamaged(url, 0, f"{name} is there with other content; nothing was written")
