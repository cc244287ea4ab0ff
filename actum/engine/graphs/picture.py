"""A graph drawn: as Mermaid, as Graphviz DOT, as text. The same graph always gives the same picture.

Transitions that begin another round of a loop are dotted; what stands in for a step, or undoes it, is dashed.
With the states of one execution, steps are coloured by what became of them and transitions that were taken are thick.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from actum.engine.graphs import conditions
from actum.engine.graphs.check import step_pairs
from actum.engine.graphs.graph import END_MARKERS, Graph, GraphStep
from actum.engine.graphs.kinds import Every
from actum.engine.graphs.shape import Shape
from actum.engine.rules.state import Execution

__all__ = ["COLOURS", "Overlay", "dot", "mermaid", "overlay_of", "text"]

State = Literal["done", "failed", "waiting", "running", "skipped"]
COLOURS: Final[Mapping[str, tuple[str, str]]] = {
    "done": ("#d4edda", "#28a745"),
    "failed": ("#f8d7da", "#dc3545"),
    "waiting": ("#fff3cd", "#e0a800"),
    "running": ("#d1ecf1", "#17a2b8"),
    "skipped": ("#eeeeee", "#aaaaaa"),
}
"""What a step of this state is filled with, and its border."""
_OF_STEP: Final[Mapping[str, State]] = {"completed": "done", "failed": "failed", "skipped": "skipped"}
_OF_APPROVAL: Final[Mapping[str, State]] = {"waiting": "waiting", "granted": "done"}
_ENDS: Final = {"end": "end", "end_with_success": "end", "end_with_failure": "fails"}


@dataclass(slots=True)
class Overlay:
    """What became of the steps of one execution: their states, and the transitions that were taken."""

    states: dict[str, State] = field(default_factory=dict)
    visits: dict[str, int] = field(default_factory=dict)
    taken: set[tuple[str, str]] = field(default_factory=set)


def overlay_of(execution: Execution) -> Overlay:
    """The last visit of each step counts; a question that a step asked counts as the step's."""
    overlay = Overlay(taken={(source, target) for source, _, target in execution.taken})
    latest: dict[str, int] = {}
    for step in execution.steps.values():
        if step.scope:
            continue
        if step.status != "skipped":
            overlay.visits[step.step] = overlay.visits.get(step.step, 0) + 1
        if step.occurrence >= latest.get(step.step, 0):
            latest[step.step] = step.occurrence
            overlay.states[step.step] = _OF_STEP.get(step.status, "running")
    for approval in execution.approvals.values():
        name, _, occurrence = approval.key.rpartition("#")
        id_ = name.partition(".")[0]
        if int(occurrence) >= latest.get(id_, 0):
            latest[id_] = int(occurrence)
            overlay.states[id_] = _OF_APPROVAL.get(approval.status, "failed")
    return overlay


class _Arrow(NamedTuple):
    source: str
    target: str
    label: str
    kind: Literal["forward", "back", "helper"]
    good: str = ""
    """For how long the source's result is good, and what is done then."""

    @property
    def said(self) -> str:
        return ", ".join(filter(None, (self.label, self.good)))


def _arrows(graph: Graph) -> list[_Arrow]:
    numbers = {step.id: index for index, step in enumerate(graph.steps)}
    shape = Shape(len(numbers), [numbers[id_] for id_ in graph.starts], step_pairs(graph, numbers))
    back = {(graph.steps[edge.source].id, graph.steps[edge.target].id) for edge in shape.edges if edge.back}
    found: list[_Arrow] = []
    for one in graph.transitions:
        label = "" if one.when is None else conditions.describe(one.when)
        good = "" if one.expires_s is None else f"good for {_time(one.expires_s)}, then {one.on_expired}"
        kind: Literal["forward", "back"] = "back" if (one.source, one.target) in back else "forward"
        found.append(_Arrow(one.source, one.target, label, kind, good))
    for step in graph.steps:
        if step.fallback is not None:
            found.append(_Arrow(step.id, step.fallback, "if it fails", "helper"))
        if step.compensate is not None and step.compensate.ref in numbers:
            found.append(_Arrow(step.id, step.compensate.ref, "undone by", "helper"))
    return found


def _does(step: GraphStep) -> str:
    """What a step does, in a few words."""
    if step.question is not None:
        said = "approval" + (f", {step.question.severity}" if step.question.severity != "medium" else "")
        return said + (f", within {_time(step.question.deadline_s)}" if step.question.deadline_s is not None else "")
    return step.run.ref if step.run is not None else ""


def _notes(step: GraphStep, ways: int) -> list[str]:
    notes: list[str] = []
    if ways > 1 or isinstance(step.join, tuple):
        notes.append(
            _waits(step.join)
            if isinstance(step.join, tuple)
            else "waits for all"
            if step.join == "all"
            else f"starts with {step.join} of {ways}"
        )
    if step.retry.attempts > 1:
        notes.append(f"{step.retry.attempts} attempts")
    if step.timeout_s is not None:
        notes.append(f"within {_time(step.timeout_s)}")
    if step.every is not None:
        notes.append(f"every {_time(step.every.interval_s)}{_ends(step.every)}")
    if step.executor:
        notes.append(f"in {step.executor}")
    if step.on_error != "fail":
        notes.append(f"on error {step.on_error}")
    if step.max_visits is not None:
        notes.append(f"at most {step.max_visits} times")
    if step.compensate is not None and ":" in step.compensate.ref:
        notes.append(f"undone by {step.compensate.ref}")
    return notes


def _ends(every: Every) -> str:
    times = "" if every.times is None else f", {every.times} times"
    return times + ("" if every.until is None else f", until {conditions.describe(every.until)}")


def _waits(required: tuple[str, ...]) -> str:
    return f"waits for all, needs {', '.join(required)}" if required else "waits for all, needs none"


def _time(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


# -- Mermaid -----------------------------------------------------------------------------------------------------------

_LINES: Final = {"forward": ("-->", "==>"), "back": ("-.->", "-.->"), "helper": ("-.-o", "-.-o")}


def mermaid(graph: Graph, overlay: Overlay | None = None) -> str:
    """A Mermaid flow chart."""
    over = overlay or Overlay()
    names = {step.id: f"s{index}" for index, step in enumerate(graph.steps)}
    lines = ["flowchart TD", '  n_start(("start"))']
    for step in graph.steps:
        label = _quoted(f"{step.id}") + "<br/>" + _quoted(_does(step))
        opens, closes = ('{{"', '"}}') if step.question is not None else ('["', '"]')
        lines.append(f"  {names[step.id]}{opens}{label}{closes}")
    arrows = _arrows(graph)
    ends = {_ENDS[one.target] for one in arrows if one.target in END_MARKERS}
    lines += [f'  n_{end}(("{end}"))' for end in sorted(ends)]
    lines += [f"  n_start --> {names[id_]}" for id_ in graph.starts]
    for one in arrows:
        thin, thick = _LINES[one.kind]
        line = thick if (one.source, one.target) in over.taken else thin
        label = f'|"{_quoted(one.said)}"|' if one.said else ""
        target = f"n_{_ENDS[one.target]}" if one.target in END_MARKERS else names[one.target]
        lines.append(f"  {names[one.source]} {line}{label} {target}")
    for state in COLOURS:
        of = [names[id_] for id_, its in over.states.items() if its == state and id_ in names]
        if of:
            fill, stroke = COLOURS[state]
            lines += [f"  classDef {state} fill:{fill},stroke:{stroke}", f"  class {','.join(of)} {state}"]
    return "\n".join(lines) + "\n"


def _quoted(said: str) -> str:
    """A text in which nothing has a meaning for Mermaid or for HTML."""
    kept = " .,:/_-+*=!?()'"
    return "".join(c if c.isalnum() or c in kept else " " if c in "\r\n\t" else f"#{ord(c)};" for c in said)


# -- DOT ---------------------------------------------------------------------------------------------------------------

_STYLES: Final = {"forward": "", "back": "style=dotted, constraint=false", "helper": "style=dashed, arrowhead=odot"}


def dot(graph: Graph, overlay: Overlay | None = None) -> str:
    """A Graphviz digraph, for `dot -Tsvg`."""
    over = overlay or Overlay()
    numbers = {step.id: f"s{index}" for index, step in enumerate(graph.steps)}
    lines = [
        f"digraph {_string(graph.name)} {{",
        "  rankdir=TB;",
        '  node [shape=box, style="rounded,filled", fillcolor=white, fontname="sans-serif"];',
        '  edge [fontname="sans-serif", fontsize=10];',
        '  n_start [shape=circle, label="start"];',
    ]
    for step in graph.steps:
        said = [f"label={_string(step.id, _does(step))}"]
        if step.question is not None:
            said.append("shape=hexagon")
        if (state := over.states.get(step.id)) is not None:
            fill, stroke = COLOURS[state]
            said += [f'fillcolor="{fill}"', f'color="{stroke}"']
        lines.append(f"  {numbers[step.id]} [{', '.join(said)}];")
    arrows = _arrows(graph)
    for end in sorted({_ENDS[one.target] for one in arrows if one.target in END_MARKERS}):
        lines.append(f"  n_{end} [shape=doublecircle, label={_string(end)}];")
    lines += [f"  n_start -> {numbers[id_]};" for id_ in graph.starts]
    for one in arrows:
        said = [f"label={_string(one.said)}"] if one.said else []
        said += [_STYLES[one.kind]] if _STYLES[one.kind] else []
        said += ["penwidth=3"] if (one.source, one.target) in over.taken else []
        target = f"n_{_ENDS[one.target]}" if one.target in END_MARKERS else numbers[one.target]
        lines.append(f"  {numbers[one.source]} -> {target}{f' [{chr(44).join(said)}]' if said else ''};")
    return "\n".join([*lines, "}"]) + "\n"


def _string(*said: str) -> str:
    escaped = [" ".join(one.split()).replace("\\", "\\\\").replace('"', '\\"') for one in said if one]
    return '"' + "\\n".join(escaped) + '"'


# -- text --------------------------------------------------------------------------------------------------------------

_SIGNS: Final[Mapping[str, str]] = {
    "done": "✓",
    "failed": "✗",
    "waiting": "?",
    "running": "…",
    "skipped": "–",
}


def text(graph: Graph, overlay: Overlay | None = None) -> str:
    """For a terminal: each step with what it does, and below it where it leads."""
    arrows = _arrows(graph)
    ways: dict[str, int] = {}
    for source, target in {(one.source, one.target) for one in arrows if one.kind == "forward"}:
        ways[target] = ways.get(target, 0) + (source != target)
    wide = max(len(step.id) for step in graph.steps)
    lines = [" ".join(filter(None, (graph.name, graph.version))), graph.digest, ""]
    for step in graph.steps:
        sign = "" if overlay is None else _SIGNS.get(overlay.states.get(step.id, ""), " ") + " "
        notes = (["start"] if step.id in graph.starts else []) + _notes(step, ways.get(step.id, 0))
        if overlay is not None and overlay.visits.get(step.id, 0) > 1:
            notes.append(f"visited {overlay.visits[step.id]} times")
        said = f"{sign}{step.id.ljust(wide)}  {_does(step)}"
        lines.append(said + (f"  ({', '.join(notes)})" if notes else ""))
        for one in arrows:
            if one.source == step.id:
                lines.append("    " + _line(one, overlay))
    return "\n".join(lines) + "\n"


def _line(one: _Arrow, overlay: Overlay | None) -> str:
    sign = {"forward": "→", "back": "↺", "helper": "⤷"}[one.kind]
    if overlay is not None and (one.source, one.target) in overlay.taken:
        sign = {"→": "⇒"}.get(sign, sign)
    if one.kind == "helper":
        return f"{sign} {one.label} {one.target}"
    return f"{sign} {one.target}" + (f"  if {one.label}" if one.label else "") + (f"  ({one.good})" * bool(one.good))


def as_json(graph: Graph, overlay: Overlay) -> list[dict[str, Any]]:
    """The states of its steps, for programs."""
    return [
        {"id": step.id, "state": overlay.states.get(step.id), "visits": overlay.visits.get(step.id, 0)}
        for step in graph.steps
    ]
