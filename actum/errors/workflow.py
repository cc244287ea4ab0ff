"""What can become of running workflows, and of the processes that run them."""

from __future__ import annotations

from dataclasses import dataclass

from actum.errors.base import ActumError, BadInput

__all__ = [
    "ApprovalRejected",
    "BudgetExceeded",
    "ChildFailed",
    "ErasureRefused",
    "ExecutionFailed",
    "ExecutionParked",
    "ExecutionPaused",
    "Fenced",
    "ForeignAwait",
    "Incomplete",
    "Mismatch",
    "MissingService",
    "NoCode",
    "OwnedElsewhere",
    "PayloadErased",
    "ReplayDiverged",
    "SignalTimeout",
    "StepFailed",
    "WorkerProcessDied",
    "WorkflowError",
]


class WorkflowError(ActumError):
    """Something about a running workflow."""


@dataclass(eq=False)
class StepFailed(WorkflowError):
    """A step used up its attempts. Raised where the workflow awaits the step; may be caught there."""

    step: str
    error_type: str
    message: str

    def __str__(self) -> str:
        return f"step {self.step!r} failed: {self.error_type}: {self.message}"


@dataclass(eq=False)
class ApprovalRejected(WorkflowError):
    """The answer was no, or none came before the deadline. Raised where the workflow awaits the approval."""

    approval: str
    outcome: str
    by: str
    comment: str

    def __str__(self) -> str:
        said = f": {self.comment}" if self.comment else ""
        return f"approval {self.approval!r} was {self.outcome} by {self.by}{said}"


@dataclass(eq=False)
class Incomplete(WorkflowError):
    """As far as it goes without more input.

    A step of a graph that returns or raises it runs again when more input has come. Who waits for the result of such
    an execution gets it raised, with what the execution has said so far; `engine.continue_` gives it more input.
    """

    output: object = None
    execution: str = ""
    request: str = ""
    """The key of what is asked for."""

    def __str__(self) -> str:
        if not self.execution:
            return "more input is needed"
        return f"execution {self.execution!r} waits for more input ({self.request}); engine.continue_ gives it"


@dataclass(eq=False)
class BudgetExceeded(WorkflowError):
    """A budget does not allow for another step. The step was not started, and has failed for good with this type.

    Amounts are as they are shown; `reserved` is what is kept for steps under way, `asked` what this one would use.
    """

    step: str
    unit: str
    """`steps`, `seconds`, `tokens` or `dollars`."""
    budget: str
    used: str
    reserved: str = "0"
    asked: str = "0"

    def __str__(self) -> str:
        more = [f"{self.reserved} reserved"] if self.reserved != "0" else []
        more += [f"{self.asked} asked for"] if self.asked != "0" else []
        said = ", ".join((f"{self.used} used", *more))
        return f"step {self.step!r} was not started: the budget is {self.budget} {self.unit}; {said}"


@dataclass(eq=False)
class SignalTimeout(WorkflowError):
    """No signal came in time. Raised where the workflow waits for it."""

    signal: str

    def __str__(self) -> str:
        return f"no signal {self.signal!r} came in time"


@dataclass(eq=False)
class ChildFailed(WorkflowError):
    """An execution that this one started ended without success. Raised where the workflow awaits it."""

    child: str
    execution: str
    error_type: str
    message: str

    def __str__(self) -> str:
        return f"child {self.child!r} (execution {self.execution!r}) failed: {self.error_type}: {self.message}"


@dataclass(eq=False)
class Mismatch(WorkflowError):
    """A value does not fit the type that is declared for it. `what` names it; `problem` says where, and why not."""

    what: str
    problem: str

    def __str__(self) -> str:
        return f"{self.what}: {self.problem}"


@dataclass(eq=False)
class ExecutionFailed(WorkflowError):
    """The execution ended without success."""

    execution: str
    status: str
    error_type: str
    message: str

    def __str__(self) -> str:
        return f"execution {self.execution!r} {self.status}: {self.error_type}: {self.message}"


@dataclass(eq=False)
class ExecutionParked(WorkflowError):
    """The execution was left as it is until a person looks at it."""

    execution: str
    reason: str

    def __str__(self) -> str:
        return f"execution {self.execution!r} is parked: {self.reason}"


@dataclass(eq=False)
class ExecutionPaused(WorkflowError):
    """Somebody has paused the execution; nothing of it starts until somebody ends the pause."""

    execution: str

    def __str__(self) -> str:
        return (
            f"execution {self.execution!r} is paused; nothing was done. "
            f"End the pause first: actum executions resume {self.execution}"
        )


@dataclass(eq=False)
class ReplayDiverged(WorkflowError):
    """Today's code asks for something else than was recorded. The execution was left as it is."""

    execution: str
    recorded: str
    asked: str
    where: str = ""

    def __str__(self) -> str:
        at = f" at {self.where}" if self.where else ""
        return (
            f"execution {self.execution!r}: the record has {self.recorded}, the code now asks for {self.asked}{at}. "
            "The execution was left as it is; deploy the old code to finish it."
        )


@dataclass(eq=False)
class ForeignAwait(WorkflowError):
    """A workflow may await only steps and what `ctx` offers: anything else could not be replayed."""

    execution: str
    awaited: str
    where: str

    def __str__(self) -> str:
        return (
            f"execution {self.execution!r}: {self.where} awaits {self.awaited}, which the engine cannot record. "
            "Move it into a @step, or use what ctx offers."
        )


@dataclass(eq=False)
class MissingService(WorkflowError, BadInput):
    """A step asks for a service that its engine does not have."""

    step: str
    service: str
    hint: str = ""

    def __str__(self) -> str:
        return (
            f"step {self.step!r} asks for the service {self.service!r}, which the engine does not have{self.hint}; "
            f"give it with Engine(services={{{self.service!r}: …}})"
        )


@dataclass(eq=False)
class NoCode(WorkflowError):
    """The code that an execution runs cannot be found. The execution was left as it is."""

    workflow: str
    problem: str

    def __str__(self) -> str:
        return f"workflow {self.workflow!r}: {self.problem}. The execution was left as it is."


@dataclass(eq=False)
class PayloadErased(WorkflowError):
    """A recorded value that is needed was erased, so nobody can tell it any more. The execution goes no further."""

    execution: str
    version: int
    what: str

    def __str__(self) -> str:
        return (
            f"execution {self.execution!r}: the payload of its event {self.version} ({self.what}) was erased, so it "
            f"cannot be told; `actum executions show {self.execution}` says when and by whom"
        )


@dataclass(eq=False)
class OwnedElsewhere(WorkflowError):
    """A worker that is alive is running the execution. Nothing was done."""

    execution: str
    owner: str

    def __str__(self) -> str:
        return f"execution {self.execution!r} is being run by worker {self.owner}, which is alive; nothing was done"


@dataclass(eq=False)
class WorkerProcessDied(ActumError):
    """The process that ran an attempt ended before the attempt did. It is the attempt's failure.

    `code` is its exit code, less than 0 for a signal; None when nobody can say.
    """

    code: int | None

    def __str__(self) -> str:
        if self.code is None:
            return "the process that ran the step is gone"
        how = f"by signal {-self.code}" if self.code < 0 else f"with code {self.code}"
        return f"the process that ran the step ended {how}"


@dataclass(eq=False)
class ErasureRefused(ActumError):
    """Something stands against an erasure: holds that are in force, or executions that still run. Nothing was erased.

    `holds` and `running` are their ids.
    """

    holds: tuple[str, ...]
    running: tuple[str, ...]

    def __str__(self) -> str:
        why = []
        if self.holds:
            one = len(self.holds) == 1
            why.append(f"{'hold' if one else 'holds'} {_some(self.holds)} {'is' if one else 'are'} in force")
        if self.running:
            one = len(self.running) == 1
            verb = "has" if one else "have"
            why.append(f"{'execution' if one else 'executions'} {_some(self.running)} {verb} not ended")
        return f"nothing was erased: {' and '.join(why)}"


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


@dataclass(eq=False)
class Fenced(ActumError):
    """Another worker owns the execution now; what this worker had planned was not recorded."""

    execution: str
    owner: str

    def __str__(self) -> str:
        return f"execution {self.execution!r} was taken over by {self.owner}; this worker's plan was not recorded"
