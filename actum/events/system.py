"""Definitions (`workflow/<name>`) and the log's own life (`system/<tenant>`)."""

from __future__ import annotations

from typing import Literal

from actum.events.facts import Count, Digest, Facts, Name

__all__ = ["EVENTS"]


class WorkflowPublished(Facts):
    """Payload: the definition, of which `definition` is the digest."""

    type = "workflow.published"
    workflow: Name
    kind: Literal["function", "graph"]
    definition: Digest


class CheckpointSigned(Facts):
    """A tree head was signed. Payload: the signed note."""

    type = "checkpoint.signed"
    size: Count
    root: Name


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


EVENTS: tuple[type[Facts], ...] = (WorkflowPublished, CheckpointSigned, ImportDone, SegmentArchived)
