"""The processes of `test_crash.py`: each runs executions on a store, and kills itself when it is told to.

Started as a script, this is a nursery: it has imported everything, reads jobs, a list of them a line, and forks a
process for each. It never opens a store and never starts a thread, so what it forks begins as clean as a new
interpreter would.

What happens is written to the journal of the job, one line a write, so that it survives the kill in the order in which
it happened: `opened` with the head of the log, `durable` for an append whose answer is about to be heard, `effect` and
`done` around the code of a step or a compensation, `ended` with the results.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import orjson
from crash_flows import FLOWS  # beside this script

from actum.engine import Engine, Graph, Workflow
from actum.errors import (
    ExecutionEnded,
    ExecutionFailed,
    Fenced,
    NotWaiting,
    OwnedElsewhere,
    StoreUnavailable,
    UnknownExecution,
)
from actum.eventstore import Appended, Batch, EventStore, open_store

PATIENCE_S = 120
"""A process that has not ended by then is ended, and fails the test."""


class Journal:
    """Lines that are in order, and that survive the process, when `write` returns."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(self, *line: Any) -> None:
        os.write(self._file, orjson.dumps(line) + b"\n")


class Deadly:
    """A store that kills its process just before an append reaches it, or when it is durable and nobody knows."""

    def __init__(self, store: EventStore, journal: Journal, kill_at: int, mode: str) -> None:
        self._store = store
        self._journal = journal
        self._kill_at = kill_at
        self._mode = mode
        self._count = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def append_soon(self, batch: Batch, done: Callable[[Appended | Exception], None]) -> None:
        self._count += 1
        last = self._count == self._kill_at
        if last and self._mode == "before":
            os.kill(os.getpid(), signal.SIGKILL)

        def answered(answer: Appended | Exception) -> None:
            if last and self._mode == "after":
                os.kill(os.getpid(), signal.SIGKILL)
            if isinstance(answer, Appended):
                ids = [event.id for append in batch for event in append.events]
                self._journal.write("durable", answer.first_position, ids)
            done(answer)

        self._store.append_soon(batch, answered)

    def append(self, batch: Batch) -> Appended:
        answered: Future[Appended | Exception] = Future()
        self.append_soon(batch, answered.set_result)
        answer = answered.result()
        if isinstance(answer, Exception):
            raise answer
        return answer


class Sets:
    """Executions of every flow, once for each of these names, in one process."""

    def __init__(self, engine: Engine, store: Any, journal: Journal, names: list[str]) -> None:
        self._engine = engine
        self._store = store
        self._journal = journal
        self._names = names

    async def mark(self, info: Any, call: Any) -> Any:
        """Around every attempt: what it does to the world is a line in the journal."""
        self._journal.write("effect", info.execution, info.key, info.attempt, self._engine.worker, self._store.head())
        value = await call()
        self._journal.write("done", info.execution, info.key, info.attempt)
        return value

    async def finish(self, recover: bool) -> dict[str, Any]:
        """Go on with what is there, start what is not, answer what is asked, and wait for every end."""
        engine = self._engine
        engine.register(*FLOWS)
        engine.use(self.mark)
        if recover:
            _, refused = await engine.recover()
            assert all(isinstance(error, OwnedElsewhere) for error in refused.values()), refused
        work = [(flow, f"{name}-{flow.name}") for name in self._names for flow in FLOWS]
        ends = await asyncio.gather(*(self._end(flow, id_) for flow, id_ in work))
        return {id_: end for (_, id_), end in zip(work, ends, strict=True)}

    async def _end(self, flow: Workflow | Graph, id_: str) -> Any:
        """What became of it, whoever finishes it: while another process owns it, look again a little later."""
        engine = self._engine
        while True:
            try:
                handle = await engine.start(flow, id=id_)
                if flow.name == "order":
                    await self._signal(id_)
                while await handle.wait_asking():
                    if handle.incomplete is None:
                        await engine.approve(id_, "ok", by="p-1")
                    else:
                        await engine.continue_(id_, 7)
                return await handle.result()
            except ExecutionFailed as exc:
                return [exc.status, exc.error_type, exc.message]
            except (OwnedElsewhere, Fenced, NotWaiting, StoreUnavailable):
                await asyncio.sleep(0.01)

    async def _signal(self, id_: str) -> None:
        """Once, however often it is sent."""
        while True:
            try:
                await self._engine.signal(id_, "paid", 5, signal_id="payment")
            except UnknownExecution:  # its start is on its way to the log
                await asyncio.sleep(0.001)
            except ExecutionEnded:
                return
            else:
                return


async def finish(store: EventStore, journal: Journal, sets: list[str], kill_at: int, mode: str, recover: bool) -> Any:
    deadly: Any = Deadly(store, journal, kill_at, mode)
    async with Engine(deadly, max_recoveries=None, blocked_after_s=None) as engine:
        return await Sets(engine, store, journal, sets).finish(recover)


def live(url: str, journal: str, sets: list[str], kill_at: int, mode: str, recover: bool) -> None:
    """From opening the store to the end of everything, or to the kill."""
    lines = Journal(journal)
    store = open_store(url)
    lines.write("opened", store.head())
    results = asyncio.run(finish(store, lines, sets, kill_at, mode, recover))
    lines.write("ended", results)
    store.close()


def forked(job: dict[str, Any]) -> int:
    """A new process for this job; its id."""
    pid = os.fork()
    if pid:
        return pid
    signal.alarm(PATIENCE_S)
    code = 1
    try:
        live(**job)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def nursery() -> None:
    """Run the jobs of a line side by side; answer with how each ended: 0, or minus the signal."""
    while line := sys.stdin.buffer.readline():
        pids = [forked(job) for job in orjson.loads(line)]
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
        print(orjson.dumps(codes).decode(), flush=True)


if __name__ == "__main__":
    nursery()
