"""tau-bench results: a JSON list of runs, each with its messages and a reward, and without any time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Final

import orjson
from pydantic import Field

from actum.events import Actor
from actum.evidence.importers.conversation import Conversation
from actum.evidence.importers.history import History, content_digest, fill
from actum.evidence.importers.mapping import Mapping
from actum.evidence.importers.protocol import ForeignExecution, Importer, Tally
from actum.evidence.importers.shape import Shape, checked, json_of
from actum.evidence.importers.source import Source
from actum.evidence.importers.verdict import end_by_reward

__all__ = ["IMPORTER"]

FORMAT: Final = "tau-bench"
IMPORTED: Final = Actor("import", FORMAT)
ACTORS: Final = {
    "system": Actor("system", "policy"),
    "user": Actor("model", "user-simulator"),
    "assistant": Actor("agent", "assistant"),
    "tool": Actor("service", "environment"),
}


class _Function(Shape):
    name: Annotated[str, Field(min_length=1)]
    arguments: str | dict[str, Any]


class _ToolCall(Shape):
    id: str
    function: _Function


class _Message(Shape):
    role: Annotated[str, Field(min_length=1)]
    content: Any = None
    name: str | None = None
    tool_call_id: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Run(Shape):
    reward: Annotated[float | None, Field(allow_inf_nan=False)] = None
    info: dict[str, Any] = Field(default_factory=dict)
    traj: list[_Message]


def read(source: Source, mapping: Mapping, tally: Tally) -> Iterator[ForeignExecution]:
    """Every run that has a reward. A run is known by its task, its trial and its own content.

    So the runs of another model are other executions although tasks and trials have the same numbers, and a results
    file that has grown since brings only the runs that are new. A run that broke before its first message has
    nothing of its own to be known by: for it the file's digest takes part.
    """
    runs = json_of(source)
    if not isinstance(runs, list):
        raise source.refusal("$", f"is not a list of runs but {type(runs).__name__}; is it a {FORMAT} results file?")
    for number, record in enumerate(runs):
        execution = _run(source, mapping, tally, record, f"$[{number}]")
        if execution is not None:
            yield execution


def _run(source: Source, mapping: Mapping, tally: Tally, record: Any, path: str) -> ForeignExecution | None:
    run = checked(_Run, record, source, path)
    task, trial = task_and_trial(source, mapping, record, path)
    if run.reward is None:
        tally.leave_out("no reward: the outcome is unknown", path)
        return None
    foreign = task if trial is None else f"{task}/{trial}"
    history = History(source, tally, path, time_unknown=True)
    started = {
        "workflow": fill(mapping.workflow, domain=_domain(mapping, run)),
        "kind": "import",
        "source": source.digest,
        "foreign": foreign,
        "task": task,
        "trial": trial,
        "time_unknown": True,
    }
    about = {key: value for key, value in run.info.items() if key not in ("task", "reward_info", "traceback")}
    history.add("execution.started", started, IMPORTED, None, {"input": _input(run), "source": about})
    conversation = Conversation(history, mapping, ACTORS)
    for message, raw in zip(run.traj, record["traj"], strict=True):
        _tell(conversation, message, raw)
    broke = run.info.get("error")
    end_by_reward(
        history,
        mapping,
        Actor("service", FORMAT),
        None,
        run.reward,
        error_type="RunError" if broke else None,
        output={"reward": run.reward, "error": broke, "traceback": run.info.get("traceback")}
        if broke
        else {"reward": run.reward},
        explanation=run.info.get("reward_info"),
    )
    content = content_digest(record)
    return history.finish(
        format=FORMAT,
        label=foreign,
        foreign=foreign,
        identity=(foreign, content, *(() if run.traj else (source.digest,))),
        content=content,
        records=len(run.traj),
    )


def task_and_trial(source: Source, mapping: Mapping, record: dict[str, Any], path: str) -> tuple[str, int | None]:
    """The task as text and the number of the trial, from the fields that the mapping names."""
    field = mapping.task or "task_id"
    task = record.get(field)
    if isinstance(task, bool) or not isinstance(task, str | int) or task == "":
        raise source.refusal(f"{path}.{field}", f"the task should be a number or a text, but is {task!r:.60}")
    trial = record.get(mapping.trial) if mapping.trial else None
    if trial is not None and (isinstance(trial, bool) or not isinstance(trial, int) or trial < 0):
        raise source.refusal(f"{path}.{mapping.trial}", f"the trial should be a number from 0, but is {trial!r:.60}")
    return str(task), trial


def _domain(mapping: Mapping, run: _Run) -> str | None:
    if mapping.domain_pattern is None:
        return None
    for message in run.traj:
        if message.role == "system" and isinstance(message.content, str):
            found = re.search(mapping.domain_pattern, message.content)
            return found[1].lower() if found else None
    return None


def _input(run: _Run) -> Any:
    """What was asked: the task's instruction, or the first words of the user."""
    task = run.info.get("task")
    if isinstance(task, dict) and task.get("instruction"):
        return task["instruction"]
    return next((message.content for message in run.traj if message.role == "user"), None)


def _tell(conversation: Conversation, message: _Message, raw: dict[str, Any]) -> None:
    if message.role == "tool":
        conversation.returned(message.name, message.tool_call_id or "", raw, None)
        return
    if message.content is not None or not message.tool_calls:
        conversation.said(message.role, {"content": message.content}, None)
    for call in message.tool_calls or ():
        conversation.called(message.role, call.function.name, call.id, _arguments(call.function.arguments), None)


def _arguments(arguments: str | dict[str, Any]) -> Any:
    """The arguments as JSON; the text itself where a model wrote something else."""
    if isinstance(arguments, dict):
        return arguments
    try:
        return orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return arguments


IMPORTER: Final[Importer] = Importer(
    read,
    frozenset(
        {
            "workflow",
            "domain_pattern",
            "task",
            "trial",
            "interventions",
            "compensates",
            "people",
            "tool_errors",
            "success_reward",
            "judgement",
        }
    ),
)
