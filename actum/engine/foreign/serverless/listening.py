"""Which events a listening task takes, and when it has heard enough. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from actum.engine.foreign.serverless.expressions import ExpressionFailed, expression_in, value_of
from actum.engine.payloads.json_values import same

__all__ = ["Listening", "envelope_of", "signals_of"]

Evaluate = Callable[[str, Any], Any]
"""An expression over this data, with the variables of the task."""


def envelope_of(name: str, value: Any) -> dict[str, Any]:
    """The event that a signal brings: the signal's name is the event's type, unless its value is a whole CloudEvent."""
    if isinstance(value, dict) and "specversion" in value:
        return {"type": name, **value}
    return {"type": name, "data": value}


def signals_of(to: Mapping[str, Any]) -> list[str]:
    """The names of the signals it waits for; `*` stands for any."""
    filters = [to["one"]] if "one" in to else to.get("all", to.get("any", []))
    names = [one["with"].get("type", "*") for one in filters] or ["*"]
    until = to.get("until")
    if isinstance(until, Mapping):
        names += signals_of(until)
    return list(dict.fromkeys(name if expression_in(name) is None else "*" for name in names))


class Listening:
    """What one listening task has heard so far."""

    def __init__(self, listen: Mapping[str, Any], variables: Mapping[str, Any]) -> None:
        to = listen["to"]
        self._variables = variables
        self._read = listen.get("read", "data")
        self._all: list[Any] = list(to.get("all", ()))
        self._any: list[Any] | None = to.get("any")
        if "one" in to:
            self._all = [to["one"]]
        until = to.get("until")
        self._until_expression = until if isinstance(until, str) else None
        self._until = Listening({"to": until}, variables) if isinstance(until, Mapping) else None
        self._keys: dict[str, Any] = {}
        self.heard: list[Any] = []
        self.enough = False

    def take(self, event: Mapping[str, Any]) -> bool:
        """Whether this event is for it. Raises `ExpressionFailed` when its `until` cannot be evaluated."""
        if self._until is not None and self._until.take(event):
            self.enough = self._until.enough
            return True
        if self._any is None:
            index = next((index for index, one in enumerate(self._all) if self._fits(one, event)), None)
            if index is None:
                return False
            del self._all[index]
            self.enough = not self._all
        elif self._any and not any(self._fits(one, event) for one in self._any):
            return False
        self.heard.append(event.get("data") if self._read == "data" else dict(event))
        if self._any is not None and self._until is None:
            expression = self._until_expression
            holds = True if expression is None else value_of(expression, self.heard, self._variables)
            self.enough = holds not in (None, False)
        return True

    def _fits(self, one: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
        for name, wanted in one["with"].items():
            if name not in event:
                return False
            actual = event[name]
            if isinstance(wanted, str) and expression_in(wanted) is not None:
                found = self._try(wanted, actual if name == "data" else event)
                if found is not True and not (name != "data" and same(found, actual)):
                    return False
            elif not same(wanted, actual):
                return False
        return self._correlates(one.get("correlate", {}), event)

    def _correlates(self, correlate: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
        found: dict[str, Any] = {}
        for key, given in correlate.items():
            value = self._try(given["from"], event.get("data"))
            if value is None:
                return False
            wanted = given.get("expect", self._keys.get(key, value))
            if isinstance(wanted, str) and expression_in(wanted) is not None:
                wanted = self._try(wanted, event.get("data"))
            if not same(value, wanted):
                return False
            found[key] = value
        self._keys |= found
        return True

    def _try(self, expression: str, data: Any) -> Any:
        """What a filter sees; an event that it cannot be evaluated for is another kind of event."""
        try:
            return value_of(expression, data, self._variables)
        except ExpressionFailed:
            return None
