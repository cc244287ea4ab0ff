"""What is wrong with a state machine, all of it at once and before anything runs. Pure.

The rules are those of the States Language: the fields of each kind of state, transitions that stay inside their own
machine, states that can be reached and machines that can end, names that are given once, `States.ALL` alone and last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from actum.engine.foreign.asl.fields import (
    CATCHER,
    MACHINE,
    ONE_OF,
    PROCESSOR,
    REQUIRED,
    RETRIER,
    RULE,
    STATES,
    Check,
    only_one,
)
from actum.engine.foreign.asl.intrinsics import parse_expression
from actum.engine.foreign.asl.paths import BadPath
from actum.engine.foreign.asl.templates import computed
from actum.engine.foreign.names import LONGEST_NAME
from actum.engine.graphs.place import Place
from actum.engine.payloads.json_values import kind
from actum.errors import near_miss

__all__ = ["Problem", "lint", "unmapped"]


class Problem(NamedTuple):
    """What is wrong, and the JSON path of the place."""

    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"


def lint(definition: Any, source: str = "(a definition)") -> list[Problem]:
    """Every problem of the definition, in the order of the document; none means it is a state machine.

    A state or machine whose `QueryLanguage` is JSONata is looked at only for its transitions.
    """
    found: list[Problem] = []
    place = Place(source)
    if not isinstance(definition, dict):
        return [Problem(place.path, f"is a {kind(definition)}; a state machine is an object")]
    _Linter(found).machine(definition, place, "machine", definition.get("QueryLanguage") == "JSONata")
    return found


class _Linter:
    def __init__(self, problems: list[Problem]) -> None:
        self._problems = problems
        self._names: dict[str, str] = {}
        """Where each name of a state was given first."""

    def _say(self, place: Place, text: str) -> None:
        self._problems.append(Problem(place.path, text))

    # -- machines ------------------------------------------------------------------------------------------------------

    def machine(self, machine: Mapping[str, Any], place: Place, what: str, jsonata: bool) -> None:
        jsonata = jsonata or machine.get("QueryLanguage") == "JSONata"
        self._fields(machine, MACHINE if what == "machine" else PROCESSOR, place, "machine")
        config = machine.get("ProcessorConfig")
        if isinstance(config, dict) and config.get("Mode", "INLINE") not in ("INLINE", "DISTRIBUTED"):
            said = 'field "Mode" is not one of the allowed values ["INLINE", "DISTRIBUTED"]'
            self._say(place / "ProcessorConfig" / "Mode", said)
        states = machine.get("States")
        if not isinstance(states, dict):
            return
        here = place / "States"
        start = machine.get("StartAt")
        if isinstance(start, str) and start not in states:
            self._say(place / "StartAt", f'field "StartAt": there is no state {start!r}{near_miss(start, states)}')
        for name, state in states.items():
            if name in self._names:
                self._say(here / name, f"a state {name!r} is also at {self._names[name]}; names are given once")
            self._names.setdefault(name, (here / name).path)
            if not 0 < len(name) <= LONGEST_NAME:
                self._say(here / name, f"the name of a state has 1 to {LONGEST_NAME} characters, not {len(name)}")
            if not isinstance(state, dict):
                self._say(here / name, f"is a {kind(state)}; a state is an object")
                continue
            self._state(state, here / name, jsonata or state.get("QueryLanguage") == "JSONata")
            for target, where in _targets(state, here / name):
                if target not in states:
                    said = f"there is no state {target!r} in this machine{near_miss(target, states)}"
                    self._say(where, said)
        self._flow(states, start, here)

    def _flow(self, states: Mapping[str, Any], start: Any, place: Place) -> None:
        objects = {name: state for name, state in states.items() if isinstance(state, dict)}
        if not any(s.get("Type") in ("Succeed", "Fail") or s.get("End") is True for s in objects.values()):
            self._say(place, "no state ends the machine: it needs a Succeed or Fail state, or one with End: true")
        reached: set[str] = set()
        todo = [start] if isinstance(start, str) else []
        while todo:
            name = todo.pop()
            if name in reached or name not in objects:
                continue
            reached.add(name)
            todo += [target for target, _ in _targets(objects[name], place)]
        for name in objects:
            if name not in reached:
                self._say(place / name, f"no transition leads from the start to state {name!r}")

    # -- states --------------------------------------------------------------------------------------------------------

    def _state(self, state: Mapping[str, Any], place: Place, jsonata: bool) -> None:
        type_ = state.get("Type")
        if not isinstance(type_, str) or type_ not in STATES:
            hint = near_miss(str(type_), STATES)
            said = "is missing" if "Type" not in state else f"is {type_!r}, not one of {', '.join(STATES)}{hint}"
            self._say(place / "Type", f'field "Type" {said}')
            return
        if not jsonata:
            self._fields(state, STATES[type_], place, type_)
        if "Next" in STATES[type_]:
            ends = state.get("End") is True
            if ends and "Next" in state:
                self._say(place, only_one(("End", "Next")))
            elif not ends and "Next" not in state:
                self._say(place, 'field "Next" is missing, and so is "End": true')
        for index, rule in enumerate(_list(state, "Choices") if not jsonata else ()):
            self._rule(rule, place / "Choices" / index, nested=False)
        for field, table, what in (("Retry", RETRIER, "Retrier"), ("Catch", CATCHER, "Catcher")):
            self._handlers(_list(state, field) if not jsonata else (), table, what, place / field)
        for index, branch in enumerate(_list(state, "Branches")):
            self._inner(branch, place / "Branches" / index, jsonata)
        for field in ("Iterator", "ItemProcessor"):
            if isinstance(state.get(field), dict):
                self._inner(state[field], place / field, jsonata)

    def _inner(self, machine: Any, place: Place, jsonata: bool) -> None:
        if isinstance(machine, dict):
            self.machine(machine, place, "processor", jsonata)
        else:
            self._say(place, f"is a {kind(machine)}; a branch is an object")

    def _fields(self, thing: Mapping[str, Any], known: Mapping[str, Check], place: Place, what: str) -> None:
        for name in REQUIRED.get(what, ()):
            if name not in thing:
                self._say(place, f'field "{name}" is missing')
        for name, value in thing.items():
            check = known.get(name)
            if check is None:
                self._say(place / name, f'field "{name}" is not allowed here{near_miss(name, known)}')
                continue
            wrong = check(value)
            if wrong:
                self._say(place / name, f'field "{name}" {wrong}')
            elif name in ("Parameters", "ResultSelector", "ItemSelector"):
                self._template(value, name, place / name)
        for needed, names in ONE_OF.get(what, ()):
            given = [name for name in names if name in thing]
            if len(given) > 1:
                self._say(place, only_one(names))
            elif needed and not given:
                self._say(place, f"has none of {', '.join(names)}, and needs one")

    def _template(self, template: Any, field: str, place: Place) -> None:
        for path, value in computed(template):
            here = place
            for key in path:
                here = here / key
            why = f"is {value!r}"
            if isinstance(value, str):
                try:
                    parse_expression(value)
                    continue
                except BadPath as exc:
                    why = f"is {value!r}: {exc}"
            said = f'field "{path[-1]}" of {field} is not a JSONPath or intrinsic function expression: it {why}'
            self._say(here, said)

    def _handlers(self, handlers: Any, table: Mapping[str, Check], what: str, place: Place) -> None:
        for index, handler in enumerate(handlers):
            if not isinstance(handler, dict):
                self._say(place / index, f"is a {kind(handler)}; it must be an object")
                continue
            self._fields(handler, table, place / index, what)
            names = handler.get("ErrorEquals")
            if isinstance(names, list) and "States.ALL" in names and (len(names) > 1 or index < len(handlers) - 1):
                self._say(place / index / "ErrorEquals", "States.ALL stands alone, and in the last place")

    def _rule(self, rule: Any, place: Place, *, nested: bool) -> None:
        if not isinstance(rule, dict):
            self._say(place, f"is a {kind(rule)}; a rule is an object")
            return
        self._fields(rule, RULE, place, "rule")
        if nested and "Next" in rule:
            self._say(place / "Next", 'field "Next" is not allowed inside another rule')
        if not nested and "Next" not in rule:
            self._say(place, 'field "Next" is missing')
        kinds = [name for name in ("And", "Or", "Not", "Variable") if name in rule]
        if len(kinds) != 1:
            said = only_one(kinds) if kinds else "has none of Variable, And, Or, Not, and needs one"
            self._say(place, said)
        operators = [name for name in rule if name in RULE and name not in _NO_OPERATOR]
        if kinds == ["Variable"] and len(operators) != 1:
            self._say(place, only_one(operators) if operators else "compares with nothing: an operator is missing")
        if kinds and kinds != ["Variable"] and operators:
            self._say(place, f"{operators[0]} needs a Variable")
        for name in ("And", "Or"):
            for index, one in enumerate(_list(rule, name)):
                self._rule(one, place / name / index, nested=True)
        if isinstance(rule.get("Not"), dict):
            self._rule(rule["Not"], place / "Not", nested=True)


_NO_OPERATOR = ("Comment", "Variable", "And", "Or", "Not", "Next", "Assign")


def _list(thing: Mapping[str, Any], name: str) -> list[Any]:
    value = thing.get(name)
    return value if isinstance(value, list) else []


def _targets(state: Mapping[str, Any], place: Place) -> Iterator[tuple[str, Place]]:
    """Where a state may lead, and where it says so."""
    for name in ("Next", "Default"):
        if isinstance(state.get(name), str):
            yield state[name], place / name
    for field in ("Choices", "Catch"):
        for index, one in enumerate(_list(state, field)):
            if isinstance(one, dict) and isinstance(one.get("Next"), str):
                yield one["Next"], place / field / index / "Next"


# -- what is sound, and still cannot run here -----------------------------------------------------------------------

_UNMAPPED = {
    "Assign": "variables are not kept here; put the value into the data with ResultPath",
    "HeartbeatSeconds": "a bound function sends no heartbeat; TimeoutSeconds bounds it",
    "HeartbeatSecondsPath": "a bound function sends no heartbeat; TimeoutSeconds bounds it",
    "ItemReader": "items are read from the data; read them in a Task before",
    "ItemBatcher": "items are given one at a time; group them with States.ArrayPartition before",
    "ResultWriter": "results go into the data; write them in a Task after",
    "ToleratedFailurePercentage": "the first failed item fails the state; Catch inside the ItemProcessor",
    "ToleratedFailurePercentagePath": "the first failed item fails the state; Catch inside the ItemProcessor",
    "ToleratedFailureCount": "the first failed item fails the state; Catch inside the ItemProcessor",
    "ToleratedFailureCountPath": "the first failed item fails the state; Catch inside the ItemProcessor",
}


def unmapped(definition: Any, source: str = "(a definition)") -> list[Problem]:
    """What a sound definition asks for that does not exist here, each by its name and place."""
    return list(_unmapped(definition, Place(source)))


def _unmapped(machine: Mapping[str, Any], place: Place) -> Iterator[Problem]:
    if machine.get("QueryLanguage") == "JSONata":
        yield Problem((place / "QueryLanguage").path, "JSONata is not evaluated here; JSONPath is")
    config = machine.get("ProcessorConfig", {})
    if config.get("Mode") == "DISTRIBUTED":
        said = "Mode DISTRIBUTED is not run here; INLINE is"
        yield Problem((place / "ProcessorConfig" / "Mode").path, said)
    for name, state in machine["States"].items():
        here = place / "States" / name
        if state.get("QueryLanguage") == "JSONata":
            yield Problem((here / "QueryLanguage").path, "JSONata is not evaluated here; JSONPath is")
        handlers = [(here / "Catch" / index, one) for index, one in enumerate(_list(state, "Catch"))]
        handlers += [(here / "Choices" / index, one) for index, one in enumerate(_list(state, "Choices"))]
        for where, thing in [(here, state), *handlers]:
            for field in thing:
                if field in _UNMAPPED:
                    yield Problem((where / field).path, f"{field}: {_UNMAPPED[field]}")
        for index, branch in enumerate(_list(state, "Branches")):
            yield from _unmapped(branch, here / "Branches" / index)
        for field in ("Iterator", "ItemProcessor"):
            if field in state:
                yield from _unmapped(state[field], here / field)
