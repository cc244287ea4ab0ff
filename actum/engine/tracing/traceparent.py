"""The `traceparent` of W3C Trace Context: which trace a caller is in, and which span called."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from actum.errors import BadInput

__all__ = ["Caller", "check_traceparent", "parse_traceparent"]

_FORM: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?", re.ASCII)


class Caller(NamedTuple):
    """A span somewhere else, in hexadecimal; `sampled` says whether its trace is kept."""

    trace_id: str
    span_id: str
    sampled: bool

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.sampled:02x}"


def parse_traceparent(text: str | None) -> Caller | None:
    """Who called; None when it is not said, or not in a form that can be believed."""
    found = None if text is None else _FORM.fullmatch(text)
    if found is None:
        return None
    version, trace_id, span_id, flags = found.groups()
    if version == "ff" or not int(trace_id, 16) or not int(span_id, 16):
        return None
    return Caller(trace_id, span_id, bool(int(flags, 16) & 1))


def check_traceparent(text: str) -> str:
    """The text, for one that is a `traceparent`. Raises `BadInput` for another."""
    if len(text) > 200 or parse_traceparent(text) is None:
        raise BadInput(
            f"trace: {text[:80]!r} is no traceparent like 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        )
    return text
