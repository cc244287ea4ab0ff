"""A worker: takes what nobody runs, for as long as it lives, and leaves nothing half done when it is told to stop.

What it may take are executions that were submitted, those of workers that are dead, and those that were let go of.
It owns them from then on, asleep or not: what is due or has come for them wakes them here.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from actum.engine.rules.folding import fold
from actum.engine.rules.state import is_recovery
from actum.engine.runtime.engine import Engine
from actum.engine.runtime.pace import Pace
from actum.engine.runtime.ports import TaskQueue, ViewQueue
from actum.errors import ExecutionFailed, ExecutionParked, Fenced, OwnedElsewhere, StoreError
from actum.events import to_text
from actum.eventstore.tables.owners import KINDS_THAT_RUN, OPEN

if TYPE_CHECKING:
    from actum.engine.runtime.run import Run

__all__ = ["Worker"]

log = logging.getLogger("actum.worker")

_TELL_S = 1.0
_REFUSED_S = 30.0
"""How long an execution that cannot run here is left alone; the code may have come by then."""
_AGAIN_S = 5.0
"""How long an execution of its own rests that was stopped by an error: a store that was away, a bug."""
_SHOWN = 20
"""Refused executions that it names for others to see."""


class Worker:
    """Runs on an engine of its own. `run` returns when `stop` was called and everything is let go of.

    - `concurrency`: how many executions it has under way; what only waits does not count.
    - `workflows`: takes only executions of these. None: all.
    - `drain_timeout_s`: how long attempts that are under way may go on when it stops.

    An execution that has taken a worker down before is a suspect: it is begun after all others, one at a time, so that
    it takes none of them with it again. One whose code is not here is left as it is.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        concurrency: int = 50,
        workflows: Sequence[str] | None = None,
        drain_timeout_s: float = 30.0,
    ) -> None:
        self._engine = engine
        self._concurrency = concurrency
        self._workflows = None if workflows is None else tuple(workflows)
        self._drain_timeout_s = drain_timeout_s
        self._queue = _queue_of(engine)
        self._engine.when_left = self._left
        self._stopping = asyncio.Event()
        self._since = to_text(engine.world.now_us())
        self._progress_at: str | None = None
        self._refused: dict[str, tuple[str, float]] = {}
        """Why an execution was left, and when it is looked at again."""
        self._again: dict[str, float] = {}
        """Executions of its own that an error has stopped, and when they are begun again."""
        self._suspects: dict[str, int] = {}
        """Recoveries by id."""
        self._suspect: Run | None = None
        self._told_at = -_TELL_S
        self._told: dict[str, Any] = {}
        self._ended = 0
        self._pace = Pace(engine.owners, engine.worker, lambda: engine.loop.time())

    def stop(self) -> None:
        """Take nothing new, and let `run` come to its end."""
        self._stopping.set()
        self._engine.moved.set()

    async def run(self) -> int:
        """Take and finish what is due until `stop`. Returns how many executions were cut off at the end.

        Raises `MissingService`, before anything is taken, when code that was registered asks for a service that the
        engine does not have. Code that comes from the log is looked at when its execution is: that is left as it is.
        """
        engine = self._engine
        engine.check_services(self._workflows)
        engine.watch_always()
        log.info("worker started", extra=self._about())
        self._take_back()
        while not self._stopping.is_set():
            moved = engine.moved.is_set()
            engine.moved.clear()
            try:
                if self._pace.is_time(moved=moved) or self._is_due():
                    self._pace.took(self._take())
            except StoreError as exc:
                log.warning("the store could not be used", extra={"error": str(exc)})
                self._pace.failed()
            self._tell()
            with suppress(TimeoutError):
                await asyncio.wait_for(engine.moved.wait(), self._pace.rest_s(self._dues()))
        log.info("worker stops", extra={"worker": engine.worker, "under_way": self._busy()})
        self._queue.close()
        cut_off = await engine.drain(self._drain_timeout_s)
        log.info("worker stopped", extra={"worker": engine.worker, "ended": self._ended, "cut_off": cut_off})
        return cut_off

    # -- taking ------------------------------------------------------------------------------------------------------

    def _busy(self) -> int:
        return sum(not run.at_rest for run in self._engine.runs)

    def _dues(self) -> list[float]:
        """When something of its own is to be looked at, in the loop's time."""
        untold = [] if self._about() == self._told else [self._told_at + _TELL_S]
        return [*self._again.values(), *(at for _, at in self._refused.values()), *untold]

    def _is_due(self) -> bool:
        now = self._engine.loop.time()
        return any(at <= now for at in (*self._again.values(), *(at for _, at in self._refused.values())))

    def _take_back(self) -> None:
        """What a worker of this name had when it was last here is this one's already."""
        mine = {"status": OPEN, "kind": KINDS_THAT_RUN, "owner": self._engine.worker}
        if self._workflows is not None:
            mine["workflow"] = self._workflows
        for row in self._engine.store.view("executions", mine, order="started_at"):
            self._begin(row)

    def _take(self) -> int:
        """Begin what there is room for; how many executions were begun."""
        engine, now = self._engine, self._engine.loop.time()
        self._refused = {id_: why for id_, why in self._refused.items() if why[1] > now}
        for id_ in [id_ for id_, at in self._again.items() if at <= now]:
            del self._again[id_]
            self._begin({"id": id_, "owner": engine.worker})
        room = self._concurrency - self._busy()
        begun = 0
        if room > 0:
            begun_here = (run.id for run in engine.runs if not run.at_rest)  # their claims may be on their way
            but = {*self._refused, *self._suspects, *begun_here}
            for row in self._queue.take(engine.worker, room, workflows=self._workflows, but=but):
                begun += self._begin(row)
        return begun or self._begin_suspect()

    def _begin(self, row: dict[str, Any]) -> bool:
        """Take one execution over, unless it is a suspect, whose turn comes later."""
        id_ = row["id"]
        if row["owner"]:
            state = fold(id_, self._engine.store.read_stream(f"execution/{id_}"))
            if state.recoveries and is_recovery(state):
                self._suspects[id_] = state.recoveries
                return False
        return self._resume(id_) is not None

    def _begin_suspect(self) -> bool:
        """The suspect that has done the least harm, when the one before is done and nothing else can be taken."""
        if not self._suspects or (self._suspect is not None and not self._suspect.dropped):
            return False
        id_ = min(self._suspects, key=lambda one: (self._suspects[one], one))
        recoveries = self._suspects.pop(id_)
        log.warning("suspect begun", extra={"execution": id_, "recoveries": recoveries})
        self._suspect = self._resume(id_)
        return self._suspect is not None

    def _resume(self, id_: str) -> Run | None:
        engine = self._engine
        try:
            run = engine.bring(id_)
        except StoreError:
            raise
        except OwnedElsewhere:
            return None  # somebody was faster
        except Exception as exc:  # noqa: BLE001 - whatever is wrong with one, the others go on
            self._refused[id_] = (f"{type(exc).__name__}: {exc}", engine.loop.time() + _REFUSED_S)
            log.warning("left", extra={"execution": id_, "error": f"{type(exc).__name__}: {exc}"})
            return None
        log.info("took", extra={"execution": id_, "workflow": run.state.workflow})
        return run

    def _left(self, id_: str, error: BaseException | None) -> None:
        if error is None or isinstance(error, ExecutionFailed):
            if self._stopping.is_set() and isinstance(error, ExecutionFailed) and error.status == "left":
                return
            self._ended += 1
            self._progress_at = to_text(self._engine.world.now_us())
            status = "completed" if error is None else error.status
            log.info("ended", extra={"execution": id_, "status": status})
        elif isinstance(error, ExecutionParked):
            log.warning("parked", extra={"execution": id_, "reason": error.reason})
        else:
            log.warning("let go", extra={"execution": id_, "error": f"{type(error).__name__}: {error}"})
            if not isinstance(error, Fenced):
                self._again[id_] = self._engine.loop.time() + _AGAIN_S

    # -- telling -----------------------------------------------------------------------------------------------------

    def _tell(self) -> None:
        """What has changed, and not more often than once a second."""
        now, about = self._engine.loop.time(), self._about()
        if about != self._told and now - self._told_at >= _TELL_S:
            self._told_at, self._told = now, about
            self._engine.owners.tell(self._engine.worker, about)

    def _about(self) -> dict[str, Any]:
        """What others may see of it."""
        return {
            "worker": self._engine.worker,
            "since": self._since,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "concurrency": self._concurrency,
            "workflows": None if self._workflows is None else list(self._workflows),
            "under_way": self._busy(),
            "ended": self._ended,
            "progress_at": self._progress_at,
            "refused": {id_: why for id_, (why, _) in list(self._refused.items())[:_SHOWN]},
            "suspects": list(self._suspects)[:_SHOWN],
        }


def _queue_of(engine: Engine) -> TaskQueue:
    if hasattr(engine.store, "queue"):
        of_store: TaskQueue = engine.store.queue()
        return of_store
    return ViewQueue(engine.store, engine.owners, engine.world.chance)
