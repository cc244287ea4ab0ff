"""What checking a store says: a verdict, a line for each thing that was checked, and the first bad place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

__all__ = ["Bad", "Check", "Faults", "Verdict", "Verification", "count"]

Verdict = Literal["verified", "verified_with_gaps", "failed"]


class Bad(NamedTuple):
    """A place where the log is not what was written. Stream and version are None when only the position is known."""

    position: int
    stream: str | None
    version: int | None
    reason: str


class Check(NamedTuple):
    """One thing that was checked. `ok` is None when it could not be, and `detail` says why."""

    name: str
    ok: bool | None
    detail: str


@dataclass(frozen=True)
class Verification:
    """The whole answer. `events` were read; `size` and `root` are of the tree made again from their headers."""

    verdict: Verdict
    events: int
    size: int
    root: bytes
    checks: tuple[Check, ...]
    first_bad: Bad | None

    def to_json(self) -> dict[str, Any]:
        """The shape that `actum verify --json` prints."""
        return {
            "verdict": self.verdict,
            "events": self.events,
            "size": self.size,
            "root": self.root.hex(),
            "checks": [check._asdict() for check in self.checks],
            "first_bad": None if self.first_bad is None else self.first_bad._asdict(),
        }


class Faults:
    """The faults of one check: how many, and the first by position. Flat memory, however many there are."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0
        self.first: Bad | None = None
        self.elsewhere = ""

    def at(self, position: int, stream: str | None, version: int | None, reason: str) -> None:
        """Something is wrong at this place of the log."""
        self.count += 1
        if self.first is None or position < self.first.position:
            self.first = Bad(position, stream, version, reason)

    def beside(self, detail: str) -> None:
        """Something is wrong that is no event: a view row, a note."""
        self.count += 1
        self.elsewhere = self.elsewhere or detail

    def check(self, proved: str) -> Check:
        """The line of this check; `proved` is what it says when nothing was wrong."""
        if not self.count:
            return Check(self.name, True, proved)
        if self.first is None:
            text = self.elsewhere
        else:
            where = f"event {self.first.position}"
            if self.first.stream is not None:
                where += f", version {self.first.version} of {self.first.stream!r}"
            text = f"{where}: {self.first.reason}"
        more = f" (and {self.count - 1} more)" if self.count > 1 else ""
        return Check(self.name, False, text + more)


def count(number: int, noun: str) -> str:
    """`1 event`, `1,200 events`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
