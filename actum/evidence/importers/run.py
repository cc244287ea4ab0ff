"""The shell of an import: read all files to their ends, find out what is new, append it in batches.

Nothing is appended before the last byte of the last file was read and everything in the log was compared. Event ids
follow from tenant, stream and place, so an import that was killed can be run again: it adds what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from actum.errors import BadInput
from actum.events import to_text
from actum.eventstore import EventStore
from actum.evidence.importers.ledger import Ledger, Note
from actum.evidence.importers.mapping import Mapping, load_mapping
from actum.evidence.importers.protocol import ForeignExecution
from actum.evidence.importers.registry import find_importer
from actum.evidence.importers.report import FileReport, ImportReport
from actum.evidence.importers.spool import SpooledFile, spooled

__all__ = ["ForeignFiles", "Progress", "import_files", "read_files"]

_BATCH_STREAMS: Final = 200
_BATCH_EVENTS: Final = 4_000


Progress = Callable[[int, int | None], None]
"""Hears how many executions are done, of how many: of None while files are read, then of what is new."""


def _now_us() -> int:
    return time.time_ns() // 1000


def _silent(done: int, total: int | None) -> None:
    pass


class ForeignFiles:
    """Foreign files that were read to their ends and found whole; see `read_files`."""

    def __init__(self, format: str, rules: Mapping, files: list[SpooledFile]) -> None:
        self._format = format
        self._rules = rules
        self._files = files

    def into(
        self,
        store: EventStore,
        *,
        dry_run: bool = False,
        progress: Progress = _silent,
        clock: Callable[[], int] = _now_us,
    ) -> ImportReport:
        """Bring what is new in the files into the log; returns and raises as `import_files` does."""
        report = ImportReport(dry_run)
        ledger = Ledger(store, to_text(clock()))
        new = ledger.new_in(self._files)
        done, total = 0, sum(len(ids) for ids in new)
        progress(done, total)
        for file, ids in zip(self._files, new, strict=True):
            there = file.count - len(ids)
            counts = FileReport(file.name, file.digest, already_there=there)
            report.files.append(counts)
            report.left_out += file.left_out
            report.noticed += file.noticed
            left = len(ids)
            for batch in _batches(execution for execution in file if execution.id in ids):
                left -= len(batch)
                if dry_run:
                    counts.add(batch, len(batch))
                else:
                    note = Note(self._format, file, self._rules.digest, clock()) if not left else None
                    report.appended += ledger.append(batch, counts, note)
                done += len(batch)
                progress(done, total)
        return report


@contextmanager
def read_files(
    format: str, paths: Sequence[str | Path], mapping: str | Path | None = None, *, progress: Progress = _silent
) -> Iterator[ForeignFiles]:
    """Foreign files, read to the last byte of the last one before any store is needed.

    Raises `BadInput` (`ImportRefused` names file and place) for a file that is not whole and for a mapping that says
    what nobody reads.
    """
    importer = find_importer(format)
    if not paths:
        raise BadInput("no file was named; nothing was imported")
    rules = load_mapping(format, importer.uses, mapping)
    with ExitStack() as open_files:
        files: list[SpooledFile] = []
        for path in paths:
            heard = _from(sum(file.count for file in files), progress)
            files.append(open_files.enter_context(spooled(path, importer, rules, heard)))
        yield ForeignFiles(format, rules, files)


def import_files(
    store: EventStore,
    format: str,
    paths: Sequence[str | Path],
    mapping: str | Path | None = None,
    *,
    dry_run: bool = False,
    progress: Progress = _silent,
    clock: Callable[[], int] = _now_us,
) -> ImportReport:
    """Bring foreign files into the log: all of what is new in them, and nothing of it twice.

    - It returns. Everything is in the log, except what the report names as left out.
    - It raises `BadInput` (`ImportRefused` names file and place): nothing was written. That goes for a file that
      is not whole, for a mapping that says what nobody reads, and for an execution that the log has with other
      content.
    - It raises a `StoreError`, or the process dies: some executions may be there, each of them whole. Running the
      same import again completes it.

    With `dry_run` the same is found out, and nothing is written.
    """
    with read_files(format, paths, mapping, progress=progress) as foreign:
        return foreign.into(store, dry_run=dry_run, progress=progress, clock=clock)


def _batches(executions: Iterable[ForeignExecution]) -> Iterator[list[ForeignExecution]]:
    """Groups small enough for one commit; an execution that stands twice comes once."""
    batch: list[ForeignExecution] = []
    events = 0
    seen: set[str] = set()
    for execution in executions:
        if execution.id in seen:
            continue
        seen.add(execution.id)
        if batch and (len(batch) == _BATCH_STREAMS or events + len(execution.events) > _BATCH_EVENTS):
            yield batch
            batch, events = [], 0
        batch.append(execution)
        events += len(execution.events)
    if batch:
        yield batch


def _from(read: int, progress: Progress) -> Callable[[int], None]:
    return lambda count: progress(read + count, None)
