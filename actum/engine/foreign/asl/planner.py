"""Runs a state machine: from the outcomes of its calls, in the order of the log, to what is wanted next. Pure.

- One JSON value goes through the states: `InputPath`, `Parameters`, the work, `ResultSelector`, `ResultPath` (into
  the state's own input), `OutputPath`. Nothing else is remembered between states.
- A Task is one step under its state's name. With one Retrier the engine retries it; with several, each of which
  counts for itself, the planner does, and every try is a step of its own. A Parallel or Map state is retried whole.
- Branches and items run in scopes of their own. When one fails, the others are left behind: what they still have
  under way ends, and nothing follows from it.
- Chance (`States.UUID`, `States.MathRandom`, jitter between tries of several Retriers) is drawn from the execution's
  id, so a replay draws the same. The time is asked for with a timer of no length, which the log answers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import orjson

from actum.engine.foreign.asl import choices
from actum.engine.foreign.asl.errors import StateError, delay_s, matching, named, retrier, retry_of
from actum.engine.foreign.asl.intrinsics import Given, IntrinsicFailure, parse_expression, value_of
from actum.engine.foreign.asl.paths import CannotWrite, NoValue, parse_path
from actum.engine.foreign.asl.templates import render
from actum.engine.foreign.names import branch_scope, path_of, recorded_name
from actum.engine.rules.calls import Call, Done, Failure, Give, Heard, Outcome, Sleep, Take, Wish

if TYPE_CHECKING:
    from actum.engine.foreign.asl.machine import StateMachine

__all__ = ["StatesPlanner"]

_TOO_MANY: Final = 10_000
"""Transitions without any work or wait in between: a loop that would never end."""


class _Frame:
    """A machine that runs: the outer one, a branch, or one item of a Map."""

    def __init__(
        self,
        machine: Mapping[str, Any],
        scope: str,
        ended: Callable[[Any], None],
        failed: Callable[[StateError], None],
        parent: _Frame | None = None,
        item: dict[str, Any] | None = None,
    ) -> None:
        self.states: Mapping[str, Any] = machine["States"]
        self.scope = scope
        self.ended = ended
        self.failed = failed
        self.parent = parent
        self.item: dict[str, Any] | None = parent.item if item is None and parent is not None else item
        self.over = False
        self._counts: dict[str, int] = {}

    def number(self, what: str) -> int:
        """How often this was counted before."""
        number = self._counts.get(what, 0)
        self._counts[what] = number + 1
        return number

    @property
    def left_behind(self) -> bool:
        frame: _Frame | None = self
        while frame is not None:
            if frame.over:
                return True
            frame = frame.parent
        return False


class _Visit:
    """A state that is being visited: what it was given, what its work is given, how often that was tried."""

    def __init__(self, frame: _Frame, name: str, raw: Any) -> None:
        self.frame = frame
        self.name = name
        self.state: Mapping[str, Any] = frame.states[name]
        self.raw = raw
        self.number = frame.number(f"~{name}")
        self.tries: dict[int, int] = {}
        self.entered = ""
        self.work: Any = None


class StatesPlanner:
    """One execution of a state machine. See `Planner` for what `begin` and `settle` promise."""

    def __init__(self, machine: StateMachine, execution: str) -> None:
        self._machine = machine
        self._execution = execution
        self._input: Any = None
        self._started = ""
        self._wishes: list[Wish] = []
        self._waiting: dict[str, tuple[_Frame, Callable[[Outcome], None]]] = {}
        self._ready: deque[tuple[_Frame, Callable[[], None]]] = deque()
        self._drawn = 0
        self._moves = 0
        self._over = False
        self._top = _Frame(machine.definition, "", self._done, self._failed)

    def begin(self, workflow_input: Any) -> list[Wish]:
        self._input = workflow_input
        top, limit_s = self._top, self._machine.definition.get("TimeoutSeconds")
        if limit_s is not None:
            self._sleep(top, "~timeout", limit_s, lambda outcome: self._timed_out(limit_s))
        if _mentions(self._machine.definition, "StartTime"):
            self._sleep(top, "~started", 0, self._has_started)
        else:
            self._go(top, self._machine.definition["StartAt"], workflow_input)
        return self._run()

    def settle(self, key: str, outcome: Outcome) -> list[Wish]:
        waiting = self._waiting.pop(key, None)
        if waiting is None or waiting[0].left_behind:
            return []
        frame, then = waiting
        self._soon(frame, lambda: then(outcome))
        return self._run()

    def hear(self, heard: Heard) -> list[Wish]:
        """The language has no signals; after a cancel nothing more is wanted."""
        if heard.kind == "cancel":
            return self._cancelled()
        return []

    def _cancelled(self) -> list[Wish]:
        if self._over:
            return []
        self._over = self._top.over = True
        return [Give(Failure("CancelledError", "the execution was cancelled"))]

    # -- turning ---------------------------------------------------------------------------------------------------

    def _run(self) -> list[Wish]:
        self._moves = 0
        while self._ready:
            frame, then = self._ready.popleft()
            if not frame.left_behind:
                then()
        wishes, self._wishes = self._wishes, []
        return wishes

    def _soon(self, frame: _Frame, then: Callable[[], None]) -> None:
        self._ready.append((frame, then))

    def _go(self, frame: _Frame, name: str, data: Any) -> None:
        self._moves += 1
        if self._moves > _TOO_MANY:
            said = f"{_TOO_MANY} transitions to state {name!r} and before without any work or wait in between"
            self._fail(self._top, StateError("States.Runtime", said))
            return
        self._soon(frame, lambda: self._visit(_Visit(frame, name, data)))

    def _visit(self, visit: _Visit) -> None:
        own = {key: value for key, value in visit.state.items() if key not in _INNER}
        if _mentions(own, "EnteredTime") or "Timestamp" in own or "TimestampPath" in own:
            name = f"{recorded_name(visit.name)}~entered"
            self._sleep(visit.frame, name, 0, lambda outcome: self._entered(visit, outcome))
        else:
            self._enter(visit)

    def _entered(self, visit: _Visit, outcome: Outcome) -> None:
        visit.entered = _instant(outcome.at_us)
        self._enter(visit)

    def _enter(self, visit: _Visit) -> None:
        try:
            _ENTER[visit.state["Type"]](self, visit, self._input_of(visit))
        except StateError as error:
            self._state_failed(visit, error)

    # -- the states --------------------------------------------------------------------------------------------------

    def _pass(self, visit: _Visit, data: Any) -> None:
        given = self._parameters(visit, data)
        self._finish(visit, visit.state.get("Result", given))

    def _succeed(self, visit: _Visit, data: Any) -> None:
        self._end(visit.frame, self._output_of(visit, data))

    def _fail_state(self, visit: _Visit, data: Any) -> None:
        said: list[str] = []
        for name, default in (("Error", "Fail"), ("Cause", "")):
            value = visit.state.get(name, default)
            if f"{name}Path" in visit.state:
                value = self._value(visit, visit.state[f"{name}Path"], data, "States.Runtime")
                if not isinstance(value, str):
                    raise StateError("States.Runtime", f"state {visit.name!r}: {name}Path is not a text")
            said.append(value)
        self._fail(visit.frame, StateError(said[0] or "Fail", said[1]))

    def _choice(self, visit: _Visit, data: Any) -> None:
        given = self._given(visit, data)
        for rule in visit.state["Choices"]:
            try:
                held = choices.holds(rule, given)
            except NoValue as exc:
                said = f"state {visit.name!r}: a rule compares {exc}, which is not in the data"
                raise StateError("States.Runtime", said) from None
            if held:
                self._leave(visit, rule["Next"], self._output_of(visit, data), choices.said(rule), _saw(rule, given))
                return
        if "Default" not in visit.state:
            raise StateError("States.NoChoiceMatched", f"state {visit.name!r}: no rule holds, and there is no Default")
        self._leave(visit, visit.state["Default"], self._output_of(visit, data))

    def _wait(self, visit: _Visit, data: Any) -> None:
        state = visit.state
        if "Seconds" in state:
            length: Any = state["Seconds"]
        elif "SecondsPath" in state:
            length = self._value(visit, state["SecondsPath"], data, "States.Runtime")
        else:
            until = state.get("Timestamp")
            if until is None:
                until = self._value(visit, state["TimestampPath"], data, "States.Runtime")
            instant = choices.instant_of(until)
            if instant is None:
                raise StateError("States.Runtime", f"state {visit.name!r}: {until!r} is no timestamp of RFC 3339")
            now = datetime.fromisoformat(visit.entered)
            length = max(0.0, (instant - now).total_seconds())
        if isinstance(length, bool) or not isinstance(length, (int, float)) or not 0 <= length < 1e9:
            raise StateError("States.Runtime", f"state {visit.name!r}: {length!r} is no number of seconds to wait")
        then = self._caught(visit, lambda: self._leave_for_next(visit, self._output_of(visit, data)))
        self._sleep(visit.frame, recorded_name(visit.name), length, lambda outcome: then())

    def _task(self, visit: _Visit, data: Any) -> None:
        visit.work = self._parameters(visit, data)
        self._call(visit, data)

    def _call(self, visit: _Visit, data: Any) -> None:
        frame, state = visit.frame, visit.state
        name = recorded_name(visit.name)
        retries = state.get("Retry", ())
        timeout_s = state.get("TimeoutSeconds")
        if "TimeoutSecondsPath" in state:
            timeout_s = self._value(visit, state["TimeoutSecondsPath"], data, "States.Runtime")
            if type(timeout_s) is not int or not 0 < timeout_s < 1e9:
                raise StateError("States.Runtime", f"state {visit.name!r}: {timeout_s!r} is no time-out in seconds")
        bound, invoked = self._machine.tasks_by_state[visit.name]
        spec = bound.spec(
            name,
            retry=retry_of(retries if len(retries) < 2 else ()),
            timeout_s=timeout_s,
            result=_as_invoked if invoked else None,
        )
        work = visit.work.get("Payload") if invoked and isinstance(visit.work, dict) else visit.work
        call = Call(spec, frame.number(name), frame.scope, (work,))
        self._wishes.append(call)
        self._waiting[call.key] = frame, lambda outcome: self._called(visit, outcome)

    def _called(self, visit: _Visit, outcome: Outcome) -> None:
        if outcome.failure is not None:
            self._state_failed(visit, named(outcome.failure), retried=len(visit.state.get("Retry", ())) == 1)
        else:
            self._caught(visit, lambda: self._finish(visit, outcome.value))()

    def _parallel(self, visit: _Visit, data: Any) -> None:
        work = self._parameters(visit, data)
        machines = visit.state["Branches"]
        self._together(visit, [(machine, work, None) for machine in machines], len(machines))

    def _map(self, visit: _Visit, data: Any) -> None:
        state = visit.state
        items = self._value(visit, state.get("ItemsPath", "$"), data, "States.Runtime")
        if not isinstance(items, list):
            raise StateError("States.Runtime", f"state {visit.name!r}: the items are not a list")
        limit = state.get("MaxConcurrency", 0)
        if "MaxConcurrencyPath" in state:
            limit = self._value(visit, state["MaxConcurrencyPath"], data, "States.Runtime")
            if type(limit) is not int or limit < 0:
                raise StateError("States.Runtime", f"state {visit.name!r}: MaxConcurrency is {limit!r}")
        template = state.get("ItemSelector", state.get("Parameters"))
        machine = state.get("ItemProcessor") or state["Iterator"]
        runs: list[tuple[Mapping[str, Any], Any, dict[str, Any] | None]] = []
        for index, value in enumerate(items):
            item = {"Index": index, "Value": value}
            work = value
            if template is not None:
                work = self._rendered(visit, template, data, "States.ParameterPathFailure", item)
            runs.append((machine, work, item))
        self._together(visit, runs, limit or len(runs))

    def _together(
        self, visit: _Visit, runs: list[tuple[Mapping[str, Any], Any, dict[str, Any] | None]], limit: int
    ) -> None:
        """Run the machines side by side, at most so many; the state's result is the list of theirs."""
        number = visit.frame.number(f"~{visit.name}~together")
        results: list[Any] = [None] * len(runs)
        frames: list[_Frame] = []
        left = len(runs)
        if not runs:
            self._finish(visit, results)
            return

        def ended(index: int, value: Any) -> None:
            nonlocal left
            results[index] = value
            left -= 1
            if left == 0:
                self._soon(visit.frame, self._caught(visit, lambda: self._finish(visit, results)))
            elif len(frames) < len(runs):
                start()

        def failed(error: StateError) -> None:
            for frame in frames:
                frame.over = True
            also = (*error.also, "States.BranchFailed") if visit.state["Type"] == "Parallel" else error.also
            again = StateError(error.error, error.cause, also, error.traceback)
            self._soon(visit.frame, lambda: self._state_failed(visit, again))

        def start() -> None:
            index = len(frames)
            machine, work, item = runs[index]
            scope = branch_scope(visit.frame.scope, visit.name, number, index)
            frame = _Frame(machine, scope, lambda value: ended(index, value), failed, visit.frame, item)
            frames.append(frame)
            self._go(frame, machine["StartAt"], work)

        for _ in range(min(limit, len(runs))):
            start()

    # -- how a state ends --------------------------------------------------------------------------------------------

    def _finish(self, visit: _Visit, result: Any) -> None:
        """The state's work is done: put its result where it belongs, and go on."""
        state = visit.state
        if "ResultSelector" in state:
            result = self._rendered(visit, state["ResultSelector"], result, "States.ParameterPathFailure")
        self._leave_for_next(visit, self._output_of(visit, self._placed(visit, state, result)))

    def _placed(self, visit: _Visit, thing: Mapping[str, Any], result: Any) -> Any:
        where = thing.get("ResultPath", "$")
        if where is None:
            return visit.raw
        try:
            return parse_path(where).write(visit.raw, result)
        except CannotWrite as exc:
            raise StateError("States.ResultPathMatchFailure", f"state {visit.name!r}: {exc}") from None

    def _leave_for_next(self, visit: _Visit, data: Any) -> None:
        if visit.state.get("End") is True:
            self._end(visit.frame, data)
        else:
            self._leave(visit, visit.state["Next"], data)

    def _leave(self, visit: _Visit, target: str, data: Any, condition: str | None = None, saw: Any = None) -> None:
        frame = visit.frame
        source = path_of(frame.scope, visit.name)
        self._wishes.append(Take(source, visit.number, target, condition and condition[:256], saw))
        self._go(frame, target, data)

    def _caught(self, visit: _Visit, then: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                then()
            except StateError as error:
                self._state_failed(visit, error)

        return run

    def _state_failed(self, visit: _Visit, error: StateError, *, retried: bool = False) -> None:
        """Try again, go where a Catcher says, or fail what the state is part of."""
        state, frame = visit.state, visit.frame
        for index, given in enumerate(() if retried else state.get("Retry", ())):
            one = retrier(given)
            if not matching(one.names, error):
                continue
            tried = visit.tries.get(index, 0) + 1
            if tried > one.attempts:
                break
            visit.tries[index] = tried
            wait_s = delay_s(one, tried, int.from_bytes(self._draw()[:6], "big") / 2**48)
            then = lambda outcome: self._again(visit)  # noqa: E731
            self._sleep(frame, f"{recorded_name(visit.name)}~retry", wait_s, then)
            return
        for catcher in state.get("Catch", ()):
            if matching(catcher["ErrorEquals"], error):
                try:
                    data = self._placed(visit, catcher, error.output)
                except StateError as worse:
                    self._fail(frame, worse)
                    return
                self._leave(visit, catcher["Next"], data, f"caught {error.error}"[:256])
                return
        self._fail(frame, error)

    def _again(self, visit: _Visit) -> None:
        if visit.state["Type"] == "Task" and visit.work is not None:
            self._caught(visit, lambda: self._call(visit, self._input_of(visit)))()
        else:
            self._enter(visit)

    def _end(self, frame: _Frame, output: Any) -> None:
        frame.over = True
        frame.ended(output)

    def _fail(self, frame: _Frame, error: StateError) -> None:
        frame.over = True
        frame.failed(error)

    def _done(self, output: Any) -> None:
        self._over = True
        self._wishes.append(Done(output))

    def _failed(self, error: StateError) -> None:
        if not self._over:
            self._over = True
            self._wishes.append(Give(Failure(error.error[:256], error.cause, error.traceback)))

    def _timed_out(self, limit_s: float) -> None:
        self._fail(self._top, StateError("States.Timeout", f"the machine's TimeoutSeconds, {limit_s}, are over"))

    # -- time and chance ---------------------------------------------------------------------------------------------

    def _sleep(self, frame: _Frame, name: str, seconds: float, then: Callable[[Outcome], None]) -> None:
        wish = Sleep(seconds, frame.number(name), frame.scope, name)
        self._wishes.append(wish)
        self._waiting[wish.key] = frame, then

    def _has_started(self, outcome: Outcome) -> None:
        self._started = _instant(outcome.at_us)
        self._go(self._top, self._machine.definition["StartAt"], self._input)

    def _draw(self) -> bytes:
        self._drawn += 1
        return sha256(f"{self._execution}\n{self._drawn}".encode()).digest()[:16]

    # -- data --------------------------------------------------------------------------------------------------------

    def _given(self, visit: _Visit, data: Any, item: dict[str, Any] | None = None) -> Given:
        name, frame = self._machine.name, visit.frame
        item = item or frame.item
        token = f"{self._execution}:{frame.scope}/{visit.name}#{visit.number}"
        context: dict[str, Any] = {
            "Execution": {"Id": self._execution, "Name": self._execution, "Input": self._input},
            "StateMachine": {"Id": name, "Name": name},
            "State": {"Name": visit.name, "RetryCount": sum(visit.tries.values())},
            "Task": {"Token": token},
        }
        if self._started:
            context["Execution"]["StartTime"] = self._started
        if visit.entered:
            context["State"]["EnteredTime"] = visit.entered
        if item is not None:
            context["Map"] = {"Item": item}
        return Given(data, context, self._draw)

    def _input_of(self, visit: _Visit) -> Any:
        return self._through(visit, "InputPath", visit.raw)

    def _output_of(self, visit: _Visit, data: Any) -> Any:
        return self._through(visit, "OutputPath", data)

    def _through(self, visit: _Visit, field: str, data: Any) -> Any:
        path = visit.state.get(field, "$")
        return {} if path is None else self._value(visit, path, data, "States.Runtime")

    def _parameters(self, visit: _Visit, data: Any) -> Any:
        if "Parameters" not in visit.state:
            return data
        return self._rendered(visit, visit.state["Parameters"], data, "States.ParameterPathFailure")

    def _rendered(self, visit: _Visit, template: Any, data: Any, error: str, item: dict[str, Any] | None = None) -> Any:
        return self._safely(visit, lambda: render(template, self._given(visit, data, item)), error)

    def _value(self, visit: _Visit, expression: str, data: Any, error: str) -> Any:
        if expression == "$":
            return data
        return self._safely(visit, lambda: value_of(parse_expression(expression), self._given(visit, data)), error)

    def _safely(self, visit: _Visit, read: Callable[[], Any], error: str) -> Any:
        try:
            return read()
        except NoValue as exc:
            raise StateError(error, f"state {visit.name!r}: there is nothing at {exc}") from None
        except IntrinsicFailure as exc:
            raise StateError("States.IntrinsicFailure", f"state {visit.name!r}: {exc}") from None


_INNER: Final = frozenset({"Branches", "Iterator", "ItemProcessor"})
_ENTER: Final[dict[str, Callable[[StatesPlanner, _Visit, Any], None]]] = {
    "Pass": StatesPlanner._pass,
    "Task": StatesPlanner._task,
    "Choice": StatesPlanner._choice,
    "Wait": StatesPlanner._wait,
    "Succeed": StatesPlanner._succeed,
    "Fail": StatesPlanner._fail_state,
    "Parallel": StatesPlanner._parallel,
    "Map": StatesPlanner._map,
}


def _as_invoked(value: Any) -> Any:
    """What `lambda:invoke` makes of what the function returned."""
    return {"Payload": value, "StatusCode": 200, "ExecutedVersion": "$LATEST"}


def _mentions(thing: Mapping[str, Any], word: str) -> bool:
    """Whether a context field of this name, or the whole context, may be read."""
    text = orjson.dumps(thing)
    return word.encode() in text or b'"$$"' in text or b'$$.Execution"' in text or b'$$.State"' in text


def _instant(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _saw(rule: Mapping[str, Any], given: Given) -> dict[str, Any]:
    """The values that a rule looks at, by path."""
    seen: dict[str, Any] = {}
    inner = [*rule.get("And", ()), *rule.get("Or", ()), *([rule["Not"]] if "Not" in rule else [])]
    for one in inner:
        seen |= _saw(one, given)
    if "Variable" in rule:
        try:
            seen[rule["Variable"]] = parse_path(rule["Variable"]).read(given.data, given.context)
        except NoValue:
            return seen
    return seen
