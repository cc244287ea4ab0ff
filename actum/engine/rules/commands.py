"""What can be asked of an execution. Every command carries the time, in microseconds since the epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from actum.engine.resources.needs import Hold
from actum.engine.rules.budgets import Budget, Estimate
from actum.engine.rules.calls import Failure, Wish
from actum.engine.rules.retry import Retry
from actum.events import PAYLOAD_LIMIT_BYTES

__all__ = [
    "Admit",
    "Begin",
    "Cancel",
    "Claim",
    "Command",
    "DecideApproval",
    "GiveInput",
    "Grant",
    "Park",
    "ParkDiverged",
    "ParkErased",
    "Pause",
    "Preempt",
    "Proceed",
    "Queue",
    "RecordCancelled",
    "RecordFailure",
    "RecordSuccess",
    "RecordUndo",
    "RecordUndoFailure",
    "Refuse",
    "RefuseHold",
    "Release",
    "RetryByHand",
    "RunAgain",
    "SendSignal",
    "SkipByHand",
    "Tick",
    "Unpause",
    "UpgradeCode",
]


@dataclass(frozen=True, slots=True)
class Begin:
    """Start the execution."""

    at: int
    workflow: str
    kind: Literal["function", "graph", "asl", "serverless"]
    definition: str
    input: bytes | None
    key: str | None = None
    """The data key of the person that the execution is about."""
    deadline_us: int | None = None
    priority: int = 0
    tags: tuple[str, ...] = ()
    attributes: Mapping[str, str | int | bool] | None = None
    trace: str | None = None
    """The `traceparent` of whoever started it."""
    parent: str | None = None
    parent_key: str | None = None
    previous: str | None = None
    first: str | None = None
    first_at: str | None = None
    used: Mapping[str, int] | None = None
    """What the executions that it continues have used."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Take the execution over; `doubts` says what to do with attempts whose end was never recorded, by key."""

    at: int
    worker: str
    doubts: Mapping[str, Literal["retry", "verify", "park"]]
    max_recoveries: int | None = None
    """After so many recoveries without progress it is parked as poison, instead of begun again. None: never."""


@dataclass(frozen=True, slots=True)
class Release:
    """Let go of the execution though something of it runs."""

    at: int
    worker: str


@dataclass(frozen=True, slots=True)
class UpgradeCode:
    """Go on under another definition, which was replayed dry against the record and asked for the same."""

    at: int
    definition: str


class Proceed(NamedTuple):
    """Do what the workflow wants next, as far as it may be done now. `wishes` holds all that is not recorded yet."""

    at: int
    wishes: Sequence[Wish]
    limit_bytes: int = PAYLOAD_LIMIT_BYTES
    """Of a payload, in this store."""
    budget: Budget | None = None
    """Of the whole execution."""


class RecordSuccess(NamedTuple):
    """An attempt returned; `result` is the payload to record."""

    at: int
    key: str
    attempt: int
    result: bytes | None
    duration_us: int
    used: Mapping[str, Any] | None = None
    """What it has used, as facts."""


@dataclass(frozen=True, slots=True)
class RecordFailure:
    """An attempt raised, or took longer than `timeout_us`; `chance` in [0, 1) draws the jitter of the next wait."""

    at: int
    key: str
    attempt: int
    failure: Failure
    duration_us: int
    retry: Retry
    chance: float
    timeout_us: int | None = None
    used: Mapping[str, Any] | None = None
    budget: Budget | None = None
    """What must not be overrun by another attempt."""
    estimate: Estimate | None = None


class Grant(NamedTuple):
    """A step that was scheduled has been given all that it needs."""

    at: int
    key: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """A step that was scheduled is not given what it needs: a failure of the attempt that did not begin."""

    at: int
    key: str
    failure: Failure
    retry: Retry
    chance: float


@dataclass(frozen=True, slots=True)
class Queue:
    """The execution is to hold this from before its first step until its end."""

    at: int
    hold: Hold


@dataclass(frozen=True, slots=True)
class Admit:
    """It has been given what it is to hold."""

    at: int


@dataclass(frozen=True, slots=True)
class RefuseHold:
    """It is not given what it is to hold, and never began."""

    at: int
    failure: Failure


@dataclass(frozen=True, slots=True)
class Preempt:
    """Somebody who goes first waits for what it holds: give it back, if no step is under way."""

    at: int
    priority: int
    compensation: bool = False


class RecordCancelled(NamedTuple):
    """An attempt was stopped, because the execution is to end."""

    at: int
    key: str
    attempt: int
    used: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class RunAgain:
    """A doubtful attempt was verified not to have happened."""

    at: int
    key: str


@dataclass(frozen=True, slots=True)
class Park:
    """Nobody could say whether a doubtful attempt happened: a person must look."""

    at: int
    key: str
    detail: str


@dataclass(frozen=True, slots=True)
class ParkErased:
    """What the execution needs to go on was erased, so nobody can: a person must look."""

    at: int
    version: int
    what: str


@dataclass(frozen=True, slots=True)
class ParkDiverged:
    """Today's code asks for something else than was recorded: a person must look, or bring fitting code."""

    at: int
    recorded: str
    asked: str
    where: str
    definition: str | None = None


@dataclass(frozen=True, slots=True)
class SendSignal:
    """Somebody sends a signal; `value` is its payload. The same `signal_id` twice is one signal."""

    at: int
    name: str
    value: bytes | None
    signal_id: str | None = None


@dataclass(frozen=True, slots=True)
class RecordUndo:
    """A compensation returned."""

    at: int
    key: str
    attempt: int
    duration_us: int


@dataclass(frozen=True, slots=True)
class RecordUndoFailure:
    """A compensation raised."""

    at: int
    key: str
    attempt: int
    failure: Failure
    duration_us: int
    retry: Retry
    chance: float
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed: whatever is due by `at` happens."""

    at: int


@dataclass(frozen=True, slots=True)
class DecideApproval:
    """A person answers. `shown` is the payload digest of the request they answer."""

    at: int
    key: str
    granted: bool
    person: str
    shown: str
    comment: bytes | None


@dataclass(frozen=True, slots=True)
class GiveInput:
    """The input that the execution has asked for under this key; `value` is the payload to record."""

    at: int
    key: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Pause:
    """Start nothing new until further notice."""

    at: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Unpause:
    """Go on after a pause."""

    at: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """End as soon as possible: after cleaning up and undoing, or, with `force`, at once."""

    at: int
    compensate: bool = True
    force: bool = False
    said: bytes | None = None
    by: Literal["user", "system"] = "user"


@dataclass(frozen=True, slots=True)
class RetryByHand:
    """Try again what failed or is in doubt; `failed` are the steps of which the workflow has made nothing yet."""

    at: int
    failed: Sequence[str]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SkipByHand:
    """Let this result stand in the place of a step's; `failed` as for `RetryByHand`."""

    at: int
    key: str
    failed: Sequence[str]
    reason: str
    result: bytes | None


Command = (
    Begin
    | Claim
    | Release
    | UpgradeCode
    | Proceed
    | RecordSuccess
    | RecordCancelled
    | RecordFailure
    | RunAgain
    | Park
    | ParkErased
    | ParkDiverged
    | SendSignal
    | RecordUndo
    | RecordUndoFailure
    | Tick
    | DecideApproval
    | Pause
    | Unpause
    | Cancel
    | RetryByHand
    | SkipByHand
    | GiveInput
    | Grant
    | Refuse
    | Queue
    | Admit
    | RefuseHold
    | Preempt
)
