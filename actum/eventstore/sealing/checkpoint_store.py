"""Where the last checkpoint is kept, away from the log: who restores a backup of the log does not restore this.

It holds one note. A new one is kept only in place of the one that the caller knows (compare and swap), so of two
sealers one wins, and a log that went back in time is noticed by whoever would sign it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from actum.errors import BadInput, CheckpointMoved, CheckpointRefused, StoreRefused

__all__ = ["CheckpointFile", "CheckpointStore", "MemoryCheckpoint", "open_checkpoint_store"]


class CheckpointStore(Protocol):
    """One note, replaced by compare and swap."""

    url: str

    def latest(self) -> str | None:
        """The note that was kept last; None when there was none yet. Raises `StoreRefused` when it cannot be read."""

    def advance(self, before: str | None, note: str) -> None:
        """Keep `note` in place of `before` (None: of nothing). When it returns, the note is durable.

        Raises `CheckpointMoved` when another note is kept by now, and `StoreRefused` when it cannot be written; then
        nothing was kept. Raises `StoreUnavailable` when the answer was lost: `latest()` tells.
        """


def open_checkpoint_store(url: str) -> CheckpointStore:
    """The checkpoint store of a file's path, or of `s3://bucket/key` with the credentials that boto3 finds."""
    if url.startswith("s3://"):
        from actum.eventstore.sealing.checkpoint_s3 import CheckpointObject

        return CheckpointObject(url)
    if "://" in url:
        raise BadInput(f"{url!r} is no checkpoint store: name a file, or s3://bucket/key")
    return CheckpointFile(Path(url))


class MemoryCheckpoint:
    """Kept until the process ends: for tests, and for logs that end with it."""

    def __init__(self, note: str | None = None) -> None:
        self.url = "memory:"
        self.note = note

    def latest(self) -> str | None:
        return self.note

    def advance(self, before: str | None, note: str) -> None:
        if self.note != before:
            raise CheckpointMoved(self.url)
        self.note = note


class CheckpointFile:
    """A file, replaced whole. A file beside it with `.lock` at its end keeps two processes from replacing it at once.

    The folder must be on a file system with working `flock`: a local one, not an old NFS.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = str(path)

    def latest(self) -> str | None:
        try:
            return self.path.read_text("utf-8")
        except FileNotFoundError:
            return None
        except UnicodeDecodeError as exc:
            raise CheckpointRefused(self.url, f"is not a note ({exc})") from exc
        except OSError as exc:
            raise StoreRefused(self.url, f"cannot be read: {exc.strerror or exc}") from exc

    def advance(self, before: str | None, note: str) -> None:
        try:
            with self._alone():
                if self.latest() != before:
                    raise CheckpointMoved(self.url)
                self._replace(note)
        except OSError as exc:
            raise StoreRefused(self.url, f"cannot be written: {exc.strerror or exc}; nothing was kept") from exc

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path.with_name(f"{self.path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)  # the system lets go of it when the process dies
            yield
        finally:
            os.close(handle)

    def _replace(self, note: str) -> None:
        # Under the lock the name beside it is ours; one left by a process that died is written over.
        beside = self.path.with_name(f"{self.path.name}.new")
        with beside.open("w", encoding="utf-8") as file:
            file.write(note)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
