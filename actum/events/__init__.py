"""What can happen: the envelope, canonical bytes, the Merkle tree. No I/O, no clock, no chance.

The catalogue of fact models is in `actum.events.catalog`, which imports pydantic; nothing here does.
"""

from actum.events import checkpoint, merkle
from actum.events.canonical import MAX_INTEGER, canonical
from actum.events.checkpoint import Checkpoint, SigningKey, VerifierKey
from actum.events.envelope import (
    ERASED,
    HEADER_LIMIT_BYTES,
    PAYLOAD_LIMIT_BYTES,
    Actor,
    FiledEvent,
    NewEvent,
    Part,
    PartName,
    RecordedEvent,
    SealedEvent,
    check_new_event,
    leaf_hash,
    payload_digest,
    seal,
)
from actum.events.ids import foreign_id, id_bytes, id_text, uuid7, uuid7s
from actum.events.merkle import EMPTY_ROOT, Frontier
from actum.events.times import parse_instant, to_text, to_us
from actum.events.upcast import CURRENT, UPCASTERS, upcast

__all__ = [
    "CURRENT",
    "EMPTY_ROOT",
    "ERASED",
    "HEADER_LIMIT_BYTES",
    "MAX_INTEGER",
    "PAYLOAD_LIMIT_BYTES",
    "UPCASTERS",
    "Actor",
    "Checkpoint",
    "FiledEvent",
    "Frontier",
    "NewEvent",
    "Part",
    "PartName",
    "RecordedEvent",
    "SealedEvent",
    "SigningKey",
    "VerifierKey",
    "canonical",
    "check_new_event",
    "checkpoint",
    "foreign_id",
    "id_bytes",
    "id_text",
    "leaf_hash",
    "merkle",
    "parse_instant",
    "payload_digest",
    "seal",
    "to_text",
    "to_us",
    "upcast",
    "uuid7",
    "uuid7s",
]
