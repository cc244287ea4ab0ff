"""Starting executions: what is refused before anything is written, and what is recorded then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from actum.engine.definitions import Code, planner_for, steps_of
from actum.engine.foreign.code import Foreign
from actum.engine.graphs.graph import Graph
from actum.engine.graphs.planner import prepare_input
from actum.engine.labels import Options
from actum.engine.payloads.classes import file_payload
from actum.engine.payloads.codec import encode
from actum.engine.publishing import digest_of, kind_of, publish
from actum.engine.resources.needs import Hold, why_twice
from actum.engine.rules.calls import StepSpec
from actum.engine.rules.commands import Begin
from actum.engine.rules.decider import decide
from actum.engine.rules.folding import evolve, fold
from actum.engine.rules.state import Execution
from actum.engine.rules.views import rows_after
from actum.engine.runtime.around import check_services
from actum.engine.runtime.handle import Handle, handle_of
from actum.engine.runtime.taking import Taking
from actum.errors import BadInput, IdTaken
from actum.events import Actor, to_text
from actum.eventstore import NO_STREAM, Append

__all__ = ["Starting"]


class Starting(Taking):
    """New executions, of any kind of code."""

    async def start(
        self,
        code: Code,
        workflow_input: Any = None,
        *,
        id: str | None = None,
        subject: str | None = None,
        timeout: float | str | None = None,
        deadline: datetime | None = None,
        priority: int | None = None,
        tags: Sequence[str] | None = None,
        attributes: Mapping[str, str | int | bool] | None = None,
        trace: str | None = None,
    ) -> Handle:
        """Start an execution; when this returns, its start is on its way to the log and its first steps follow.

        With an `id` that is there already, nothing is started: the handle is that execution's, resumed if it has
        been left. Raises `BadInput` when the input does not fit the workflow, `MissingService`, which is one too, when
        a step asks for a service that is not there, `IdTaken` when the id names an execution of another
        workflow or with another input, and `WorkflowDeprecated` when the definition is not to be started any more; then
        nothing is written.

        `subject` is the person that the execution is about, by any name: what it records of them lies under their data
        key and can be erased. The name itself is not in the log.

        - `timeout`: how long it may take, seconds or text such as `"1h"`; `deadline`: when it must have ended, with an
          offset from UTC. The earlier one counts; then it is cancelled from inside and fails as timed out.
        - `priority`: what is higher is taken up first where several executions wait; 0 unless said.
        - `tags` (names) and `attributes` (names and text, whole numbers, true or false) are what it can be found by.
          They are in the log for ever: nothing personal belongs there.
        `trace` is the `traceparent` of whoever asks for it, and is recorded; with an `observer`, by default what is
        current here.
        """
        id_ = self._id(id)
        self._code[code.name] = code
        options = Options(timeout, deadline, priority, tags, attributes)
        if id_ in self._runs:
            self._check_same(self._runs[id_].state, code, workflow_input)
            return handle_of(self._runs[id_])
        if id is not None and self.store.stream_version(f"execution/{id_}"):
            self._check_same(fold(id_, self.store.read_stream(f"execution/{id_}", 0, 1)), code, workflow_input)
            return await self.resume(id_)
        check_services(steps_of(code), self.services)
        command, given = self._begin(code, workflow_input, subject, options, trace, here=True)
        run = self._run_of(id_, code)
        run.plan(given, command.at)  # before anything is written: it may refuse the input
        try:
            self._publish(code, command)
        except BaseException as exc:
            run.drop(exc)
            raise
        self._runs[id_] = run
        run.give(command)
        self._watch_over()
        return handle_of(run)

    async def submit(
        self,
        code: Code,
        workflow_input: Any = None,
        *,
        id: str | None = None,
        subject: str | None = None,
        timeout: float | str | None = None,
        deadline: datetime | None = None,
        priority: int | None = None,
        tags: Sequence[str] | None = None,
        attributes: Mapping[str, str | int | bool] | None = None,
        trace: str | None = None,
        together_with: Sequence[Append] = (),
        causation: str | None = None,
    ) -> str:
        """Record the start of an execution, durably, and run none of it: it is for whoever recovers or resumes it.

        Returns its id, also when it is there already. Takes what `start` takes, and raises `BadInput` and `IdTaken` as
        that does. `together_with` is recorded in the same append, so that it is there exactly when the start is;
        `causation` is the id of the event that the start follows from. An
        engine that has services of its own refuses what asks for another one, as `start` does; one without any is
        there to submit only, and whoever takes the execution up must have them.
        """
        id_ = self._id(id)
        if id is not None and not together_with and self.store.stream_version(f"execution/{id_}"):
            self._check_same(fold(id_, self.store.read_stream(f"execution/{id_}", 0, 1)), code, workflow_input)
            return id_
        options = Options(timeout, deadline, priority, tags, attributes)
        if self.services:
            check_services(steps_of(code), self.services)
        command, given = self._begin(code, workflow_input, subject, options, trace)
        self._try(code, id_, given)
        self._publish(code, command)
        state = Execution(id_)
        events = decide(state, command, Actor("service", self.worker))  # no worker: whoever comes first may have it
        for event, new_id in zip(events, self.world.new_ids(len(events)), strict=True):
            event.id = new_id
            event.causation = causation
            file_payload(event, command.key, code.classes)
            state = evolve(state, event)
        rows, _ = rows_after(state, None)
        self.store.append([*together_with, Append(state.stream, NO_STREAM, events, rows)])
        return id_

    def _try(self, code: Code, id_: str, given: Any) -> None:
        """See that an execution could begin with this input, before anything is written: it may be refused."""
        planner = planner_for(code, id_)
        planner.begin(given)
        close = getattr(planner, "close", None)
        if close is not None:
            close()

    def _id(self, wanted: str | None) -> str:
        id_ = wanted or self.world.new_id()
        if not id_.isprintable() or "/" in id_ or len(id_) > 200:
            raise BadInput(f"an execution's id is 1 to 200 printable characters without '/', not {id_!r}")
        return id_

    def _begin(
        self,
        code: Code,
        workflow_input: Any,
        subject: str | None,
        options: Options,
        trace: str | None,
        *,
        here: bool = False,
    ) -> tuple[Begin, Any]:
        """What records the start, and the input as the workflow will see it, now and on every replay."""
        if trace is not None:
            from actum.engine.tracing.traceparent import check_traceparent

            check_traceparent(trace)
        elif self.observer is not None:
            trace = self.observer.caller()
        definition = digest_of(code)
        if definition not in self._checked:
            hold: Hold | None = getattr(code, "hold", None)
            for spec in steps_of(code):
                self.executors.check(spec)
                _check_not_twice(spec, hold)
                if here:
                    self.desk.rules.check(spec.name, spec.needs)
            if here:
                self.desk.rules.check_hold(hold)
            self._checked.add(definition)
        recorded, given = self._input_of(code, workflow_input)
        now = self.world.now_us()
        deadline_us, labels = options.deadline_us(now, getattr(code, "timeout_s", None)), options.labels(code)
        key = None if subject is None else self.store.key_for(subject)
        begin = Begin(now, code.name, kind_of(code), definition, recorded, key, deadline_us, *labels, trace=trace)
        return begin, given

    def _input_of(self, code: Code, workflow_input: Any) -> tuple[bytes, Any]:
        """The input as it is recorded, and as the workflow will see it."""
        limit_bytes = self.store.payload_limit_bytes
        recorded = encode({"input": workflow_input}, "the workflow's input", limit_bytes)
        given = orjson.loads(recorded)["input"]
        if isinstance(code, Graph):
            given = prepare_input(code, given)
            recorded = encode({"input": given}, "the workflow's input", limit_bytes)
        elif isinstance(code, Foreign):
            given = code.build().prepare(given)
            recorded = encode({"input": given}, "the workflow's input", limit_bytes)
        return recorded, given

    def _check_same(self, state: Execution, code: Code, workflow_input: Any) -> None:
        """The id was given before: it must be for the same. An input that was erased is not compared."""
        if state.workflow != code.name:
            raise IdTaken(state.id, "workflow", state.workflow, code.name)
        if state.input is not None:
            _, given = self._input_of(code, workflow_input)
            if orjson.loads(state.input).get("input") != given:
                raise IdTaken(state.id, "input")

    def _publish(self, code: Code, command: Begin) -> None:
        if command.definition not in self._published:
            publish(self.store, code, to_text(command.at), self.actor)
            self._published.add(command.definition)


def _check_not_twice(spec: StepSpec, hold: Hold | None) -> None:
    """Raise `BadInput` when a step, or what undoes it, needs what its workflow holds throughout."""
    for one in (spec, spec.compensate):
        twice = "" if one is None else why_twice(one.needs, hold)
        if one is not None and twice:
            raise BadInput(f"step {one.name!r} can never begin: {twice}; nothing was started")
