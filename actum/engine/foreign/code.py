"""A foreign definition as code that the engine runs, beside durable functions and graphs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Literal

import orjson

from actum.engine.foreign.tasks import Bindings, Bound
from actum.engine.graphs.code import CodeFinder
from actum.engine.graphs.place import Place
from actum.engine.payloads.classes import Classes
from actum.engine.rules.calls import Planner
from actum.errors import near_miss

__all__ = ["Foreign"]


@dataclass(frozen=True)
class Foreign(ABC):
    """A definition in another engine's language, checked, and the functions its tasks are bound to.

    It never changes. Two are the same when definition and bindings are: `digest` says so.
    """

    kind: ClassVar[Literal["asl", "serverless"]]

    name: str
    definition: Mapping[str, Any]
    tasks: Bindings = field(default_factory=dict)
    base: Path | None = None
    source: str = "(a definition)"

    @property
    def place(self) -> Place:
        return Place(self.source)

    @property
    def classes(self) -> Classes | None:
        """Nothing is declared of its payloads."""
        return None

    def to_json(self) -> dict[str, Any]:
        """All that it is, as plain JSON: `load_foreign` makes an equal one of it."""
        tasks = {name: code.ref for name, code in self.tasks.items()}
        return {"kind": self.kind, "name": self.name, "definition": self.definition, "tasks": tasks}

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON, as `sha256:<hex>`."""
        return "sha256:" + sha256(orjson.dumps(self.to_json(), option=orjson.OPT_SORT_KEYS)).hexdigest()

    @cached_property
    def bound(self) -> Mapping[str, Bound]:
        """The functions, found and imported. Raises `DefinitionError` for one that is not there or cannot be called."""
        finder = CodeFinder(self.base, {})
        place = self.place / "tasks"
        return {name: Bound(code, finder, place / name) for name, code in self.tasks.items()}

    @abstractmethod
    def task_names(self) -> set[str]:
        """Every name under which a function can be bound to one of its tasks."""

    @abstractmethod
    def unbound(self) -> dict[str, str]:
        """Tasks without a function: the path of each, and the names under one of which it can be bound."""

    def check_bindings(self) -> None:
        """Raise `DefinitionError` for a function that is bound to what no task is called."""
        known = self.task_names()
        for name in self.tasks:
            if name not in known:
                raise (self.place / "tasks").error(f"no task is called {name!r}{near_miss(name, known)}")

    def notes(self) -> list[str]:
        """What it says that has no effect here, and has to be seen to otherwise."""
        return []

    def build(self) -> Foreign:
        """The same, now known to be able to run. Raises `DefinitionError`, naming the first task that is missing."""
        _ = self.bound
        missing = self.unbound()
        for path, names in missing.items():
            more = f" ({len(missing) - 1} more like it)" if len(missing) > 1 else ""
            raise Place(self.source, path).error(f"no function is bound to this task; bind one to {names}{more}")
        return self

    def prepare(self, workflow_input: Any) -> Any:
        """The input as it is recorded. Raises `BadInput` when the definition does not accept it."""
        return {} if workflow_input is None else workflow_input

    @abstractmethod
    def planner(self, execution: str) -> Planner:
        """A new planner for one execution."""
