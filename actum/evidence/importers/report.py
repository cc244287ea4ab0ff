"""What an import did, or would do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from actum.evidence.importers.protocol import ForeignExecution, LeftOut

__all__ = ["FileReport", "ImportReport"]


@dataclass
class FileReport:
    """One file: how many executions, and how many of its own messages or events, are new or were there already."""

    file: str
    source: str
    """Digest of the unpacked content."""
    executions: int = 0
    events: int = 0
    already_there: int = 0

    def add(self, new: Sequence[ForeignExecution], of: int) -> None:
        """Count executions that turned out new, `of` so many that had been taken for new."""
        self.executions += len(new)
        self.events += sum(execution.records for execution in new)
        self.already_there += of - len(new)


@dataclass
class ImportReport:
    """All files of one import. In a dry run the counts are what an import would add now."""

    dry_run: bool
    files: list[FileReport] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    noticed: list[LeftOut] = field(default_factory=list)
    appended: int = 0
    """Events written to the log."""

    def to_json(self) -> dict[str, Any]:
        """The document that `actum import --json` prints."""
        return {
            "executions": sum(file.executions for file in self.files),
            "events": sum(file.events for file in self.files),
            "already_there": sum(file.already_there for file in self.files),
            "left_out": [asdict(item) for item in self.left_out],
            "noticed": [asdict(item) for item in self.noticed],
            "appended": self.appended,
            "dry_run": self.dry_run,
            "files": [asdict(file) for file in self.files],
        }
