"""Runs a Serverless Workflow: from the outcomes of its calls, in the order of the log, to what is wanted next. Pure.

- Each task's output is the next one's input; `input.from`, `output.as` and `export.as` shape it, with jq.
- A `call` or a `run` is one step under its task's name, and so is an `emit`. What `try` retries is asked for again,
  as a step of its own. Branches of a `fork` have scopes of their own; those that lose are left behind.
- A `listen` hears signals: the signal's name is the event's type. What came before anybody listened is not lost.
- Nothing here knows the clock: a timer of no length says when the workflow started, if an expression asks for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import orjson

from actum.engine.foreign.names import recorded_name
from actum.engine.foreign.serverless import control, hearing, trying, working
from actum.engine.foreign.serverless.durations import duration_s
from actum.engine.foreign.serverless.errors import TaskFailed, error_of
from actum.engine.foreign.serverless.expressions import ExpressionFailed, expression_in, holds, resolve, value_of
from actum.engine.foreign.serverless.listening import envelope_of
from actum.engine.foreign.serverless.nodes import ListRun, Node, TaskRun
from actum.engine.foreign.serverless.tasks import kind_of
from actum.engine.payloads.json_schema import mismatch
from actum.engine.rules.calls import (
    Done,
    Failure,
    Give,
    Heard,
    Outcome,
    Skip,
    Sleep,
    Take,
    Wish,
)

if TYPE_CHECKING:
    from actum.engine.foreign.serverless.document import ServerlessWorkflow

__all__ = ["ServerlessPlanner"]

_TOO_MANY: Final = 10_000
"""Tasks without any work or wait in between: a loop that would never end."""
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
_LONGEST: Final = 256
"""Characters of a step's name in an event."""
_STEPS: Final = ("call", "run", "emit")


class ServerlessPlanner:
    """One execution of a Serverless Workflow. See `Planner` for what its methods promise."""

    def __init__(self, code: ServerlessWorkflow, execution: str) -> None:
        self.code = code
        self._definition = code.definition
        self.use: Mapping[str, Any] = code.definition.get("use", {})
        self._execution = execution
        self._input: Any = None
        self._context: Any = None
        self._started: str | None = None
        self.wishes: list[Wish] = []
        self.waiting: dict[str, tuple[Node, Callable[[Outcome], None]]] = {}
        self._ready: deque[tuple[Node, Callable[[], None]]] = deque()
        self._counts: dict[tuple[str, str], int] = {}
        self._unread: list[dict[str, Any]] = []
        self.listening: list[tuple[TaskRun, Callable[[dict[str, Any]], bool]]] = []
        self._drawn = 0
        self._moves = 0
        self._over = False
        self._top = ListRun(code.definition["do"], "", {}, None, self._finished, self._failed)

    def begin(self, workflow_input: Any) -> list[Wish]:
        self._input = workflow_input
        if b"startedAt" in orjson.dumps(self._definition):
            self.sleep(self._top, "", "~started", 0, self._has_started)
        else:
            self._start()
        return self._run()

    def settle(self, key: str, outcome: Outcome) -> list[Wish]:
        waiting = self.waiting.pop(key, None)
        if waiting is None or waiting[0].left_behind:
            return []
        node, then = waiting
        self.soon(node, lambda: then(outcome))
        return self._run()

    def hear(self, heard: Heard) -> list[Wish]:
        """A signal is an event for whoever listens, now or later; after a cancel nothing more is wanted."""
        if heard.kind == "cancel":
            if self._over:
                return []
            self._over = self._top.over = True
            return [Give(Failure("CancelledError", "the execution was cancelled"))]
        self._unread.append(envelope_of(heard.name, heard.value))
        self.give_out()
        return self._run()

    # -- turning -----------------------------------------------------------------------------------------------------

    def _run(self) -> list[Wish]:
        self._moves = 0
        while self._ready:
            node, then = self._ready.popleft()
            if not node.left_behind:
                then()
        wishes, self.wishes = self.wishes, []
        return wishes

    def soon(self, node: Node, then: Callable[[], None]) -> None:
        """Do this next, unless the node is left behind by then."""
        self._ready.append((node, then))

    def number(self, scope: str, name: str) -> int:
        """How often this was counted before."""
        number = self._counts.get((scope, name), 0)
        self._counts[scope, name] = number + 1
        return number

    def sleep(self, node: Node, scope: str, name: str, seconds: float, then: Callable[[Outcome], None]) -> None:
        """Set a timer; what it starts is left behind with the node."""
        wish = Sleep(seconds, self.number(scope, name), scope, name)
        self.wishes.append(wish)
        self.waiting[wish.key] = node, then

    def draw(self) -> bytes:
        """Sixteen bytes of chance: the same in a replay."""
        self._drawn += 1
        return sha256(f"{self._execution}\n{self._drawn}".encode()).digest()[:16]

    # -- the whole ---------------------------------------------------------------------------------------------------

    def _has_started(self, outcome: Outcome) -> None:
        when = datetime.fromtimestamp(outcome.at_us / 1_000_000, UTC)
        self._started = when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._start()

    def _start(self) -> None:
        try:
            limit_s = self._timeout(self._definition.get("timeout"), self._input, self.variables(None))
            given = self._definition.get("input", {})
            data = self._shaped(given.get("from"), self._input, self.variables(None), "/input/from")
        except TaskFailed as error:
            self._failed(error)
            return
        if limit_s is not None:
            said = f"the workflow's timeout, {limit_s:g} s, is over"
            then = lambda outcome: self._failed(error_of("timeout", said, "/"))  # noqa: E731
            self.sleep(self._top, "", "~timeout", limit_s, then)
        self._go(self._top, 0, data, None)

    def _finished(self, output: Any) -> None:
        if self._over:
            return
        given = self._definition.get("output", {})
        try:
            shaped = self._shaped(given.get("as"), output, self.variables(None), "/output/as")
            self._fit(given, shaped, "/output")
        except TaskFailed as error:
            self._failed(error)
            return
        self._over = self._top.over = True
        self.wishes.append(Done(shaped))

    def _failed(self, failed: TaskFailed) -> None:
        if self._over:
            return
        self._over = self._top.over = True
        error = failed.error
        said = f"{error['status']} {error.get('title', '')}: {error.get('detail', '')} ({error.get('instance', '/')})"
        self.wishes.append(Give(Failure(str(error["type"])[:256] or "Error", said, failed.traceback)))

    # -- a task's life -----------------------------------------------------------------------------------------------

    def _go(self, run: ListRun, index: int, data: Any, source: TaskRun | None, condition: str | None = None) -> None:
        """On to the task of this number, or out of the list behind its last one."""
        self._moves += 1
        if self._moves > _TOO_MANY:
            said = f"{_TOO_MANY} tasks without any work or wait in between"
            self._failed(error_of("runtime", said, "/do"))
        elif index >= len(run.tasks):
            run.over = True
            run.done(data)
        else:
            self.soon(run, lambda: self._enter(run, index, data, source, condition))

    def _enter(self, run: ListRun, index: int, data: Any, source: TaskRun | None, condition: str | None) -> None:
        visit = self.number(run.scope, f"~{run.names[index]}")
        task = TaskRun(run, index, visit, data)
        if source is not None:
            saw = None if condition is None else source.input
            self.wishes.append(Take(source.path, source.visit, task.path, condition and condition[:256], saw))
        try:
            self._begin(task)
        except TaskFailed as error:
            self.task_failed(task, error)

    def _begin(self, task: TaskRun) -> None:
        given = task.task
        if "if" in given and not holds(self.value(task, given["if"], task.raw, "if")):
            name = recorded_name(task.name)
            path = f"{task.list.scope}/{name}" if task.list.scope else name
            occurrence = self.number(task.list.scope, name)
            if len(path) <= _LONGEST:
                self.wishes.append(Skip(path, occurrence))
            self._advance(task, task.raw, "continue")
            return
        self._fit(given.get("input", {}), task.raw, f"{task.path}/input")
        task.input = self._shaped(
            given.get("input", {}).get("from"), task.raw, self.variables(task), f"{task.path}/input/from"
        )
        kind = kind_of(given)
        task.timeout_s = self._timeout(given.get("timeout"), task.input, self.variables(task))
        if task.timeout_s is not None and kind not in _STEPS:
            said = f"the task's timeout, {task.timeout_s:g} s, is over"
            then = lambda outcome: self.task_failed(task, error_of("timeout", said, task.path))  # noqa: E731
            self.sleep(task, task.list.scope, f"{recorded_name(task.name)}~timeout", task.timeout_s, then)
        _KINDS[str(kind)](self, task)

    def complete(self, task: TaskRun, output: Any, then: str | None = None, condition: str | None = None) -> None:
        """The task has done its work: shape its output, and go where it says."""
        try:
            output = self.put_out(task, task.task, output)
        except TaskFailed as error:
            self.task_failed(task, error)
            return
        self._advance(task, output, then or task.task.get("then", "continue"), condition)

    def put_out(self, task: TaskRun, given: Mapping[str, Any], output: Any, own: Mapping[str, Any] = _NOTHING) -> Any:
        """What `output` and `export` make of it; for a task, or for one event of a `foreach`."""
        variables = {**self.variables(task), **own}
        shaped = self._shaped(given.get("output", {}).get("as"), output, variables, f"{task.path}/output/as")
        self._fit(given.get("output", {}), shaped, f"{task.path}/output")
        export = given.get("export", {})
        if "as" in export:
            variables["output"] = shaped
            exported = self._shaped(export["as"], shaped, variables, f"{task.path}/export/as")
            self._fit(export, exported, f"{task.path}/export")
            self._context = exported
        return shaped

    def _advance(self, task: TaskRun, output: Any, directive: str, condition: str | None = None) -> None:
        run = task.list
        task.over = True
        match directive:
            case "continue":
                self._go(run, task.index + 1, output, task, condition)
            case "exit":
                run.over = True
                run.done(output)
            case "end":
                self._finished(output)
            case _:
                self._go(run, run.names.index(directive), output, task, condition)

    def task_failed(self, task: TaskRun, error: TaskFailed) -> None:
        """The task, and so the list it stands in, has failed."""
        task.over = task.list.over = True
        task.list.failed(error)

    def inside(
        self,
        task: TaskRun,
        tasks: list[Mapping[str, Any]],
        data: Any,
        done: Callable[[Any], None],
        *,
        failed: Callable[[TaskFailed], None] | None = None,
        scope: str | None = None,
        own: Mapping[str, Any] = _NOTHING,
    ) -> ListRun:
        """Run a list inside a task; what comes of it is heard while the task is not over."""
        known = {**task.list.variables, **own}
        fails = failed or (lambda error: self.task_failed(task, error))
        run = ListRun(
            tasks,
            task.list.scope if scope is None else scope,
            known,
            task,
            lambda output: self.soon(task, self.guarded(task, lambda: done(output))),
            lambda error: self.soon(task, self.guarded(task, lambda: fails(error))),
        )
        self._go(run, 0, data, task)
        return run

    def guarded(self, task: TaskRun, then: Callable[[], None]) -> Callable[[], None]:
        """The same, its failure being the task's."""

        def run() -> None:
            try:
                then()
            except TaskFailed as error:
                self.task_failed(task, error)

        return run

    def give_out(self) -> None:
        """What has come goes to the first that listens for it; the rest waits for whoever listens later."""
        self.listening = [(task, take) for task, take in self.listening if not task.left_behind]
        self._unread = [event for event in self._unread if not any(take(event) for _, take in self.listening)]

    # -- data --------------------------------------------------------------------------------------------------------

    def variables(self, task: TaskRun | None) -> dict[str, Any]:
        """What expressions see beside their data."""
        workflow = {"id": self._execution, "definition": self._definition, "input": self._input}
        if self._started is not None:
            workflow["startedAt"] = self._started
        known: dict[str, Any] = {
            "context": self._context,
            "input": self._input if task is None else task.input,
            "output": None,
            "task": None,
            "workflow": workflow,
            "runtime": {"name": "actum"},
        }
        if task is not None:
            known["task"] = {"name": task.name, "reference": task.path, "definition": task.task, "input": task.raw}
            known |= task.list.variables
        return known

    def value(self, task: TaskRun, expression: str, data: Any, place: str, own: Mapping[str, Any] = _NOTHING) -> Any:
        """What an expression gives for this data. Raises `TaskFailed`."""
        try:
            return value_of(expression, data, {**self.variables(task), **own})
        except ExpressionFailed as exc:
            raise error_of("expression", str(exc), f"{task.path}/{place}") from None

    def resolved(self, task: TaskRun, template: Any) -> Any:
        """The template with its expressions evaluated for the task's input. Raises `TaskFailed`."""
        try:
            return resolve(template, task.input, self.variables(task))
        except ExpressionFailed as exc:
            raise error_of("expression", str(exc), task.path) from None

    def _shaped(self, given: Any, data: Any, variables: Mapping[str, Any], place: str) -> Any:
        """The data as `from` or `as` says: an expression, or an object that may hold some."""
        if given is None:
            return data
        try:
            return value_of(given, data, variables) if isinstance(given, str) else resolve(given, data, variables)
        except ExpressionFailed as exc:
            raise error_of("expression", str(exc), place) from None

    def _fit(self, given: Mapping[str, Any], value: Any, place: str) -> None:
        schema = given.get("schema", {}).get("document")
        wrong = None if schema is None else mismatch(schema, value, "the value")
        if wrong:
            raise error_of("validation", wrong, place)

    def duration(self, given: Any, data: Any, variables: Mapping[str, Any], place: str) -> float:
        """A duration, or an expression that gives one, in seconds. Raises `TaskFailed`."""
        try:
            if isinstance(given, str) and expression_in(given) is not None:
                given = value_of(given, data, variables)
            return duration_s(given)
        except (ExpressionFailed, ValueError) as exc:
            raise error_of("expression", str(exc), place) from None

    def _timeout(self, given: Any, data: Any, variables: Mapping[str, Any]) -> float | None:
        if isinstance(given, str):
            given = self.use["timeouts"][given]
        return None if given is None else self.duration(given["after"], data, variables, "/timeout")


_KINDS: Final[dict[str, Callable[[ServerlessPlanner, TaskRun], None]]] = {
    "call": working.call,
    "do": control.do,
    "emit": working.emit,
    "for": control.for_,
    "fork": control.fork,
    "listen": hearing.listen,
    "raise": control.raise_,
    "run": working.run,
    "set": control.set_,
    "switch": control.switch,
    "try": trying.try_,
    "wait": control.wait,
}
