"""What happens next: definitions, the decider, the runtime, approvals.

Names are loaded when they are first used, so that importing one does not import all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actum.engine.foreign import Foreign, TaskError, load_foreign
    from actum.engine.functions.awaited import Won
    from actum.engine.functions.context import Context
    from actum.engine.functions.durable import Service, Step, step
    from actum.engine.functions.workflow import Workflow, workflow
    from actum.engine.graphs.graph import Graph
    from actum.engine.graphs.kinds import Budget, Catch, Over
    from actum.engine.graphs.load import load_graph
    from actum.engine.payloads.classes import Business, Personal, Public
    from actum.engine.rules.calls import Approval
    from actum.engine.rules.retry import Retry
    from actum.engine.runtime.engine import Engine
    from actum.engine.runtime.executors import Executor, Job
    from actum.engine.runtime.handle import Handle
    from actum.engine.runtime.step_info import StepInfo, current_step

__all__ = [
    "Approval",
    "Budget",
    "Business",
    "Catch",
    "Context",
    "Engine",
    "Executor",
    "Foreign",
    "Graph",
    "Handle",
    "Job",
    "Over",
    "Personal",
    "Public",
    "Retry",
    "Service",
    "Step",
    "StepInfo",
    "TaskError",
    "Won",
    "Workflow",
    "current_step",
    "load_foreign",
    "load_graph",
    "step",
    "workflow",
]

_HOME = {
    "Approval": "rules.calls",
    "Budget": "graphs.kinds",
    "Business": "payloads.classes",
    "Catch": "graphs.kinds",
    "Context": "functions.context",
    "Engine": "runtime.engine",
    "Foreign": "foreign.code",
    "Graph": "graphs.graph",
    "Executor": "runtime.executors",
    "Handle": "runtime.handle",
    "Job": "runtime.executors",
    "Over": "graphs.kinds",
    "Personal": "payloads.classes",
    "Public": "payloads.classes",
    "Service": "functions.durable",
    "Retry": "rules.retry",
    "Step": "functions.durable",
    "StepInfo": "runtime.step_info",
    "TaskError": "foreign.tasks",
    "Won": "functions.awaited",
    "Workflow": "functions.workflow",
    "current_step": "runtime.step_info",
    "load_foreign": "foreign.load",
    "load_graph": "graphs.load",
    "step": "functions.durable",
    "workflow": "functions.workflow",
}


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
