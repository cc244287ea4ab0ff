"""What can be asked of an execution. Every command carries the time, in microseconds since the epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from actum.engine.calls import Failure, Wish
from actum.engine.retry import Retry
from actum.events import PAYLOAD_LIMIT_BYTES

__all__ = [
    "Begin",
    "Claim",
    "Command",
    "DecideApproval",
    "Park",
    "ParkErased",
    "Proceed",
    "RecordFailure",
    "RecordSuccess",
    "RecordUndo",
    "RecordUndoFailure",
    "RunAgain",
    "Tick",
    "UpgradeCode",
]


@dataclass(frozen=True, slots=True)
class Begin:
    """Start the execution."""

    at: int
    workflow: str
    kind: Literal["function", "graph"]
    definition: str
    input: bytes | None
    key: str | None = None
    """The data key of the person that the execution is about."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Take the execution over; `doubts` says what to do with attempts whose end was never recorded, by key."""

    at: int
    worker: str
    doubts: Mapping[str, Literal["retry", "verify", "park"]]


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


class RecordSuccess(NamedTuple):
    """An attempt returned; `result` is the payload to record."""

    at: int
    key: str
    attempt: int
    result: bytes | None
    duration_us: int


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


Command = (
    Begin
    | Claim
    | UpgradeCode
    | Proceed
    | RecordSuccess
    | RecordFailure
    | RunAgain
    | Park
    | ParkErased
    | RecordUndo
    | RecordUndoFailure
    | Tick
    | DecideApproval
)
