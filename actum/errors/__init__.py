"""Every error that actum raises on purpose.

    ActumError
    ├── BadInput                what was given is wrong; nothing was written
    │   ├── ProfileError        a value outside the canonical profile
    │   ├── DefinitionError     a workflow definition that cannot run
    │   ├── WorkflowDeprecated  a definition that is not to be started any more
    │   ├── ImportRefused       a foreign file that cannot be read whole
    │   ├── UnknownExecution    no such execution
    │   ├── UnknownSchedule     no such schedule
    │   ├── NotWaiting          an approval that is not open
    │   ├── ControlRefused      an execution that cannot be paused, cancelled or changed like that
    │   ├── ExecutionEnded      an execution that has ended takes nothing more
    │   └── IdTaken             the id names an execution of another workflow or input
    ├── StoreError
    │   ├── VersionConflict     the stream moved on; nothing was written
    │   ├── IdempotencyConflict an event id seen before, with other content; nothing was written
    │   ├── StoreUnavailable    the answer was lost: written or not, append the same events again to know
    │   ├── StoreRefused        not a store, not writable, newer than this program; nothing was written
    │   ├── NoTemporaryRoom     what does not fit in memory found no room in a temporary file
    │   ├── StoreDamaged        stored bytes are not what was written
    │   ├── ArchiveDamaged      an archived file is not what was written
    │   ├── EventsArchived      these events have left the store for the archive; nothing was read
    │   ├── KeyRingRefused      a data key cannot be wrapped or unwrapped
    │   ├── PayloadUnreadable   a payload is there, and cannot be read here
    │   ├── CursorMoved         another consumer of the same name went on from there; nothing was done
    │   ├── WrongLog            a consumer's position is not of this log
    │   ├── LogForked           the log is not the one that was signed; nothing was signed
    │   ├── CheckpointMoved     somebody else kept a newer checkpoint meanwhile; nothing was kept
    │   ├── TimestampRefused    a time stamp is not to be believed
    │   └── CheckpointRefused   a checkpoint, its signatures or a key are not to be believed
    ├── WorkflowError
    │   ├── BudgetExceeded      what is spent does not allow for another step (the step's failure)
    │   ├── StepFailed          a step used up its attempts (raised inside the workflow)
    │   ├── ApprovalRejected    a person said no, or the deadline passed (raised inside the workflow)
    │   ├── Incomplete          an execution has come as far as it can without more input
    │   ├── SignalTimeout       no signal came in time (raised inside the workflow)
    │   ├── ChildFailed         an execution that this one started ended badly (raised inside the workflow)
    │   ├── Mismatch            a value does not fit its declared type (raised inside the workflow)
    │   ├── ExecutionFailed     an execution ended badly (raised by `handle.result()`)
    │   ├── ExecutionParked     an execution waits for a person to look at it
    │   ├── ExecutionPaused     an execution is paused, and goes on when a person says so
    │   ├── ReplayDiverged      today's code asks for something else than was recorded
    │   ├── ForeignAwait        a workflow awaited something that is not the engine's
    │   ├── PayloadErased       an execution needs, or would give, what was erased
    │   ├── MissingService      a step asks for a service that the engine does not have
    │   ├── NoCode              the code of an execution cannot be found
    │   └── OwnedElsewhere      a worker that is alive is running the execution
    ├── TargetError
    │   ├── TargetUnavailable   who takes events cannot take any now; the same events are given again
    │   ├── TargetRefused       who takes events will never take this one
    │   └── TargetGone          who took events wants no more
    ├── WorkerProcessDied       the process that ran an attempt is gone (the step's failure)
    ├── ErasureRefused          a legal hold or a running execution stands against it; nothing was erased
    └── Fenced                  another worker owns the execution now

Facts are attributes, so code never parses text. HTTP statuses and exit codes are chosen by the shells.
"""

from __future__ import annotations

from actum.errors.bad_input import (
    ControlRefused,
    DefinitionError,
    ExecutionEnded,
    IdTaken,
    ImportRefused,
    NotWaiting,
    ProfileError,
    UnknownExecution,
    UnknownSchedule,
    WorkflowDeprecated,
)
from actum.errors.base import ActumError, BadInput, near_miss
from actum.errors.store import (
    ArchiveDamaged,
    CheckpointMoved,
    CheckpointRefused,
    CursorMoved,
    EventsArchived,
    IdempotencyConflict,
    KeyRingRefused,
    LogForked,
    NoTemporaryRoom,
    PayloadUnreadable,
    StoreDamaged,
    StoreError,
    StoreRefused,
    StoreUnavailable,
    TimestampRefused,
    VersionConflict,
    WrongLog,
)
from actum.errors.target import TargetError, TargetGone, TargetRefused, TargetUnavailable
from actum.errors.workflow import (
    ApprovalRejected,
    BudgetExceeded,
    ChildFailed,
    ErasureRefused,
    ExecutionFailed,
    ExecutionParked,
    ExecutionPaused,
    Fenced,
    ForeignAwait,
    Incomplete,
    Mismatch,
    MissingService,
    NoCode,
    OwnedElsewhere,
    PayloadErased,
    ReplayDiverged,
    SignalTimeout,
    StepFailed,
    WorkerProcessDied,
    WorkflowError,
)

__all__ = [
    "ActumError",
    "ApprovalRejected",
    "ArchiveDamaged",
    "BadInput",
    "BudgetExceeded",
    "CheckpointMoved",
    "CheckpointRefused",
    "ChildFailed",
    "ControlRefused",
    "CursorMoved",
    "DefinitionError",
    "ErasureRefused",
    "EventsArchived",
    "ExecutionEnded",
    "ExecutionFailed",
    "ExecutionParked",
    "ExecutionPaused",
    "Fenced",
    "ForeignAwait",
    "IdTaken",
    "IdempotencyConflict",
    "ImportRefused",
    "Incomplete",
    "KeyRingRefused",
    "LogForked",
    "Mismatch",
    "MissingService",
    "NoCode",
    "NoTemporaryRoom",
    "NotWaiting",
    "OwnedElsewhere",
    "PayloadErased",
    "PayloadUnreadable",
    "ProfileError",
    "ReplayDiverged",
    "SignalTimeout",
    "StepFailed",
    "StoreDamaged",
    "StoreError",
    "StoreRefused",
    "StoreUnavailable",
    "TargetError",
    "TargetGone",
    "TargetRefused",
    "TargetUnavailable",
    "TimestampRefused",
    "UnknownExecution",
    "UnknownSchedule",
    "VersionConflict",
    "WorkerProcessDied",
    "WorkflowDeprecated",
    "WorkflowError",
    "WrongLog",
    "near_miss",
]
