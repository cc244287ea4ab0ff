"""The rules all backends share: which version is expected, and when an append was made before. Pure."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Any

import orjson

from actum.errors import BadInput, IdempotencyConflict, VersionConflict
from actum.events import PAYLOAD_LIMIT_BYTES, Actor, NewEvent, RecordedEvent, check_new_event, payload_digest
from actum.events.fields import cut
from actum.events.ids import id_bytes
from actum.eventstore.payloads.subjects import OpenedEvent
from actum.eventstore.protocol import ANY, EXISTS, Appended, Batch
from actum.eventstore.views import check_row

__all__ = ["answer_from", "check_batch", "check_expected", "names_in", "same_event", "sort_out_conflict"]


def check_batch(batch: Batch, limit_bytes: int = PAYLOAD_LIMIT_BYTES) -> list[bytes]:
    """The 16 bytes of every event's id, in order. `limit_bytes`: of a payload, in this store.

    Refuses a batch that no store may take: empty, with an event outside the profile, or with one id twice.
    """
    if not batch:
        raise BadInput("an append needs at least one stream; nothing was written")
    ids: list[bytes] = []
    for stream, expected, events, views in batch:
        if not events:
            raise BadInput(f"stream {stream!r}: an append needs at least one event; nothing was written")
        _check_name(stream)
        if expected < ANY:
            raise BadInput(f"stream {stream!r}: {expected} is not an expected version; nothing was written")
        for index, event in enumerate(events):
            check_new_event(event, stream, index, limit_bytes)
            try:
                ids.append(id_bytes(event.id))
            except (ValueError, AttributeError):
                raise BadInput(
                    f"{stream}[{index}]: event id {event.id!r} is not the lower-case text of a UUID; "
                    "nothing was written"
                ) from None
        for view, key, row in views:
            check_row(view, key, row)
    if len(ids) > 1 and len(set(ids)) != len(ids):
        raise BadInput(f"stream {batch[0][0]!r}: two events of one append have the same id; nothing was written")
    return ids


def _check_name(stream: str) -> None:
    kind, _, name = stream.partition("/")
    if not kind or not name or len(stream) > 512 or not stream.isprintable():
        raise BadInput(
            f"stream name {stream!r:.600} is not of the form kind/name with at most 512 printable characters; "
            "nothing was written"
        )


def names_in(batches: Sequence[Batch]) -> list[str]:
    """The streams of these batches, as far as they are names at all."""
    found: dict[str, None] = {}
    for batch in batches:
        for append in batch:
            name = append[0]
            if isinstance(name, str) and "\0" not in name and name.isprintable():
                found[name] = None
    return list(found)


def check_expected(stream: str, expected: int, actual: int) -> None:
    """Raise `VersionConflict` unless a stream of `actual` events is what the caller expects."""
    if expected in (actual, ANY) or (expected == EXISTS and actual > 0):
        return
    wanted = "an existing stream" if expected == EXISTS else str(expected)
    raise VersionConflict(stream, wanted, actual)


def same_event(new: NewEvent, there: RecordedEvent) -> bool:
    """Whether a recorded event is this new one: the same content under the same id."""
    head = there.head
    if (
        new.type != head["type"]
        or new.at != head["at"]
        or Actor(*new.actor) != there.actor
        or new.causation != head.get("causation")
        or new.correlation != head.get("correlation")
        or new.trace != head.get("trace")
        or orjson.dumps(new.facts, option=orjson.OPT_SORT_KEYS)
        != orjson.dumps(head["facts"], option=orjson.OPT_SORT_KEYS)
    ):
        return False
    about = head.get("payload")
    if new.payload is None or about is None:
        return new.payload is None and about is None
    if new.payload_class != about["class"]:
        return False
    if new.key is None and not new.personal and not isinstance(there, OpenedEvent):
        return "personal" not in head and "key" not in about and _same_part(new.payload, there.salt, about)
    return _same_parts(new, new.payload, there)


def _same_part(data: bytes, salt: bytes | None, about: dict[str, Any]) -> bool:
    if salt is None:  # erased since: the size is all there is left to compare
        return len(data) == int(about["size"])
    return hmac.compare_digest(payload_digest(salt, data), about["digest"])


def _same_parts(new: NewEvent, payload: bytes, there: RecordedEvent) -> bool:
    head = there.head
    rest, personal = cut(payload, new.personal, new.type) if new.personal else (payload, None)
    salts = {part.name: part.salt for part in there.parts} if isinstance(there, OpenedEvent) else {}
    if (personal is None) != ("personal" not in head) or (None if new.personal else new.key) != head["payload"].get(
        "key"
    ):
        return False
    if personal is not None:
        about = head["personal"]
        if new.key != about.get("key") or not _same_part(personal, salts.get("personal"), about):
            return False
    return _same_part(rest, salts.get("payload"), head["payload"])


def sort_out_conflict(batch: Batch, recorded: Sequence[RecordedEvent | None]) -> list[RecordedEvent] | None:
    """Decide what a batch means, given what is recorded under each of its event ids, in order.

    Returns the recorded events when the whole batch is there already (the first answer holds), None when none
    of it is. Raises `IdempotencyConflict` for anything in between, or for other content under a known id.
    """
    there: list[RecordedEvent] = []
    pairs = [(stream, event) for stream, _, events, _ in batch for event in events]
    for (stream, new), old in zip(pairs, recorded, strict=True):
        if old is None:
            continue
        if old.stream != stream or not same_event(new, old):
            raise IdempotencyConflict(new.id, old.stream, old.version)
        there.append(old)
    if there and len(there) != len(pairs):
        first = there[0]
        raise IdempotencyConflict(first.id, first.stream, first.version)
    return there or None


def answer_from(there: Sequence[RecordedEvent]) -> Appended:
    """The first answer to an append, made again from the events it recorded."""
    versions: dict[str, int] = {}
    for event in there:
        versions[event.stream] = max(versions.get(event.stream, 0), event.version + 1)
    return Appended(min(e.position for e in there), max(e.position for e in there), versions)
