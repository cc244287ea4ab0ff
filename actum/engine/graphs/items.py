"""The items of a map: which one is next, and when there are enough. Pure."""

from __future__ import annotations

from typing import Any

from actum.engine.graphs.references import MISSING
from actum.engine.rules.calls import Failure

__all__ = ["Items"]


class Items:
    """What has become of each item so far. `ended` is set once: from then on nothing changes it."""

    __slots__ = (
        "around",
        "completed",
        "ended",
        "failure",
        "items",
        "join",
        "left",
        "limit",
        "next",
        "occurrence",
        "results",
        "running",
    )

    def __init__(
        self, items: list[Any], join: str | int, concurrency: int | None, around: str, occurrence: int
    ) -> None:
        self.items = items
        self.around = around
        """The scope of an item is this, and its number."""
        self.occurrence = occurrence
        self.join = join
        self.limit = len(items) if concurrency is None else concurrency
        self.next = 0
        self.running = 0
        self.left = len(items)
        """Items that have not ended."""
        self.completed = 0
        self.results: dict[int, Any] = {}
        self.failure: Failure | None = None
        """Of the item that failed last."""
        self.ended = False

    def take(self) -> int | None:
        """The next item that may start now; it counts as started."""
        if self.ended or self.next >= len(self.items) or self.running >= self.limit:
            return None
        self.running += 1
        self.next += 1
        return self.next - 1

    def complete(self, index: int, value: Any) -> None:
        self.running -= 1
        self.left -= 1
        self.completed += 1
        self.results[index] = None if value is MISSING else value

    def fail(self, index: int, failure: Failure, *, goes_on: bool) -> None:
        """An item has failed; unless it `goes_on`, the map fails with it, if its join does not say otherwise."""
        self.running -= 1
        self.left -= 1
        self.failure = Failure(failure.error_type, f"item {index}: {failure.message}", failure.traceback, failure.bases)
        if goes_on and self.join in ("all", "any"):
            self.results[index] = None
        elif not goes_on and self.join != "first_success":
            self.ended = True

    def result(self) -> Any:
        """What the map returns now; a `Failure` when it has failed, `MISSING` while it is not over."""
        if self.ended:
            return self.failure or MISSING
        found: Any = MISSING
        match self.join:
            case "all":
                if self.left == 0:
                    found = [self.results[index] for index in range(len(self.items))]
            case "any" | "first_success":
                if self.results:
                    found = next(iter(self.results.values()))
            case int() as wanted:
                if self.completed >= wanted:
                    found = [self.results[index] for index in sorted(self.results)]
        if found is MISSING and self.left == 0:
            said = f"{self.completed} of {len(self.items)} items have completed"
            found = self.failure or Failure("TooFewItems", f"{said}, and join is {self.join!r}")
        self.ended = found is not MISSING
        return found
