"""What a step that says what it depends on may use: the outputs of these steps, and of those they depend on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from actum.engine.graphs.place import Place
from actum.engine.graphs.templates import parse
from actum.errors import near_miss

__all__ = ["refuse_undeclared"]

_FIELDS: Final = ("inputs", "config", "title", "context", "prompt", "seconds", "until", "output", "message", "map")


def refuse_undeclared(
    steps: Sequence[Mapping[str, Any]],
    ids: Sequence[str],
    depends: Mapping[str, Sequence[str]],
    flow: Mapping[str, Any],
    place: Place,
) -> None:
    """Raise `DefinitionError` for a step that uses what it may not: there, or not, by chance of the order."""
    before: dict[str, list[str]] = {id_: list(of) for id_, of in depends.items()}
    for key in ("transitions", "paths"):
        given = flow.get(key)
        for one in given if isinstance(given, list) else []:
            if isinstance(one, dict):
                before.setdefault(str(one.get("to", one.get("to_step"))), []).append(
                    str(one.get("from", one.get("from_step")))
                )
    for id_, step in zip(ids, steps, strict=True):
        if isinstance(step.get("fallback"), str):  # its output is as good as the step's
            before.setdefault(id_, []).append(step["fallback"])
    for index, (id_, step) in enumerate(zip(ids, steps, strict=True)):
        if id_ not in depends:
            continue
        known = _reached(id_, before)
        for field in _FIELDS:
            here = place / index / field
            for reference in parse(step.get(field), here).references():
                if reference.step in ids and reference.step not in known:
                    raise here.error(
                        f"refers to '{reference}', and the step does not depend on {reference.step!r}"
                        f"{near_miss(str(reference.step), known - {id_})}; add it to depends_on"
                    )


def _reached(id_: str, before: Mapping[str, Sequence[str]]) -> set[str]:
    """The step, and everything that comes before it."""
    found = {id_}
    stack = [id_]
    while stack:
        for one in before.get(stack.pop(), ()):
            if one not in found:
                found.add(one)
                stack.append(one)
    return found
