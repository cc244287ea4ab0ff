"""A few bytes that all workers on one tenant's store change one after the other, in the database's time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

__all__ = ["SharedBook"]


class SharedBook(Protocol):
    """Used by one thread at a time. All but `close` raise `StoreError` when the database does not answer."""

    def change(self, do: Callable[[bytes, int], bytes]) -> None:
        """Put what `do` makes of the bytes in their place; it gets the time, too, in microseconds since the epoch.

        Nobody else changes them meanwhile. When it raises, they stay as they are.
        """

    def read(self) -> tuple[bytes, int]:
        """The bytes as they are, empty when nobody has written any, and the time."""

    def version(self) -> int:
        """How often they have been changed."""

    def close(self) -> None:
        """Let go of the database."""
