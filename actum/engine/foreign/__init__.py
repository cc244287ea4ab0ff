"""Definitions that were written for other engines, run as they are: Amazon States Language, Serverless Workflow.

Each language has a folder: what is wrong with a definition, what of it does not exist here, and a planner that
interprets the rest. The work itself, which such a definition only names, is bound to Python functions.
"""

from __future__ import annotations

from actum.engine.foreign.code import Foreign
from actum.engine.foreign.load import load_foreign
from actum.engine.foreign.tasks import TaskError

__all__ = ["Foreign", "TaskError", "load_foreign"]
