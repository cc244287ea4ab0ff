"""The roots of the tree, and the hint at a near miss."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ActumError", "BadInput", "near_miss"]


def near_miss(word: str, known: Iterable[str]) -> str:
    """A hint such as "; did you mean 'charge'?", or nothing when no known word is close."""
    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


class ActumError(Exception):
    """The root of everything actum raises on purpose."""


class BadInput(ActumError):
    """The input is wrong. Nothing was written."""
