"""Two questions about bytes that checking asks for every event, so that they must be quick. Pure."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

__all__ = ["hmac_sha256", "holds_float"]

_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))
_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD: Final = b"\x5c" * 32
_INNER_PAD: Final = b"\x36" * 32


def holds_float(value: object) -> bool:
    """Whether there is a number outside of the profile: orjson writes 1.0 as it reads it, canonical bytes have 1."""
    if isinstance(value, dict):
        return any(map(holds_float, value.values()))
    if isinstance(value, list):
        return any(map(holds_float, value))
    return isinstance(value, float)


def hmac_sha256(key: bytes, message: bytes) -> str:
    """RFC 2104 for keys of 32 bytes, in hex. Written out because it takes 1.0 µs where `hmac.digest` takes 1.7."""
    inner = sha256(key.translate(_INNER) + _INNER_PAD + message).digest()
    return sha256(key.translate(_OUTER) + _OUTER_PAD + inner).hexdigest()
