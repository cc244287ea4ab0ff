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

from actum.engine.foreign.asl import branches, choices, working
from actum.engine.foreign.asl.errors import StateError, delay_s, matching, retrier
from actum.engine.foreign.asl.intrinsics import Given, IntrinsicFailure, parse_expression, value_of
from actum.engine.foreign.asl.paths import CannotWrite, NoValue, parse_path
from actum.engine.foreign.asl.templates import render
from actum.engine.foreign.asl.visits import Frame, Visit
from actum.engine.foreign.names import path_of, recorded_name
from actum.engine.rules.calls import Done, Failure, Give, Heard, Outcome, Sleep, Take, Wish

if TYPE_CHECKING:
    from actum.engine.foreign.asl.machine import StateMachine

__all__ = ["StatesPlanner"]

_TOO_MANY: Final = 10_000
"""Transitions without any work or wait in between: a loop that would never end."""


class StatesPlanner:
    """One execution of a state machine. See `Planner` for what `begin` and `settle` promise."""

    def __init__(self, machine: StateMachine, execution: str) -> None:
        self.machine = machine
        self._execution = execution
        self._input: Any = None
        self._started = ""
        self.wishes: list[Wish] = []
        self.waiting: dict[str, tuple[Frame, Callable[[Outcome], None]]] = {}
        self._ready: deque[tuple[Frame, Callable[[], None]]] = deque()
        self._drawn = 0
        self._moves = 0
        self._over = False
        self._top = Frame(machine.definition, "", self._done, self._failed)

    def begin(self, workflow_input: Any) -> list[Wish]:
        self._input = workflow_input
        top, limit_s = self._top, self.machine.definition.get("TimeoutSeconds")
        if limit_s is not None:
            self._sleep(top, "~timeout", limit_s, lambda outcome: self._timed_out(limit_s))
        if _mentions(self.machine.definition, "StartTime"):
            self._sleep(top, "~started", 0, self._has_started)
        else:
            self.go(top, self.machine.definition["StartAt"], workflow_input)
        return self._run()

    def settle(self, key: str, outcome: Outcome) -> list[Wish]:
        waiting = self.waiting.pop(key, None)
        if waiting is None or waiting[0].left_behind:
            return []
        frame, then = waiting
        self.soon(frame, lambda: then(outcome))
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
        wishes, self.wishes = self.wishes, []
        return wishes

    def soon(self, frame: Frame, then: Callable[[], None]) -> None:
        """Do this next, unless the frame is left behind by then."""
        self._ready.append((frame, then))

    def go(self, frame: Frame, name: str, data: Any) -> None:
        """On to this state."""
        self._moves += 1
        if self._moves > _TOO_MANY:
            said = f"{_TOO_MANY} transitions to state {name!r} and before without any work or wait in between"
            self._fail(self._top, StateError("States.Runtime", said))
            return
        self.soon(frame, lambda: self._visit(Visit(frame, name, data)))

    def _visit(self, visit: Visit) -> None:
        own = {key: value for key, value in visit.state.items() if key not in _INNER}
        if _mentions(own, "EnteredTime") or "Timestamp" in own or "TimestampPath" in own:
            name = f"{recorded_name(visit.name)}~entered"
            self._sleep(visit.frame, name, 0, lambda outcome: self._entered(visit, outcome))
        else:
            self._enter(visit)

    def _entered(self, visit: Visit, outcome: Outcome) -> None:
        visit.entered = _instant(outcome.at_us)
        self._enter(visit)

    def _enter(self, visit: Visit) -> None:
        try:
            _ENTER[visit.state["Type"]](self, visit, self._input_of(visit))
        except StateError as error:
            self.state_failed(visit, error)

    # -- the states --------------------------------------------------------------------------------------------------

    def _pass(self, visit: Visit, data: Any) -> None:
        given = self.parameters(visit, data)
        self.finish(visit, visit.state.get("Result", given))

    def _succeed(self, visit: Visit, data: Any) -> None:
        self._end(visit.frame, self._output_of(visit, data))

    def _fail_state(self, visit: Visit, data: Any) -> None:
        said: list[str] = []
        for name, default in (("Error", "Fail"), ("Cause", "")):
            value = visit.state.get(name, default)
            if f"{name}Path" in visit.state:
                value = self.value(visit, visit.state[f"{name}Path"], data, "States.Runtime")
                if not isinstance(value, str):
                    raise StateError("States.Runtime", f"state {visit.name!r}: {name}Path is not a text")
            said.append(value)
        self._fail(visit.frame, StateError(said[0] or "Fail", said[1]))

    def _choice(self, visit: Visit, data: Any) -> None:
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

    def _wait(self, visit: Visit, data: Any) -> None:
        state = visit.state
        if "Seconds" in state:
            length: Any = state["Seconds"]
        elif "SecondsPath" in state:
            length = self.value(visit, state["SecondsPath"], data, "States.Runtime")
        else:
            until = state.get("Timestamp")
            if until is None:
                until = self.value(visit, state["TimestampPath"], data, "States.Runtime")
            instant = choices.instant_of(until)
            if instant is None:
                raise StateError("States.Runtime", f"state {visit.name!r}: {until!r} is no timestamp of RFC 3339")
            now = datetime.fromisoformat(visit.entered)
            length = max(0.0, (instant - now).total_seconds())
        if isinstance(length, bool) or not isinstance(length, (int, float)) or not 0 <= length < 1e9:
            raise StateError("States.Runtime", f"state {visit.name!r}: {length!r} is no number of seconds to wait")
        then = self.caught(visit, lambda: self._leave_for_next(visit, self._output_of(visit, data)))
        self._sleep(visit.frame, recorded_name(visit.name), length, lambda outcome: then())

    # -- how a state ends --------------------------------------------------------------------------------------------

    def finish(self, visit: Visit, result: Any) -> None:
        """The state's work is done: put its result where it belongs, and go on."""
        state = visit.state
        if "ResultSelector" in state:
            result = self.rendered(visit, state["ResultSelector"], result, "States.ParameterPathFailure")
        self._leave_for_next(visit, self._output_of(visit, self._placed(visit, state, result)))

    def _placed(self, visit: Visit, thing: Mapping[str, Any], result: Any) -> Any:
        where = thing.get("ResultPath", "$")
        if where is None:
            return visit.raw
        try:
            return parse_path(where).write(visit.raw, result)
        except CannotWrite as exc:
            raise StateError("States.ResultPathMatchFailure", f"state {visit.name!r}: {exc}") from None

    def _leave_for_next(self, visit: Visit, data: Any) -> None:
        if visit.state.get("End") is True:
            self._end(visit.frame, data)
        else:
            self._leave(visit, visit.state["Next"], data)

    def _leave(self, visit: Visit, target: str, data: Any, condition: str | None = None, saw: Any = None) -> None:
        frame = visit.frame
        source = path_of(frame.scope, visit.name)
        self.wishes.append(Take(source, visit.number, target, condition and condition[:256], saw))
        self.go(frame, target, data)

    def caught(self, visit: Visit, then: Callable[[], None]) -> Callable[[], None]:
        """The same, its failure being the state's."""

        def run() -> None:
            try:
                then()
            except StateError as error:
                self.state_failed(visit, error)

        return run

    def state_failed(self, visit: Visit, error: StateError, *, retried: bool = False) -> None:
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

    def _again(self, visit: Visit) -> None:
        if visit.state["Type"] == "Task" and visit.work is not None:
            self.caught(visit, lambda: working.call(self, visit, self._input_of(visit)))()
        else:
            self._enter(visit)

    def _end(self, frame: Frame, output: Any) -> None:
        frame.over = True
        frame.ended(output)

    def _fail(self, frame: Frame, error: StateError) -> None:
        frame.over = True
        frame.failed(error)

    def _done(self, output: Any) -> None:
        self._over = True
        self.wishes.append(Done(output))

    def _failed(self, error: StateError) -> None:
        if not self._over:
            self._over = True
            self.wishes.append(Give(Failure(error.error[:256], error.cause, error.traceback)))

    def _timed_out(self, limit_s: float) -> None:
        self._fail(self._top, StateError("States.Timeout", f"the machine's TimeoutSeconds, {limit_s}, are over"))

    # -- time and chance ---------------------------------------------------------------------------------------------

    def _sleep(self, frame: Frame, name: str, seconds: float, then: Callable[[Outcome], None]) -> None:
        wish = Sleep(seconds, frame.number(name), frame.scope, name)
        self.wishes.append(wish)
        self.waiting[wish.key] = frame, then

    def _has_started(self, outcome: Outcome) -> None:
        self._started = _instant(outcome.at_us)
        self.go(self._top, self.machine.definition["StartAt"], self._input)

    def _draw(self) -> bytes:
        self._drawn += 1
        return sha256(f"{self._execution}\n{self._drawn}".encode()).digest()[:16]

    # -- data --------------------------------------------------------------------------------------------------------

    def _given(self, visit: Visit, data: Any, item: dict[str, Any] | None = None) -> Given:
        name, frame = self.machine.name, visit.frame
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

    def _input_of(self, visit: Visit) -> Any:
        return self._through(visit, "InputPath", visit.raw)

    def _output_of(self, visit: Visit, data: Any) -> Any:
        return self._through(visit, "OutputPath", data)

    def _through(self, visit: Visit, field: str, data: Any) -> Any:
        path = visit.state.get(field, "$")
        return {} if path is None else self.value(visit, path, data, "States.Runtime")

    def parameters(self, visit: Visit, data: Any) -> Any:
        """What the state's work is given. Raises `StateError`."""
        if "Parameters" not in visit.state:
            return data
        return self.rendered(visit, visit.state["Parameters"], data, "States.ParameterPathFailure")

    def rendered(self, visit: Visit, template: Any, data: Any, error: str, item: dict[str, Any] | None = None) -> Any:
        """The template filled in. Raises `StateError`."""
        return self._safely(visit, lambda: render(template, self._given(visit, data, item)), error)

    def value(self, visit: Visit, expression: str, data: Any, error: str) -> Any:
        """What an expression gives for this data. Raises `StateError`."""
        if expression == "$":
            return data
        return self._safely(visit, lambda: value_of(parse_expression(expression), self._given(visit, data)), error)

    def _safely(self, visit: Visit, read: Callable[[], Any], error: str) -> Any:
        try:
            return read()
        except NoValue as exc:
            raise StateError(error, f"state {visit.name!r}: there is nothing at {exc}") from None
        except IntrinsicFailure as exc:
            raise StateError("States.IntrinsicFailure", f"state {visit.name!r}: {exc}") from None


_INNER: Final = frozenset({"Branches", "Iterator", "ItemProcessor"})
_ENTER: Final[dict[str, Callable[[StatesPlanner, Visit, Any], None]]] = {
    "Pass": StatesPlanner._pass,
    "Task": working.task,
    "Choice": StatesPlanner._choice,
    "Wait": StatesPlanner._wait,
    "Succeed": StatesPlanner._succeed,
    "Fail": StatesPlanner._fail_state,
    "Parallel": branches.parallel,
    "Map": branches.map_,
}


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
