"""Steps that answer as a test says, in place of what they would do."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from actum.engine import Graph, StepInfo
from actum.engine.definitions import Code, steps_of
from actum.engine.runtime.around import Call
from actum.errors import BadInput, near_miss

__all__ = ["Script", "check_names"]


class Script:
    """Middleware that answers for the steps it has a line for; all others run.

    A line is found by the step's name (in a graph, its id), or by `name/undo` for the compensation of that step.

    - An exception, or a class of them, is raised: the attempt fails.
    - A function is called in place of the step, with the step's arguments; it may be async.
    - A list holds one answer for each attempt of a call; the last one counts for all further ones.
    - Anything else is the result. To return a list, write it inside another: `[[1, 2]]`.
    """

    def __init__(self, lines: Mapping[str, Any] | None = None) -> None:
        self.lines = dict(lines or {})

    async def __call__(self, info: StepInfo, call: Call, /) -> Any:
        undo = info.key.endswith("/undo")
        name = info.key.removesuffix("/undo").rpartition("/")[2].partition("#")[0] + ("/undo" if undo else "")
        if name not in self.lines:
            return await call()
        answer = self.lines[name]
        if isinstance(answer, list):
            if not answer:
                raise BadInput(f"the script has an empty list for step {name!r}: it answers no attempt")
            answer = answer[min(info.attempt, len(answer)) - 1]
        if isinstance(answer, BaseException) or (isinstance(answer, type) and issubclass(answer, BaseException)):
            raise answer
        if callable(answer):
            answer = answer(*call.args, **call.kwargs)
            return await answer if inspect.isawaitable(answer) else answer
        return answer


def check_names(code: Code, lines: Mapping[str, Any]) -> None:
    """Raise `BadInput` for a line of a script that is for no step of this graph; of a function not all are known."""
    if not isinstance(code, Graph):
        return
    known = {one.id for one in code.steps} | {spec.name for spec in steps_of(code)}
    for line in lines:
        name = line.removesuffix("/undo")
        if name not in known:
            raise BadInput(f"graph {code.name!r} has no step {name!r} to script{near_miss(name, known)}")
