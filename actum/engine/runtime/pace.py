"""How often a worker looks for what it may take: at once when something has happened, ever less often when not."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from actum.engine.runtime.ports import Owners

__all__ = ["Pace"]

_FIRST_S = 0.1
_LONGEST_S = 5.0
_TOOK_S = 0.01
"""How soon it looks again when there was something to take."""
_PEERS_S = 0.5
"""How often it looks whether other workers live, where that has no lease that runs out."""
_FAILED_S = 0.5
_HAIR_S = 0.001
"""A timer may be early by a hair, and would be set for that hair again and again."""


class Pace:
    """Something can be free that was not before only when the log has grown, or when another worker has died.

    The log is watched by the engine. Another worker is looked for when its lease would run out, unless it was renewed.
    """

    def __init__(self, owners: Owners, worker: str, now: Callable[[], float]) -> None:
        self._owners = owners
        self._worker = worker
        self._now = now
        self._quiet = 0
        """Looks since something happened."""
        self._take_at = 0.0
        self._peers: frozenset[str] = frozenset()
        self._peers_at = 0.0
        self._asked_at = -math.inf

    def is_time(self, *, moved: bool) -> bool:
        """Whether to look now; `moved` says that the log has grown. Raises `StoreError`."""
        now = self._now()
        if moved:  # another worker may have come, and have something to lose
            self._quiet = 0
            self._peers_at = min(self._peers_at, self._asked_at + _PEERS_S)
        gone = now >= self._peers_at and self._somebody_is_gone(now)
        return moved or gone or now >= self._take_at

    def took(self, count: int) -> None:
        """It has looked, and taken so many."""
        if count:
            self._quiet = 0
        rest_s = _TOOK_S if count else min(_FIRST_S * 2 ** min(self._quiet, 10), _LONGEST_S)
        self._take_at = self._now() + rest_s
        self._quiet += 1

    def failed(self) -> None:
        """The store could not be used."""
        self._take_at = self._peers_at = self._now() + _FAILED_S

    def rest_s(self, dues: Iterable[float] = ()) -> float:
        """How long nothing is to be done, unless the log grows; `dues` are other times when something is."""
        return max(_HAIR_S, min((self._take_at, self._peers_at, *dues)) - self._now())

    def _somebody_is_gone(self, now: float) -> bool:
        living = [one for one in self._owners.living() if one.name != self._worker]
        names = frozenset(one.name for one in living)
        gone = not self._peers <= names
        if gone:
            self._quiet = 0
        self._peers = names
        self._asked_at = now
        ends = [_PEERS_S if one.left_s is None else max(one.left_s, 0.0) + 0.01 for one in living]
        self._peers_at = now + min(ends, default=math.inf)
        return gone
