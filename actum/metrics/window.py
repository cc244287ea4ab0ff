"""Which stretch of time a number is about: half-open, in event time, so that neighbours neither overlap nor leak."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from actum.errors import BadInput, ProfileError
from actum.events import parse_instant, to_text

__all__ = ["WHOLE_LOG", "Window"]

WHOLE_LOG: Final = "all"
"""The window label of a number over the whole log."""

_ROLLING = re.compile(r"(\d+)\s*([mhdw])")
_UNIT_US = {"m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000, "w": 604_800_000_000}


class Window(NamedTuple):
    """From `from_us` up to, not including, `to_us`: microseconds since the epoch. `label` is how it was asked for."""

    from_us: int
    to_us: int
    label: str

    @classmethod
    def parse(cls, text: str, now_us: int) -> Window:
        """Read `7d`, `24h`, `90m` or `4w`, which end now, or `FROM/TO`, two ISO 8601 times (UTC unless they say).

        Raises `BadInput` saying what is wrong.
        """
        text = text.strip()
        rolling = _ROLLING.fullmatch(text)
        if rolling:
            span = int(rolling[1]) * _UNIT_US[rolling[2]]
            if span == 0:
                raise BadInput(f"window {text!r} is empty; give at least 1{rolling[2]}")
            if now_us - span < -62_135_596_800_000_000:
                raise BadInput(f"window {text!r} begins before the year 1; leave the window out to take the whole log")
            return cls(now_us - span, now_us, f"{int(rolling[1])}{rolling[2]}")
        if "/" not in text:
            raise BadInput(f"window {text!r} is neither a length such as 7d, 24h or 90m, nor FROM/TO with two times")
        first, _, last = text.partition("/")
        try:
            from_us = parse_instant(first, "FROM", zone_when_absent=True)
            to_us = parse_instant(last, "TO", zone_when_absent=True)
        except ProfileError as exc:
            raise BadInput(f"window {text!r}: {exc.path}: {exc.problem}") from None
        if from_us >= to_us:
            raise BadInput(f"window {text!r} ends at {to_text(to_us)}, not after its beginning {to_text(from_us)}")
        return cls(from_us, to_us, text)

    def to_json(self) -> dict[str, Any]:
        return {"from": to_text(self.from_us), "to": to_text(self.to_us), "label": self.label}
