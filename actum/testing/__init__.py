"""For tests of workflows: a harness with scripted steps and its own time, simulation of everything that can go wrong.

What is named here is public. It lives in `harness/` and `simulation/`, and `pytest_plugin.py` hands it out as fixtures.
All other modules of this folder (servers, builders of events, tampering) serve actum's own tests and may change.

Names are loaded when they are first used: importing this imports next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actum.testing.harness.ended import Ended
    from actum.testing.harness.harness import Flow, Harness, run
    from actum.testing.harness.history import assert_history, assert_steps, history, steps_of_history
    from actum.testing.harness.replay import check_replay, load_history, save_history
    from actum.testing.harness.script import Script
    from actum.testing.simulation.promises import PromiseBroken, Record, check_promises
    from actum.testing.simulation.simulate import SimulationFailed, simulate

__all__ = [
    "Ended",
    "Flow",
    "Harness",
    "PromiseBroken",
    "Record",
    "Script",
    "SimulationFailed",
    "assert_history",
    "assert_steps",
    "check_promises",
    "check_replay",
    "history",
    "load_history",
    "run",
    "save_history",
    "simulate",
    "steps_of_history",
]

_HOME = {
    "Ended": "harness.ended",
    "Flow": "harness.harness",
    "Harness": "harness.harness",
    "PromiseBroken": "simulation.promises",
    "Record": "simulation.promises",
    "Script": "harness.script",
    "SimulationFailed": "simulation.simulate",
    "assert_history": "harness.history",
    "assert_steps": "harness.history",
    "check_promises": "simulation.promises",
    "check_replay": "harness.replay",
    "history": "harness.history",
    "load_history": "harness.replay",
    "run": "harness.harness",
    "save_history": "harness.replay",
    "simulate": "simulation.simulate",
    "steps_of_history": "harness.history",
}


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
