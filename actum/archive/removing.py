"""Taking erased payloads out of an archive: their file is written again without them. Headers and roots stay.

At every moment the place has the old file or the new one, so a run that was killed is completed by the next.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from actum.archive.archiving import segments_of
from actum.archive.places import ArchivePlace
from actum.archive.segment import Segment, check_segment, payloads_writer
from actum.errors import ArchiveDamaged

__all__ = ["Removal"]


class Removal:
    """Collects which payloads are to go, and then writes each file that has some of them once."""

    def __init__(self, place: ArchivePlace, tenant: str) -> None:
        self._place = place
        self._tenant = tenant
        self._segments: list[Segment] | None = None
        self._there: tuple[str, frozenset[int]] = "", frozenset()
        self._going: dict[str, set[int]] = defaultdict(set)

    def add(self, positions: Iterable[int]) -> set[int]:
        """Remember the payloads at these positions, until `carry_out`; the positions whose payloads the place has."""
        found: set[int] = set()
        for position in positions:
            segment = self._segment_of(position)
            if segment is not None and position in self._positions_in(segment.payloads_name):
                self._going[segment.name].add(position)
                found.add(position)
        return found

    def carry_out(self) -> None:
        """Remove them. Each file is proved before and after, so no damage is written away.

        Raises `ArchiveDamaged` for a segment that is not what it should be; it is left as it is.
        """
        for name, positions in sorted(self._going.items()):
            segment = next(one for one in self._segments or () if one.name == name)
            headers = self._place.fetch_again(name)
            before = self._place.fetch_again(segment.payloads_name)
            check_segment(headers, (), before)
            with tempfile.TemporaryDirectory(prefix="actum-removing-") as here:
                after = Path(here) / segment.payloads_name
                _write_without(before, after, positions)
                self._place.replace(segment.payloads_name, after)
            check_segment(headers, (), self._place.fetch_again(segment.payloads_name))
        self._going.clear()
        self._segments, self._there = None, ("", frozenset())

    def _segment_of(self, position: int) -> Segment | None:
        if self._segments is None:
            self._segments = segments_of(self._place, self._tenant)
        index = position // self._segments[0].count if self._segments else 0
        return self._segments[index] if index < len(self._segments) else None

    def _positions_in(self, name: str) -> frozenset[int]:
        if self._there[0] != name:
            here: list[int] = []
            if name in self._place.names():
                try:
                    here = pq.read_table(self._place.fetch_again(name), columns=["position"]).column(0).to_pylist()
                except (pa.ArrowException, OSError, ValueError) as exc:
                    raise ArchiveDamaged(self._place.url, int(name[:12]), f"{name} cannot be read ({exc})") from exc
            self._there = name, frozenset(here)
        return self._there[1]


def _write_without(before: Path, after: Path, positions: set[int]) -> None:
    source = pq.ParquetFile(before)
    gone = pa.array(sorted(positions), pa.int64())
    with payloads_writer(after) as target:
        for number in range(source.num_row_groups):
            rows = source.read_row_group(number)
            target.write_table(rows.filter(pc.invert(pc.is_in(rows.column("position"), gone))))
