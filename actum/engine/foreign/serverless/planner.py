"""Runs a Serverless Workflow: from the outcomes of its calls, in the order of the log, to what is wanted next. Pure.

- Each task's output is the next one's input; `input.from`, `output.as` and `export.as` shape it, with jq.
- A `call` or a `run` is one step under its task's name, and so is an `emit`. What `try` retries is asked for again,
  as a step of its own. Branches of a `fork` have scopes of their own; those that lose are left behind.
- A `listen` hears signals: the signal's name is the event's type. What came before anybody listened is not lost.
- Nothing here knows the clock: a timer of no length says when the workflow started, if an expression asks for it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import orjson

from actum.engine.foreign.names import branch_scope, recorded_name
from actum.engine.foreign.serverless.durations import duration_s
from actum.engine.foreign.serverless.errors import TaskFailed, error_of, failure_of, fits
from actum.engine.foreign.serverless.expressions import ExpressionFailed, expression_in, resolve, value_of
from actum.engine.foreign.serverless.listening import Listening, envelope_of, signals_of
from actum.engine.foreign.serverless.nodes import ListRun, Node, TaskRun
from actum.engine.foreign.serverless.tasks import endpoint_of, kind_of
from actum.engine.payloads.json_schema import mismatch
from actum.engine.rules.calls import (
    Call,
    Done,
    Failure,
    Give,
    Heard,
    Outcome,
    Skip,
    Sleep,
    StepSpec,
    Take,
    Wait,
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
        self._code = code
        self._definition = code.definition
        self._use: Mapping[str, Any] = code.definition.get("use", {})
        self._execution = execution
        self._input: Any = None
        self._context: Any = None
        self._started: str | None = None
        self._wishes: list[Wish] = []
        self._waiting: dict[str, tuple[Node, Callable[[Outcome], None]]] = {}
        self._ready: deque[tuple[Node, Callable[[], None]]] = deque()
        self._counts: dict[tuple[str, str], int] = {}
        self._unread: list[dict[str, Any]] = []
        self._listening: list[tuple[TaskRun, Callable[[dict[str, Any]], bool]]] = []
        self._drawn = 0
        self._moves = 0
        self._over = False
        self._top = ListRun(code.definition["do"], "", {}, None, self._finished, self._failed)

    def begin(self, workflow_input: Any) -> list[Wish]:
        self._input = workflow_input
        if b"startedAt" in orjson.dumps(self._definition):
            self._sleep(self._top, "", "~started", 0, self._has_started)
        else:
            self._start()
        return self._run()

    def settle(self, key: str, outcome: Outcome) -> list[Wish]:
        waiting = self._waiting.pop(key, None)
        if waiting is None or waiting[0].left_behind:
            return []
        node, then = waiting
        self._soon(node, lambda: then(outcome))
        return self._run()

    def hear(self, heard: Heard) -> list[Wish]:
        """A signal is an event for whoever listens, now or later; after a cancel nothing more is wanted."""
        if heard.kind == "cancel":
            if self._over:
                return []
            self._over = self._top.over = True
            return [Give(Failure("CancelledError", "the execution was cancelled"))]
        self._unread.append(envelope_of(heard.name, heard.value))
        self._give_out()
        return self._run()

    # -- turning -----------------------------------------------------------------------------------------------------

    def _run(self) -> list[Wish]:
        self._moves = 0
        while self._ready:
            node, then = self._ready.popleft()
            if not node.left_behind:
                then()
        wishes, self._wishes = self._wishes, []
        return wishes

    def _soon(self, node: Node, then: Callable[[], None]) -> None:
        self._ready.append((node, then))

    def _number(self, scope: str, name: str) -> int:
        number = self._counts.get((scope, name), 0)
        self._counts[scope, name] = number + 1
        return number

    def _sleep(self, node: Node, scope: str, name: str, seconds: float, then: Callable[[Outcome], None]) -> None:
        wish = Sleep(seconds, self._number(scope, name), scope, name)
        self._wishes.append(wish)
        self._waiting[wish.key] = node, then

    def _draw(self) -> bytes:
        self._drawn += 1
        return sha256(f"{self._execution}\n{self._drawn}".encode()).digest()[:16]

    # -- the whole ---------------------------------------------------------------------------------------------------

    def _has_started(self, outcome: Outcome) -> None:
        when = datetime.fromtimestamp(outcome.at_us / 1_000_000, UTC)
        self._started = when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._start()

    def _start(self) -> None:
        try:
            limit_s = self._timeout(self._definition.get("timeout"), self._input, self._variables(None))
            given = self._definition.get("input", {})
            data = self._shaped(given.get("from"), self._input, self._variables(None), "/input/from")
        except TaskFailed as error:
            self._failed(error)
            return
        if limit_s is not None:
            said = f"the workflow's timeout, {limit_s:g} s, is over"
            then = lambda outcome: self._failed(error_of("timeout", said, "/"))  # noqa: E731
            self._sleep(self._top, "", "~timeout", limit_s, then)
        self._go(self._top, 0, data, None)

    def _finished(self, output: Any) -> None:
        if self._over:
            return
        given = self._definition.get("output", {})
        try:
            shaped = self._shaped(given.get("as"), output, self._variables(None), "/output/as")
            self._fit(given, shaped, "/output")
        except TaskFailed as error:
            self._failed(error)
            return
        self._over = self._top.over = True
        self._wishes.append(Done(shaped))

    def _failed(self, failed: TaskFailed) -> None:
        if self._over:
            return
        self._over = self._top.over = True
        error = failed.error
        said = f"{error['status']} {error.get('title', '')}: {error.get('detail', '')} ({error.get('instance', '/')})"
        self._wishes.append(Give(Failure(str(error["type"])[:256] or "Error", said, failed.traceback)))

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
            self._soon(run, lambda: self._enter(run, index, data, source, condition))

    def _enter(self, run: ListRun, index: int, data: Any, source: TaskRun | None, condition: str | None) -> None:
        visit = self._number(run.scope, f"~{run.names[index]}")
        task = TaskRun(run, index, visit, data)
        if source is not None:
            saw = None if condition is None else source.input
            self._wishes.append(Take(source.path, source.visit, task.path, condition and condition[:256], saw))
        try:
            self._begin(task)
        except TaskFailed as error:
            self._task_failed(task, error)

    def _begin(self, task: TaskRun) -> None:
        given = task.task
        if "if" in given and not _holds(self._value(task, given["if"], task.raw, "if")):
            name = recorded_name(task.name)
            path = f"{task.list.scope}/{name}" if task.list.scope else name
            occurrence = self._number(task.list.scope, name)
            if len(path) <= _LONGEST:
                self._wishes.append(Skip(path, occurrence))
            self._advance(task, task.raw, "continue")
            return
        self._fit(given.get("input", {}), task.raw, f"{task.path}/input")
        task.input = self._shaped(
            given.get("input", {}).get("from"), task.raw, self._variables(task), f"{task.path}/input/from"
        )
        kind = kind_of(given)
        task.timeout_s = self._timeout(given.get("timeout"), task.input, self._variables(task))
        if task.timeout_s is not None and kind not in _STEPS:
            said = f"the task's timeout, {task.timeout_s:g} s, is over"
            then = lambda outcome: self._task_failed(task, error_of("timeout", said, task.path))  # noqa: E731
            self._sleep(task, task.list.scope, f"{recorded_name(task.name)}~timeout", task.timeout_s, then)
        _KINDS[str(kind)](self, task)

    def _complete(self, task: TaskRun, output: Any, then: str | None = None, condition: str | None = None) -> None:
        """The task has done its work: shape its output, and go where it says."""
        try:
            output = self._put_out(task, task.task, output)
        except TaskFailed as error:
            self._task_failed(task, error)
            return
        self._advance(task, output, then or task.task.get("then", "continue"), condition)

    def _put_out(self, task: TaskRun, given: Mapping[str, Any], output: Any, own: Mapping[str, Any] = _NOTHING) -> Any:
        """What `output` and `export` make of it; for a task, or for one event of a `foreach`."""
        variables = {**self._variables(task), **own}
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

    def _task_failed(self, task: TaskRun, error: TaskFailed) -> None:
        task.over = task.list.over = True
        task.list.failed(error)

    def _inside(
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
        fails = failed or (lambda error: self._task_failed(task, error))
        run = ListRun(
            tasks,
            task.list.scope if scope is None else scope,
            known,
            task,
            lambda output: self._soon(task, self._guarded(task, lambda: done(output))),
            lambda error: self._soon(task, self._guarded(task, lambda: fails(error))),
        )
        self._go(run, 0, data, task)
        return run

    def _guarded(self, task: TaskRun, then: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                then()
            except TaskFailed as error:
                self._task_failed(task, error)

        return run

    # -- the kinds of task -------------------------------------------------------------------------------------------

    def _set(self, task: TaskRun) -> None:
        given = task.task["set"]
        made = self._value(task, given, task.input, "set") if isinstance(given, str) else self._resolved(task, given)
        self._complete(task, made)

    def _do(self, task: TaskRun) -> None:
        self._inside(task, task.task["do"], task.input, lambda output: self._complete(task, output))

    def _switch(self, task: TaskRun) -> None:
        for item in task.task["switch"]:
            ((name, case),) = item.items()
            if "when" not in case or _holds(self._value(task, case["when"], task.input, f"switch/{name}/when")):
                self._complete(task, task.input, case["then"], case.get("when", name))
                return
        self._complete(task, task.input)

    def _wait(self, task: TaskRun) -> None:
        length = self._duration(task.task["wait"], task.input, self._variables(task), f"{task.path}/wait")
        then = lambda outcome: self._complete(task, task.input)  # noqa: E731
        self._sleep(task, task.list.scope, recorded_name(task.name), length, then)

    def _raise(self, task: TaskRun) -> None:
        error = task.task["raise"]["error"]
        if isinstance(error, str):
            error = self._use["errors"][error]
        raise TaskFailed({"instance": task.path, **self._resolved(task, error)})

    def _for(self, task: TaskRun) -> None:
        given = task.task["for"]
        items = self._value(task, given["in"], task.input, "for/in")
        if not isinstance(items, list):
            raise error_of("expression", f"{given['in']!r} gives no list", f"{task.path}/for/in")

        def next_item(index: int, data: Any) -> None:
            if index >= len(items):
                self._complete(task, data)
                return
            own = {given.get("each", "item"): items[index], given.get("at", "index"): index}
            if "while" in task.task and not _holds(self._value(task, task.task["while"], data, "while", own)):
                self._complete(task, data)
                return
            self._inside(task, task.task["do"], data, lambda output: next_item(index + 1, output), own=own)

        next_item(0, task.input)

    def _fork(self, task: TaskRun) -> None:
        fork = task.task["fork"]
        branches: list[Mapping[str, Any]] = fork["branches"]
        outputs: list[Any] = [None] * len(branches)
        left = len(branches)

        def ended(index: int, output: Any) -> None:
            nonlocal left
            outputs[index] = output
            left -= 1
            if fork.get("compete", False):
                self._complete(task, output)
            elif left == 0:
                self._complete(task, outputs)

        for index, branch in enumerate(branches):
            scope = branch_scope(task.list.scope, task.name, task.visit, index)
            done = lambda output, index=index: ended(index, output)  # noqa: E731
            self._inside(task, [branch], task.input, done, scope=scope)

    def _try(self, task: TaskRun) -> None:
        def failed(error: TaskFailed) -> None:
            self._caught(task, error)

        done = lambda output: self._complete(task, output)  # noqa: E731
        self._inside(task, task.task["try"], task.input, done, failed=failed)

    def _caught(self, task: TaskRun, failed: TaskFailed) -> None:
        """Let it pass, try again, or do what the catch says; a catch that says nothing goes on with the input."""
        catch = task.task["catch"]
        own = {catch.get("as", "error"): failed.error}
        if not fits(catch.get("errors", {}).get("with", {}), failed.error) or not self._meant(task, catch, own):
            raise failed
        policy = catch.get("retry")
        if isinstance(policy, str):
            policy = self._use["retries"][policy]
        if policy is not None and self._meant(task, policy, own):
            count = policy.get("limit", {}).get("attempt", {}).get("count")
            if count is None or task.retries < count:
                task.retries += 1
                name = f"{recorded_name(task.name)}~retry"
                wait_s = self._delay_s(task, policy)
                self._sleep(task, task.list.scope, name, wait_s, lambda outcome: self._try(task))
                return
        if "do" in catch:
            self._inside(task, catch["do"], task.input, lambda output: self._complete(task, output), own=own)
        elif policy is not None:
            raise failed
        else:
            self._complete(task, task.input)

    def _meant(self, task: TaskRun, given: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
        """Whether `when` and `exceptWhen` let a catch, or a retry, be about this error."""
        if "when" in given and not _holds(self._value(task, given["when"], task.input, "catch/when", own)):
            return False
        except_when = given.get("exceptWhen")
        return except_when is None or not _holds(self._value(task, except_when, task.input, "catch/exceptWhen", own))

    def _delay_s(self, task: TaskRun, policy: Mapping[str, Any]) -> float:
        variables, place = self._variables(task), f"{task.path}/catch/retry"
        delay = self._duration(policy.get("delay", {"seconds": 0}), task.input, variables, place)
        match next(iter(policy.get("backoff", {"constant": {}}))):
            case "linear":
                delay *= task.retries
            case "exponential":
                delay *= 2.0 ** min(task.retries - 1, 60)
        if "jitter" in policy:
            low, high = (
                self._duration(policy["jitter"][name], task.input, variables, place) for name in ("from", "to")
            )
            delay += low + (high - low) * int.from_bytes(self._draw()[:6], "big") / 2**48
        return min(delay, 1e8)

    # -- work --------------------------------------------------------------------------------------------------------

    def _call(self, task: TaskRun) -> None:
        call = task.task["call"]
        bound = self._code.bound_to(task.name, task.task)
        given = task.task.get("with", {})
        function = self._use.get("functions", {}).get(call)
        if bound is None and function is not None:
            arguments = self._resolved(task, given)
            self._inside(task, [{call: function}], arguments, lambda output: self._complete(task, output))
            return
        assert bound is not None
        work = self._resolved(task, self._with_policies(given))
        if call == "http":
            work = _expanded(work, given, task.input)
        spec = bound.spec(recorded_name(task.name), timeout_s=task.timeout_s)
        self._ask(task, spec, work, lambda value: self._complete(task, value))

    def _run_process(self, task: TaskRun) -> None:
        run = task.task["run"]
        kind = next(kind for kind in run if kind in ("container", "script", "shell", "workflow"))
        bound = self._code.bound_to(task.name, task.task)
        assert bound is not None
        work = self._resolved(task, run[kind])
        if kind == "workflow":
            work = work.get("input", {})
        spec = bound.spec(recorded_name(task.name), timeout_s=task.timeout_s)
        wanted = run.get("return", "stdout") if kind != "workflow" else "all"
        self._ask(task, spec, work, lambda value: self._complete(task, _returned(value, wanted)))

    def _emit(self, task: TaskRun) -> None:
        event = self._resolved(task, task.task["emit"]["event"]["with"])
        event = {"specversion": "1.0", "id": str(UUID(bytes=self._draw(), version=4)), **event}
        bound = self._code.bound_to(task.name, task.task)
        name = recorded_name(task.name)
        spec = StepSpec(name, _recorded) if bound is None else bound.spec(name, timeout_s=task.timeout_s)
        self._ask(task, spec, event, lambda value: self._complete(task, event))

    def _ask(self, task: TaskRun, spec: StepSpec, work: Any, then: Callable[[Any], None]) -> None:
        call = Call(spec, self._number(task.list.scope, spec.name), task.list.scope, (work,))
        self._wishes.append(call)

        def answered(outcome: Outcome) -> None:
            if outcome.failure is not None:
                self._task_failed(task, failure_of(outcome.failure, task.path))
            else:
                self._guarded(task, lambda: then(outcome.value))()

        self._waiting[call.key] = task, answered

    def _with_policies(self, given: Any) -> Any:
        """The arguments, with the authentication policies they refer to by name in place."""
        if isinstance(given, dict):
            made = {key: self._with_policies(value) for key, value in given.items()}
            policy = made.get("authentication")
            if isinstance(policy, dict) and policy.keys() == {"use"}:
                made["authentication"] = self._use.get("authentications", {}).get(policy["use"], policy)
            return made
        return [self._with_policies(item) for item in given] if isinstance(given, list) else given

    # -- events ------------------------------------------------------------------------------------------------------

    def _listen(self, task: TaskRun) -> None:
        listen, each = task.task["listen"], task.task.get("foreach")
        for name in signals_of(listen["to"]):
            self._wishes.append(Wait(name, self._number(task.list.scope, name), task.list.scope))
        listening = Listening(listen, self._variables(task))
        outputs: list[Any] = []
        working = False

        def work() -> None:
            """Do what `foreach` says for one event after the other; then see whether that was all."""
            nonlocal working
            if working:
                return
            if each is None or len(outputs) == len(listening.heard):
                if listening.enough:
                    self._complete(task, listening.heard if each is None else outputs)
                return
            working = True
            event, at = listening.heard[len(outputs)], len(outputs)
            own = {each.get("item", "item"): event, each.get("at", "index"): at}

            def done(output: Any) -> None:
                nonlocal working
                working = False
                outputs.append(self._put_out(task, each, output, own))
                work()

            if "do" in each:
                self._inside(task, each["do"], event, done, own=own)
            else:
                done(event)

        def take(event: dict[str, Any]) -> bool:
            if listening.enough:
                return False
            try:
                taken = listening.take(event)
            except ExpressionFailed as exc:
                error = error_of("expression", str(exc), f"{task.path}/listen/to/until")
                self._soon(task, lambda: self._task_failed(task, error))
                return True
            if taken:
                self._soon(task, self._guarded(task, work))
            return taken

        self._listening.append((task, take))
        self._give_out()

    def _give_out(self) -> None:
        """What has come goes to the first that listens for it; the rest waits for whoever listens later."""
        self._listening = [(task, take) for task, take in self._listening if not task.left_behind]
        self._unread = [event for event in self._unread if not any(take(event) for _, take in self._listening)]

    # -- data --------------------------------------------------------------------------------------------------------

    def _variables(self, task: TaskRun | None) -> dict[str, Any]:
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

    def _value(self, task: TaskRun, expression: str, data: Any, place: str, own: Mapping[str, Any] = _NOTHING) -> Any:
        try:
            return value_of(expression, data, {**self._variables(task), **own})
        except ExpressionFailed as exc:
            raise error_of("expression", str(exc), f"{task.path}/{place}") from None

    def _resolved(self, task: TaskRun, template: Any) -> Any:
        try:
            return resolve(template, task.input, self._variables(task))
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

    def _duration(self, given: Any, data: Any, variables: Mapping[str, Any], place: str) -> float:
        try:
            if isinstance(given, str) and expression_in(given) is not None:
                given = value_of(given, data, variables)
            return duration_s(given)
        except (ExpressionFailed, ValueError) as exc:
            raise error_of("expression", str(exc), place) from None

    def _timeout(self, given: Any, data: Any, variables: Mapping[str, Any]) -> float | None:
        if isinstance(given, str):
            given = self._use["timeouts"][given]
        return None if given is None else self._duration(given["after"], data, variables, "/timeout")


def _holds(value: Any) -> bool:
    """What jq takes for true: everything but false and null."""
    return value is not None and value is not False


def _recorded(event: Any) -> None:
    """An event that no function is bound to is emitted by being recorded."""


_PARAMETER: Final = re.compile(r"\{(\w+)\}")


def _expanded(work: dict[str, Any], given: Mapping[str, Any], data: Any) -> dict[str, Any]:
    """The arguments of an HTTP call with `{name}` in its address filled in from the task's input, where that has it."""
    if not isinstance(data, dict) or expression_in(str(endpoint_of(given))) is not None:
        return work

    def filled(found: re.Match[str]) -> str:
        value = data.get(found[1])
        return str(value) if isinstance(value, (str, int)) else found[0]

    endpoint = work["endpoint"]
    if isinstance(endpoint, str):
        return {**work, "endpoint": _PARAMETER.sub(filled, endpoint)}
    return {**work, "endpoint": {**endpoint, "uri": _PARAMETER.sub(filled, str(endpoint.get("uri", "")))}}


def _returned(value: Any, wanted: str) -> Any:
    """What `return` picks out of a process's result. A function that returns something else than such a result, an
    object with `code`, `stdout` and `stderr`, has said its standard output."""
    process = value if isinstance(value, dict) and value.keys() & {"code", "stdout", "stderr"} else None
    match wanted:
        case "none":
            return None
        case "all":
            return value
        case "stdout":
            return value if process is None else process.get("stdout")
        case "code":
            return 0 if process is None else process.get("code", 0)
        case _:
            return None if process is None else process.get(wanted)


_KINDS: Final[dict[str, Callable[[ServerlessPlanner, TaskRun], None]]] = {
    "call": ServerlessPlanner._call,
    "do": ServerlessPlanner._do,
    "emit": ServerlessPlanner._emit,
    "for": ServerlessPlanner._for,
    "fork": ServerlessPlanner._fork,
    "listen": ServerlessPlanner._listen,
    "raise": ServerlessPlanner._raise,
    "run": ServerlessPlanner._run_process,
    "set": ServerlessPlanner._set,
    "switch": ServerlessPlanner._switch,
    "try": ServerlessPlanner._try,
    "wait": ServerlessPlanner._wait,
}
