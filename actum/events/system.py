"""Definitions (`workflow/<name>`) and the log's own life (`system/<tenant>`)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from actum.events.facts import Count, Digest, Facts, Name

__all__ = ["EVENTS"]


class WorkflowPublished(Facts):
    """Payload: the definition, of which `definition` is the digest."""

    type = "workflow.published"
    workflow: Name
    kind: Literal["function", "graph", "asl", "serverless"]
    definition: Digest


class WorkflowDeprecated(Facts):
    """A definition is not to be started any more; what runs it goes on. Payload: `{"reason": …}`."""

    type = "workflow.deprecated"
    workflow: Name
    definition: Digest


class CheckpointSigned(Facts):
    """A checkpoint of the log as it was before this event, for the record.

    It stands for an hour in which nothing happened, or carries what others said of the checkpoint. Payload:
    `{"note": the signed note, "stamp": base64 of an RFC 3161 response to it}`, the stamp only if there is one.
    """

    type = "checkpoint.signed"
    size: Count
    root: Name


class StreamsSealed(Facts):
    """Where every stream ended when the log had `size` events: the root over all ends (`actum.events.manifest`)."""

    type = "streams.sealed"
    size: Count
    streams: Count
    root: Name


class KeyRotated(Facts):
    """The key that signs checkpoints changed. Both keys signed this (`actum.events.rotation`); keys are public."""

    type = "key.rotated"
    origin: Name
    old: Name
    new: Name
    old_signature: Name
    new_signature: Name


class LogRestored(Facts):
    """The log lost events that were signed, and goes on in another epoch (`actum.events.epoch`), signed by its key.

    Payload: `{"reason": …, "note": the abandoned checkpoint, signed}`.
    """

    type = "log.restored"
    epoch: Annotated[int, Field(ge=2, lt=2**53)]
    origin: Name
    abandoned_origin: Name
    abandoned_size: Count
    abandoned_root: Name
    agreed_size: Count
    size: Count
    root: Name
    key: Name
    signature: Name


class ImportDone(Facts):
    """Payload: `{"file": …, "left_out": […]}`."""

    type = "import.done"
    format: Name
    source: Digest
    mapping: Digest | None = None
    executions: Count
    events: Count
    already_there: Count


class SegmentArchived(Facts):
    """An aligned stretch of the log was copied to the archive, read back and re-hashed to `root` (hex)."""

    type = "segment.archived"
    first: Count
    count: Count
    root: Name


class SegmentDropped(Facts):
    """An archived segment leaves the store: from here on its events are read from the archive at `place`."""

    type = "segment.dropped"
    first: Count
    count: Count
    root: Name
    place: Name


class SegmentRestored(Facts):
    """A segment that had left the store was put back from the archive at `place`, re-hashed to `root` (hex)."""

    type = "segment.restored"
    first: Count
    count: Count
    root: Name
    place: Name


class LogRebuilt(Facts):
    """The store was lost, and made again from the archive: the `size` events before this one came from there.

    Personal payloads were not in it. `signed` is the largest size of which the archive holds a signed checkpoint:
    events from `size` up to there were in the lost store, and are not in this one.
    """

    type = "log.rebuilt"
    size: Count
    signed: Count
    place: Name


EVENTS: tuple[type[Facts], ...] = (
    WorkflowDeprecated,
    WorkflowPublished,
    CheckpointSigned,
    StreamsSealed,
    KeyRotated,
    LogRestored,
    ImportDone,
    SegmentArchived,
    SegmentDropped,
    SegmentRestored,
    LogRebuilt,
)
