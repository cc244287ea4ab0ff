"""actum: durable multi-step work on one tamper-evident log.

What is here is loaded when it is first used: `import actum` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actum.engine import (
        Approval,
        Budget,
        Business,
        Catch,
        ChildHandle,
        Context,
        Engine,
        Estimate,
        Every,
        Graph,
        Handle,
        Over,
        Personal,
        Public,
        Retry,
        Savepoint,
        Service,
        Step,
        StepInfo,
        Won,
        Workflow,
        current_step,
        load_graph,
        step,
        workflow,
    )
    from actum.errors import Incomplete
    from actum.eventstore import EventStore, open_store

__all__ = [
    "Approval",
    "Budget",
    "Business",
    "Catch",
    "ChildHandle",
    "Context",
    "Engine",
    "Estimate",
    "EventStore",
    "Every",
    "Graph",
    "Handle",
    "Incomplete",
    "Over",
    "Personal",
    "Public",
    "Retry",
    "Savepoint",
    "Service",
    "Step",
    "StepInfo",
    "Won",
    "Workflow",
    "current_step",
    "load_graph",
    "open_store",
    "step",
    "workflow",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'actum' has no attribute {name!r}")
    from importlib import import_module

    home = {"EventStore": "actum.eventstore", "open_store": "actum.eventstore", "Incomplete": "actum.errors"}.get(
        name, "actum.engine"
    )
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value
