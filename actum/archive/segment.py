"""One segment: an aligned stretch of the log in a Parquet file, with the proof that a signed checkpoint covers it.

A segment holds 2^k events from a multiple of 2^k on, so its root is a node of the log's Merkle tree, and the proof is
the inclusion proof of that node among the segments' roots. What the file says of itself stands in its metadata.
Headers are kept as text, byte for byte; every other column repeats what a header says, so that DuckDB need not parse.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from actum.archive.places import ArchivePlace
from actum.errors import ArchiveDamaged
from actum.events import leaf_hash, payload_digest, to_us
from actum.events.checkpoint import Checkpoint, VerifierKey, parse_unverified
from actum.events.epoch import verify_of
from actum.events.merkle import Frontier, verify_inclusion
from actum.events.rotation import Trust
from actum.eventstore import RawEvent
from actum.eventstore.floor import stays
from actum.eventstore.sealing.sealer import origin_of

__all__ = [
    "NAMES",
    "SEGMENT_EVENTS",
    "Segment",
    "check_segment",
    "payloads_writer",
    "read_segment",
    "read_segment_at",
    "rows_of",
    "write_payloads",
    "write_segment",
]

SEGMENT_EVENTS: Final = 65_536
FORMAT: Final = 2
_ABOUT: Final = b"actum.segment"
_ROW_GROUP: Final = 8_192
_FOOTER: Final = 262_144  # several times what the footer of a whole segment takes

# No statistics: a reader would trust them without looking, and no hash covers them. Checksums: pages are checked.
_AS: Final = {"compression": "zstd", "version": "2.6", "write_statistics": False, "write_page_checksum": True}

_TEXT_OF_FEW = pa.dictionary(pa.int32(), pa.string())
_FACTS: Final[dict[str, type]] = {
    "workflow": str,
    "step": str,
    "tool": str,
    "model": str,
    "outcome": str,
    "error_type": str,
    "attempt": int,
    "duration_us": int,
    "active_us": int,
    "cost_nanousd": int,
    "input_tokens": int,
    "output_tokens": int,
}
"""The facts that reports are made of, each with a column of its own; empty where an event has no such fact."""
EVENTS: Final = pa.schema(
    [
        pa.field("position", pa.int64(), nullable=False),
        pa.field("stream", pa.string(), nullable=False),
        pa.field("version", pa.int64(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("type", _TEXT_OF_FEW, nullable=False),
        pa.field("at_us", pa.int64(), nullable=False),
        pa.field("recorded_us", pa.int64(), nullable=False),
        pa.field("actor_kind", _TEXT_OF_FEW, nullable=False),
        pa.field("actor_ref", pa.string(), nullable=False),
        *[pa.field(name, _TEXT_OF_FEW if kind is str else pa.int64()) for name, kind in _FACTS.items()],
        pa.field("header", pa.string(), nullable=False),
    ]
)
NAMES: Final = {1: [name for name in EVENTS.names if name not in _FACTS], 2: EVENTS.names}
"""Format → the columns of its headers. Whatever was written once can always be read."""
PAYLOADS: Final = pa.schema(
    [
        pa.field("position", pa.int64(), nullable=False),
        pa.field("salt", pa.binary(32), nullable=False),
        pa.field("data", pa.binary(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class Segment:
    """What a segment's file says of itself."""

    tenant: str
    first: int
    """The position of its first event, a multiple of `count`."""
    count: int
    """How many events it holds, a power of two."""
    root: bytes
    proof: list[bytes]
    """The audit path from `root` to the root of `checkpoint`, where each leaf is a segment's root."""
    checkpoint: str
    """The signed note that covers it."""
    format: int = FORMAT

    @property
    def name(self) -> str:
        return f"{self.first:012d}.parquet"

    @property
    def payloads_name(self) -> str:
        return f"{self.first:012d}.payloads.parquet"

    @property
    def signed(self) -> Checkpoint:
        """What the note says, unverified."""
        return parse_unverified(self.checkpoint)

    def proves(self) -> bool:
        """Whether the proof leads from the root to the root of the note."""
        signed = self.signed
        blocks = -(-signed.size // self.count)
        covered = self.first + self.count <= signed.size
        return covered and verify_inclusion(self.root, self.first // self.count, blocks, self.proof, signed.root)

    def to_json(self) -> dict[str, Any]:
        return {
            "format": self.format,
            "tenant": self.tenant,
            "first": self.first,
            "count": self.count,
            "root": self.root.hex(),
            "proof": [step.hex() for step in self.proof],
            "checkpoint": self.checkpoint,
        }


def rows_of(events: Iterable[RawEvent]) -> pa.RecordBatch:
    """Events as rows of a segment."""
    columns: list[list[Any]] = [[] for _ in EVENTS]
    add = [column.append for column in columns]
    for event in events:
        head = orjson.loads(event.header)
        row = _row(event.position, head, event.header.decode())
        for put, value in zip(add, row, strict=True):
            put(value)
    arrays = [
        pa.array(column, pa.string()).dictionary_encode()
        if field.type == _TEXT_OF_FEW
        else pa.array(column, field.type)
        for column, field in zip(columns, EVENTS, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=EVENTS)


def _row(position: int, head: dict[str, Any], header: str, format_: int = FORMAT) -> tuple[Any, ...]:
    actor = head["actor"]
    facts = head["facts"] if format_ > 1 else None
    return (
        position,
        head["stream"],
        head["version"],
        head["id"],
        head["type"],
        to_us(head["at"]),
        to_us(head["recorded_at"]),
        actor["kind"],
        actor["ref"],
        *(() if facts is None else [_fact(facts.get(name), kind) for name, kind in _FACTS.items()]),
        header,
    )


def _fact(value: object, kind: type) -> object:
    return value if type(value) is kind else None


def write_segment(path: Path, about: Segment, events: Iterable[RawEvent]) -> None:
    """Write the headers of exactly the events that `about` names.

    Raises `ArchiveDamaged`, and leaves no file, when they are not those: a gap, or another root.
    """
    schema = EVENTS.with_metadata({_ABOUT: orjson.dumps(about.to_json(), option=orjson.OPT_SORT_KEYS)})
    frontier = Frontier()
    position = about.first
    try:
        with pq.ParquetWriter(path, schema, **_AS) as file:
            for page in _pages(events):
                for event in page:
                    if event.position != position:
                        raise ArchiveDamaged(str(path), position, f"the log gave position {event.position} instead")
                    position += 1
                frontier.extend([leaf_hash(event.header) for event in page])
                file.write_batch(rows_of(page).cast(schema))
        if position != about.first + about.count or frontier.root() != about.root:
            raise ArchiveDamaged(str(path), about.first, "the log changed while it was read: the root is another now")
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def payloads_writer(path: Path) -> pq.ParquetWriter:
    """What writes a segment's payloads."""
    return pq.ParquetWriter(path, PAYLOADS, **_AS)


def write_payloads(path: Path, events: Iterable[RawEvent]) -> int:
    """Write what may leave the log: payloads that are not personal, with their salts.

    Returns how many stayed behind.
    """
    left = 0
    with payloads_writer(path) as file:
        for page in _pages(events):
            rows: list[tuple[int, bytes, bytes]] = []
            for event in page:
                if event.payload is None:
                    continue
                if isinstance(event.payload, tuple) or event.salt is None or stays(orjson.loads(event.header)):
                    left += 1
                else:
                    rows.append((event.position, event.salt, event.payload))
            columns = list(zip(*rows, strict=True)) if rows else [(), (), ()]
            arrays = [pa.array(c, field.type) for c, field in zip(columns, PAYLOADS, strict=True)]
            file.write_batch(pa.RecordBatch.from_arrays(arrays, schema=PAYLOADS))
    return left


def _pages(events: Iterable[RawEvent]) -> Iterator[list[RawEvent]]:
    source = iter(events)
    while page := list(islice(source, _ROW_GROUP)):
        yield page


# -- reading -----------------------------------------------------------------------------------------------------


def read_segment_at(place: ArchivePlace, name: str) -> Segment:
    """As `read_segment`, of a file at a place: only its end is fetched, where Parquet says what is in it."""
    end = place.end_of(name, _FOOTER)
    if int.from_bytes(end[-8:-4], "little") + 8 > len(end):
        return read_segment(place.fetch(name))
    return _segment_in(pa.BufferReader(end), f"{place.url}/{name}")


def read_segment(path: Path) -> Segment:
    """What a segment's file says of itself; nothing of it is checked.

    Raises `ArchiveDamaged` for what is no segment.
    """
    return _segment_in(path, str(path))


def _segment_in(source: Path | pa.BufferReader, path: str) -> Segment:
    try:
        metadata = pq.read_schema(source).metadata or {}
        about = orjson.loads(metadata[_ABOUT])
        if about["format"] not in NAMES:
            raise ArchiveDamaged(
                path, 0, f"is of format {about['format']}; this program reads {' and '.join(map(str, NAMES))}"
            )
        segment = Segment(
            about["tenant"],
            about["first"],
            about["count"],
            bytes.fromhex(about["root"]),
            [bytes.fromhex(step) for step in about["proof"]],
            about["checkpoint"],
            about["format"],
        )
        count, first = segment.count, segment.first
        if type(count) is not int or type(first) is not int or count < 1 or count & (count - 1) or first % count:
            raise ArchiveDamaged(path, 0, f"{count} events from {first} on are no segment")
    except (pa.ArrowException, OSError, ValueError, LookupError, TypeError, AttributeError) as exc:
        raise ArchiveDamaged(path, 0, f"is no segment ({type(exc).__name__}: {exc})") from exc
    return segment


def check_segment(path: Path, keys: Trust | Iterable[VerifierKey], payloads: Path | None = None) -> int:
    """Re-hash a segment to the signed root: every header, every column beside it, and the payloads where given.

    Returns how many payloads are missing that are not personal: erased, not produced, or taken away.

    Raises `ArchiveDamaged` naming the first wrong position, and `CheckpointRefused` when no key has signed the note.
    """
    segment = read_segment(path)
    trusted = keys.keys_at(segment.signed.size) if isinstance(keys, Trust) else list(keys)
    if trusted:
        verify_of(origin_of(segment.tenant), segment.checkpoint, trusted)
    if not segment.proves():
        raise ArchiveDamaged(str(path), segment.first, "its root is not in the tree that its checkpoint signed")
    source = str(path)
    frontier = Frontier()
    position = segment.first
    digests: dict[int, str] = {}
    wanted = 0
    try:
        for batch in pq.ParquetFile(path, page_checksum_verification=True).iter_batches(_ROW_GROUP):
            if batch.schema.names != NAMES[segment.format]:
                raise ArchiveDamaged(source, position, f"its columns are {', '.join(batch.schema.names)}")
            leaves = []
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                header = row[-1]
                head = orjson.loads(header)
                if head["tenant"] != segment.tenant:
                    raise ArchiveDamaged(source, position, f"is of tenant {head['tenant']!r}")
                if row != _row(position, head, header, segment.format):
                    raise ArchiveDamaged(source, position, "its columns do not say what its header says")
                if "payload" in head:
                    wanted += not stays(head)
                    digests[position] = head["payload"]["digest"]
                leaves.append(leaf_hash(header.encode()))
                position += 1
            frontier.extend(leaves)
    except (pa.ArrowException, OSError, ValueError, LookupError, TypeError, AttributeError) as exc:
        raise ArchiveDamaged(source, position, f"cannot be read ({type(exc).__name__}: {exc})") from exc
    if position != segment.first + segment.count or frontier.root() != segment.root:
        raise ArchiveDamaged(
            source, segment.first, "its headers do not give its root: one was changed, added or removed"
        )
    return wanted if payloads is None else wanted - _check_payloads(payloads, digests)


def _check_payloads(path: Path, digests: dict[int, str]) -> int:
    """How many payloads are there, each of them once and right."""
    position = -1
    seen = 0
    try:
        for batch in pq.ParquetFile(path, page_checksum_verification=True).iter_batches(_ROW_GROUP):
            if batch.schema.names != PAYLOADS.names:
                raise ArchiveDamaged(str(path), 0, f"its columns are {', '.join(batch.schema.names)}")
            for position, salt, data in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                if digests.pop(position, "") != payload_digest(salt, data):
                    raise ArchiveDamaged(str(path), position, "the payload does not give the digest in its header")
                seen += 1
    except (pa.ArrowException, OSError, ValueError, LookupError, TypeError, AttributeError) as exc:
        raise ArchiveDamaged(str(path), max(position, 0), f"cannot be read ({type(exc).__name__}: {exc})") from exc
    return seen
