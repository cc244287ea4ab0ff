"""Event and execution ids: UUID version 7 for what is new, version 5 for what was recorded elsewhere."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

__all__ = ["foreign_id", "id_bytes", "id_text", "uuid7", "uuid7s"]

_FOREIGN = uuid.UUID("6c1d5f0e-3a52-5c0b-9f4b-9a4d1a3e7c55")


def uuid7(now_us: int, random_bits: int) -> str:
    """A UUIDv7 (RFC 9562, 5.7) of this instant: 48 bits of milliseconds, 12 bits of their fraction, 62 random bits.

    Ids made in different 244 ns sort by time, which keeps index inserts at the right edge.
    """
    return uuid7s(now_us, (random_bits,))[0]


def uuid7s(now_us: int, random_bits: Iterable[int]) -> list[str]:
    """One UUIDv7 of this instant for each of the random numbers, of which the low 62 bits count."""
    ms, rest = divmod(now_us, 1000)
    time = f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-7{rest * 4096 // 1000:03x}-"
    return [f"{time}{bits >> 48 & 0x3FFF | 0x8000:04x}-{bits & 0xFFFFFFFFFFFF:012x}" for bits in random_bits]


def foreign_id(*parts: str | int) -> str:
    """The id of something recorded elsewhere: equal parts give the equal id, so importing twice adds nothing.

    Other parts give another id, also when a part holds the separator; a number and its text count as equal.
    """
    texts = map(str, parts)
    return str(uuid.uuid5(_FOREIGN, "\x1f".join(t.replace("\\", "\\\\").replace("\x1f", "\\u") for t in texts)))


def id_bytes(text: str) -> bytes:
    """The 16 bytes of an id; `ValueError` unless it is the canonical lower-case text of a UUID."""
    raw = bytes.fromhex(text.replace("-", ""))
    # With 36 characters, 16 bytes and four hyphens in place, every other character was a hex digit.
    if (
        len(raw) != 16
        or len(text) != 36
        or not text[8] == text[13] == text[18] == text[23] == "-"
        or text != text.lower()
    ):
        raise ValueError(f"{text!r} is not the lower-case text of a UUID")
    return raw


def id_text(raw: bytes) -> str:
    """The canonical text of 16 id bytes."""
    h = raw.hex()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"
