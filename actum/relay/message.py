"""What is sent: one JSON document an event. `docs/formats/relay.md` is the normative description."""

from __future__ import annotations

from base64 import b64encode
from typing import Any, NamedTuple

import orjson

from actum.events import ERASED, RecordedEvent

__all__ = ["FORMAT", "Message", "message_of"]

FORMAT = 1


class Message(NamedTuple):
    """One event on its way: what targets need to know of it, and the bytes they send."""

    id: str
    stream: str
    type: str
    position: int
    body: bytes


def message_of(event: RecordedEvent, *, personal: bool = False) -> Message:
    """The message about an event. What is personal is withheld unless `personal` says otherwise: fields are null.

    The header is the log's, byte for byte, so that its leaf hash can be checked after canonicalising it again.
    """
    about: dict[str, Any] = {
        "actum_relay": FORMAT,
        "header": orjson.Fragment(event.header),
        "leaf": event.leaf.hex(),
        "position": event.position,
    }
    described = event.head.get("payload")
    if described is not None:
        payload = event.payload if personal else event.impersonal
        if event.payload is None:
            about["withheld"] = "erased" if event.missing == ERASED else "unreadable"
        elif described["class"] == "personal" and not personal:
            about["withheld"] = "personal"
        else:
            try:
                about["payload"] = orjson.loads(payload or b"")
            except ValueError:
                about["payload_base64"] = b64encode(payload or b"").decode()
    return Message(event.id, event.stream, event.type, event.position, orjson.dumps(about))
