"""What numbers are made of: integer sums over executions and calls that can be added, for any set of workflows."""

from __future__ import annotations

from collections import Counter

from actum.metrics.catalog import NO_VALUE, WORKFLOW_EDGES_US
from actum.metrics.durations import Durations
from actum.metrics.execution import STOPPED, UNKNOWN, Execution
from actum.metrics.operations import close_left_open
from actum.metrics.rate import NO_RATE, Rate
from actum.metrics.tally import Tally

__all__ = ["JUDGED_IN_SUCCESS_RATE", "Cell", "Sums"]

JUDGED_IN_SUCCESS_RATE = ("success", "failure", "timeout", STOPPED, UNKNOWN)
"""The outcomes in the denominator of the success rate: all but what a user cancelled."""

_CELL_COUNTS = (
    *("executions", "clean", "compensated", "intervened", "completed_steps", "compensated_steps", "retries"),
    *("cost_nanousd", "cost_known", "tokens", "tokens_known"),
)


class Cell:
    """Executions of one outcome: how many, and what they took."""

    __slots__ = (*_CELL_COUNTS, "active", "durations")

    def __init__(self) -> None:
        self.executions = 0
        self.clean = 0
        self.compensated = 0
        self.intervened = 0
        self.completed_steps = 0
        self.compensated_steps = 0
        self.retries = 0
        self.cost_nanousd = 0
        self.cost_known = 0
        self.tokens = 0
        self.tokens_known = 0
        self.durations = Durations()
        self.active = Durations()

    def add(self, run: Execution) -> None:
        self.executions += 1
        self.clean += not (run.retries or run.compensated or run.intervened)
        self.compensated += run.compensated
        self.intervened += run.intervened
        # A step that was undone had completed, whether or not that was recorded too.
        self.completed_steps += max(run.completed_steps, run.compensated_steps)
        self.compensated_steps += run.compensated_steps
        self.retries += run.retries
        cost = run.cost_of_calls if run.cost_nanousd is None else run.cost_nanousd
        if cost is not None:
            self.cost_nanousd += cost
            self.cost_known += 1
        tokens = run.tokens_of_calls if run.tokens is None else run.tokens
        if tokens is not None:
            self.tokens += tokens
            self.tokens_known += 1
        self.durations.add(run.duration_us)
        self.active.add(run.active_us)

    def merge(self, other: Cell) -> Cell:
        merged = Cell()
        for name in _CELL_COUNTS:
            setattr(merged, name, getattr(self, name) + getattr(other, name))
        merged.durations = self.durations.merge(other.durations)
        merged.active = self.active.merge(other.active)
        return merged


class Sums:
    """All counts for one set of executions; sums of disjoint sets merge into those of the whole."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.cells: dict[str, Cell] = {}
        """Outcome, as it stands now → the executions that ended so in the window."""
        self.recorded: Counter[str] = Counter()
        """Outcome as first recorded → executions: facts, which a correction does not take back."""
        self.recorded_durations: dict[str, Durations] = {}
        self.tasks: dict[tuple[str, str], tuple[int, int]] = {}
        """(workflow, task) → (trials, passes)."""
        self.errors: Counter[str] = Counter()
        """Error type → failed executions whose times are known."""
        self.timed = 0
        """Executions in the denominator of the success rate whose times are known."""
        self.untimed = 0
        self.accuracy: dict[tuple[str, bool], Rate] = {}
        """(model, targeted) → decisions judged correct, of those judged."""
        self.judged_kinds: Counter[str] = Counter()
        """What was decided → decisions judged at random or by census."""
        self.in_flight = 0
        self.oldest_us: int | None = None
        """When the oldest execution in flight began, of those whose times are known."""

    def add_ended(self, run: Execution) -> None:
        """An execution that ended in the window, or passed its deadline there unheard of."""
        outcome = run.outcome or UNKNOWN
        self.cells.setdefault(outcome, Cell()).add(run)
        if run.recorded_outcome is not None:
            recorded = "cancelled" if run.recorded_outcome == STOPPED else run.recorded_outcome
            self.recorded[recorded] += 1
            if recorded not in self.recorded_durations:
                self.recorded_durations[recorded] = Durations(WORKFLOW_EDGES_US)
            self.recorded_durations[recorded].add(run.duration_us)
        if outcome not in JUDGED_IN_SUCCESS_RATE:
            return
        if run.task is not None:
            trials, passes = self.tasks.get((run.workflow, run.task), (0, 0))
            self.tasks[run.workflow, run.task] = (trials + 1, passes + (outcome == "success"))
        if not run.timed:
            self.untimed += 1
            return
        self.timed += 1
        if outcome != "success":
            self.errors[run.error_type] += 1

    def add_in_flight(self, run: Execution) -> None:
        self.in_flight += 1
        started = run.started_us
        if run.timed and started is not None and (self.oldest_us is None or started < self.oldest_us):
            self.oldest_us = started

    def add_left_open(self, run: Execution) -> None:
        """What an ended execution left open, whenever it ended: each thing has its own time."""
        close_left_open(run, self.tally)

    def add_label(self, decision: str, model: str, *, correct: bool, targeted: bool) -> None:
        good, valid = self.accuracy.get((model, targeted), NO_RATE)
        self.accuracy[model, targeted] = Rate(good + correct, valid + 1)
        if not targeted:
            self.judged_kinds[decision] += 1

    def merge(self, other: Sums) -> Sums:
        merged = Sums(self.tally.merge(other.tally))
        for sums in (self, other):
            for outcome, cell in sums.cells.items():
                merged.cells[outcome] = merged.cells.get(outcome, Cell()).merge(cell)
            for outcome, durations in sums.recorded_durations.items():
                known = merged.recorded_durations.get(outcome, Durations(WORKFLOW_EDGES_US))
                merged.recorded_durations[outcome] = known.merge(durations)
            for task, (trials, passes) in sums.tasks.items():
                known_trials, known_passes = merged.tasks.get(task, (0, 0))
                merged.tasks[task] = (known_trials + trials, known_passes + passes)
            for key, rate in sums.accuracy.items():
                merged.accuracy[key] = merged.accuracy.get(key, NO_RATE).merge(rate)
        merged.recorded = self.recorded + other.recorded
        merged.errors = self.errors + other.errors
        merged.timed = self.timed + other.timed
        merged.untimed = self.untimed + other.untimed
        merged.judged_kinds = self.judged_kinds + other.judged_kinds
        merged.in_flight = self.in_flight + other.in_flight
        merged.oldest_us = min((s.oldest_us for s in (self, other) if s.oldest_us is not None), default=None)
        return merged

    # -- what a group sees of it ---------------------------------------------------------------------------------

    def of_outcome(self, outcome: str) -> Sums:
        """Only the executions and the tool attempts that ended so."""
        found = Sums(Tally())
        found.cells = {name: cell for name, cell in self.cells.items() if name == outcome}
        found.tally.tools = {key: d for key, d in self.tally.tools.items() if key[1] == outcome}
        return found

    def of_tool(self, tool: str) -> Sums:
        found = Sums(Tally())
        found.tally.tools = {key: d for key, d in self.tally.tools.items() if key[0] == tool}
        found.tally.sequences = Counter({key: n for key, n in self.tally.sequences.items() if key[0] == tool})
        found.tally.attempts = Counter({key: n for key, n in self.tally.attempts.items() if key[0] == tool})
        return found

    def of_model(self, model: str) -> Sums:
        found = Sums(Tally())
        found.accuracy = {key: rate for key, rate in self.accuracy.items() if key[0] == model}
        return found

    def of_error_type(self, error_type: str) -> Sums:
        """The errors of this type, over the exposure of all executions."""
        found = Sums(Tally())
        found.tally.first_at, found.tally.last_at = self.tally.first_at, self.tally.last_at
        found.tally.sequences = Counter({key: n for key, n in self.tally.sequences.items() if key[1] == error_type})
        found.timed, found.untimed = self.timed, self.untimed
        found.errors = Counter({error_type: self.errors[error_type]} if error_type in self.errors else {})
        return found

    def label_values(self, label: str) -> list[str]:
        """Every value of a label, other than `workflow`, that something here carries."""
        tools = self.tally.tools
        found: set[str] = set()
        if label == "outcome":
            found = set(self.cells) | {outcome for _, outcome in tools}
        elif label == "tool":
            found = {tool for tool, _ in tools} | {tool for tool, _, _ in self.tally.sequences if tool != NO_VALUE}
        elif label == "model":
            found = {model for model, _ in self.accuracy}
        elif label == "error_type":
            found = set(self.errors) | {error for _, error, _ in self.tally.sequences}
        return sorted(found)
