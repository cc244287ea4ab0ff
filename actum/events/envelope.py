"""The envelope: `NewEvent` before the log has it, `RecordedEvent` after, and the sealed bytes between them.

A header is built exactly once, by `seal`, when a store gives the event its place in its stream. Its bytes are
stored as they are and never serialised again; everything else here reads them.
`docs/formats/event.md` is the normative description.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal, NamedTuple, NoReturn

import orjson

from actum.errors import BadInput, ProfileError, StoreDamaged, StoreRefused, near_miss
from actum.events.canonical import canonical_unchecked, check_facts, check_text, is_plain
from actum.events.ids import id_bytes
from actum.events.times import is_instant
from actum.events.upcast import CURRENT, upcast

__all__ = [
    "ERASED",
    "HEADER_LIMIT_BYTES",
    "PAYLOAD_LIMIT_BYTES",
    "Actor",
    "FiledEvent",
    "NewEvent",
    "Part",
    "PartName",
    "RecordedEvent",
    "SealedEvent",
    "check_new_event",
    "leaf_hash",
    "payload_digest",
    "seal",
]

HEADER_LIMIT_BYTES = 64 * 1024 - 1  # a tile states an entry's length in two bytes
PAYLOAD_LIMIT_BYTES = 256 * 1024
VERSION = 1  # the `v` of every header this program writes

ActorKind = Literal["worker", "person", "agent", "model", "service", "import", "system"]
_ACTOR_KINDS = frozenset({"worker", "person", "agent", "model", "service", "import", "system"})
_PAYLOAD_CLASSES = frozenset({"public", "business", "personal"})
ERASED = "was erased"
"""What `RecordedEvent.missing` says of a payload, or a part of one, that is not kept any more."""
_INNER = bytes(byte ^ 0x36 for byte in range(256))  # the two paddings of HMAC (RFC 2104), as translation tables
_OUTER = bytes(byte ^ 0x5C for byte in range(256))


class Actor(NamedTuple):
    """Who did it: a kind, and an opaque reference that is never a name or an address."""

    kind: ActorKind
    ref: str


@dataclass(slots=True)
class NewEvent:
    """Something that happened and is not yet recorded: it has an id and a time, but no place.

    `facts` are what folds, metrics and audits need and never personal; `payload` is the JSON bytes of what
    users put in or get out. `at` is the source's clock. An empty `id` is filled by the engine before appending.

    `personal` are JSON Pointers (`*` for any key or index) of the fields of a payload that are personal although the
    payload as a whole is not: they are kept apart from it. `key` is the id of the data key, as a store's `key_for`
    gives it, under which the payload is kept; with `personal`, only those fields are.
    """

    type: str
    facts: dict[str, Any]
    at: str
    actor: Actor
    id: str = ""
    payload: bytes | None = None
    payload_class: Literal["public", "business", "personal"] = "business"
    causation: str | None = None
    correlation: str | None = None
    trace: str | None = None
    key: str | None = None
    personal: Sequence[str] = ()


PartName = Literal["payload", "personal"]


class Part(NamedTuple):
    """What is kept of a payload in one piece: all of it, what is left of it without personal fields, or these."""

    name: PartName
    key: str | None
    salt: bytes
    data: bytes


@dataclass(slots=True)
class FiledEvent(NewEvent):
    """A new event whose payload does not lie beside its header: the parts, each with its salt, are settled already."""

    parts: tuple[Part, ...] = ()

    def said(self) -> dict[str, dict[str, Any]]:
        """What the header says of each part."""
        members: dict[str, dict[str, Any]] = {}
        for name, key, salt, data in self.parts:
            about: dict[str, Any] = {"digest": payload_digest(salt, data), "size": len(data)}
            if name == "payload":
                about["class"] = self.payload_class
            if key is not None:
                about["key"] = key
            members[name] = about
        return members


class SealedEvent(NamedTuple):
    """An event with its place in its stream: the bytes to store and their leaf hash."""

    header: bytes
    leaf: bytes
    salt: bytes | None


class RecordedEvent:
    """An event as the log has it. Only a store makes one; it is read-only by convention.

    `facts` are in today's shape (older ones were upcast on reading); `header` are the stored bytes, as written.
    `payload` are the payload's bytes, or None when there is none, it was erased, or it was not asked for; fields that
    were erased are null in it. `missing` says why not all of it is here.

    Making one raises `StoreDamaged` when the bytes are no header at all, and `StoreRefused` when only a newer
    program can read them. It does not re-hash: that is what `actum verify` does.
    """

    __slots__ = ("_head", "facts", "header", "payload", "position", "salt", "type")

    def __init__(self, position: int, header: bytes, payload: bytes | None = None, salt: bytes | None = None) -> None:
        self.position = position
        self.header = header
        self.payload = payload
        self.salt = salt
        try:
            head = orjson.loads(header)
            envelope = head["v"]
            schema = head["schema"]
            self.type: str = head["type"]
            self.facts: dict[str, Any] = head["facts"]
            today = CURRENT.get(self.type)
        except (ValueError, TypeError, LookupError) as exc:
            raise StoreDamaged(position, f"the stored bytes are not a header ({exc!r})") from exc
        self._head = head
        if envelope != VERSION:
            raise StoreRefused(f"event {position}", f"its envelope is version {envelope}; this program reads {VERSION}")
        if schema != today:
            self.facts = upcast(self.type, schema, self.facts)

    @property
    def head(self) -> dict[str, Any]:
        """The whole header, parsed; facts in the shape in which they were written."""
        return self._head  # type: ignore[no-any-return]

    @property
    def id(self) -> str:
        return self._head["id"]  # type: ignore[no-any-return]

    @property
    def stream(self) -> str:
        return self._head["stream"]  # type: ignore[no-any-return]

    @property
    def version(self) -> int:
        """The place in its stream, from 0."""
        return self._head["version"]  # type: ignore[no-any-return]

    @property
    def at(self) -> str:
        """When it happened, by the clock of the source: UTC text with microseconds."""
        return self._head["at"]  # type: ignore[no-any-return]

    @property
    def recorded_at(self) -> str:
        """When it was recorded, by the clock of the log."""
        return self._head["recorded_at"]  # type: ignore[no-any-return]

    @property
    def actor(self) -> Actor:
        actor = self._head["actor"]
        return Actor(actor["kind"], actor["ref"])

    @property
    def prev(self) -> str | None:
        """The leaf hash (hex) of the stream's previous event; None for the first."""
        return self._head.get("prev")  # type: ignore[no-any-return]

    @property
    def missing(self) -> str | None:
        """Why the payload, or some of it, is not here, as half a sentence; None when nothing is missing.

        An event that was read without payloads says the same as one whose payload was erased.
        """
        return None if self.payload is not None or "payload" not in self._head else ERASED

    @property
    def impersonal(self) -> bytes | None:
        """The payload without the fields of it that are personal: null stands in their places."""
        return self.payload

    @property
    def leaf(self) -> bytes:
        return leaf_hash(self.header)

    def value(self) -> Any:
        """The payload as a JSON value; None when there is none to be had.

        Raises `PayloadUnreadable` when it is there, and cannot be read here.
        """
        return None if self.payload is None else orjson.loads(self.payload)

    def __repr__(self) -> str:
        return f"<{self.position} {self.stream}@{self.version} {self.type} {self.facts}>"


def leaf_hash(header: bytes) -> bytes:
    """SHA-256(0x00 ‖ header bytes): the leaf of RFC 6962, section 2.1."""
    return sha256(b"\x00" + header).digest()


def payload_digest(salt: bytes, payload: bytes) -> str:
    """HMAC-SHA256 of the payload under its own random key, as it stands in the header.

    The key is stored with the payload and destroyed with it: what remains cannot be guessed back.
    """
    if len(salt) != 32:
        return "hmac-sha256:" + hmac.digest(salt, payload, "sha256").hex()
    # The same by hand: the standard library's takes 0.7 µs longer to get going, on the path of every append.
    inner = sha256(salt.translate(_INNER) + b"\x36" * 32 + payload).digest()
    return "hmac-sha256:" + sha256(salt.translate(_OUTER) + b"\x5c" * 32 + inner).hexdigest()


def check_new_event(event: NewEvent, stream: str, index: int, limit_bytes: int = PAYLOAD_LIMIT_BYTES) -> None:
    """Refuse an event that no store may take; the message names stream, place in the append, and field.

    `limit_bytes` is the largest payload that the store takes.

    On the path of every append: a plain event passes in about a microsecond, and what is said is made when needed.
    """
    kind, ref = event.actor
    if not (event.type in CURRENT and is_instant(event.at) and kind in _ACTOR_KINDS):
        _refuse(event, f"{stream}[{index}]")
    if not is_plain(event.facts):
        check_facts(event.facts, f"{stream}[{index}]: facts")
    if not (type(ref) is str and ref.isascii()):
        check_text(ref, f"{stream}[{index}]: actor.ref")
    if event.causation is not None:
        check_text(event.causation, f"{stream}[{index}]: causation")
    if event.correlation is not None:
        check_text(event.correlation, f"{stream}[{index}]: correlation")
    if event.trace is not None:
        check_text(event.trace, f"{stream}[{index}]: trace")
    payload = event.payload
    if payload is not None and not (
        type(payload) is bytes
        and len(payload) <= PAYLOAD_LIMIT_BYTES
        and event.payload_class in _PAYLOAD_CLASSES
        and event.key is None
        and not event.personal
    ):
        _check_payload(event, f"{stream}[{index}]", limit_bytes)


def _refuse(event: NewEvent, where: str) -> NoReturn:
    if event.type not in CURRENT:
        raise BadInput(
            f"{where}: unknown event type {event.type!r}{near_miss(event.type, CURRENT)}; nothing was written"
        )
    if not is_instant(event.at):
        raise ProfileError(f"{where}: at", "time", f"{event.at!r} is not UTC text like 2026-11-21T09:14:13.920114Z")
    kind = event.actor[0]
    raise ProfileError(
        f"{where}: actor.kind", "text", f"{kind!r} is not a kind of actor{near_miss(kind, _ACTOR_KINDS)}"
    )


def _check_payload(event: NewEvent, where: str, limit_bytes: int) -> None:
    """The same for a payload that is large, or kept apart; or that is to be refused."""
    payload = event.payload
    if type(payload) is not bytes:
        raise ProfileError(f"{where}: payload", type(payload).__name__, "is not bytes")
    if event.payload_class not in _PAYLOAD_CLASSES:
        raise ProfileError(
            f"{where}: payload_class", "text", f"{event.payload_class!r} is not public, business or personal"
        )
    if len(payload) > limit_bytes:
        hint = "" if limit_bytes > PAYLOAD_LIMIT_BYTES else ", or name a place for large payloads (ACTUM_BLOBS)"
        raise BadInput(
            f"{where}: the payload of {event.type} is {len(payload):,} bytes, over the limit of "
            f"{limit_bytes:,}; nothing was written. Store it elsewhere and record a reference{hint}."
        )
    if event.personal and event.payload_class == "personal":
        raise BadInput(
            f"{where}: the payload is personal as a whole, so no field of it can be so too; nothing was written"
        )
    if event.key is not None:
        try:
            id_bytes(event.key)
        except (ValueError, AttributeError):
            raise BadInput(f"{where}: {event.key!r:.100} is not the id of a data key; nothing was written") from None


def seal(
    event: NewEvent, tenant: str, stream: str, version: int, prev: bytes | None, recorded_at: str, salt: bytes | None
) -> SealedEvent:
    """Build the header of an event that `check_new_event` let pass, at this place of this stream.

    `salt` must be 32 fresh random bytes when the event has a payload that is not filed, and is not kept otherwise.
    Raises `BadInput` for a header of 64 KiB or more.
    """
    actor = event.actor
    head: dict[str, Any] = {
        "actor": {"kind": actor[0], "ref": actor[1]},
        "at": event.at,
        "facts": event.facts,
        "id": event.id,
        "recorded_at": recorded_at,
        "schema": CURRENT[event.type],
        "stream": stream,
        "tenant": tenant,
        "type": event.type,
        "v": VERSION,
        "version": version,
    }
    if event.causation is not None:
        head["causation"] = event.causation
    if event.correlation is not None:
        head["correlation"] = event.correlation
    payload = event.payload
    if payload is None:
        salt = None
    elif isinstance(event, FiledEvent):
        salt = None
        head |= event.said()
    else:
        assert salt is not None
        assert len(salt) == 32
        head["payload"] = {
            "class": event.payload_class,
            "digest": payload_digest(salt, payload),
            "size": len(payload),
        }
    if prev is not None:
        head["prev"] = prev.hex()
    if event.trace is not None:
        head["trace"] = event.trace
    header = canonical_unchecked(head)
    if len(header) > HEADER_LIMIT_BYTES:
        raise BadInput(
            f"{stream}: the header of {event.type} is {len(header):,} bytes, over the limit of "
            f"{HEADER_LIMIT_BYTES:,}; nothing was written. Move long values from facts to the payload."
        )
    return SealedEvent(header, sha256(b"\x00" + header).digest(), salt)
