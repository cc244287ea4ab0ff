"""A place inside a definition, so that whatever is wrong there can say where it is."""

from __future__ import annotations

from dataclasses import dataclass

from actum.errors import DefinitionError

__all__ = ["Place"]


@dataclass(frozen=True, slots=True)
class Place:
    """A JSON path inside a source: `Place("order.json") / "steps" / 3` reads `$.steps[3]`."""

    source: str
    path: str = "$"

    def __truediv__(self, key: str | int) -> Place:
        if isinstance(key, int):
            return Place(self.source, f"{self.path}[{key}]")
        if key.replace("-", "_").isidentifier():
            return Place(self.source, f"{self.path}.{key}")
        return Place(self.source, f"{self.path}[{key!r}]")

    def error(self, problem: str) -> DefinitionError:
        """The error to raise for what is wrong here."""
        return DefinitionError(self.source, self.path, problem)
