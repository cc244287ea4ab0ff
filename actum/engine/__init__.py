"""What happens next: definitions, the decider, the runtime, approvals.

Names are loaded when they are first used, so that importing one does not import all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actum.engine.attempt import StepInfo, current_step
    from actum.engine.calls import Approval
    from actum.engine.classes import Business, Personal, Public
    from actum.engine.durable import Context, Step, Workflow, step, workflow
    from actum.engine.graph import Graph
    from actum.engine.graph_load import load_graph
    from actum.engine.retry import Retry
    from actum.engine.runtime import Engine, Handle

__all__ = [
    "Approval",
    "Business",
    "Context",
    "Engine",
    "Graph",
    "Handle",
    "Personal",
    "Public",
    "Retry",
    "Step",
    "StepInfo",
    "Workflow",
    "current_step",
    "load_graph",
    "step",
    "workflow",
]

_HOME = {
    "Approval": "calls",
    "Business": "classes",
    "Context": "durable",
    "Engine": "runtime",
    "Graph": "graph",
    "Handle": "runtime",
    "Personal": "classes",
    "Public": "classes",
    "Retry": "retry",
    "Step": "durable",
    "StepInfo": "attempt",
    "Workflow": "durable",
    "current_step": "attempt",
    "load_graph": "graph_load",
    "step": "durable",
    "workflow": "durable",
}


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
