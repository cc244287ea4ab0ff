"""What the log says, up to a position and for a window: the numbers, and the events behind each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final

from actum.errors import BadInput
from actum.events import RecordedEvent
from actum.metrics.catalog import Label, check_label, check_metric
from actum.metrics.collect import Place, collect
from actum.metrics.fold import Fold
from actum.metrics.numbers import View, numbers
from actum.metrics.sums import Sums
from actum.metrics.tally import Tally
from actum.metrics.window import Window

__all__ = ["TARGET", "Report", "compute", "report_of"]

TARGET: Final = 0.95
"""The true success rate that pass confidence is about, unless another is given."""


@dataclass(frozen=True)
class Report:
    """Numbers computed at one position of the log. It stays as it is, whatever the log does next."""

    as_of: int | None
    """The position of the last event that counted; None when there was none."""
    window: Window | None
    workflow: str | None
    by: Label | None
    target: float
    place: Place
    whole: Sums
    by_workflow: dict[str, Sums]
    behind: dict[str, list[int]]

    def to_json(self) -> dict[str, Any]:
        """The `metrics` document of the design, section 9: no data is null, and a rate is never only a ratio."""
        found: dict[str, Any] = {
            "as_of": self.as_of,
            "window": {"from": None, "to": None, "label": "all"} if self.window is None else self.window.to_json(),
            "filters": {"workflow": self.workflow, "by": self.by, "target": self.target},
            "metrics": numbers(self.view(self.whole)),
            "quality": self.quality(),
        }
        if self.by is not None:
            found["groups"] = {
                value: numbers(self.view(sums, self.by), self.by) for value, sums in self.groups().items()
            }
        return found

    def view(self, sums: Sums, label: Label | None = None) -> View:
        return View(sums, self.place, self.target, None if label == "workflow" else label)

    def groups(self) -> dict[str, Sums]:
        """The sums of every value of the label that was asked for; empty when none was."""
        if self.by is None:
            return {}
        if self.by == "workflow":
            return {workflow: self.by_workflow[workflow] for workflow in sorted(self.by_workflow)}
        part = {
            "outcome": self.whole.of_outcome,
            "tool": self.whole.of_tool,
            "model": self.whole.of_model,
            "error_type": self.whole.of_error_type,
        }[self.by]
        return {value: part(value) for value in self.whole.label_values(self.by)}

    def quality(self) -> dict[str, int]:
        """What was left out of the numbers or put right in them, and how often."""
        tally = self.whole.tally
        durations = [
            *tally.tools.values(),
            *tally.waits.values(),
            *(cell.durations for cell in self.whole.cells.values()),
        ]
        found = Counter(self.whole.tally.quality)
        found["negative_duration"] += sum(d.rejected for d in durations)
        kinds = ("clock_skew", "conflict", "duplicate", "negative_duration", "unmatched_correction")
        return {kind: found[kind] for kind in kinds}

    def explain(self, metric: str) -> dict[str, Any]:
        """The metric's numbers, formula, position, and the positions of the events they rest on.

        Raises `BadInput` for an unknown metric, and for one whose events were not kept: they are kept for the
        metrics named in `explain` when the report is computed.
        """
        spec = check_metric(metric)
        if spec.name not in self.behind:
            raise BadInput(
                f"the events behind {spec.name} were not kept; compute the report with explain={spec.name!r}"
            )
        document = self.to_json()
        return {
            "metric": spec.name,
            "title": spec.title,
            "letters": spec.letters,
            "unit": spec.unit,
            "formula": spec.formula,
            "good_counts": spec.good,
            "valid_counts": spec.valid,
            "as_of": self.as_of,
            "window": document["window"],
            "filters": document["filters"],
            "value": document["metrics"][spec.name],
            "events": len(self.behind[spec.name]),
            "positions": self.behind[spec.name],
        }


def compute(
    events: Iterable[RecordedEvent],
    *,
    window: Window | None = None,
    workflow: str | None = None,
    as_of: int | None = None,
    target: float = TARGET,
    by: str | None = None,
    explain: str | Collection[str] | None = None,
    onto: Fold | None = None,
) -> Report:
    """Fold a log into a report. Payloads are not looked at, so the log may be read without them.

    `window` limits what counts by event time, `as_of` by position (that one included), `workflow` by name. Memory
    grows with executions, by less than a kilobyte each (`actum.metrics.execution`), and not with their events.
    `onto` is a fold of the events before these; it goes on, and what was asked of it holds.

    Raises `BadInput` for an unknown label, metric or target before the first event is read.
    """
    label = None if by is None else check_label(by)
    asked = [explain] if isinstance(explain, str) else explain or ()
    explained = {check_metric(name).name for name in asked}
    if not 0 < target < 1:
        raise BadInput(f"target {target} is not a rate one can be confident of; it lies between 0 and 1")
    if as_of is not None and as_of < -1:
        raise BadInput(f"there is no position {as_of}; the first event is at 0, and -1 is the log before it")
    fold = Fold(window=window, workflow=workflow, as_of=as_of, explain=explained) if onto is None else onto
    add = fold.add
    for event in events:
        add(event)
    return report_of(fold, target=target, by=label)


def report_of(fold: Fold, *, target: float = TARGET, by: Label | None = None) -> Report:
    """The report of a fold as it stands. The fold may go on; the report will not follow."""
    by_workflow, behind = collect(fold)
    whole = Sums(Tally())
    for sums in by_workflow.values():
        whole = whole.merge(sums)
    return Report(
        as_of=fold.position if fold.position >= 0 else None,
        window=fold.window,
        workflow=fold.workflow,
        by=by,
        target=target,
        place=Place.of(fold),
        whole=whole,
        by_workflow=by_workflow,
        behind=behind,
    )
