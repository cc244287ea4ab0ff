"""Which earlier completion a compensating activity undoes."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["Undone"]


class Undone:
    """Keeps the completions of one execution that nothing has undone yet."""

    def __init__(self, compensates: Mapping[str, str]) -> None:
        self._compensates = compensates
        self._wanted = frozenset(compensates.values())
        self._open: dict[str, list[int]] = {}

    def completed(self, name: str, occurrence: int) -> None:
        if name in self._wanted:
            self._open.setdefault(name, []).append(occurrence)

    def by(self, name: str) -> tuple[str, int] | None:
        """What the activity of this name undoes: the latest completion that still stands; None when there is none."""
        undone = self._compensates.get(name)
        standing = self._open.get(undone, []) if undone is not None else []
        return (undone, standing.pop()) if undone is not None and standing else None
