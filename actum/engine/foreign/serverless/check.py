"""What is wrong with a Serverless Workflow, or asks for what does not exist here: every place at once. Pure.

Whatever is not named below is refused by its name, so nothing in a definition is silently left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from actum.engine.foreign.names import LONGEST_NAME
from actum.engine.foreign.serverless.check_parts import Parts, Problem
from actum.engine.foreign.serverless.tasks import BASE, CALLS, FIELDS, RUNS, endpoint_of, inner_lists, kind_of
from actum.engine.graphs.place import Place
from actum.engine.payloads.json_values import kind
from actum.errors import near_miss

__all__ = ["VARIABLES", "Problem", "check"]

VARIABLES: Final = frozenset({"context", "input", "output", "task", "workflow", "runtime"})
_TOP: Final = ("document", "input", "use", "do", "timeout", "output", "schedule")
_DOCUMENT: Final = ("dsl", "namespace", "name", "version", "title", "summary", "tags", "metadata")
_USE: Final = ("authentications", "errors", "functions", "retries", "secrets", "timeouts", "catalogs", "extensions")
_ERROR: Final = ("type", "status", "title", "detail", "instance")


def check(definition: Any, source: str = "(a definition)") -> list[Problem]:
    """Every problem of the definition; none means that it can run here once its tasks are bound."""
    checker = _Checker(definition if isinstance(definition, dict) else {})
    place = Place(source)
    if isinstance(definition, dict):
        checker.workflow(definition, place)
    else:
        checker.say(place, f"is a {kind(definition)}; a workflow is an object")
    return checker.problems


class _Checker(Parts):
    """What is wrong with the whole, and with each kind of task."""

    # -- the whole -----------------------------------------------------------------------------------------------------

    def workflow(self, definition: Mapping[str, Any], place: Place) -> None:
        self._object(definition, place, _TOP, ("document", "do"))
        document = definition.get("document")
        if self._object(document, place / "document", _DOCUMENT, ("dsl", "namespace", "name", "version")):
            assert isinstance(document, dict)
            for name in ("dsl", "namespace", "name", "version"):
                if name in document and (not isinstance(document[name], str) or not document[name]):
                    self.say(place / "document" / name, f"is {document[name]!r}, and must be a text")
            if not str(document.get("dsl", "1.0")).startswith("1.0"):
                self.say(place / "document" / "dsl", f"is {document['dsl']!r}; version 1.0 of the language is run here")
        self._definitions(place / "use")
        self._data(definition, place, VARIABLES)
        self._timeout(definition.get("timeout"), place / "timeout", VARIABLES)
        self._list(definition.get("do"), place / "do", VARIABLES)

    def _definitions(self, place: Place) -> None:
        if not self._use:
            return
        self._object(self._use, place, _USE, ())
        if self._use.get("extensions"):
            self.say(place / "extensions", "extensions: tasks are not changed from outside here")
        for name, policy in self._items("retries"):
            self._retry(policy, place / "retries" / name, VARIABLES | {"error"})
        for name, error in self._items("errors"):
            self._error(error, place / "errors" / name, VARIABLES)
        for name, timeout in self._items("timeouts"):
            self._timeout(timeout, place / "timeouts" / name, VARIABLES)
        for name, function in self._items("functions"):
            if isinstance(function, dict) and not function.keys() & {"call", "run"}:
                self.say(place / "functions" / name, "a function is a call or a run here")
            self._task(name, function, place / "functions" / name, VARIABLES, [name])

    # -- tasks ---------------------------------------------------------------------------------------------------------

    def _list(self, tasks: Any, place: Place, names: frozenset[str]) -> None:
        if not isinstance(tasks, list) or not tasks:
            self.say(place, f"is a {kind(tasks)}; tasks are a list of at least one" if not tasks else "is no list")
            return
        known: list[str] = []
        for index, item in enumerate(tasks):
            if not isinstance(item, dict) or len(item) != 1:
                self.say(place / index, "must be one task under its name")
                continue
            known += item
            name = next(iter(item))
            if not 0 < len(name) <= LONGEST_NAME:
                self.say(place / index, f"the name of a task has 1 to {LONGEST_NAME} characters here, not {len(name)}")
            if known.count(name) > 1:
                self.say(place / index, f"there are two tasks {name!r} in this list")
        for index, item in enumerate(tasks):
            if isinstance(item, dict) and len(item) == 1:
                ((name, task),) = item.items()
                self._task(name, task, place / index / name, names, known)

    def _task(self, name: str, task: Any, place: Place, names: frozenset[str], siblings: list[str]) -> None:
        if not isinstance(task, dict):
            self.say(place, f"is a {kind(task)}; a task is an object")
            return
        kind_ = kind_of(task)
        if kind_ is None:
            hint = next((near_miss(key, FIELDS) for key in task if near_miss(key, FIELDS)), "")
            self.say(place, f"is no task: it has none of {', '.join(FIELDS)}{hint}")
            return
        if not self._object(task, place, (*BASE, *FIELDS[kind_]), ()):
            return
        before = len(self.problems)
        if "if" in task:
            self._expression(task["if"], place / "if", names)
        self._data(task, place, names)
        self._timeout(task.get("timeout"), place / "timeout", names)
        self._then(task.get("then"), place / "then", siblings)
        getattr(self, f"_{kind_}")(task, place, names, siblings)
        if len(self.problems) == before:  # only what is in order has its lists where they belong
            for inner, where, more in inner_lists(task, place):
                self._list(inner, where, names | set(more))

    def _call(self, task: dict[str, Any], place: Place, names: frozenset[str], siblings: list[str]) -> None:
        call, given = task["call"], task.get("with", {})
        if not isinstance(call, str) or not isinstance(given, dict):
            self.say(place, "calls a text, with an object")
            return
        needed = {"http": ("method", "endpoint"), "grpc": ("service", "method"), "openapi": ("document", "operationId")}
        for name in needed.get(call, ()):
            if name not in given:
                self.say(place / "with", f"{name!r} is missing for a call of {call}")
        if call == "http" and "endpoint" in given and not isinstance(endpoint_of(given), str):
            self.say(place / "with" / "endpoint", "is neither an address nor an object with a uri")
        if call == "grpc" and not (isinstance(given.get("service"), dict) and "name" in given["service"]):
            self.say(place / "with" / "service", "names no service")
        if call == "asyncapi" and "subscription" in given:
            self.say(place / "with" / "subscription", "subscription: messages are not consumed here; listen to events")
        if call not in CALLS and "://" not in call and call not in dict(self._items("functions")):
            known = [*CALLS, *dict(self._items("functions"))]
            self.say(place / "call", f"there is no function {call!r}{near_miss(call, known)}")
        self._template(given, place / "with", names)

    def _do(self, task: dict[str, Any], place: Place, names: frozenset[str], siblings: list[str]) -> None:
        return

    def _emit(self, task: dict[str, Any], place: Place, names: frozenset[str], siblings: list[str]) -> None:
        emit = task["emit"]
        event = emit.get("event") if isinstance(emit, dict) else None
        given = event.get("with") if isinstance(event, dict) else None
        if not isinstance(given, dict) or not isinstance(given.get("type"), str) or "source" not in given:
            self.say(place / "emit", "an event has at least with.source and with.type")
            return
        self._object(emit, place / "emit", ("event",), ())
        self._template(given, place / "emit" / "event" / "with", names)

    def _for(self, task: dict[str, Any], place: Place, names: frozenset[str], siblings: list[str]) -> None:
        if "do" not in task:
            self.say(place, "'do' is missing")
        if not self._object(task["for"], place / "for", ("each", "in", "at"), ("in",)):
            return
        self._names(task["for"], ("each", "at"), place / "for")
        self._expression(task["for"].get("in"), place / "for" / "in", names)
        if "while" in task:
            inner = names | {str(task["for"].get("each", "item")), str(task["for"].get("at", "index"))}
            self._expression(task["while"], place / "while", inner)

    def _fork(self, task: dict[str, Any], place: Place, names: frozenset[str], siblings: list[str]) -> None:
        self._object(task["fork"], place / "fork", ("branches", "compete"), ("branches",))

    def _listen(self, task: dict[str, Any], place: Place, names: frozenset[str], siblings: list[str]) -> None:
        listen = task["listen"]
        if not self._object(listen, place / "listen", ("to", "read"), ("to",)):
            return
        read = listen.get("read", "data")
        if read not in ("data", "envelope", "raw"):
            self.say(place / "listen" / "read", f"is {read!r}, none of data, envelope, raw")
        self._strategy(listen.get("to"), place / "listen" / "to", names)
        each = task.get("foreach")
        if each is not None and self._object(each, place / "foreach", ("item", "at", "do", "output", "export"), ()):
            self._names(each, ("item", "at"), place / "foreach")
            inner = names | {str(each.get("item", "item")), str(each.get("at", "index"))}
            self._data(each, place / "foreach", inner)

    def _strategy(self, to: Any, place: Place, names: frozenset[str]) -> None:
        if not self._object(to, place, ("all", "any", "one", "until"), ()):
            return
        kinds = [name for name in ("all", "any", "one") if name in to]
        if len(kinds) != 1:
            self.say(place, "listens to one of all, any, one")
            return
        filters = to[kinds[0]] if kinds[0] != "one" else [to["one"]]
        if not isinstance(filters, list) or (kinds[0] == "all" and not filters):
            self.say(place / kinds[0], "is no list of events")
            return
        for index, one in enumerate(filters):
            here = place / kinds[0] / index if kinds[0] != "one" else place / "one"
            self._filter(one, here, names)
        until = to.get("until")
        if until is None:
            return
        if kinds[0] != "any":
            self.say(place / "until", "goes with any")
        elif isinstance(until, str):
            self._expression(until, place / "until", names)
        elif isinstance(until, dict) and "until" in until:
            self.say(place / "until" / "until", "what ends listening has no end of its own")
        else:
            self._strategy(until, place / "until", names)

    def _filter(self, one: Any, place: Place, names: frozenset[str]) -> None:
        if not self._object(one, place, ("with", "correlate"), ("with",)):
            return
        if not isinstance(one["with"], dict) or not one["with"]:
            self.say(place / "with", "names nothing about the event")
            return
        if not isinstance(one["with"].get("type", ""), str):
            self.say(place / "with" / "type", "is no text")
        self._template(one["with"], place / "with", names)
        correlate = one.get("correlate", {})
        for key, given in correlate.items() if isinstance(correlate, dict) else ():
            here = place / "correlate" / key
            if self._object(given, here, ("from", "expect"), ("from",)):
                self._expression(given.get("from"), here / "from", names)
                if "expect" in given:
                    self._template(given["expect"], here / "expect", names)

    def _raise(self, task: dict[str, Any], place: Place, names: frozenset[str], siblings: list[str]) -> None:
        if not self._object(task["raise"], place / "raise", ("error",), ("error",)):
            return
        error = task["raise"].get("error")
        here = place / "raise" / "error"
        if isinstance(error, str):
            self._reference(error, "errors", here)
        else:
            self._error(error, here, names)

    def _error(self, error: Any, place: Place, names: frozenset[str]) -> None:
        if self._object(error, place, _ERROR, ("type", "status")):
            self._template(error, place, names)

    def _run(self, task: dict[str, Any], place: Place, names: frozenset[str], siblings: list[str]) -> None:
        run, here = task["run"], place / "run"
        if not self._object(run, here, (*RUNS, "await", "return"), ()):
            return
        kinds = [name for name in RUNS if name in run]
        if len(kinds) != 1 or not isinstance(run[kinds[0]], dict):
            self.say(here, f"runs one of {', '.join(RUNS)}")
            return
        if run.get("await", True) is not True:
            self.say(here / "await", "await: false: what is run is always waited for here")
        if run.get("return", "stdout") not in ("stdout", "stderr", "code", "all", "none"):
            self.say(here / "return", f"is {run['return']!r}, none of stdout, stderr, code, all, none")
        self._template(run[kinds[0]], here / kinds[0], names)

    def _set(self, task: dict[str, Any], place: Place, names: frozenset[str], siblings: list[str]) -> None:
        given = task["set"]
        if isinstance(given, str):
            self._expression(given, place / "set", names)
        elif isinstance(given, dict) and given:
            self._template(given, place / "set", names)
        else:
            self.say(place / "set", "is no object of fields, and no expression")

    def _switch(self, task: dict[str, Any], place: Place, names: frozenset[str], siblings: list[str]) -> None:
        cases = task["switch"]
        if not isinstance(cases, list) or not cases:
            self.say(place / "switch", "is no list of cases")
            return
        for index, item in enumerate(cases):
            here = place / "switch" / index
            if not isinstance(item, dict) or len(item) != 1:
                self.say(here, "must be one case under its name")
                continue
            ((name, case),) = item.items()
            if self._object(case, here / name, ("when", "then"), ("then",)):
                self._then(case.get("then"), here / name / "then", siblings)
                if "when" in case:
                    self._expression(case["when"], here / name / "when", names)

    def _try(self, task: dict[str, Any], place: Place, names: frozenset[str], siblings: list[str]) -> None:
        catch, here = task.get("catch"), place / "catch"
        if not self._object(catch, here, ("errors", "as", "when", "exceptWhen", "retry", "do"), ()):
            return
        assert isinstance(catch, dict)
        errors = catch.get("errors", {})
        if self._object(errors, here / "errors", ("with",), ()) and "with" in errors:
            self._object(errors["with"], here / "errors" / "with", (*_ERROR, "details"), ())
        self._names(catch, ("as",), here)
        inner = names | {str(catch.get("as", "error"))}
        for name in ("when", "exceptWhen"):
            if name in catch:
                self._expression(catch[name], here / name, inner)
        if isinstance(catch.get("retry"), str):
            self._reference(catch["retry"], "retries", here / "retry")
        elif "retry" in catch:
            self._retry(catch["retry"], here / "retry", inner)

    def _retry(self, policy: Any, place: Place, names: frozenset[str]) -> None:
        if not self._object(policy, place, ("when", "exceptWhen", "delay", "backoff", "limit", "jitter"), ()):
            return
        for name in ("when", "exceptWhen"):
            if name in policy:
                self._expression(policy[name], place / name, names)
        if "delay" in policy:
            self._duration(policy["delay"], place / "delay", names)
        backoff = policy.get("backoff", {"constant": {}})
        if self._object(backoff, place / "backoff", ("constant", "linear", "exponential"), ()):
            if len(backoff) != 1:
                self.say(place / "backoff", "is one of constant, linear, exponential")
            for name, more in backoff.items():
                if not isinstance(more, dict):
                    self.say(place / "backoff" / name, f"is a {kind(more)}, and must be an object")
                elif more:
                    self.say(place / "backoff" / name, f"{name} has no settings here, not {next(iter(more))!r}")
        limit = policy.get("limit", {})
        if self._object(limit, place / "limit", ("attempt", "duration"), ()):
            if "duration" in limit:
                self.say(place / "limit" / "duration", "retries are limited by their number here; use timeout")
            attempt = limit.get("attempt", {})
            if self._object(attempt, place / "limit" / "attempt", ("count", "duration"), ()):
                count = attempt.get("count", 1)
                if type(count) is not int or count < 0:
                    self.say(place / "limit" / "attempt" / "count", f"is {count!r}, and must be a whole number")
                if "duration" in attempt:
                    said = "one attempt is not limited here; give the tasks in it a timeout"
                    self.say(place / "limit" / "attempt" / "duration", said)
        if "jitter" in policy and self._object(policy["jitter"], place / "jitter", ("from", "to"), ("from", "to")):
            for name in ("from", "to"):
                self._duration(policy["jitter"].get(name), place / "jitter" / name, names)

    def _wait(self, task: dict[str, Any], place: Place, names: frozenset[str], siblings: list[str]) -> None:
        self._duration(task["wait"], place / "wait", names)
