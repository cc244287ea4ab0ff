"""What the log has already of a file's executions, and how the rest gets in.

What is there is compared by the store itself, as an append that was made before. Two things are taken from the log
for that: the instant of import, where the foreign record has no times, and the file an execution was first read
from. The first import's provenance stands.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from actum.errors import IdempotencyConflict, ImportRefused, VersionConflict
from actum.events import Actor, NewEvent, RecordedEvent, foreign_id, to_text, uuid7
from actum.eventstore import ANY, NO_STREAM, Append, EventStore, ViewRow
from actum.evidence.importers.protocol import ForeignExecution
from actum.evidence.importers.report import FileReport
from actum.evidence.importers.spool import SpooledFile

__all__ = ["Ledger", "Note"]

_COMPARED_AT_ONCE: Final = 200
_ENDS: Final = {
    "execution.completed": "completed",
    "execution.failed": "failed",
    "execution.cancelled": "cancelled",
}


class _Met(NamedTuple):
    content: str
    file: str
    where: str


class Ledger:
    """The log as an import sees it."""

    def __init__(self, store: EventStore, now: str) -> None:
        self._store = store
        self._now = now

    def new_in(self, files: Sequence[SpooledFile]) -> list[set[str]]:
        """For each file, the ids of its executions that neither the log nor a file before it has."""
        met: dict[str, _Met] = {}
        answer: list[set[str]] = []
        for file in files:
            ids: set[str] = set()
            known: list[Append] = []
            foreign: dict[str, ForeignExecution] = {}
            for execution in file:
                before = met.get(execution.id)
                if before is not None:
                    if before.content != execution.content:
                        problem = f"stands at {before.file}: {before.where} too, with other content"
                        raise _conflict(file, execution, problem)
                    continue  # the same again: what came first counts
                met[execution.id] = _Met(execution.content, file.name, execution.where)
                recorded = self._store.read_stream(execution.stream, 0, 1)
                if recorded:
                    known.append(self._again(execution, recorded[0]))
                    foreign[execution.stream] = replace(execution, events=[])
                    if len(known) == _COMPARED_AT_ONCE:
                        self._compare(file, known, foreign)
                        known, foreign = [], {}
                else:
                    ids.add(execution.id)
            self._compare(file, known, foreign)
            answer.append(ids)
        return answer

    def append(self, batch: Sequence[ForeignExecution], counts: FileReport, note: Note | None) -> int:
        """Append executions that were new, and count them; returns how many events were written.

        The note that ends a file goes into the same append as its last executions. When another import of the same
        executions was faster, what it appended is compared and counted as there already.
        """
        appends = [self._first(execution) for execution in batch]
        after = replace(counts)
        after.add(batch, len(batch))
        done = [note.append(self._store.tenant, after)] if note is not None else []
        try:
            self._store.append(appends + done)
        except (VersionConflict, IdempotencyConflict):
            return self._append_singly(batch, counts, note)
        counts.add(batch, len(batch))
        return sum(len(append.events) for append in appends + done)

    def _append_singly(self, batch: Sequence[ForeignExecution], counts: FileReport, note: Note | None) -> int:
        written = 0
        for execution in batch:
            recorded = self._store.read_stream(execution.stream, 0, 1)
            append = self._again(execution, recorded[0]) if recorded else self._first(execution)
            self._store.append([append])
            counts.add([] if recorded else [execution], 1)
            written += 0 if recorded else len(append.events)
        if note is not None and counts.executions:
            self._store.append([note.append(self._store.tenant, counts)])
            written += 1
        return written

    def _compare(self, file: SpooledFile, known: list[Append], foreign: dict[str, ForeignExecution]) -> None:
        """See that the log has exactly this. Appending what is there writes nothing; anything else is refused."""
        if not known:
            return
        try:
            self._store.append(known)
        except (VersionConflict, IdempotencyConflict):
            for append in known:
                try:
                    self._store.append([append])
                except (VersionConflict, IdempotencyConflict) as exc:
                    raise _conflict(
                        file,
                        foreign[append.stream],
                        "is in the log with other content: the record has changed, or it was imported with another "
                        "mapping. To have both, give this mapping another workflow name",
                    ) from exc
            raise

    def _first(self, execution: ForeignExecution) -> Append:
        return self._append(execution, self._now, None)

    def _again(self, execution: ForeignExecution, recorded: RecordedEvent) -> Append:
        return self._append(execution, recorded.at, recorded.facts.get("source"))

    def _append(self, execution: ForeignExecution, at: str, source: object) -> Append:
        """An execution as it is, or would be, appended: with ids, and with times if the foreign record had none."""
        stream, tenant = execution.stream, self._store.tenant
        events = [
            NewEvent(
                event.type,
                event.facts,
                at if execution.time_unknown else event.at,
                event.actor,
                foreign_id("import", tenant, stream, index),
                event.payload,
                event.payload_class,
            )
            for index, event in enumerate(execution.events)
        ]
        if source is not None:
            events[0].facts = events[0].facts | {"source": source}
        return Append(stream, NO_STREAM, events, [_row(execution.id, events)])


def _row(id_: str, events: Sequence[NewEvent]) -> ViewRow:
    """The row of an imported execution, as a fold over its events would make it."""
    started = events[0]
    end = next(event for event in reversed(events) if event.type in _ENDS)
    row = {
        "workflow": started.facts["workflow"],
        "definition": None,
        "kind": "import",
        "status": _ENDS[end.type],
        "waiting_for": None,
        "owner": None,
        "started_at": started.at,
        "ended_at": end.at,
        "wake_us": None,
        "error_type": end.facts.get("error_type"),
        "priority": None,
        "labels": None,
    }
    return ViewRow("executions", (id_,), row)


@dataclass
class Note:
    """What the log keeps of the import of one file."""

    format: str
    file: SpooledFile
    mapping: str
    now_us: int

    def append(self, tenant: str, counts: FileReport) -> Append:
        facts = {
            "format": self.format,
            "source": self.file.digest,
            "mapping": self.mapping,
            "executions": counts.executions,
            "events": counts.events,
            "already_there": counts.already_there,
        }
        payload = {"file": Path(self.file.name).name, "left_out": [asdict(item) for item in self.file.left_out]}
        event = NewEvent(
            "import.done",
            facts,
            to_text(self.now_us),
            Actor("import", self.format),
            uuid7(self.now_us, secrets.randbits(62)),
            orjson.dumps(payload),
        )
        return Append(f"system/{tenant}", ANY, [event])


def _conflict(file: SpooledFile, execution: ForeignExecution, problem: str) -> ImportRefused:
    return ImportRefused(file.name, execution.where, f"{execution.foreign!r} (execution {execution.id}) {problem}")
