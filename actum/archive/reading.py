"""Reading events out of an archive: by position, and by stream. Nothing is hashed here; `check_segment` does that."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from heapq import merge
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from actum.archive.places import ArchivePlace
from actum.archive.segment import Segment, read_segment
from actum.errors import ArchiveDamaged
from actum.events import RecordedEvent
from actum.eventstore import RawEvent
from actum.eventstore.floor import Stretch
from actum.eventstore.sealing.sealer import system_stream

__all__ = ["ArchivedEvents", "PayloadRow", "events_in"]

PayloadRow = tuple[int, bytes, bytes]
"""Position, salt, bytes."""

_COLUMNS = ["position", "stream", "version", "id", "type", "header"]


class ArchivedEvents:
    """The archived events of one tenant. A segment is fetched when one of its events is asked for, and not before."""

    def __init__(self, place: ArchivePlace, tenant: str) -> None:
        self.place = place
        self._tenant = tenant
        self._names: set[str] = set()
        self._firsts: list[int] = []
        self._known: set[str] = set()

    def between(
        self, first: int, end: int, *, payloads: bool = True, beside: Iterable[PayloadRow] = ()
    ) -> Iterator[RawEvent]:
        """The events from position `first` up to, not including, `end`; flat memory.

        `beside` are payloads that are not in the archive, in order. Raises `ArchiveDamaged` for the first event that
        is missing: none is skipped.
        """
        rows = self._rows(first, end)
        if not payloads:
            return rows
        return _joined(rows, merge(self._payloads(first, end), beside, key=lambda row: row[0]))

    def _rows(self, first: int, end: int) -> Iterator[RawEvent]:
        at = first
        while at < end:
            _, path = self._segment_of(at)
            before = at
            for row in events_in(path, at, end):
                if row.position != at:
                    raise ArchiveDamaged(str(path), at, f"gives position {row.position} instead")
                yield row
                at += 1
            if at == before:
                raise ArchiveDamaged(self.place.url, at, "it is missing: no segment holds it")

    def _payloads(self, first: int, end: int) -> Iterator[PayloadRow]:
        at = first
        while at < end:
            name, path = self._segment_of(at)
            yield from self._payloads_of(name, at, end)
            about = read_segment(path)
            if at >= about.first + about.count:
                return  # a gap, which is found when its events are read
            at = about.first + about.count

    def of_stream(self, stream: str, stretches: Sequence[Stretch], low: int, end: int | None) -> list[RawEvent]:
        """The versions of a stream from `low` up to `end`, as far as these stretches go, with archived payloads."""
        found: list[RawEvent] = []
        at = low
        for stretch in stretches:
            until = stretch.until if end is None else min(stretch.until, end)
            if until <= at:
                continue
            name, path = self._segment_of(stretch.segment)
            rows = [row for row in _events_of(path, stream) if at <= row.version < until]
            if [row.version for row in rows] != list(range(at, until)):
                raise ArchiveDamaged(
                    str(path), stretch.segment, f"does not give versions {at} to {until - 1} of {stream!r}"
                )
            payloads = self._payloads_of(name, rows[0].position, rows[-1].position + 1)
            found += _joined(iter(rows), payloads)
            at = until
        return found

    def own(self, segments: Iterable[Segment]) -> list[RecordedEvent]:
        """What the log says of itself in these segments; nothing in one that cannot be read."""
        found: list[RecordedEvent] = []
        for segment in segments:
            with suppress(ArchiveDamaged):
                rows = _events_of(self.place.fetch(segment.name), system_stream(self._tenant))
                found += [RecordedEvent(row.position, row.header) for row in rows]
        return found

    def _segment_of(self, position: int) -> tuple[str, Path]:
        """The file that should hold this position."""
        at = bisect_right(self._firsts, position) - 1
        if at < 0 or at == len(self._firsts) - 1:  # not known, or perhaps in one that was archived since
            self._names = set(self.place.names())
            self._firsts = sorted(int(name[:12]) for name in self._names if name[12:] == ".parquet")
            at = bisect_right(self._firsts, position) - 1
        if at < 0:
            raise ArchiveDamaged(self.place.url, position, "no segment holds it")
        name = f"{self._firsts[at]:012d}.parquet"
        path = self.place.fetch(name)
        if name not in self._known:
            about = read_segment(path)
            if about.name != name or about.tenant != self._tenant:
                raise ArchiveDamaged(str(path), position, f"is of tenant {about.tenant!r}, from {about.first} on")
            self._known.add(name)
        return name, path

    def _payloads_of(self, name: str, first: int, end: int) -> Iterator[PayloadRow]:
        beside = name.replace(".parquet", ".payloads.parquet")
        if beside in self._names:  # or they were taken away, as they may be
            yield from _payloads_in(self.place.fetch(beside), first, end)


def events_in(path: Path, first: int, end: int) -> Iterator[RawEvent]:
    """A segment's events from position `first` up to `end`, without payloads."""
    new = tuple.__new__  # as in the stores: checking makes millions
    with _damage(path, first):
        file = pq.ParquetFile(path, page_checksum_verification=True)
        start = read_segment(path).first
        for number in range(file.num_row_groups):
            count = file.metadata.row_group(number).num_rows
            if start + count > first and start < end:
                group = file.read_row_group(number, columns=_COLUMNS)
                columns = [group.column(name).to_pylist() for name in _COLUMNS]
                for position, stream, version, id_, kind, header in zip(*columns, strict=True):
                    if first <= position < end:
                        yield new(RawEvent, (position, stream, version, id_, kind, header.encode(), None, None))
            start += count


def _events_of(path: Path, stream: str) -> list[RawEvent]:
    """The events of one stream: only the column of streams is read where it has none."""
    found: list[RawEvent] = []
    with _damage(path, 0):
        file = pq.ParquetFile(path, page_checksum_verification=True)
        for number in range(file.num_row_groups):
            here = pc.equal(file.read_row_group(number, columns=["stream"]).column(0).cast(pa.string()), stream)
            if pc.any(here).as_py():
                group = file.read_row_group(number, columns=_COLUMNS).filter(here)
                columns = [group.column(name).to_pylist() for name in _COLUMNS]
                found += [
                    RawEvent(position, stream, version, id_, kind, header.encode(), None, None)
                    for position, _, version, id_, kind, header in zip(*columns, strict=True)
                ]
    return found


def _payloads_in(path: Path, first: int, end: int) -> Iterator[PayloadRow]:
    with _damage(path, first):
        file = pq.ParquetFile(path, page_checksum_verification=True)
        for number in range(file.num_row_groups):
            positions = file.read_row_group(number, columns=["position"]).column(0).to_pylist()
            if positions and positions[0] < end and positions[-1] >= first:
                group = file.read_row_group(number, columns=["position", "salt", "data"])
                for row in zip(*(column.to_pylist() for column in group.columns), strict=True):
                    if first <= row[0] < end:
                        yield row


def _joined(rows: Iterator[RawEvent], payloads: Iterator[PayloadRow]) -> Iterator[RawEvent]:
    """Events with their payloads, both in the order of positions."""
    following = next(payloads, None)
    for row in rows:
        while following is not None and following[0] < row.position:
            following = next(payloads, None)
        if following is not None and following[0] == row.position:
            row = row._replace(salt=following[1], payload=following[2])
        yield row


@contextmanager
def _damage(path: Path, position: int) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, LookupError, TypeError, AttributeError) as exc:
        raise ArchiveDamaged(str(path), position, f"cannot be read ({type(exc).__name__}: {exc})") from exc
