"""The one serialiser whose output is hashed.

Inside the *canonical profile* (ASCII keys, no floats, |integers| < 2^53, valid Unicode, at most 100 levels) orjson's
sorted output equals RFC 8785 byte for byte. The profile is therefore enforced here, value by value, before anything
is serialised; `tests/events/test_canonical.py` holds the result against the `rfc8785` package.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import orjson

from actum.errors import ProfileError

__all__ = ["MAX_DEPTH", "MAX_INTEGER", "canonical", "canonical_unchecked", "check_facts", "check_text", "is_plain"]

MAX_INTEGER = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly (RFC 8259, section 6)."""

MAX_DEPTH = 100
"""How many lists and objects may stand inside each other: every JSON reader can follow that far."""

_DUMP = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER


def canonical(value: Any) -> bytes:
    """The canonical bytes of a JSON value inside the profile.

    Equal values give equal bytes. Raises `ProfileError`, naming the path of the first offending value,
    for anything outside the profile; there is no lossy fallback.
    """
    _check(value, "$")
    return orjson.dumps(value, option=_DUMP)


def canonical_unchecked(value: Any) -> bytes:
    """The same bytes without the check: only for values that this package built or checked itself."""
    return orjson.dumps(value, option=_DUMP)


def is_plain(facts: Any) -> bool:
    """Whether facts are in the profile at first sight: a flat object of ASCII text, integers and booleans.

    Most are; the others are for `check_facts`, which looks at everything and says what is wrong.
    """
    if type(facts) is not dict:
        return False
    for key, value in facts.items():
        kind = type(value)
        if kind is str:
            if not value.isascii():
                return False
        elif kind is int:
            if not -MAX_INTEGER <= value <= MAX_INTEGER:
                return False
        elif kind is not bool:
            return False
        if type(key) is not str or not key.isascii():
            return False
    return True


def check_facts(facts: dict[str, Any], where: str) -> None:
    """Refuse facts outside the profile, naming the path."""
    if not isinstance(facts, dict):
        raise ProfileError(where, type(facts).__name__, "is not a JSON object")
    for key, value in facts.items():
        _check_key(key, where)
        _check(value, f"{where}.{key}")


def check_text(value: object, path: str) -> None:
    """Refuse anything but text that is valid Unicode."""
    if not isinstance(value, str):
        raise ProfileError(path, type(value).__name__, "is not text")
    _check(value, path)


def _check(value: Any, path: str, levels: int = MAX_DEPTH) -> None:
    match value:
        case None | bool():
            return
        case Enum():  # before text and numbers, because what is written is its value, whatever else it is
            _check(value.value, path, levels)
        case int():
            if not -MAX_INTEGER <= value <= MAX_INTEGER:
                raise ProfileError(path, "integer", "is outside ±(2^53 - 1); write it as a decimal string")
        case str():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise ProfileError(path, "text", "holds a lone surrogate and is not valid Unicode") from None
        case dict():
            _check_depth(levels, path)
            for key, item in value.items():
                _check_key(key, path)
                _check(item, f"{path}.{key}", levels - 1)
        case list() | tuple() if isinstance(value, list) or type(value) is tuple:
            _check_depth(levels, path)
            for index, item in enumerate(value):
                _check(item, f"{path}[{index}]", levels - 1)
        case float():
            raise ProfileError(path, "float", "is a float; write an integer in a smaller unit, or a decimal string")
        case _:
            raise ProfileError(path, type(value).__name__, f"is a {type(value).__name__}, not a JSON value")


def _check_depth(levels: int, path: str) -> None:
    if levels == 0:
        raise ProfileError(f"{path[:60]}…", "depth", f"is nested more than {MAX_DEPTH} levels deep")


def _check_key(key: object, path: str) -> None:
    if type(key) is not str or not key.isascii():
        raise ProfileError(f"{path}.{key!r}", "key", "is not an ASCII text key")
