"""Regular expressions that always answer, in time that grows with the text and not faster.

The engine is the one that comes with pydantic: finite automata, so no pattern makes it try one way after
another without end. What cannot be had that way, look-around and references to groups, is refused when read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

__all__ = ["MAX_PATTERN", "BadPattern", "searcher"]

MAX_PATTERN: Final = 1_000
"""Characters of a pattern."""


class BadPattern(ValueError):
    """No regular expression, or none that can be searched for in linear time. Its text says why, and where."""


@lru_cache(maxsize=1_000)
def searcher(pattern: str) -> Callable[[str], bool]:
    """Whether the pattern is found anywhere in a text. Raises `BadPattern`."""
    from pydantic_core import SchemaError, SchemaValidator, core_schema  # when the first pattern is read

    if len(pattern) > MAX_PATTERN:
        raise BadPattern(f"it has {len(pattern):,} characters, and {MAX_PATTERN:,} are allowed")
    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern, strict=True)).isinstance_python
    except SchemaError as exc:
        raise BadPattern(_reason(str(exc))) from None


def _reason(said: str) -> str:
    """`unclosed group (column 3)`, of what the engine says in several lines."""
    why = re.search(r"error: (.*)", said)
    column = re.search(r"^    ( *)\^", said, re.MULTILINE)
    if why is None:
        return "it would be too large" if "size limit" in said else said.splitlines()[-1].strip()
    return why[1] + (f" (column {len(column[1]) + 1})" if column else "")
