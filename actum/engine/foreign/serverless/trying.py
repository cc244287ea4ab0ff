"""The `try` task: what its catch lets pass, tries again, or does instead. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from actum.engine.foreign.names import recorded_name
from actum.engine.foreign.serverless.errors import TaskFailed, fits
from actum.engine.foreign.serverless.expressions import holds
from actum.engine.foreign.serverless.nodes import TaskRun

if TYPE_CHECKING:
    from actum.engine.foreign.serverless.planner import ServerlessPlanner

__all__ = ["try_"]


def try_(planner: ServerlessPlanner, task: TaskRun) -> None:
    def failed(error: TaskFailed) -> None:
        _caught(planner, task, error)

    done = lambda output: planner.complete(task, output)  # noqa: E731
    planner.inside(task, task.task["try"], task.input, done, failed=failed)


def _caught(planner: ServerlessPlanner, task: TaskRun, failed: TaskFailed) -> None:
    """Let it pass, try again, or do what the catch says; a catch that says nothing goes on with the input."""
    catch = task.task["catch"]
    own = {catch.get("as", "error"): failed.error}
    if not fits(catch.get("errors", {}).get("with", {}), failed.error) or not _meant(planner, task, catch, own):
        raise failed
    policy = catch.get("retry")
    if isinstance(policy, str):
        policy = planner.use["retries"][policy]
    if policy is not None and _meant(planner, task, policy, own):
        count = policy.get("limit", {}).get("attempt", {}).get("count")
        if count is None or task.retries < count:
            task.retries += 1
            name = f"{recorded_name(task.name)}~retry"
            wait_s = _delay_s(planner, task, policy)
            planner.sleep(task, task.list.scope, name, wait_s, lambda outcome: try_(planner, task))
            return
    if "do" in catch:
        planner.inside(task, catch["do"], task.input, lambda output: planner.complete(task, output), own=own)
    elif policy is not None:
        raise failed
    else:
        planner.complete(task, task.input)


def _meant(planner: ServerlessPlanner, task: TaskRun, given: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
    """Whether `when` and `exceptWhen` let a catch, or a retry, be about this error."""
    if "when" in given and not holds(planner.value(task, given["when"], task.input, "catch/when", own)):
        return False
    except_when = given.get("exceptWhen")
    return except_when is None or not holds(planner.value(task, except_when, task.input, "catch/exceptWhen", own))


def _delay_s(planner: ServerlessPlanner, task: TaskRun, policy: Mapping[str, Any]) -> float:
    variables, place = planner.variables(task), f"{task.path}/catch/retry"
    delay = planner.duration(policy.get("delay", {"seconds": 0}), task.input, variables, place)
    match next(iter(policy.get("backoff", {"constant": {}}))):
        case "linear":
            delay *= task.retries
        case "exponential":
            delay *= 2.0 ** min(task.retries - 1, 60)
    if "jitter" in policy:
        low, high = (planner.duration(policy["jitter"][name], task.input, variables, place) for name in ("from", "to"))
        delay += low + (high - low) * int.from_bytes(planner.draw()[:6], "big") / 2**48
    return min(delay, 1e8)
