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

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def near_miss(word: str, known: Iterable[str]) -> str:
    """A hint such as "; did you mean 'charge'?", or nothing when no known word is close."""
    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


class ActumError(Exception):
    """The root of everything actum raises on purpose."""


# -- what was given is wrong ---------------------------------------------------------------------------------


class BadInput(ActumError):
    """The input is wrong. Nothing was written."""


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


# -- the store -----------------------------------------------------------------------------------------------


class StoreError(ActumError):
    """Something about the event store."""


@dataclass(eq=False)
class VersionConflict(StoreError):
    """The stream moved on after the caller read it. Nothing was written."""

    stream: str
    expected: str
    actual: int

    def __str__(self) -> str:
        return (
            f"stream {self.stream!r} is at version {self.actual}, not {self.expected}; "
            "nothing was appended. Load the stream again and decide again."
        )


@dataclass(eq=False)
class IdempotencyConflict(StoreError):
    """An event id was used before for something else. Nothing was written."""

    event: str
    stream: str
    version: int

    def __str__(self) -> str:
        return (
            f"event {self.event} is already recorded at version {self.version} of {self.stream!r} with other "
            "content; nothing was appended. Give a new event a new id."
        )


@dataclass(eq=False)
class StoreUnavailable(StoreError):
    """The answer was lost: the events may be there or not. Appending the same ids again is safe, and tells."""

    reason: str

    def __str__(self) -> str:
        return f"the store did not answer ({self.reason}); append the same events again to learn whether they are there"


@dataclass(eq=False)
class StoreRefused(StoreError):
    """The store cannot be used as asked. Nothing was written."""

    url: str
    problem: str

    def __str__(self) -> str:
        return f"{self.url}: {self.problem}"


@dataclass(eq=False)
class NoTemporaryRoom(StoreError):
    """What does not fit in memory could not be kept in a temporary file. No store was touched."""

    problem: str

    def __str__(self) -> str:
        return (
            f"no temporary file can be used ({self.problem}); nothing was done. Make room there, or let TMPDIR name a "
            "folder that has some."
        )


@dataclass(eq=False)
class StoreDamaged(StoreError):
    """Stored bytes are not what was written."""

    position: int
    problem: str

    def __str__(self) -> str:
        return f"event {self.position}: {self.problem}; run `actum verify` and keep the files as they are"


@dataclass(eq=False)
class ArchiveDamaged(StoreError):
    """A file of the archive is not what was written, or does not belong to this log. Nothing was left behind."""

    source: str
    position: int
    problem: str

    def __str__(self) -> str:
        return f"{self.source}: event {self.position}: {self.problem}"


@dataclass(eq=False)
class EventsArchived(StoreError):
    """Events that were asked for have left the store for the archive. Nothing was read, and nothing was skipped.

    `at` is the first one: a version of `stream`, or a position of the log when that is None. `floor` is the position
    from which on the store holds everything.
    """

    url: str
    stream: str | None
    at: int
    floor: int

    def __str__(self) -> str:
        what = f"event {self.at}" if self.stream is None else f"version {self.at} of stream {self.stream!r}"
        return (
            f"{self.url}: {what} is in the archive, as are all events below position {self.floor}; nothing was read. "
            "Set ACTUM_ARCHIVE to the archive's place, or bring the events back with `actum archive restore`."
        )


@dataclass(eq=False)
class KeyRingRefused(StoreError):
    """A data key cannot be wrapped or unwrapped: the key ring is another, not readable, or not to be reached."""

    ring: str
    key: str
    problem: str

    def __str__(self) -> str:
        return f"{self.ring}: data key {self.key} {self.problem}" if self.key else f"{self.ring}: {self.problem}"


@dataclass(eq=False)
class PayloadUnreadable(StoreError):
    """A payload is there, and cannot be read here. The log itself is as it was."""

    position: int
    problem: str

    def __str__(self) -> str:
        return f"event {self.position}: its payload {self.problem}"


@dataclass(eq=False)
class CheckpointRefused(StoreError):
    """A checkpoint, a signed note or a key is malformed, or not signed by a known key. Believe nothing it says."""

    what: str
    problem: str

    def __str__(self) -> str:
        return f"{self.what}: {self.problem}"


@dataclass(eq=False)
class LogForked(StoreError):
    """The log is not the one whose checkpoints were signed: a restored backup, a stale replica, a rewrite.

    `agrees_to` is the largest signed size at which the log still gives the signed root. Nothing was signed.
    """

    url: str
    size: int
    signed_size: int
    agrees_to: int
    problem: str

    def __str__(self) -> str:
        return (
            f"{self.url}: the log has forked: {self.problem}. It agrees with what was signed up to size "
            f"{self.agrees_to}. Nothing was signed; bring back the log that was signed, and keep this one too. If its "
            "events are lost for good, say so with `actum checkpoint new-epoch`."
        )


@dataclass(eq=False)
class CheckpointMoved(StoreError):
    """Another sealer kept a checkpoint first. This one was not kept; read again and decide again."""

    where: str

    def __str__(self) -> str:
        return f"{self.where}: another checkpoint was kept meanwhile; this one was not"


@dataclass(eq=False)
class TimestampRefused(StoreError):
    """An RFC 3161 time stamp is malformed, of something else, or not from a trusted authority."""

    problem: str

    def __str__(self) -> str:
        return f"time stamp: {self.problem}"


@dataclass(eq=False)
class CursorMoved(StoreError):
    """Another consumer of this name has gone on from there. What this one was doing was undone."""

    name: str
    expected: int
    actual: int

    def __str__(self) -> str:
        return (
            f"subscription {self.name!r} is at position {self.actual}, not {self.expected}: another process runs it "
            "too; nothing was done. Run it once, or as a group of members."
        )


@dataclass(eq=False)
class WrongLog(StoreError):
    """A consumer took an event that this log does not have at that place. Nothing was taken."""

    name: str
    position: int
    event: str
    found: str

    def __str__(self) -> str:
        return (
            f"subscription {self.name!r} has taken event {self.event} at position {self.position}, where this log has "
            f"{self.found}: it is another log, or an older copy of it was restored. Nothing was taken; bring the log "
            "back, or start the subscription under a new name."
        )


# -- who takes events ----------------------------------------------------------------------------------------


class TargetError(ActumError):
    """Something about the system or the code that takes events from the log."""


@dataclass(eq=False)
class TargetUnavailable(TargetError):
    """It cannot take any event now, which says nothing about the event. The same events are given again."""

    target: str
    problem: str
    retry_after_s: float | None = None

    def __str__(self) -> str:
        return f"{self.target}: {self.problem}; the position was left where it was"


@dataclass(eq=False)
class TargetRefused(TargetError):
    """It will never take this event, however often it is given."""

    target: str
    event: str
    problem: str

    def __str__(self) -> str:
        return f"{self.target} refused event {self.event}: {self.problem}"


@dataclass(eq=False)
class TargetGone(TargetError):
    """It wants no more events. Nothing is sent until somebody starts the relay again."""

    target: str
    problem: str

    def __str__(self) -> str:
        return f"{self.target} wants no more events ({self.problem}); the relay has ended where it was"


# -- running workflows ---------------------------------------------------------------------------------------


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
