"""Where a step leads: what its error handling says of a failure, and what its result chooses. Pure."""

from __future__ import annotations

from typing import Any

from actum.engine.graphs.plan import StepPlan
from actum.engine.graphs.shape import Edge
from actum.engine.graphs.templates import as_text
from actum.engine.graphs.under_way import Stop
from actum.engine.rules.calls import Failure
from actum.errors import near_miss

__all__ = ["caught", "chosen", "short"]


def caught(step: StepPlan, failure: Failure) -> tuple[str, Edge | None]:
    """What the step says of this failure: the first catch that names it, else its `on_error`."""
    for types, then, edge in step.catches:
        if any(_is_a(failure, type_) for type_ in types):
            return then, edge
    return step.on_error, None


def _is_a(failure: Failure, type_: str) -> bool:
    """By name alone: what is recorded of an error is the name of its class, and the classes of Python are known."""
    if type_ in ("*", "Exception", failure.error_type):
        return True
    import builtins

    found, wanted = getattr(builtins, failure.error_type, None), getattr(builtins, type_, None)
    return isinstance(found, type) and isinstance(wanted, type) and issubclass(found, wanted)


def chosen(step: StepPlan, value: Any) -> tuple[Any, list[str], Any]:
    """The output, the targets, and what said so: `{"goto": …}` with the output beside it, or just the targets."""
    said: Any = value
    if isinstance(value, dict):
        if "goto" not in value:
            raise Stop("NoRoute", f'step {step.id!r} returned no "goto", which says the step that comes next')
        said = value["goto"]
        value = value["output"] if "output" in value else {key: one for key, one in value.items() if key != "goto"}
    targets = [] if said is None else said if isinstance(said, list) else [said]
    assert step.goto is not None
    for target in targets:
        if target not in step.goto:
            hint = near_miss(target, step.goto) if isinstance(target, str) else ""
            raise Stop(
                "NoRoute",
                f"step {step.id!r} says that {short(target)!s} comes next, and may choose {', '.join(step.goto)}{hint}",
            )
    return value, list(dict.fromkeys(targets)), said


def short(value: Any) -> str:
    """The value in a message."""
    text = as_text(value)
    return text if len(text) <= 60 else text[:57] + "..."
