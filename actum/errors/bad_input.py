"""What was given is wrong. Nothing was written."""

from __future__ import annotations

from dataclasses import dataclass

from actum.errors.base import BadInput

__all__ = [
    "ControlRefused",
    "DefinitionError",
    "ExecutionEnded",
    "IdTaken",
    "ImportRefused",
    "NotWaiting",
    "ProfileError",
    "UnknownExecution",
    "UnknownSchedule",
    "WorkflowDeprecated",
]


@dataclass(eq=False)
class ProfileError(BadInput):
    """A value lies outside the canonical profile of event headers."""

    path: str
    kind: str
    problem: str

    def __str__(self) -> str:
        return f"{self.path} {self.problem}; nothing was written"


@dataclass(eq=False)
class DefinitionError(BadInput):
    """A workflow definition that cannot run. `path` is a JSON path inside `source`."""

    source: str
    path: str
    problem: str

    def __str__(self) -> str:
        return f"{self.source}: {self.path}: {self.problem}"


@dataclass(eq=False)
class WorkflowDeprecated(BadInput):
    """A published definition that is not to be started any more. Nothing was started."""

    workflow: str
    definition: str
    since: str
    reason: str = ""

    def __str__(self) -> str:
        why = f": {self.reason}" if self.reason else ""
        return (
            f"workflow {self.workflow!r} as {self.definition[:19]}… is deprecated since {self.since[:10]}{why}; "
            f"nothing was started. Start a newer definition, or publish this one again"
        )


@dataclass(eq=False)
class ImportRefused(BadInput):
    """A foreign file that cannot be imported. Nothing of it was written."""

    source: str
    where: str
    problem: str

    def __str__(self) -> str:
        return f"{self.source}: {self.where}: {self.problem}; nothing was imported"


@dataclass(eq=False)
class UnknownExecution(BadInput):
    """There is no execution of this id in the store."""

    execution: str
    hint: str = ""

    def __str__(self) -> str:
        return f"no execution {self.execution!r} in this store{self.hint}"


@dataclass(eq=False)
class UnknownSchedule(BadInput):
    """No schedule of this name, or one that was removed. Nothing was written."""

    name: str
    hint: str = ""

    def __str__(self) -> str:
        return f"there is no schedule {self.name!r} here{self.hint}; nothing was written"


@dataclass(eq=False)
class NotWaiting(BadInput):
    """The approval is not open, so a decision on it has no effect. Nothing was written."""

    execution: str
    approval: str
    status: str

    def __str__(self) -> str:
        return f"approval {self.approval!r} of execution {self.execution!r} is {self.status}; nothing was recorded"


@dataclass(eq=False)
class ControlRefused(BadInput):
    """The execution is not in a state in which this can be done to it. Nothing was written."""

    execution: str
    asked: str
    """What was to be done to it: `paused`, `resumed`, `cancelled`, `retried` or `changed`."""
    why: str

    def __str__(self) -> str:
        return f"execution {self.execution!r} cannot be {self.asked}: {self.why}; nothing was recorded"


@dataclass(eq=False)
class IdTaken(BadInput):
    """An execution of this id is there, and it is another one. Nothing was written."""

    execution: str
    what: str
    """What differs: `workflow` or `input`."""
    recorded: str = ""
    asked: str = ""

    def __str__(self) -> str:
        if self.what == "workflow":
            differs = f"of workflow {self.recorded!r}, not {self.asked!r}"
        else:
            differs = "with another input"
        return f"execution {self.execution!r} is there already, {differs}; nothing was started. Choose another id."


@dataclass(eq=False)
class ExecutionEnded(BadInput):
    """The execution has ended, so nothing reaches it any more. Nothing was written."""

    execution: str
    status: str
    refused: str

    def __str__(self) -> str:
        return f"execution {self.execution!r} has ended ({self.status}); {self.refused}"
