"""tau2-bench results: simulations with times, tokens and cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final

from pydantic import Field

from actum.events import Actor
from actum.evidence.importers.conversation import Conversation
from actum.evidence.importers.history import History, content_digest, fill, instant_us, scaled
from actum.evidence.importers.mapping import Mapping
from actum.evidence.importers.protocol import ForeignExecution, Importer, Tally
from actum.evidence.importers.shape import Shape, checked, json_of
from actum.evidence.importers.source import Source
from actum.evidence.importers.tau_bench import task_and_trial
from actum.evidence.importers.verdict import end_by_reward

__all__ = ["IMPORTER"]

FORMAT: Final = "tau2-bench"
IMPORTED: Final = Actor("import", FORMAT)
_STOPPED_BY_ITSELF = ("user_stop", "agent_stop")
"""Endings that say nothing of why a run failed; any other one does."""

Text = Annotated[str, Field(min_length=1)]
Money = Annotated[float | None, Field(ge=0, allow_inf_nan=False)]


class _ToolCall(Shape):
    id: str
    name: Text
    arguments: Any = None


class _Usage(Shape):
    prompt_tokens: Annotated[int, Field(ge=0)]
    completion_tokens: Annotated[int, Field(ge=0)]


class _Message(Shape):
    role: Text
    content: Any = None
    timestamp: str | None = None
    tool_calls: list[_ToolCall] | None = None
    id: str | None = None
    cost: Money = None
    usage: _Usage | None = None
    raw_data: Any = None


class _Reward(Shape):
    reward: Annotated[float | None, Field(allow_inf_nan=False)] = None


class _Simulation(Shape):
    id: Text
    start_time: str
    end_time: str
    duration: Annotated[float | None, Field(ge=0, allow_inf_nan=False)] = None
    termination_reason: str | None = None
    agent_cost: Money = None
    user_cost: Money = None
    reward_info: _Reward | None = None
    messages: list[_Message]


class _Llm(Shape):
    llm: str | None = None
    implementation: str | None = None


class _Environment(Shape):
    domain_name: str | None = None


class _Info(Shape):
    git_commit: str | None = None
    agent_info: _Llm = _Llm()
    user_info: _Llm = _Llm()
    environment_info: _Environment = _Environment()


class _Results(Shape):
    info: _Info = _Info()
    tasks: list[dict[str, Any]] = Field(default_factory=list)
    simulations: list[dict[str, Any]]


def read(source: Source, mapping: Mapping, tally: Tally) -> Iterator[ForeignExecution]:
    """Every simulation that has a reward, known by its own id, in whatever file it lies."""
    value = json_of(source)
    results = checked(_Results, value, source, "$")
    tasks = {str(task.get("id")): task for task in results.tasks}
    for number, record in enumerate(results.simulations):
        execution = _simulation(source, mapping, tally, results.info, tasks, record, f"$.simulations[{number}]")
        if execution is not None:
            yield execution


def _simulation(
    source: Source,
    mapping: Mapping,
    tally: Tally,
    info: _Info,
    tasks: dict[str, dict[str, Any]],
    record: dict[str, Any],
    path: str,
) -> ForeignExecution | None:
    simulation = checked(_Simulation, record, source, path)
    task, trial = task_and_trial(source, mapping, record, path)
    reward = None if simulation.reward_info is None else simulation.reward_info.reward
    if reward is None:
        tally.leave_out("no reward: the outcome is unknown", path)
        return None
    start_us = instant_us(source, f"{path}.start_time", simulation.start_time, mapping.assume_zone)
    end_us = instant_us(source, f"{path}.end_time", simulation.end_time, mapping.assume_zone)
    history = History(source, tally, path)
    started = {
        "workflow": fill(mapping.workflow, domain=info.environment_info.domain_name),
        "kind": "import",
        "source": source.digest,
        "foreign": simulation.id,
        "task": task,
        "trial": trial,
    }
    about = {
        "agent": info.agent_info.model_dump(),
        "user": info.user_info.model_dump(),
        "git_commit": info.git_commit,
        "seed": record.get("seed"),
    }
    asked = tasks.get(task, {}).get("user_scenario")
    history.add("execution.started", started, IMPORTED, start_us, {"input": asked, "source": about})
    teller = _Teller(history, mapping, info, start_us)
    for number, (message, raw) in enumerate(zip(simulation.messages, record["messages"], strict=True)):
        teller.tell(message, raw, f"{path}.messages[{number}]")
    reason = simulation.termination_reason
    end_by_reward(
        history,
        mapping,
        Actor("service", FORMAT),
        end_us,
        reward,
        measured={
            "duration_us": _duration_us(history, simulation.duration, start_us, end_us),
            "cost_nanousd": None if simulation.agent_cost is None else scaled(simulation.agent_cost, 1_000_000_000),
            "input_tokens": teller.input_tokens,
            "output_tokens": teller.output_tokens,
        },
        error_type=reason if reason and reason not in _STOPPED_BY_ITSELF else None,
        output={"reward": reward, "termination_reason": reason, "user_cost": simulation.user_cost},
        explanation=record["reward_info"],
    )
    return history.finish(
        format=FORMAT,
        label=task if trial is None else f"{task}-{trial}",
        foreign=simulation.id,
        identity=(simulation.id,),
        content=content_digest(record),
        records=len(simulation.messages),
    )


def _duration_us(history: History, duration_s: float | None, start_us: int, end_us: int) -> int | None:
    if duration_s is not None:
        return scaled(duration_s, 1_000_000)
    if end_us < start_us:
        history.tally.notice("an end before its start: the duration is unknown", history.where)
        return None
    return end_us - start_us


class _Teller:
    """Writes the messages of one simulation, and adds up the tokens of the agent's model."""

    def __init__(self, history: History, mapping: Mapping, info: _Info, start_us: int) -> None:
        agent = info.agent_info.llm or info.agent_info.implementation or "assistant"
        self._model = info.agent_info.llm
        self._history = history
        self._zone = mapping.assume_zone
        self._at_us = start_us
        self._answers = 0
        self.input_tokens: int | None = None
        self.output_tokens: int | None = None
        self._conversation = Conversation(
            history,
            mapping,
            {
                "system": Actor("system", "policy"),
                "user": Actor("model", info.user_info.llm or "user-simulator"),
                "assistant": Actor("agent", agent),
                "tool": Actor("service", "environment"),
            },
        )

    def tell(self, message: _Message, raw: dict[str, Any], path: str) -> None:
        if message.timestamp is None:
            self._history.tally.notice("a message without a time: it takes the one before it", path)
        else:
            self._at_us = instant_us(self._history.source, f"{path}.timestamp", message.timestamp, self._zone)
        at_us = self._at_us
        if message.role == "tool":
            self._conversation.returned(None, message.id or "", raw, at_us)
            return
        if message.role == "assistant" and message.usage is not None:
            self._answered(message.usage, message, at_us)
        if message.content is not None or not message.tool_calls:
            kept = {"content": message.content}
            if message.role != "assistant" and message.usage is not None:
                kept |= {"cost_usd": message.cost, "usage": message.usage.model_dump()}
            self._conversation.said(message.role, kept, at_us)
        for call in message.tool_calls or ():
            self._conversation.called(message.role, call.name, call.id, call.arguments, at_us)

    def _answered(self, usage: _Usage, message: _Message, at_us: int) -> None:
        """The agent's model answered: its usage is the evidence. How long it took was not recorded."""
        self._answers += 1
        self.input_tokens = (self.input_tokens or 0) + usage.prompt_tokens
        self.output_tokens = (self.output_tokens or 0) + usage.completion_tokens
        facts = {
            "model": self._model or "unknown",
            "call": f"answer-{self._answers}",
            "outcome": "success",
            "input_tokens": usage.prompt_tokens,
            "output_tokens": usage.completion_tokens,
            "cost_nanousd": None if message.cost is None else scaled(message.cost, 1_000_000_000),
        }
        self._history.add(
            "model.returned", facts, Actor("model", self._model or "unknown"), at_us, message.raw_data or {}
        )


IMPORTER: Final[Importer] = Importer(
    read,
    frozenset(
        {
            "workflow",
            "task",
            "trial",
            "interventions",
            "compensates",
            "people",
            "tool_errors",
            "success_reward",
            "judgement",
            "assume_zone",
        }
    ),
)
