"""What happens next: definitions, the decider, the runtime, approvals.

Names are loaded when they are first used, so that importing one does not import all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actum.engine.foreign import Foreign, TaskError, load_foreign
    from actum.engine.functions.awaited import ChildHandle, Savepoint, Won
    from actum.engine.functions.context import Context
    from actum.engine.functions.step import Service, Step, step
    from actum.engine.functions.workflow import Workflow, workflow
    from actum.engine.graphs.graph import Graph
    from actum.engine.graphs.kinds import Catch, Every, Over
    from actum.engine.graphs.load import load_graph
    from actum.engine.payloads.classes import Business, Personal, Public
    from actum.engine.rules.budgets import Budget, Estimate
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
    "ChildHandle",
    "Context",
    "Engine",
    "Estimate",
    "Every",
    "Executor",
    "Foreign",
    "Graph",
    "Handle",
    "Job",
    "Over",
    "Personal",
    "Public",
    "Retry",
    "Savepoint",
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
    "Budget": "rules.budgets",
    "Business": "payloads.classes",
    "Catch": "graphs.kinds",
    "ChildHandle": "functions.awaited",
    "Context": "functions.context",
    "Engine": "runtime.engine",
    "Estimate": "rules.budgets",
    "Every": "graphs.kinds",
    "Foreign": "foreign.code",
    "Graph": "graphs.graph",
    "Executor": "runtime.executors",
    "Handle": "runtime.handle",
    "Job": "runtime.executors",
    "Over": "graphs.kinds",
    "Personal": "payloads.classes",
    "Public": "payloads.classes",
    "Savepoint": "functions.awaited",
    "Service": "functions.step",
    "Retry": "rules.retry",
    "Step": "functions.step",
    "StepInfo": "runtime.step_info",
    "TaskError": "foreign.tasks",
    "Won": "functions.awaited",
    "Workflow": "functions.workflow",
    "current_step": "runtime.step_info",
    "load_foreign": "foreign.load",
    "load_graph": "graphs.load",
    "step": "functions.step",
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
