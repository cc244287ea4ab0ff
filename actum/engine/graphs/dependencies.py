"""Dependencies between steps, as another way to write transitions: each step says what it depends on.

    {"id": "report", "run": "…", "depends_on": ["load", {"step": "check", "kind": "optional"}]}

This is a translation from JSON to JSON: a definition with `depends_on` means the transitions and joins it becomes, and
its digest is theirs. The kinds:

- `required`: the step starts when the other has completed; when that fails, was skipped, or `when` does not hold
  of what it returned, the step is skipped.
- `optional`: it waits until the other has ended or was skipped, and makes do without it. A step on which others
  depend only so, and which does not say what its failure means, has `on_error: continue`.
- `sequential`: it runs after the other, never beside it, whether that ran or not; a failure of the other is what it
  always is.
- `parallel`: it waits for nothing: what the other returned is there or not when it starts. A step with nothing but
  parallel dependencies waits for what those wait for, so that they start together.

Steps that depend on nothing start at once. A step may use the outputs of what it depends on, directly or through
others, and of no other step.

A required or optional dependency may expire (`expires`, `on_expired`: as in a transition), and may be periodic
(`every`: as in a step): then the other step runs again each interval, and the newest result is what is depended on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from actum.engine.graphs import conditions
from actum.engine.graphs.definition import GraphStep, Transition
from actum.engine.graphs.dialect import read_condition, read_duration
from actum.engine.graphs.kinds import Every
from actum.engine.graphs.periods import read_every
from actum.engine.graphs.place import Place
from actum.engine.graphs.templates import parse
from actum.engine.graphs.undeclared import refuse_undeclared
from actum.engine.payloads.json_values import kind as kind_of
from actum.engine.payloads.json_values import plain
from actum.errors import near_miss

if TYPE_CHECKING:
    from actum.engine.graphs.graph import Graph

__all__ = ["resolved", "without_dependencies"]

Kind = Literal["required", "optional", "sequential", "parallel"]
_KINDS: Final[tuple[str, ...]] = get_args(Kind)
_FIELDS: Final = ("step", "kind", "when", "expires", "on_expired", "every")
_SAY_ON_ERROR: Final = ("on_error", "fallback", "error_handling")
_HELPERS: Final = ("fallback", "compensate")


@dataclass(frozen=True, slots=True)
class _Dependency:
    on: str
    kind: Kind
    when: Any
    """A condition in canonical JSON, or None."""
    place: Place
    expiry: Mapping[str, Any] = field(default_factory=dict)
    """`expires` and `on_expired`, as they are given."""
    every: Any = None


_Needs = dict[str, list[_Dependency]]


def without_dependencies(raw: Any, place: Place) -> Any:
    """The definition with transitions and joins in place of `depends_on`; any other is given back as it is.

    Raises `DefinitionError` for dependencies that cannot be meant, with the reason, and names a cycle.
    """
    steps = raw.get("steps") if isinstance(raw, dict) else None
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        return raw  # whatever is wrong with it is said by who reads it next
    if not any("depends_on" in step for step in steps):
        return raw
    ids = [str(step.get("id", step.get("name", ""))) for step in steps]
    needs: _Needs = {}
    for index, (id_, step) in enumerate(zip(ids, steps, strict=True)):
        if "depends_on" in step:
            needs[id_] = _read(step, id_, ids, place / "steps" / index)
    _refuse_cycles(needs)
    flow = raw.get("flow", {})
    flow = flow if isinstance(flow, dict) else {}
    _refuse_both(needs, flow, place / "flow")
    refuse_undeclared(steps, ids, {id_: [one.on for one in of] for id_, of in needs.items()}, flow, place / "steps")
    waits = {id_: _waits(id_, needs) for id_ in needs}
    continues = _continuing(raw, steps, ids, needs)
    transitions = [_transition(one, id_, one.on in continues) for id_ in waits for one in waits[id_]]
    periods = _periods(ids, steps, needs)
    written = [
        _step(step, waits.get(id_), id_ in continues) | periods.get(id_, {})
        for id_, step in zip(ids, steps, strict=True)
    ]
    start = _starts(ids, steps, flow, waits)
    given = flow.get("transitions", [])
    made = {**flow, "start_at": start, "transitions": [*(given if isinstance(given, list) else []), *transitions]}
    return {**raw, "steps": written, "flow": made}


def resolved(graph: Graph) -> Graph:
    """The graph with transitions and joins in place of what its steps say they depend on.

    Raises `DefinitionError` as for a definition in JSON.
    """
    depending = {step.id for step in graph.steps if step.depends_on is not None}
    if not depending:
        return graph
    starts = [id_ for id_ in graph.starts if id_ not in depending]
    raw = without_dependencies(
        {
            "steps": [_outline(step, graph.place / "steps" / index) for index, step in enumerate(graph.steps)],
            "flow": {
                "start_at": starts,
                "transitions": [{"from": one.source, "to": one.target} for one in graph.transitions],
            },
        },
        graph.place,
    )
    steps = [_resolved_step(step, made) for step, made in zip(graph.steps, raw["steps"], strict=True)]
    transitions = [
        Transition(
            one["from"],
            one["to"],
            None if "condition" not in one else conditions.parse(one["condition"], graph.place),
            None,
            None if "expires" not in one else read_duration(one["expires"], graph.place),
            one.get("on_expired", "rerun"),
        )
        for one in raw["flow"]["transitions"][len(graph.transitions) :]
    ]
    said = raw["flow"]["start_at"]
    first, *more = [said] if isinstance(said, str) else said
    return replace(
        graph,
        steps=tuple(steps),
        transitions=(*graph.transitions, *transitions),
        start_at=first,
        also_start=tuple(more),
    )


def _outline(step: GraphStep, place: Place) -> dict[str, Any]:
    """What bears on dependencies of a step that Python has built, as a file would say it."""
    made: dict[str, Any] = {"id": step.id, "inputs": step.inputs, "optional_inputs": list(step.optional_inputs)}
    made["config"] = step.config
    if step.question is not None:
        made |= {"title": step.question.title, "context": step.question.context}
    if step.run is not None:
        made["run"] = step.run.ref
    if step.catches or step.on_error != "fail":
        made["on_error"] = step.on_error
    if step.fallback is not None:
        made["fallback"] = step.fallback
    if step.compensate is not None:
        made["compensate"] = step.compensate.ref
    if step.depends_on is not None:
        made["depends_on"] = plain(step.depends_on, place / "depends_on")
        if step.join != "all":
            made["join"] = step.join
    if step.every is not None:
        made["every"] = step.every
    return made


def _resolved_step(step: GraphStep, made: Mapping[str, Any]) -> GraphStep:
    join = made.get("join", step.join)
    every = made.get("every")
    return replace(
        step,
        depends_on=None,
        join=tuple(join["required"]) if isinstance(join, dict) else join,
        on_error=made.get("on_error", step.on_error),
        every=every if every is None or isinstance(every, Every) else read_every(every, step.id, Place("", "")),
    )


# -- reading -------------------------------------------------------------------------------------------------------


def _read(step: dict[str, Any], id_: str, ids: list[str], place: Place) -> list[_Dependency]:
    if "join" in step:
        raise (place / "join").error("and depends_on both say what the step waits for; keep one")
    raw, here = step["depends_on"], place / "depends_on"
    if isinstance(raw, dict):
        raw = [{"step": on, **(what if isinstance(what, dict) else {"kind": what})} for on, what in raw.items()]
    if not isinstance(raw, list):
        raise here.error(f"is a list of steps, or of objects with step and kind, not {kind_of(raw)}")
    found: list[_Dependency] = []
    for index, one in enumerate(raw):
        dependency = _one(one, ids, here / index)
        if any(dependency.on == other.on for other in found):
            raise (here / index).error(f"names {dependency.on!r} a second time")
        found.append(dependency)
    waited = {one.on for one in found if one.kind != "parallel"}
    for one in found:
        if one.kind == "parallel" and one.on not in waited:
            _refuse_needed(step, one)
    return found


def _one(raw: Any, ids: list[str], place: Place) -> _Dependency:
    raw = {"step": raw} if isinstance(raw, str) else raw
    if not isinstance(raw, dict) or not isinstance(raw.get("step"), str):
        raise place.error("is the id of a step, or an object with step and kind")
    for name in raw:
        if name not in _FIELDS:
            raise (place / name).error(f"a dependency has no field {name!r}{near_miss(name, _FIELDS)}")
    on, kind = raw["step"], raw.get("kind", "required")
    if on not in ids:
        raise place.error(f"there is no step {on!r}{near_miss(on, ids)}")
    if kind not in _KINDS:
        hint = near_miss(str(kind).lower(), _KINDS) or f"; known: {', '.join(_KINDS)}"
        raise (place / "kind").error(f"there is no dependency of kind {kind!r}{hint}")
    expiry = {name: raw[name] for name in ("expires", "on_expired") if name in raw}
    if expiry and kind not in ("required", "optional"):
        raise (place / next(iter(expiry))).error(
            f"has no meaning for a dependency of kind {kind}: the step does not rest on what the other returned"
        )
    if "on_expired" in expiry and "expires" not in expiry:
        raise (place / "on_expired").error("goes with expires, which says for how long a result is good")
    if "every" in raw and kind == "sequential":
        raise (place / "every").error("would run the other step beside this one, and sequential says never")
    if "when" not in raw:
        return _Dependency(on, kind, None, place, expiry, raw.get("every"))
    if kind != "required":
        raise (place / "when").error(
            f"would decide nothing: the step starts whether a dependency of kind {kind} is met or not; make it required"
        )
    when = read_condition(raw["when"], on, place / "when", ids)
    written = None if when is None else conditions.to_json(when)
    return _Dependency(on, kind, written, place, expiry, raw.get("every"))


def _refuse_needed(step: dict[str, Any], one: _Dependency) -> None:
    """What runs beside a step may have returned nothing yet, so that no input may rest on it alone."""
    inputs = step.get("inputs", {})
    if isinstance(inputs, list):
        given = {i.get("name"): i.get("source") for i in inputs if isinstance(i, dict) and i.get("required", True)}
    else:
        optional = step.get("optional_inputs", [])
        given = {name: value for name, value in _map(inputs).items() if name not in optional}
    for name, value in given.items():
        references = list(parse(value, one.place).references())
        if references and all(reference.step == one.on for reference in references):
            raise one.place.error(
                f"runs beside the step, so the input {name!r} may not be there when it starts; "
                f"name it in optional_inputs, or make the dependency required"
            )


def _refuse_cycles(needs: _Needs) -> None:
    done: set[str] = set()
    for first in needs:
        path: list[str] = []
        stack = [iter([first])]
        while stack:
            on = next(stack[-1], None)
            if on is None:
                stack.pop()
                if path:
                    done.add(path.pop())
            elif on in path:
                cycle = [*path[path.index(on) :], on]
                where = next(one.place for one in needs[path[-1]] if one.on == on)
                raise where.error(f"goes round: {' → '.join(cycle)}; each would wait for the other")
            elif on not in done:
                path.append(on)
                stack.append(iter([one.on for one in needs.get(on, [])]))


def _refuse_both(needs: _Needs, flow: dict[str, Any], place: Place) -> None:
    for key in ("transitions", "paths"):
        given = flow.get(key)
        for index, one in enumerate(given if isinstance(given, list) else []):
            target = one.get("to", one.get("to_step")) if isinstance(one, dict) else None
            if target in needs:
                raise (place / key / index).error(
                    f"leads to {target!r}, which says with depends_on what it waits for; write it in one way, "
                    f"and loops with transitions"
                )


# -- translating -----------------------------------------------------------------------------------------------------


def _waits(id_: str, needs: _Needs) -> list[_Dependency]:
    """What the step waits for: with nothing but parallel dependencies, what those wait for."""
    own = needs.get(id_, [])
    waits = [one for one in own if one.kind != "parallel"]
    if waits or not own:
        return waits
    theirs = [one for beside in own for one in _waits(beside.on, needs)]
    return list({one.on: one for one in reversed(theirs)}.values())[::-1]


def _continuing(raw: dict[str, Any], steps: list[dict[str, Any]], ids: list[str], needs: _Needs) -> set[str]:
    """The steps whose failure does not end the execution: because they say so, or because all do without them."""
    found: set[str] = set()
    for id_, step in zip(ids, steps, strict=True):
        handling = [step, step.get("error_handling"), _map(step.get("config")).get("error_handling")]
        said = [_map(one) for one in (*handling, raw.get("error_handling"))]
        if any(one.get("on_error") == "continue" or one.get("continue_on_error") is True for one in said):
            found.add(id_)
        elif not any(one.get(name) for one in said for name in _SAY_ON_ERROR) and _runs_code(step):
            kinds = {one.kind: one for of in needs.values() for one in of if one.on == id_}
            if "optional" not in kinds:
                continue
            if "required" in kinds:
                raise kinds["optional"].place.error(
                    f"does without {id_!r}, and another step requires it: say what its failure means, with "
                    f"on_error: continue or on_error: fail"
                )
            found.add(id_)
    return found


def _periods(ids: list[str], steps: list[dict[str, Any]], needs: _Needs) -> dict[str, dict[str, Any]]:
    """What makes steps periodic because others depend on them so; all that say it must say the same."""
    said = {id_: {"every": step["every"]} for id_, step in zip(ids, steps, strict=True) if "every" in step}
    for of in needs.values():
        for one in of:
            if one.every is not None and said.setdefault(one.on, {"every": one.every})["every"] != one.every:
                raise (one.place / "every").error(
                    f"is {one.every!r}, and elsewhere {one.on!r} runs every {said[one.on]['every']!r}; say it once"
                )
    return said


def _runs_code(step: Mapping[str, Any]) -> bool:
    return any(name in step for name in ("run", "module", "step_class", "class")) and step.get("type") != "human_input"


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _transition(one: _Dependency, id_: str, continues: bool) -> dict[str, Any]:
    made: dict[str, Any] = {"from": one.on, "to": id_, **one.expiry}
    completed = {"source": one.on, "operator": "exists", "value": True}
    wanted = [completed] if one.kind == "required" and continues else []
    wanted += [one.when] if one.when is not None else []
    if wanted:
        made["condition"] = wanted[0] if len(wanted) == 1 else {"all": wanted}
    return made


def _step(step: dict[str, Any], waits: list[_Dependency] | None, continues: bool) -> dict[str, Any]:
    made = {key: value for key, value in step.items() if key != "depends_on"}
    if continues and not any(made.get(name) for name in _SAY_ON_ERROR) and _runs_code(step):
        made["on_error"] = "continue"
    if waits:
        required = [one.on for one in waits if one.kind == "required"]
        if len(required) != len(waits):
            made["join"] = {"required": required}
        elif len(waits) > 1:
            made["join"] = len(waits)
    return made


def _starts(ids: list[str], steps: list[dict[str, Any]], flow: dict[str, Any], waits: _Needs) -> list[str] | str:
    """Where the workflow starts: at the step it says, and at every step that waits for nothing."""
    reached = {id_ for id_, of in waits.items() if of}
    for key in ("transitions", "paths"):
        given = flow.get(key)
        reached |= {
            one.get("to", one.get("to_step")) for one in (given if isinstance(given, list) else []) if _map(one)
        }
    reached |= {step[name] for step in steps for name in _HELPERS if isinstance(step.get(name), str)}
    said = flow.get("start_at")
    first = [said] if isinstance(said, str) else list(said) if isinstance(said, list) else []
    starts = [*first, *(id_ for id_ in ids if id_ not in reached and id_ not in first)]
    return starts[0] if len(starts) == 1 else starts
