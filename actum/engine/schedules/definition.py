"""What a schedule is: which workflow begins when, and what is done about executions that could not begin. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, get_args

import orjson

from actum.engine.durations import seconds
from actum.engine.schedules.cron import check_cron, check_zone
from actum.errors import BadInput, ProfileError, near_miss
from actum.events import CURRENT, parse_instant, to_text, to_us

__all__ = ["MISSED", "OVERLAP", "Missed", "Overlap", "Schedule", "schedule_of"]

Missed = Literal["skip", "one", "all"]
Overlap = Literal["skip", "buffer_one", "allow", "cancel_other", "terminate_other"]
MISSED: Final[tuple[str, ...]] = get_args(Missed)
OVERLAP: Final[tuple[str, ...]] = get_args(Overlap)
_SECOND_US: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule's definition, checked, in the units of the log. Exactly one of `cron`, `every_us`, `on` is there."""

    name: str
    workflow: str
    input: Any
    cron: str | None
    every_us: int | None
    on: str | None
    on_facts: dict[str, Any]
    zone: str
    start_us: int | None
    end_us: int | None
    jitter_us: int
    missed: Missed
    catch_up_us: int
    overlap: Overlap
    max_running: int | None

    @property
    def limit(self) -> int | None:
        """How many of its executions may run at the same time; None for any number."""
        return self.max_running or (None if self.overlap == "allow" else 1)

    def facts(self) -> dict[str, Any]:
        """All of it but the input, as it stands in the log."""
        facts: dict[str, Any] = {
            "schedule": self.name,
            "workflow": self.workflow,
            "zone": self.zone,
            "jitter_us": self.jitter_us,
            "missed": self.missed,
            "catch_up_us": self.catch_up_us,
            "overlap": self.overlap,
        }
        some = {
            "cron": self.cron,
            "every_us": self.every_us,
            "on": self.on,
            "on_facts": self.on_facts or None,
            "start": None if self.start_us is None else to_text(self.start_us),
            "end": None if self.end_us is None else to_text(self.end_us),
            "max_running": self.max_running,
        }
        return facts | {name: value for name, value in some.items() if value is not None}

    @classmethod
    def recorded(cls, facts: dict[str, Any], payload: bytes | None) -> Schedule:
        """The definition that an event holds."""
        return cls(
            facts["schedule"],
            facts["workflow"],
            None if payload is None else orjson.loads(payload).get("input"),
            facts.get("cron"),
            facts.get("every_us"),
            facts.get("on"),
            facts.get("on_facts", {}),
            facts.get("zone", "UTC"),
            to_us(facts["start"]) if "start" in facts else None,
            to_us(facts["end"]) if "end" in facts else None,
            facts.get("jitter_us", 0),
            facts.get("missed", "one"),
            facts["catch_up_us"],
            facts.get("overlap", "skip"),
            facts.get("max_running"),
        )


def schedule_of(
    name: str,
    workflow: str,
    input: Any = None,
    *,
    cron: str | None = None,
    every: Any = None,
    on: str | None = None,
    on_facts: dict[str, Any] | None = None,
    zone: str = "UTC",
    start: datetime | str | None = None,
    end: datetime | str | None = None,
    jitter: Any = None,
    missed: str | None = None,
    catch_up: Any = "24h",
    overlap: str | None = None,
    max_running: int | None = None,
) -> Schedule:
    """A definition from what people write. Raises `BadInput`, naming the field, for anything that cannot be meant."""
    if not (0 < len(name) <= 120 and name.isascii() and all(c.isalnum() or c in "-._" for c in name)):
        raise BadInput(f"a schedule's name is 1 to 120 letters, digits, '-', '.' or '_', not {name!r}")
    whens = [one for one, given in (("cron", cron), ("every", every), ("on", on)) if given is not None]
    if len(whens) != 1:
        said = " and ".join(whens) if whens else "none of them"
        raise BadInput(f"schedule {name!r}: say when by one of cron, every and on, not by {said}")
    if on is not None and on not in CURRENT:
        raise BadInput(f"schedule {name!r}: on: there is no event type {on!r}{near_miss(on, CURRENT)}")
    if on is None and on_facts:
        raise BadInput(f"schedule {name!r}: facts are of an event that it waits for; name its type with on")
    for fact, value in (on_facts or {}).items():
        if not isinstance(value, (str, int)):
            raise BadInput(f"schedule {name!r}: the fact {fact!r} is compared with a text, a number or a truth value")
    if cron is None and zone != "UTC":
        raise BadInput(f"schedule {name!r}: a zone is for cron; an interval passes everywhere alike")
    if on is not None and (start is not None or end is not None or jitter is not None):
        raise BadInput(f"schedule {name!r}: start, end and jitter are for times, not for events")
    if on is not None and (missed not in (None, "all") or overlap in ("buffer_one", "cancel_other")):
        allowed = "missed is all, and overlap is allow, skip or terminate_other"
        raise BadInput(f"schedule {name!r}: of events none is kept for later: {allowed}")
    if on is None and missed == "all" and overlap in ("cancel_other", "terminate_other"):
        said = "all that were missed would begin only to end one another: missed is one or skip"
        raise BadInput(f"schedule {name!r}: with overlap {overlap}, {said}")
    every_us = None if every is None else _us(name, "every", every)
    if every_us is not None and every_us < _SECOND_US:
        raise BadInput(f"schedule {name!r}: every: a second is the shortest interval, not {every!r}")
    start_us, end_us = _instant(name, "start", start), _instant(name, "end", end)
    if start_us is not None and end_us is not None and end_us < start_us:
        raise BadInput(f"schedule {name!r}: it ends at {to_text(end_us)}, before it starts at {to_text(start_us)}")
    if max_running is not None and (type(max_running) is not int or max_running < 1):
        raise BadInput(f"schedule {name!r}: max_running is a number from 1, not {max_running!r}")
    return Schedule(
        name,
        workflow,
        input,
        None if cron is None else check_cron(cron),
        every_us,
        on,
        dict(on_facts or {}),
        check_zone(zone),
        start_us,
        end_us,
        0 if jitter is None else _us(name, "jitter", jitter),
        _one_of(name, "missed", missed or ("one" if on is None else "all"), MISSED),
        _us(name, "catch_up", catch_up),
        _one_of(name, "overlap", overlap or ("skip" if on is None else "allow"), OVERLAP),
        max_running,
    )


def _one_of(name: str, field: str, word: str, words: tuple[str, ...]) -> Any:
    if word not in words:
        raise BadInput(f"schedule {name!r}: {field} is one of {', '.join(words)}, not {word!r}{near_miss(word, words)}")
    return word


def _us(name: str, field: str, value: Any) -> int:
    try:
        return round(seconds(value) * _SECOND_US)
    except BadInput as exc:
        raise BadInput(f"schedule {name!r}: {field}: {exc}") from None


def _instant(name: str, field: str, value: datetime | str | None) -> int | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise BadInput(f"schedule {name!r}: {field}: {value} has no time zone, so it names no instant")
        value = value.astimezone(UTC).isoformat()
    try:
        return parse_instant(value, f"schedule {name!r}: {field}")
    except ProfileError as exc:
        raise BadInput(str(exc)) from None
