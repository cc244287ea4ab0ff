"""The events of one foreign execution while an importer writes them down."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Decimal
from hashlib import sha256
from typing import Any, Literal

import orjson

from actum.errors import BadInput, ImportRefused, ProfileError
from actum.events import PAYLOAD_LIMIT_BYTES, Actor, NewEvent, parse_instant, to_text
from actum.events.catalog import validate_facts
from actum.evidence.importers.protocol import ForeignExecution, Tally
from actum.evidence.importers.source import Source

__all__ = ["History", "content_digest", "decimal_text", "fill", "instant_us", "scaled"]

PayloadClass = Literal["public", "business", "personal"]
_NOTHING: Any = object()
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9._]+")


class History:
    """Collects events, each held against the catalogue as it comes; `where` names the record in every refusal."""

    def __init__(self, source: Source, tally: Tally, where: str, *, time_unknown: bool = False) -> None:
        self.source = source
        self.tally = tally
        self.where = where
        self.time_unknown = time_unknown
        self.events: list[NewEvent] = []

    def add(
        self,
        type_: str,
        facts: dict[str, Any],
        actor: Actor,
        at_us: int | None,
        payload: Any = _NOTHING,
        payload_class: PayloadClass = "business",
    ) -> None:
        """Write down one event. Facts that are None are left out; without a time the event waits for one."""
        facts = {name: value for name, value in facts.items() if value is not None}
        try:
            validate_facts(type_, facts)
        except BadInput as exc:
            raise self.refusal("", f"cannot become an event: {exc}") from None
        packed = None if payload is _NOTHING else self._packed(payload)
        at = "" if at_us is None else to_text(at_us)
        self.events.append(NewEvent(type_, facts, at, actor, payload=packed, payload_class=payload_class))

    def refusal(self, path: str, problem: str) -> ImportRefused:
        return self.source.refusal(f"{self.where}{path}", problem)

    def finish(
        self, *, format: str, label: str, foreign: str, identity: Iterable[str], content: str, records: int
    ) -> ForeignExecution:
        """The execution. It is the same one as another exactly if format, workflow and `identity` are the same."""
        workflow = str(self.events[0].facts["workflow"])
        known_by = "\x1f".join([format, workflow, *identity])
        id_ = f"{_slug(workflow, 48)}-{_slug(label, 64)}-{sha256(known_by.encode()).hexdigest()[:12]}"
        return ForeignExecution(id_, foreign, self.where, content, records, self.events, self.time_unknown)

    def _packed(self, payload: Any) -> bytes:
        try:
            packed = orjson.dumps(payload)
        except TypeError as exc:  # nested deeper than any reader of ours goes
            raise self.refusal("", f"cannot be written as JSON ({exc})") from None
        if len(packed) <= PAYLOAD_LIMIT_BYTES:
            return packed
        self.tally.leave_out(
            f"a text over {PAYLOAD_LIMIT_BYTES:,} bytes: its SHA-256 stands in the log instead", self.where
        )
        return orjson.dumps({"left_out": {"sha256": sha256(packed).hexdigest(), "size_bytes": len(packed)}})


def content_digest(record: Any) -> str:
    """The digest of a foreign record: equal for equal records, however their file is laid out."""
    return sha256(orjson.dumps(record, option=orjson.OPT_SORT_KEYS)).hexdigest()


def instant_us(source: Source, where: str, text: str, assume_zone: str | None) -> int:
    """A foreign time in microseconds since the epoch; without an offset it is refused unless a zone is assumed."""
    try:
        return parse_instant(text, where, zone_when_absent=assume_zone is not None)
    except ProfileError as exc:
        hint = "; say `assume_zone: UTC` in the mapping to take such times as UTC" if "offset" in exc.problem else ""
        raise source.refusal(where, exc.problem + hint) from None


def scaled(number: float, factor: int) -> int:
    """A foreign float in an integer unit `factor` times smaller, rounded half to even from its decimal text."""
    return int((Decimal(repr(number)) * factor).to_integral_value(ROUND_HALF_EVEN))


def decimal_text(number: float) -> str:
    """A foreign number as decimal text without an exponent."""
    return format(Decimal(repr(number)), "f")


def fill(template: str, **known: str | None) -> str:
    """A workflow name from its template; an unknown part goes, with the slash before it."""
    for name, value in known.items():
        mark = f"{{{name}}}"
        template = template.replace(mark, value[:200]) if value else template.replace(f"/{mark}", "").replace(mark, "")
    return template or "imported"


def _slug(text: str, length: int) -> str:
    return _NOT_IN_IDS.sub("-", text)[:length].strip("-") or "x"
