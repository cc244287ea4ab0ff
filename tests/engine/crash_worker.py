"""The processes of `test_crash.py`: each runs three workflows on a SQLite file, and kills itself when it is told to.

Started as a script, this is a nursery: it has imported everything, reads jobs, a list of them a line, and forks a
process for each. It never opens a store and never starts a thread, so what it forks begins as clean as a new
interpreter would.

What happens is written to a journal beside the store, one line a write, so that it survives the kill in the order in
which it happened: `opened` with the head of the log, `durable` for an append whose answer is about to be heard,
`effect` from inside a step or a compensation, `ended` with the results.
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

from actum.engine import Approval, Engine, Retry, Workflow, current_step, step, workflow
from actum.errors import ExecutionFailed, Fenced, NotWaiting, OwnedElsewhere
from actum.eventstore import Appended, Batch, EventStore, open_store

PATIENCE_S = 30
"""A process that has not ended by then is ended, and fails the test."""
QUICK = Retry(attempts=3, first_delay_s=0.002)


class Journal:
    """Lines that are on the disk, in order, when `write` returns."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(self, *line: Any) -> None:
        os.write(self._file, orjson.dumps(line) + b"\n")
        os.fsync(self._file)


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


# -- what runs ---------------------------------------------------------------------------------------------------------

journal: Journal
"""Of this process; `live` opens it."""


def leave_a_mark() -> int:
    """The effect of a step: a line for this attempt. Returns the attempt's number."""
    me = current_step()
    assert me is not None
    journal.write("effect", me.execution, me.key, me.attempt)
    return me.attempt


@step
async def add(n: int) -> int:
    leave_a_mark()
    return n + 1


@step
def double(n: int) -> int:
    leave_a_mark()
    return n * 2


@step(retries=QUICK)
async def flaky(n: int) -> int:
    if leave_a_mark() == 1:
        raise ConnectionError("not yet")
    return n


@workflow
async def order(ctx: Any) -> Any:
    """Steps one after the other, one that fails at first, two branches, a short sleep."""

    async def branch(n: int) -> int:
        return await double(await add(n))

    first = await flaky(await add(1))
    pair = await ctx.gather(branch(first), branch(10))
    await ctx.sleep(0.005)
    return [*pair, await add(first)]


@step(retries=QUICK)
async def cancel(what: str) -> None:
    if leave_a_mark() == 1 and what == "hotel":
        raise ConnectionError("nobody answers")


@step(compensate=cancel)
async def book(what: str) -> str:
    leave_a_mark()
    return what


@step
def board() -> None:
    leave_a_mark()
    raise OSError("no seats")


@workflow
async def trip(ctx: Any) -> None:
    """Fails at its end, and is undone."""
    for what in ("train", "hotel", "car"):
        await book(what)
    await board()


@step
async def ship(by: str) -> str:
    leave_a_mark()
    return f"shipped for {by}"


@workflow
async def release(ctx: Any) -> str:
    """Waits for a person before its only step."""
    decision = await ctx.approve(Approval("Ship?", name="ok"))
    return await ship(decision["by"])


# -- one process -------------------------------------------------------------------------------------------------------


async def ended(engine: Engine, flow: Workflow) -> Any:
    """What became of it, whoever finishes it: while another process owns it, look again a little later."""
    while True:
        try:
            handle = await engine.start(flow, id=flow.name)
            if await handle.wait_asking():
                await engine.approve(flow.name, "ok", by="p-1")
            return await handle.result()
        except ExecutionFailed as exc:
            return [exc.status, exc.error_type, exc.message]
        except (OwnedElsewhere, Fenced, NotWaiting):
            await asyncio.sleep(0.01)


async def finish(store: Any) -> Any:
    """Recover what was left, start what is not there yet, answer the question, and wait for every end."""
    flows = (order, trip, release)
    async with Engine(store) as engine:
        engine.register(*flows)
        _, refused = await engine.recover()
        assert all(isinstance(error, OwnedElsewhere) for error in refused.values()), refused
        ends = await asyncio.gather(*(ended(engine, flow) for flow in flows))
        return {flow.name: end for flow, end in zip(flows, ends, strict=True)}


def live(url: str, lines: str, kill_at: int, mode: str) -> None:
    """From opening the store to the end of everything, or to the kill."""
    global journal
    journal = Journal(lines)
    store = open_store(url)
    journal.write("opened", store.head())
    results = asyncio.run(finish(Deadly(store, journal, kill_at, mode)))
    journal.write("ended", results)
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
