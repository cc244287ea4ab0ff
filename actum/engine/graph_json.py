"""A graph as plain JSON, in the canonical dialect: what is hashed, published and read again. Defaults are left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actum.engine import conditions
from actum.engine.retry import ONCE, Retry

if TYPE_CHECKING:
    from actum.engine.graph import Graph, GraphStep, Parameter, Transition

__all__ = ["graph_to_json"]


def graph_to_json(graph: Graph) -> dict[str, Any]:
    flow: dict[str, Any] = {"start_at": graph.start_at, "transitions": [_transition(t) for t in graph.transitions]}
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
            "metadata": graph.metadata or None,
        }
    )


def _present(value: dict[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if item is not None}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    from actum.engine.graph import ABSENT

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
    return written


def _step(step: GraphStep) -> dict[str, Any]:
    written: dict[str, Any] = {
        "id": step.id,
        "name": step.name or None,
        "description": step.description or None,
        "join": step.join if step.join != "all" else None,
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
        written |= {
            "run": step.run.ref,
            "inputs": step.inputs or None,
            "optional_inputs": list(step.optional_inputs) or None,
            "input_schema": step.input_schema,
            "output_schema": step.output_schema,
            "config": step.config or None,
            "retry": _retry(step.retry),
            "timeout": step.timeout_s,
            "compensate": step.compensate.ref if step.compensate else None,
            "on_error": step.on_error if step.on_error != "fail" else None,
            "fallback": step.fallback,
            "on_doubt": step.on_doubt if step.on_doubt != "retry" else None,
            "verify": step.verify.ref if step.verify else None,
            "tool": step.tool,
        }
    return _present(written)


def _retry(retry: Retry) -> dict[str, Any] | None:
    """Every field that is not the default; None when none is."""
    written: dict[str, Any] = {}
    for name in Retry.__slots__:
        value = getattr(retry, name)
        if value != getattr(ONCE, name):
            written[name] = list(value) if isinstance(value, tuple) else value
    return written or None
