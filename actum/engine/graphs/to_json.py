"""A graph as plain JSON, in the canonical dialect: what is hashed, published and read again. Defaults are left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actum.engine.graphs import conditions
from actum.engine.graphs.kinds import (
    ABSENT,
    ANYWHERE,
    AskInput,
    AwaitSignal,
    Budget,
    Every,
    FailWith,
    Inner,
    Kind,
    Over,
    Pause,
    SucceedWith,
    Transform,
)
from actum.engine.rules.retry import ONCE, Retry

if TYPE_CHECKING:
    from actum.engine.graphs.graph import Graph, GraphStep, Parameter, Transition

__all__ = ["graph_to_json"]


def graph_to_json(graph: Graph) -> dict[str, Any]:
    flow: dict[str, Any] = {
        "start_at": list(graph.starts) if graph.also_start else graph.start_at,
        "transitions": [_transition(t) for t in graph.transitions],
    }
    if graph.max_visits is not None:
        flow["max_visits"] = graph.max_visits
    return _present(
        {
            "name": graph.name,
            "version": graph.version or None,
            "description": graph.description or None,
            "parameters": [_parameter(parameter) for parameter in graph.parameters] or None,
            "steps": [_step(step) for step in graph.steps],
            "flow": flow,
            "input_schema": graph.input_schema,
            "output_schema": graph.output_schema,
            "outputs": graph.outputs,
            "budget": _budget(graph.budget),
            "needs": dict(graph.hold.needs.units) if graph.hold else None,
            "preemptible": graph.hold.preemptible or None if graph.hold else None,
            "metadata": graph.metadata or None,
            "timeout": graph.timeout_s,
        }
    )


def _present(value: dict[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if item is not None}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    written = _present(
        {
            "name": parameter.name,
            "schema": parameter.schema,
            "required": parameter.required or None,
            "description": parameter.description or None,
        }
    )
    if parameter.default is not ABSENT:
        written["default"] = parameter.default
    return written


def _transition(transition: Transition) -> dict[str, Any]:
    written: dict[str, Any] = {"from": transition.source, "to": transition.target}
    if transition.when is not None:
        written["condition"] = conditions.to_json(transition.when)
    if transition.expires_s is not None:
        written["expires"] = transition.expires_s
    if transition.on_expired != "rerun":
        written["on_expired"] = transition.on_expired
    return written


def _step(step: GraphStep) -> dict[str, Any]:
    written: dict[str, Any] = {
        "id": step.id,
        "name": step.name or None,
        "description": step.description or None,
        "join": _join(step.join),
        "max_visits": step.max_visits,
    }
    if step.question is not None:
        written |= {
            "type": "approval",
            "title": step.question.title,
            "context": step.question.context,
            "severity": step.question.severity if step.question.severity != "medium" else None,
            "policy": step.question.policy,
            "deadline": step.question.deadline_s,
        }
    if step.run is not None:
        written["run"] = step.run.ref
    written |= {
        "map": None if step.over is None else _over(step.over),
        "inputs": step.inputs or None,
        "optional_inputs": list(step.optional_inputs) or None,
        "input_schema": step.input_schema,
        "output_schema": step.output_schema,
        "config": step.config or None,
        "services": list(step.services) or None,
        "executor": step.executor or None,
        "every": None if step.every is None else _every(step.every),
        "needs": dict(step.needs.units) or None if step.needs else None,
        "breaker": step.needs.breaker or None if step.needs else None,
        "priority": step.needs.priority if step.needs else None,
        "retry": _retry(step.retry),
        "compensate": step.compensate.ref if step.compensate else None,
        "on_error": _on_error(step),
        "fallback": step.fallback,
        "goto": "any" if step.goto == ANYWHERE else list(step.goto) or None,
        "cancel_rest": step.cancel_rest or None,
        "budget": _budget(step.budget),
        "on_doubt": step.on_doubt if step.on_doubt != "retry" else None,
        "verify": step.verify.ref if step.verify else None,
        "tool": step.tool,
        "undo_group": step.undo_group,
        "pivot": step.pivot or None,
    }
    if step.timeout_s is not None:
        written["timeout"] = step.timeout_s
    # What a kind has to say comes last: there, null is a value.
    return _present(written) | ({} if step.does is None else {"type": step.kind, **_kind(step.does)})


def _on_error(step: GraphStep) -> Any:
    if step.catches:
        return [{"types": list(one.types), "then": one.then} for one in step.catches]
    return step.on_error if step.on_error != "fail" else None


def _over(over: Over) -> dict[str, Any]:
    return {
        "items": over.items,
        **_present(
            {
                "as": over.as_ if over.as_ != "item" else None,
                "concurrency": over.concurrency,
                "join": over.join if over.join != "all" else None,
                "cancel_rest": over.cancel_rest or None,
            }
        ),
    }


def _every(every: Every) -> dict[str, Any]:
    until = None if every.until is None else conditions.to_json(every.until)
    return _present({"interval": every.interval_s, "times": every.times, "until": until})


def _budget(budget: Budget | None) -> dict[str, Any] | None:
    if budget is None:
        return None
    cost = None if budget.cost_usd is None else str(budget.cost_usd)
    return _present({"steps": budget.steps, "seconds": budget.seconds, "tokens": budget.tokens, "cost_usd": cost})


def _kind(does: Kind) -> dict[str, Any]:
    match does:
        case Pause(seconds, until):
            return _present({"seconds": seconds, "until": until})
        case AwaitSignal(signal, timeout_s, default):
            said = _present({"signal": signal, "timeout": timeout_s})
            return said if default is ABSENT else {**said, "default": default}
        case AskInput(prompt):
            return _present({"prompt": prompt})
        case Inner(workflow, on_parent_close):
            named = workflow if isinstance(workflow, str) else workflow.to_json()
            return {"workflow": named} | ({} if on_parent_close == "cancel" else {"on_parent_close": on_parent_close})
        case Transform(output):
            return _present({"output": output})
        case FailWith(error, message):
            return {"error": error, "message": message}
        case SucceedWith(output):
            return {} if output is ABSENT else {"output": output}


def _join(join: str | int | tuple[str, ...]) -> Any:
    if isinstance(join, tuple):
        return {"required": list(join)}
    return join if join != "all" else None


def _retry(retry: Retry) -> dict[str, Any] | None:
    """Every field that is not the default; None when none is."""
    written: dict[str, Any] = {}
    for name in Retry.__slots__:
        value = getattr(retry, name)
        if value != getattr(ONCE, name):
            written[name] = list(value) if isinstance(value, tuple) else value
    return written or None
