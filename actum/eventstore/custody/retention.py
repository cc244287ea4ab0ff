"""Retention: how long payloads are kept, by class and by type of event, as data. Pure.

A policy is a JSON object: `{"rules": [{"class": "personal", "keep": "6mo"}, {"type": "model.called", "keep": "30d"}]}`.
For a payload the rule of its event's type counts, else that of its class; what has no rule is kept.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple

from actum.errors import BadInput, near_miss
from actum.events import CURRENT, canonical

__all__ = ["Keep", "Policy", "Rule"]

_CLASSES = ("public", "business", "personal")
_KEEP = re.compile(r"([1-9][0-9]{0,4})(d|mo|y)")
_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


class Keep(NamedTuple):
    """A time to keep things: calendar months and days, so that six years are six years."""

    months: int
    days: int

    @classmethod
    def parse(cls, text: str, where: str) -> Keep:
        """`30d`, `6mo` or `7y`. Raises `BadInput` for anything else."""
        found = _KEEP.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise BadInput(f"{where}: {text!r} is no time to keep things; say 30d, 6mo or 7y. Nothing was changed.")
        number, unit = int(found[1]), found[2]
        keep = cls(0, number) if unit == "d" else cls(number * (12 if unit == "y" else 1), 0)
        if keep.months > 12 * 200 or keep.days > 366 * 200:
            raise BadInput(f"{where}: {text} is longer than 200 years; leave the rule out to keep for ever")
        return keep

    def __str__(self) -> str:
        if not self.months:
            return f"{self.days}d"
        return f"{self.months}mo" if self.months % 12 else f"{self.months // 12}y"

    def before(self, now: str) -> str:
        """The instant so long before `now`: what was recorded earlier is due."""
        return _moved(now, self, -1)

    def after(self, instant: str) -> str:
        """When what was recorded at this instant becomes due."""
        return _moved(instant, self, 1)


def _moved(instant: str, keep: Keep, sign: int) -> str:
    moment = datetime.strptime(instant, _FORMAT)  # noqa: DTZ007 - all are UTC
    months = moment.year * 12 + moment.month - 1 + sign * keep.months
    year, month = divmod(months, 12)
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    moved = moment.replace(year=year, month=month + 1, day=day) + sign * timedelta(days=keep.days)
    return f"{moved.year:04d}{moved.strftime(_FORMAT[2:])}"


@dataclass(frozen=True, slots=True)
class Rule:
    """Keep payloads of a class, or of one type of event, so long. One of the two is set."""

    keep: Keep
    payload_class: str | None = None
    event_type: str | None = None

    def __str__(self) -> str:
        return self.payload_class or f"type:{self.event_type}"


@dataclass(frozen=True, slots=True)
class Policy:
    """Which rule is whose. No two rules are about the same."""

    rules: tuple[Rule, ...]

    @classmethod
    def from_json(cls, value: Any, where: str) -> Policy:
        """Raises `BadInput`, naming the rule, for what is no policy."""
        if not isinstance(value, Mapping) or set(value) != {"rules"} or not isinstance(value["rules"], Sequence):
            raise BadInput(f'{where}: a policy is {{"rules": […]}} and nothing else; nothing was changed')
        rules = [_rule(rule, f"{where}: rule {number}") for number, rule in enumerate(value["rules"], 1)]
        return cls._of(rules, where)

    @classmethod
    def from_words(cls, words: Iterable[str]) -> Policy:
        """From `personal=6mo` and `type:model.called=30d`. Raises `BadInput` likewise."""
        rules = []
        for word in words:
            what, _, keep = word.partition("=")
            name = "type" if what.startswith("type:") else "class"
            rules.append(_rule({name: what.removeprefix("type:"), "keep": keep}, word))
        return cls._of(rules, "the policy")

    @classmethod
    def _of(cls, rules: Sequence[Rule], where: str) -> Policy:
        named = [str(rule) for rule in rules]
        twice = next((name for name in named if named.count(name) > 1), None)
        if twice is not None:
            raise BadInput(f"{where}: two rules are about {twice}; nothing was changed")
        return cls(tuple(rules))

    def to_json(self) -> dict[str, Any]:
        return {
            "rules": [
                {"keep": str(rule.keep)}
                | ({"class": rule.payload_class} if rule.payload_class else {"type": rule.event_type})
                for rule in self.rules
            ]
        }

    def encoded(self) -> bytes:
        """The payload of `policy.changed`."""
        return canonical(self.to_json())

    @property
    def digest(self) -> str:
        return "sha256:" + sha256(self.encoded()).hexdigest()

    @property
    def types(self) -> list[str]:
        """The types that have a rule of their own, so that no rule of a class is theirs."""
        return sorted(rule.event_type for rule in self.rules if rule.event_type is not None)

    def rule_of(self, event_type: str, payload_class: str) -> Rule | None:
        """The rule that counts for a payload."""
        by_class = None
        for rule in self.rules:
            if rule.event_type == event_type:
                return rule
            if rule.payload_class == payload_class:
                by_class = rule
        return by_class


def _rule(value: Any, where: str) -> Rule:
    if not isinstance(value, Mapping) or set(value) not in ({"class", "keep"}, {"type", "keep"}):
        raise BadInput(f'{where}: a rule is {{"class" or "type": …, "keep": …}}; nothing was changed')
    keep = Keep.parse(value["keep"], where)
    if "class" in value:
        if value["class"] not in _CLASSES:
            hint = near_miss(str(value["class"]), _CLASSES)
            raise BadInput(
                f"{where}: {value['class']!r} is not public, business or personal{hint}; for a type of event say "
                "type:NAME. Nothing was changed."
            )
        return Rule(keep, payload_class=value["class"])
    if value["type"] not in CURRENT:
        hint = near_miss(str(value["type"]), CURRENT)
        raise BadInput(f"{where}: there is no event type {value['type']!r}{hint}; nothing was changed")
    return Rule(keep, event_type=value["type"])
