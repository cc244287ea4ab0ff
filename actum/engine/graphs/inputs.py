"""The input of a graph: checked against its parameters before anything is written."""

from __future__ import annotations

from typing import Any

from actum.engine.graphs.graph import ABSENT, Graph
from actum.engine.payloads.json_schema import mismatch
from actum.engine.payloads.json_values import kind
from actum.errors import BadInput, near_miss

__all__ = ["prepare_input"]


def prepare_input(graph: Graph, value: Any) -> dict[str, Any]:
    """The parameters of an execution: the graph's defaults overlaid by this input, which is left as it was.

    The input is an object, or None for an empty one. Keys that are no parameters are handed on to the steps;
    but one that looks like a parameter nobody gave is taken for a slip and refused. Raises `BadInput`.
    """
    if value is None:
        value = {}
    if not isinstance(value, dict):
        raise BadInput(f"the input of workflow {graph.name!r} must be an object, not {kind(value)}")
    parameters = {one.name: one for one in graph.parameters}
    not_given = [name for name in parameters if name not in value]
    for key in value:
        if not isinstance(key, str):
            raise BadInput(f"the input of workflow {graph.name!r} has the key {key!r}, which is no text")
        if key not in parameters and (hint := near_miss(key, not_given)):
            raise BadInput(f"workflow {graph.name!r} has no parameter {key!r}{hint}")
    missing = [name for name in not_given if parameters[name].required and parameters[name].default is ABSENT]
    if missing:
        names = ", ".join(map(repr, missing))
        raise BadInput(f"workflow {graph.name!r} needs {names}, which the input does not give")
    for name, parameter in parameters.items():
        if parameter.schema is not None and name in value:
            wrong = mismatch(dict(parameter.schema), value[name], f"parameter {name!r}")
            if wrong:
                raise BadInput(f"workflow {graph.name!r}: {wrong}")
    prepared = {name: one.default for name, one in parameters.items() if one.default is not ABSENT} | value
    if graph.input_schema is not None and (wrong := mismatch(dict(graph.input_schema), prepared, "the input")):
        raise BadInput(f"workflow {graph.name!r}: {wrong}")
    return prepared
