"""How a webhook's receiver knows who sent a message, and that it is fresh: the headers of Standard Webhooks.

`webhook-id` is the event's id, `webhook-timestamp` the second of sending, and `webhook-signature` is `v1,` and the
base64 of the HMAC-SHA256 of `id.timestamp.body` under the secret.
"""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from binascii import Error as NotBase64

from actum.errors import BadInput

__all__ = ["key_of", "signature", "signed_headers", "verify"]

_PREFIX = "whsec_"


def key_of(secret: str) -> bytes:
    """The key in a secret: the base64 behind `whsec_`. Raises `BadInput` for one of less than 16 bytes."""
    try:
        key = b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (NotBase64, ValueError):
        key = b""
    if not secret.startswith(_PREFIX) or not 16 <= len(key) <= 256:
        raise BadInput("the secret of a webhook is whsec_ and the base64 of 16 to 256 random bytes; nothing was sent")
    return key


def signature(key: bytes, id_: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`."""
    return "v1," + b64encode(hmac.digest(key, f"{id_}.{timestamp}.".encode() + body, "sha256")).decode()


def signed_headers(key: bytes, id_: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of a message sent at this second."""
    return {
        "webhook-id": id_,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(key, id_, timestamp, body),
    }


def verify(key: bytes, headers: dict[str, str], body: bytes, now: int, tolerance_s: int = 300) -> bool:
    """Whether the headers (in lower case) are of this body, by who has the key, and not older than the tolerance."""
    stamp = headers.get("webhook-timestamp", "")
    if not (stamp.isascii() and stamp.isdigit()) or abs(now - int(stamp)) > tolerance_s:
        return False
    wanted = signature(key, headers.get("webhook-id", ""), int(stamp), body)
    given = headers.get("webhook-signature", "").split(" ")
    return any(hmac.compare_digest(one.encode(), wanted.encode()) for one in given)
