"""What can be wrong with the event store, the archive, keys and checkpoints."""

from __future__ import annotations

from dataclasses import dataclass

from actum.errors.base import ActumError

__all__ = [
    "ArchiveDamaged",
    "CheckpointMoved",
    "CheckpointRefused",
    "CursorMoved",
    "EventsArchived",
    "IdempotencyConflict",
    "KeyRingRefused",
    "LogForked",
    "NoTemporaryRoom",
    "PayloadUnreadable",
    "StoreDamaged",
    "StoreError",
    "StoreRefused",
    "StoreUnavailable",
    "TimestampRefused",
    "VersionConflict",
    "WrongLog",
]


class StoreError(ActumError):
    """Something about the event store."""


@dataclass(eq=False)
class VersionConflict(StoreError):
    """The stream moved on after the caller read it. Nothing was written."""

    stream: str
    expected: str
    actual: int

    def __str__(self) -> str:
        return (
            f"stream {self.stream!r} is at version {self.actual}, not {self.expected}; "
            "nothing was appended. Load the stream again and decide again."
        )


@dataclass(eq=False)
class IdempotencyConflict(StoreError):
    """An event id was used before for something else. Nothing was written."""

    event: str
    stream: str
    version: int

    def __str__(self) -> str:
        return (
            f"event {self.event} is already recorded at version {self.version} of {self.stream!r} with other "
            "content; nothing was appended. Give a new event a new id."
        )


@dataclass(eq=False)
class StoreUnavailable(StoreError):
    """The answer was lost: the events may be there or not. Appending the same ids again is safe, and tells."""

    reason: str

    def __str__(self) -> str:
        return f"the store did not answer ({self.reason}); append the same events again to learn whether they are there"


@dataclass(eq=False)
class StoreRefused(StoreError):
    """The store cannot be used as asked. Nothing was written."""

    url: str
    problem: str

    def __str__(self) -> str:
        return f"{self.url}: {self.problem}"


@dataclass(eq=False)
class NoTemporaryRoom(StoreError):
    """What does not fit in memory could not be kept in a temporary file. No store was touched."""

    problem: str

    def __str__(self) -> str:
        return (
            f"no temporary file can be used ({self.problem}); nothing was done. Make room there, or let TMPDIR name a "
            "folder that has some."
        )


@dataclass(eq=False)
class StoreDamaged(StoreError):
    """Stored bytes are not what was written."""

    position: int
    problem: str

    def __str__(self) -> str:
        return f"event {self.position}: {self.problem}; run `actum verify` and keep the files as they are"


@dataclass(eq=False)
class ArchiveDamaged(StoreError):
    """A file of the archive is not what was written, or does not belong to this log. Nothing was left behind."""

    source: str
    position: int
    problem: str

    def __str__(self) -> str:
        return f"{self.source}: event {self.position}: {self.problem}"


@dataclass(eq=False)
class EventsArchived(StoreError):
    """Events that were asked for have left the store for the archive. Nothing was read, and nothing was skipped.

    `at` is the first one: a version of `stream`, or a position of the log when that is None. `floor` is the position
    from which on the store holds everything.
    """

    url: str
    stream: str | None
    at: int
    floor: int

    def __str__(self) -> str:
        what = f"event {self.at}" if self.stream is None else f"version {self.at} of stream {self.stream!r}"
        return (
            f"{self.url}: {what} is in the archive, as are all events below position {self.floor}; nothing was read. "
            "Set ACTUM_ARCHIVE to the archive's place, or bring the events back with `actum archive restore`."
        )


@dataclass(eq=False)
class KeyRingRefused(StoreError):
    """A data key cannot be wrapped or unwrapped: the key ring is another, not readable, or not to be reached."""

    ring: str
    key: str
    problem: str

    def __str__(self) -> str:
        return f"{self.ring}: data key {self.key} {self.problem}" if self.key else f"{self.ring}: {self.problem}"


@dataclass(eq=False)
class PayloadUnreadable(StoreError):
    """A payload is there, and cannot be read here. The log itself is as it was."""

    position: int
    problem: str

    def __str__(self) -> str:
        return f"event {self.position}: its payload {self.problem}"


@dataclass(eq=False)
class CheckpointRefused(StoreError):
    """A checkpoint, a signed note or a key is malformed, or not signed by a known key. Believe nothing it says."""

    what: str
    problem: str

    def __str__(self) -> str:
        return f"{self.what}: {self.problem}"


@dataclass(eq=False)
class LogForked(StoreError):
    """The log is not the one whose checkpoints were signed: a restored backup, a stale replica, a rewrite.

    `agrees_to` is the largest signed size at which the log still gives the signed root. Nothing was signed.
    """

    url: str
    size: int
    signed_size: int
    agrees_to: int
    problem: str

    def __str__(self) -> str:
        return (
            f"{self.url}: the log has forked: {self.problem}. It agrees with what was signed up to size "
            f"{self.agrees_to}. Nothing was signed; bring back the log that was signed, and keep this one too. If its "
            "events are lost for good, say so with `actum checkpoint new-epoch`."
        )


@dataclass(eq=False)
class CheckpointMoved(StoreError):
    """Another sealer kept a checkpoint first. This one was not kept; read again and decide again."""

    where: str

    def __str__(self) -> str:
        return f"{self.where}: another checkpoint was kept meanwhile; this one was not"


@dataclass(eq=False)
class TimestampRefused(StoreError):
    """An RFC 3161 time stamp is malformed, of something else, or not from a trusted authority."""

    problem: str

    def __str__(self) -> str:
        return f"time stamp: {self.problem}"


@dataclass(eq=False)
class CursorMoved(StoreError):
    """Another consumer of this name has gone on from there. What this one was doing was undone."""

    name: str
    expected: int
    actual: int

    def __str__(self) -> str:
        return (
            f"subscription {self.name!r} is at position {self.actual}, not {self.expected}: another process runs it "
            "too; nothing was done. Run it once, or as a group of members."
        )


@dataclass(eq=False)
class WrongLog(StoreError):
    """A consumer took an event that this log does not have at that place. Nothing was taken."""

    name: str
    position: int
    event: str
    found: str

    def __str__(self) -> str:
        return (
            f"subscription {self.name!r} has taken event {self.event} at position {self.position}, where this log has "
            f"{self.found}: it is another log, or an older copy of it was restored. Nothing was taken; bring the log "
            "back, or start the subscription under a new name."
        )
