"""Paths to parameters and to step outputs: `parameters.order.id`, `fetch.orders.0.id`.

Beside these there are `input` (the whole input), `execution.id`, `error.type` and `error.message` (what was caught
last), and inside a map the item under its name and `index`. A step of such a name comes first.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from actum.engine.graphs.place import Place
from actum.engine.payloads.json_values import kind
from actum.errors import near_miss

__all__ = ["MISSING", "OTHERS", "Known", "Missing", "Reference", "Values", "parse_reference"]

_INDEX: Final = re.compile(r"\[(\d+)\]")
OTHERS: Final = ("input", "execution", "error")
"""What every graph has beside steps and parameters, where no step has that name."""
_FIELDS: Final = {"execution": ("id",), "error": ("type", "message")}
_NOT_IN_A_PATH: Final = re.compile(r"[{}\[\]|'\"]")


class Missing:
    """What a reference leads to when it leads to nothing."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()


class Values:
    """What references lead into: the parameters of one execution, the outputs of its steps so far, and what it has
    by other names (`input`, `execution`, `error`, the item of a map), where no step has that name."""

    __slots__ = ("others", "outputs", "parameters")

    def __init__(
        self,
        parameters: dict[str, Any],
        outputs: dict[str, Any] | None = None,
        others: dict[str, Any] | None = None,
    ) -> None:
        self.parameters = parameters
        self.outputs: dict[str, Any] = {} if outputs is None else outputs
        self.others: dict[str, Any] = {} if others is None else others


@dataclass(frozen=True, slots=True)
class Known:
    """What the references of one definition may name."""

    steps: Collection[str]
    parameters: Collection[str]
    others: Collection[str] = ()
    """Names that are no step's and mean something here."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A path from a step's output, or from the parameters when `step` is None."""

    step: str | None
    path: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ".".join(("parameters" if self.step is None else self.step, *self.path))

    def find(self, values: Values) -> Any:
        """What it leads to, or `MISSING`. A key that is a number picks from a list."""
        if self.step is None:
            here: Any = values.parameters
        else:
            here = values.outputs.get(self.step, MISSING)
            if here is MISSING:
                here = values.others.get(self.step, MISSING)
        for key in self.path:
            if isinstance(here, dict):
                here = here.get(key, MISSING)
            elif isinstance(here, list) and key.isdecimal() and int(key) < len(here):
                here = here[int(key)]
            else:
                return MISSING
        return here

    def why_missing(self, values: Values) -> str:
        """Why it leads to nothing, in words that name the part of the path that does not exist."""
        if self.step is None:
            here: Any = values.parameters
        elif self.step in values.outputs:
            here = values.outputs[self.step]
        elif self.step in values.others:
            here = values.others[self.step]
        elif self.step == "error":
            return "no error has been caught"
        else:
            return f"step {self.step!r} has no output: it has not run, was skipped, or failed"
        walked = self.step or "parameters"
        for key in self.path:
            if isinstance(here, dict) and key in here:
                here = here[key]
            elif isinstance(here, list) and key.isdecimal() and int(key) < len(here):
                here = here[int(key)]
            elif here is values.parameters and self.step is None:
                return f"the parameter {key!r} was not given and has no default"
            elif isinstance(here, dict):
                return f"{walked!r} has no {key!r}{near_miss(key, here) or _only(here)}"
            elif isinstance(here, list):
                return f"{walked!r} is a list of {len(here)} and has no item {key!r}"
            else:
                return f"{walked!r} has no {key!r}: its kind is {kind(here)}"
            walked = f"{walked}.{key}"
        return "it is there now"

    def check(self, known: Known, place: Place) -> None:
        """Refuse, with `DefinitionError`, a step or a parameter that the definition does not have."""
        if self.step is not None:
            if self.step not in known.steps and self.step in known.others:
                fields = _FIELDS.get(self.step, ())
                if fields and self.path and self.path[0] not in fields:
                    hint = near_miss(self.path[0], fields) or f"; there is {', '.join(fields)}"
                    raise place.error(f"refers to '{self}', but {self.step!r} has no {self.path[0]!r}{hint}")
            elif self.step not in known.steps:
                if self.step in known.parameters:
                    hint = f"; did you mean 'parameters.{self}'?"
                else:
                    hint = near_miss(self.step, (*known.steps, "parameters", *known.others))
                raise place.error(f"refers to '{self}', but there is no step {self.step!r}{hint}")
        elif self.path and self.path[0] not in known.parameters:
            hint = near_miss(self.path[0], known.parameters)
            raise place.error(f"refers to '{self}', but there is no parameter {self.path[0]!r}{hint}")


def _only(here: dict[str, Any]) -> str:
    names = [repr(name) for name in list(here)[:5]]
    return f", only {', '.join(names)}" if names else ": it is empty"


def parse_reference(text: str, place: Place) -> Reference:
    """Read `STEP.NAME`, `parameters.NAME` or the longer `steps.STEP.output.NAME`; `[0]` and `.0` pick from a list.

    Raises `DefinitionError` for anything else.
    """
    parts = [part.strip() for part in _INDEX.sub(r".\1", text).split(".")]
    if not all(parts) or any(_NOT_IN_A_PATH.search(part) for part in parts):
        raise place.error(f"{text.strip()!r} is no reference; write STEP.OUTPUT_NAME or parameters.NAME")
    if parts[0] == "parameters":
        return Reference(None, tuple(parts[1:]))
    if parts[0] != "steps":
        return Reference(parts[0], tuple(parts[1:]))
    if len(parts) < 2:
        raise place.error("'steps' alone refers to nothing; write steps.ID.output.NAME, or just ID.NAME")
    if len(parts) > 2 and parts[2] != "output":
        said = ".".join(parts[:3])
        raise place.error(f"'{said}' refers to nothing: a step has only its output; write steps.{parts[1]}.output")
    return Reference(parts[1], tuple(parts[3:]))
