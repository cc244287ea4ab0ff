"""The executions around one: its children, its parent and the one that it goes on as; what must be appended to them.

What one execution does to another stands in both streams, in one append, so that neither can be without the other.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from actum.engine.functions.workflow import Workflow
from actum.engine.graphs.graph import Graph
from actum.engine.graphs.planner import prepare_input
from actum.engine.labels import Options
from actum.engine.payloads.classes import file_payload
from actum.engine.payloads.codec import encode
from actum.engine.rules.calls import Child, Failure, Spawn
from actum.engine.rules.children import child_ended, child_id
from actum.engine.rules.commands import Begin, Command, SendSignal
from actum.engine.rules.decider import decide
from actum.engine.rules.folding import evolve
from actum.engine.rules.state import ENDED, Execution
from actum.engine.rules.usage import spent_facts
from actum.engine.rules.views import rows_after
from actum.engine.runtime.hearing import child_hears, children_hear, told_by_child
from actum.errors import BadInput, NoCode
from actum.events import NewEvent, to_us
from actum.eventstore import EXISTS, NO_STREAM, Append

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actum.engine.definitions import Code
    from actum.engine.rules.budgets import Budget
    from actum.engine.runtime.engine import Engine
    from actum.engine.runtime.gate import Gate
    from actum.engine.runtime.run import Run

__all__ = ["Kin"]


class Kin:
    """The executions around one that this worker runs."""

    def __init__(self, engine: Engine, run: Run) -> None:
        self._engine = engine
        self._run = run
        self.next_input: Any = None
        self._children: dict[str, tuple[Code, Begin]] = {}
        """By id: children that were asked for."""
        self._starting: dict[str, Code] = {}
        """By stream: those that the batch under way starts."""

    # -- children ----------------------------------------------------------------------------------------------------

    def prepare(self, child: Child) -> Spawn:
        """See whether a child can be started, and as what; why not is its failure, for the workflow to see."""
        engine, state = self._engine, self._run.state
        id_ = child.id or child_id(self._run.id, child.key)
        name = child.workflow if isinstance(child.workflow, str) else child.workflow.name
        try:
            code = engine._code_of(child.workflow)
            command, given = engine._begin(code, child.input, None, Options(), None)
            if isinstance(code, Graph):
                prepare_input(code, given)
            elif isinstance(code, Workflow):
                code.bind(given)
            engine._id(id_)
            asked = self._children.get(id_)
            of_another = asked is not None and asked[1].parent_key != child.key
            if of_another or id_ == self._run.id or engine.store.stream_version(f"execution/{id_}"):
                raise BadInput(f"there is an execution {id_!r} already")
            engine._publish(code, command)
        except (BadInput, NoCode) as exc:
            return Spawn(child, id_[:200] or "?", name, None, Failure(type(exc).__name__, str(exc)))
        begin = replace(command, key=state.key, parent=self._run.id, parent_key=child.key)
        self._children[id_] = code, begin
        budget: Budget | None = getattr(code, "budget", None)
        return Spawn(child, id_, name, command.definition, None, None if budget is None else budget.estimate)

    # -- what is appended with a batch -------------------------------------------------------------------------------

    def appends(self, events: Sequence[NewEvent]) -> list[Append]:
        """What these events of the execution mean for the streams of others, as those are now."""
        found: list[Append] = []
        self._starting = {}
        failed = {event.facts["execution"] for event in events if event.type == "child.ended"}
        starting = {event.facts["execution"] for event in events if event.type == "child.started"}
        told = told_by_child(events)
        for event in events:
            match event.type:
                case "child.started" if (id_ := event.facts["execution"]) not in failed:
                    found.append(self._child_starts(event, told.get(id_, [])))
                case "execution.continued":
                    found.append(self._next_starts(event))
                case "execution.completed" | "execution.failed" | "execution.cancelled" if self._run.state.parent:
                    found += self._parent_hears(event)
        others = [one for id_, what in told.items() if id_ not in failed | starting for one in what]
        return found + children_hear(self._engine.store, self._engine.world, self._engine.actor, others)

    def moved(self, stream: str) -> bool:
        """Whether this is the stream of another one that may have moved on without harm."""
        return stream != self._run.state.stream and stream not in self._starting

    def landed(self, appends: Sequence[Append]) -> None:
        """These stand in the log now: run what was started here, and tell the others that are run here."""
        for append in appends:
            id_ = append.stream.removeprefix("execution/")
            code = self._starting.pop(append.stream, None)
            if code is not None:
                self._children.pop(id_, None)
                self._engine.take_up(id_, code, append.events)
            else:
                self._engine.look_again(id_)

    def _child_starts(self, event: NewEvent, told: Sequence[NewEvent]) -> Append:
        id_ = event.facts["execution"]
        code, begin = self._children[id_]
        return self._start(id_, code, replace(begin, at=to_us(event.at)), [], told)

    def _next_starts(self, event: NewEvent) -> Append:
        """Signals that nobody has read go with it."""
        state, id_ = self._run.state, event.facts["next"]
        code = self._engine._find(state.workflow, state.definition)
        command, _ = self._engine._begin(code, self.next_input, None, Options(), None)
        begin = replace(
            command,
            at=to_us(event.at),
            key=state.key,
            parent=state.parent,
            parent_key=state.parent_key,
            previous=state.id,
            first=state.first or state.id,
            first_at=state.first_at or state.started_at,
            used=spent_facts(state.spent),
        )
        unread = sorted((key for name in state.signals for key in state.unread(name)), key=lambda key: int(key[1:]))
        signals = [
            SendSignal(to_us(event.at), state.heard[key].name, encode({"value": state.heard[key].value}, "a signal"))
            for key in unread
        ]
        return self._start(id_, code, begin, signals)

    def _start(
        self, id_: str, code: Code, begin: Begin, signals: Sequence[SendSignal], told: Sequence[NewEvent] = ()
    ) -> Append:
        engine, state = self._engine, Execution(id_)
        started: list[NewEvent] = []
        commands: list[Command] = [begin, *signals]
        for command in commands:
            for event in decide(state, command, engine.actor):
                event.id = engine.world.new_id()
                file_payload(event, begin.key, code.classes)
                evolve(state, event)
                started.append(event)
        started += child_hears(state, told, engine.world, engine.actor)
        self._starting[state.stream] = code
        return Append(state.stream, NO_STREAM, started, rows_after(state, None)[0])

    def _parent_hears(self, event: NewEvent) -> list[Append]:
        """Nothing of a parent's row depends on the ends of its children, so that it need not be loaded to be told.

        One that is run here cannot end while it is told, so that any number of children may tell it at once.
        """
        state, store = self._run.state, self._engine.store
        assert state.parent is not None
        expected = EXISTS
        parent = self._engine.run(state.parent)
        if parent is not None and parent.state.ended and not parent.committing:
            return []
        if parent is None:
            expected = store.stream_version(f"execution/{state.parent}")
            rows = store.view("executions", {"id": state.parent})
            if not rows or rows[0]["status"] in ENDED:
                return []
        told = child_ended(state, event)
        told.id = self._engine.world.new_id()
        return [Append(f"execution/{state.parent}", expected, [told])]

    def gate_of_parent(self, appends: Sequence[Append]) -> Gate | None:
        """Where these appends have to go through, when one of them tells a parent that is run here."""
        if len(appends) == 1 or self._run.state.parent is None:
            return None
        parent = self._engine.run(self._run.state.parent)
        if parent is None or all(append.stream != parent.state.stream for append in appends):
            return None
        return parent.gate
