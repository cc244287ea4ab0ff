"""Which definitions of a workflow the log has, and which of them a new execution should run. Stream `workflow/<name>`.

The latest word counts: a definition that is published again after it was deprecated may be started again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import orjson

from actum.engine.foreign.code import Foreign
from actum.engine.functions.workflow import Workflow
from actum.errors import BadInput, IdempotencyConflict, WorkflowDeprecated, near_miss
from actum.events import Actor, NewEvent, RecordedEvent, foreign_id
from actum.eventstore import ANY, Append, EventStore

if TYPE_CHECKING:
    from actum.engine.definitions import Code

__all__ = ["Kind", "Published", "deprecate", "digest_of", "kind_of", "newest", "publish", "published", "published_as"]


Kind = Literal["function", "graph", "asl", "serverless"]
"""What a definition is, as it is recorded."""


@dataclass(slots=True)
class Published:
    """One definition of a workflow, as the log has it."""

    workflow: str
    kind: Kind
    definition: str
    """Its digest."""
    version: str
    """What the definition calls its version; empty when it does not say."""
    at: str
    by: Actor
    event: RecordedEvent
    """That published it first."""
    deprecated_at: str | None = None
    reason: str = ""

    @property
    def content(self) -> dict[str, Any]:
        """What was published."""
        value: dict[str, Any] = self.event.value()
        return value


def kind_of(code: Code) -> Kind:
    if isinstance(code, Foreign):
        return code.kind
    return "function" if isinstance(code, Workflow) else "graph"


def digest_of(code: Code) -> str:
    return code.definition if isinstance(code, Workflow) else code.digest


def published_as(store: EventStore, workflow: str) -> list[Published]:
    """The definitions of one workflow, the newest last: the one that was published last, be it again."""
    return list(_read(store.read_stream(f"workflow/{workflow}")))


def published(store: EventStore) -> list[Published]:
    """Every definition there is, by workflow, the newest of each last."""
    events = store.read(types=["workflow.published", "workflow.deprecated"])
    return sorted(_read(events), key=lambda one: one.workflow)


def newest(store: EventStore, workflow: str, kind: str | None = None) -> Published:
    """The definition that a new execution should run. Raises `BadInput` when there is none, with a near miss."""
    all_ = [one for one in published_as(store, workflow) if kind is None or one.kind == kind]
    if not all_:
        known = sorted({one.workflow for one in published(store) if kind is None or one.kind == kind})
        raise BadInput(f"no {kind or 'workflow'} called {workflow!r} was published here{near_miss(workflow, known)}")
    fit = [one for one in all_ if one.deprecated_at is None]
    if not fit:
        raise _refused(all_[-1])
    return fit[-1]


def publish(store: EventStore, code: Code, at: str, actor: Actor, *, again: bool = False) -> bool:
    """See that the definition stands in the log, and can be started. Returns whether anything had to be written.

    Raises `WorkflowDeprecated` for one that was deprecated. With `again`, it is published once more instead, and so
    is one that is not the newest: then it is.
    """
    digest = digest_of(code)
    all_ = published_as(store, code.name)
    known = next((one for one in all_ if one.definition == digest), None)
    if known is not None:
        if known.deprecated_at is not None and not again:
            raise _refused(known)
        if known.deprecated_at is None and (not again or known is all_[-1]):
            return False
    definition: dict[str, Any]
    if isinstance(code, Workflow):
        definition = {"target": code.target, "source": code.source, "base": os.getcwd()}
    elif isinstance(code, Foreign):
        definition = {"foreign": code.to_json(), "base": str(code.base or os.getcwd())}
    else:
        definition = {"graph": code.to_json(), "base": str(code.base or os.getcwd()), "modules": dict(code.modules)}
    facts = {"workflow": code.name, "kind": kind_of(code), "definition": digest}
    names = ["workflow.published", store.tenant, code.name, digest]
    if known is not None:  # for another time, so that it is another event
        names.append(str(store.stream_version(f"workflow/{code.name}")))
    event = NewEvent("workflow.published", facts, at, actor, foreign_id(*names), orjson.dumps(definition))
    try:
        store.append([Append(f"workflow/{code.name}", ANY, [event])])
    except IdempotencyConflict:
        return False  # another process published it between our look and our append
    return True


def deprecate(store: EventStore, of: Published, at: str, actor: Actor, reason: str = "") -> None:
    """Let nobody start this definition any more. What runs it already goes on with it."""
    facts = {"workflow": of.workflow, "definition": of.definition}
    stream = f"workflow/{of.workflow}"
    version = store.stream_version(stream)
    id_ = foreign_id("workflow.deprecated", store.tenant, of.workflow, of.definition, str(version))
    payload = orjson.dumps({"reason": reason}) if reason else None
    store.append([Append(stream, version, [NewEvent("workflow.deprecated", facts, at, actor, id_, payload)])])


def _read(events: Iterator[RecordedEvent] | list[RecordedEvent]) -> list[Published]:
    found: dict[tuple[str, str], Published] = {}
    for event in events:
        facts = event.facts
        key = (event.stream.removeprefix("workflow/"), facts.get("definition", ""))
        if event.type == "workflow.published":
            again = found.pop(key, None)  # to stand behind the others
            if again is None:
                graph = (event.value() or {}).get("graph", {}) if event.payload is not None else {}
                again = Published(key[0], facts["kind"], key[1], graph.get("version", ""), event.at, event.actor, event)
            again.deprecated_at = None
            found[key] = again
        elif event.type == "workflow.deprecated" and key in found:
            found[key].deprecated_at = event.at
            found[key].reason = (event.value() or {}).get("reason", "") if event.payload is not None else ""
    return list(found.values())


def _refused(one: Published) -> WorkflowDeprecated:
    return WorkflowDeprecated(one.workflow, one.definition, one.deprecated_at or "", one.reason)
