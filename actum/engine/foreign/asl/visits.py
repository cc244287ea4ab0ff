"""What a state machine has running: machines inside machines, and the states they visit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from actum.engine.foreign.asl.errors import StateError

__all__ = ["Frame", "Visit"]


class Frame:
    """A machine that runs: the outer one, a branch, or one item of a Map."""

    def __init__(
        self,
        machine: Mapping[str, Any],
        scope: str,
        ended: Callable[[Any], None],
        failed: Callable[[StateError], None],
        parent: Frame | None = None,
        item: dict[str, Any] | None = None,
    ) -> None:
        self.states: Mapping[str, Any] = machine["States"]
        self.scope = scope
        self.ended = ended
        self.failed = failed
        self.parent = parent
        self.item: dict[str, Any] | None = parent.item if item is None and parent is not None else item
        self.over = False
        self._counts: dict[str, int] = {}

    def number(self, what: str) -> int:
        """How often this was counted before."""
        number = self._counts.get(what, 0)
        self._counts[what] = number + 1
        return number

    @property
    def left_behind(self) -> bool:
        frame: Frame | None = self
        while frame is not None:
            if frame.over:
                return True
            frame = frame.parent
        return False


class Visit:
    """A state that is being visited: what it was given, what its work is given, how often that was tried."""

    def __init__(self, frame: Frame, name: str, raw: Any) -> None:
        self.frame = frame
        self.name = name
        self.state: Mapping[str, Any] = frame.states[name]
        self.raw = raw
        self.number = frame.number(f"~{name}")
        self.tries: dict[int, int] = {}
        self.entered = ""
        self.work: Any = None
