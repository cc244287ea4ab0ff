"""Small foreign files for the tests of the importers, and what the tests ask of the log."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from math import ceil, comb
from pathlib import Path
from typing import Any

from actum.engine.rules.views import rebuild
from actum.events import RecordedEvent
from actum.events.catalog import validate_facts
from actum.eventstore import EventStore
from actum.eventstore.check.views import by_view

CALLED = {"role": "assistant", "content": None, "tool_calls": [
    {"id": "c1", "type": "function", "function": {"name": "book", "arguments": '{"seat": 4}'}}
]}  # fmt: skip
RETURNED = {"role": "tool", "tool_call_id": "c1", "name": "book", "content": "Error: full"}


def tau_run(task: int = 0, trial: int = 0, reward: Any = 1.0, **more: Any) -> dict[str, Any]:
    traj = [
        {"role": "system", "content": "# Airline Agent Policy\n\nBe kind."},
        {"role": "user", "content": "Book a seat."},
        CALLED,
        RETURNED,
        {"role": "assistant", "content": "There is none."},
    ]
    info = {"task": {"instruction": "Book a seat."}, "reward_info": {"r_actions": reward}}
    return {"task_id": task, "trial": trial, "reward": reward, "info": info, "traj": traj} | more


def tau2_simulation(id_: str = "sim-1", task: str = "5", reward: Any = 1.0, **more: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 100, "completion_tokens": 7}
    call = {"id": "c1", "name": "book", "arguments": {"seat": 4}, "requestor": "assistant"}
    messages = [
        {"role": "assistant", "content": "Hello", "timestamp": "2026-02-17T22:00:00.100000", "cost": 0.0},
        {"role": "user", "content": "Book.", "timestamp": "2026-02-17T22:00:01", "cost": 0.1, "usage": usage},
        {"role": "assistant", "content": None, "timestamp": "2026-02-17T22:00:02", "cost": 0.25, "usage": usage,
         "tool_calls": [call]},
        {"role": "tool", "id": "c1", "content": "ok", "error": False, "timestamp": "2026-02-17T22:00:02.250000"},
    ]  # fmt: skip
    return {
        "id": id_,
        "task_id": task,
        "trial": 0,
        "start_time": "2026-02-17T22:00:00",
        "end_time": "2026-02-17T22:00:03.5",
        "duration": 3.4000005,
        "termination_reason": "user_stop",
        "agent_cost": 0.25,
        "user_cost": 0.1,
        "reward_info": {"reward": reward},
        "messages": messages,
    } | more


def tau2_results(*simulations: dict[str, Any]) -> dict[str, Any]:
    info = {
        "git_commit": "abc",
        "agent_info": {"llm": "gpt-4o"},
        "user_info": {"llm": "gpt-4.1"},
        "environment_info": {"domain_name": "retail"},
    }
    return {"timestamp": "2026-02-17T22:54:56", "info": info, "tasks": [], "simulations": list(simulations)}


def xes_event(activity: str, at: str, **attributes: str) -> str:
    rest = "".join(f'<string key="{key.replace("__", ":")}" value="{value}"/>' for key, value in attributes.items())
    when = f'<date key="time:timestamp" value="{at}"/>' if at else ""
    name = f'<string key="concept:name" value="{activity}"/>' if activity else ""
    return f"<event>{name}{when}{rest}</event>"


def xes_trace(case: str, *events: str, attributes: str = "") -> str:
    return f'<trace><string key="concept:name" value="{case}"/>{attributes}{"".join(events)}</trace>'


def xes_log(*traces: str, name: str = "shop") -> str:
    return f'<?xml version="1.0"?><log><string key="concept:name" value="{name}"/>{"".join(traces)}</log>'


def minute(number: int) -> str:
    return f"2026-01-01T10:{number:02d}:00.000+01:00"


def write(path: Path, content: Any) -> Path:
    """Content as a file: text, bytes or a JSON value; packed when the name says so."""
    if not isinstance(content, bytes):
        content = (content if isinstance(content, str) else json.dumps(content)).encode()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return path


def of_type(store: EventStore, *types: str) -> list[RecordedEvent]:
    return list(store.read(types=types))


def nearest_rank(values: list[int], percent: int) -> int:
    return sorted(values)[ceil(percent / 100 * len(values)) - 1]


def pass_hat_k(store: EventStore, k: int) -> float:
    """Mean over tasks of C(c, k) / C(n, k), from the log alone."""
    task_of = {event.stream: event.facts["task"] for event in of_type(store, "execution.started")}
    trials: dict[str, list[bool]] = defaultdict(list)
    for event in of_type(store, "execution.completed", "execution.failed"):
        trials[task_of[event.stream]].append(event.type == "execution.completed")
    return sum(comb(sum(won), k) / comb(len(won), k) for won in trials.values()) / len(trials)


def check_log(store: EventStore) -> None:
    """Every event is of the catalogue, ids are unique, and the view is what the log folds to."""
    ids = set()
    for event in store.read():
        validate_facts(event.type, event.facts)
        ids.add(event.id)
    assert len(ids) == store.head()
    rows = {(row.pop("id"),): row for row in store.view("executions")}
    assert rows == by_view(rebuild(store.read()))["executions"]
