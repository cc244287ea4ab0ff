"""A step of a definition file that asks people, in any spelling."""

from __future__ import annotations

from typing import Any

from actum.engine.graphs.definition import GraphStep, Question
from actum.engine.graphs.dialect import read_duration
from actum.engine.graphs.human_form import title_of, unanswerable
from actum.engine.graphs.model import OutputModel, StepModel
from actum.engine.graphs.place import Place
from actum.engine.graphs.templates import canonical

__all__ = ["read_approval"]


def read_approval(model: StepModel, id_: str, name: str, join: Any, place: Place) -> GraphStep:
    """The approval that a checked model stands for. Raises `DefinitionError` for what cannot be honoured."""
    if model.step_class not in (None, "HumanInputStep"):
        raise (place / "step_class").error(f"{model.step_class!r} is not known to ask for approval only; leave it out")
    if any(isinstance(one, OutputModel) for one in model.outputs):
        raise (place / "outputs").error("cannot be chosen: an approval returns status, by and comment")
    shown = [(field, getattr(model, field)) for field in ("context", "inputs", "config") if getattr(model, field)]
    if len(shown) > 1:
        raise (place / shown[1][0]).error(f"and {shown[0][0]} both say what people are shown; keep one")
    context = shown[0][1] if shown else None
    if isinstance(context, list):
        context = {one.name: one.source for one in context}
    if why := unanswerable(context):
        raise (place / shown[0][0] / "ui_schema").error(why)
    deadline = model.deadline if model.deadline is not None else model.config.get("timeout_seconds")
    question = Question(
        canonical(model.title or title_of(context) or name or id_, place / "title"),
        canonical(context, place / (shown[0][0] if shown else "context")),
        model.severity,
        model.policy,
        None if deadline is None else read_duration(deadline, place / "deadline"),
    )
    return GraphStep(
        id_,
        None,
        question,
        name,
        model.description,
        join=join,
        max_visits=model.max_visits,
        where=place.path,
    )
