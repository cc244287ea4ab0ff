"""Who may append to an execution's stream in this process now: it itself, or those that tell it of their end."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actum.engine.runtime.run import Run

__all__ = ["Gate"]


class Gate:
    """Of one execution. Children whose ends it records go in together, and it waits until they have left.

    So the ends of ten thousand children are one wave after another, and the execution reads and decides once a wave.
    Without it each end would take the place that the execution had decided for, which would then load itself again.
    Children in other processes do not come through here; they, and it, find out from the store.
    """

    def __init__(self, host: Run) -> None:
        self._host = host
        self._inside = 0
        self._outside: list[Run] = []
        self._wanted = False

    def enter(self, guest: Run) -> bool:
        """Whether the guest may append now, and must `leave` then. If not, it is told to go on later."""
        if not self._host.dropped and (self._host.committing or self._wanted):
            self._outside.append(guest)
            return False
        self._inside += 1
        return True

    def leave(self) -> None:
        """The store has answered a guest."""
        self._inside -= 1
        if not self._inside and self._wanted:
            self._wanted = False
            self._host.catch_up()
            self.open()

    def holds_back(self) -> bool:
        """Whether the execution itself must wait; it catches up when the last guest has left."""
        self._wanted = self._inside > 0
        return self._wanted

    def open(self) -> None:
        """Let in who waits outside, as far as the execution does not append itself just now."""
        if self._outside and (self._host.dropped or not self._host.committing):
            outside, self._outside = self._outside, []
            for guest in outside:
                guest.append_around()  # the execution may have ended: then there is nobody to be told
