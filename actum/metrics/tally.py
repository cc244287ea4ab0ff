"""What happened in one workflow, each thing counted in the window of its own end: calls, retries, human acts.

What belongs to executions as wholes is not here but in `actum.metrics.sums`. Tallies of disjoint streams merge by
addition.
"""

from __future__ import annotations

from collections import Counter

from actum.metrics.catalog import TOOL_EDGES_US
from actum.metrics.durations import Durations

__all__ = ["Tally"]


class Tally:
    """Counts by label. `*_at` are instants as text, which order like the instants themselves."""

    __slots__ = (
        "approvals",
        "attempts",
        "behind",
        "compensations",
        "first_at",
        "interventions",
        "judged",
        "last_at",
        "quality",
        "sequences",
        "steps",
        "tools",
        "waits",
    )

    def __init__(self) -> None:
        self.first_at = ""
        """When the first execution began; empty when none has a known time."""
        self.last_at = ""
        """The last thing an open execution of known time did."""
        self.tools: dict[tuple[str, str], Durations] = {}
        """(tool, outcome) → attempts."""
        self.waits: dict[str, Durations] = {}
        """Pool, rate limit or breaker → how long steps waited that needed it."""
        self.sequences: Counter[tuple[str, str, bool]] = Counter()
        """(tool or NO_VALUE, first error, whether it completed) → retried operations that closed."""
        self.attempts: Counter[tuple[str, bool]] = Counter()
        """(tool or NO_VALUE, whether it completed) → second and later attempts that ended."""
        self.compensations: Counter[str] = Counter()
        self.interventions: Counter[str] = Counter()
        self.approvals: Counter[str] = Counter()
        self.steps: Counter[str] = Counter()
        """Step → times it completed: how many decisions of that name there were to judge."""
        self.judged: Counter[tuple[str, str, str]] = Counter()
        """(model, verdict, source) → verdicts, superseded ones too: what was said stays said."""
        self.quality: Counter[str] = Counter()
        self.behind: dict[str, list[int]] = {}
        """Metric to be explained → positions of the events counted for it; other metrics are not kept."""

    def tool_attempt(self, tool: str, outcome: str, duration_us: int | None, position: int) -> None:
        durations = self.tools.get((tool, outcome))
        if durations is None:
            durations = self.tools[tool, outcome] = Durations(TOOL_EDGES_US)
        durations.add(duration_us)
        if self.behind:
            self.note("tool_error_rate", position)
            self.note("tool_call_latency", position)

    def waited(self, resource: str, wait_us: int) -> None:
        durations = self.waits.get(resource)
        if durations is None:
            durations = self.waits[resource] = Durations(TOOL_EDGES_US)
        durations.add(wait_us)

    def note(self, metric: str, *positions: int) -> None:
        """Remember what a number rests on, if somebody asked for that."""
        kept = self.behind.get(metric)
        if kept is not None:
            kept.extend(positions)

    def merge(self, other: Tally) -> Tally:
        merged = Tally()
        merged.first_at = min(filter(None, (self.first_at, other.first_at)), default="")
        merged.last_at = max(self.last_at, other.last_at)
        for tools in (self.tools, other.tools):
            for key, durations in tools.items():
                merged.tools[key] = merged.tools.get(key, Durations(TOOL_EDGES_US)).merge(durations)
        for waits in (self.waits, other.waits):
            for resource, durations in waits.items():
                merged.waits[resource] = merged.waits.get(resource, Durations(TOOL_EDGES_US)).merge(durations)
        merged.sequences = self.sequences + other.sequences
        merged.attempts = self.attempts + other.attempts
        merged.compensations = self.compensations + other.compensations
        merged.interventions = self.interventions + other.interventions
        merged.approvals = self.approvals + other.approvals
        merged.steps = self.steps + other.steps
        merged.judged = self.judged + other.judged
        merged.quality = self.quality + other.quality
        for metric in self.behind.keys() | other.behind.keys():
            merged.behind[metric] = self.behind.get(metric, []) + other.behind.get(metric, [])
        return merged

    def copy(self) -> Tally:
        """The same counts; adding to one leaves the other as it is."""
        return Tally().merge(self)
