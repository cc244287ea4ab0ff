"""What people do to executions from outside, and what becomes of them: pausing, cancelling, trying again, skipping."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from actum.engine import Approval, Engine, Graph, Retry, step, workflow
from actum.engine.runtime.control import Control
from actum.errors import (
    BadInput,
    ControlRefused,
    ExecutionFailed,
    ExecutionParked,
    ExecutionPaused,
    IdTaken,
    StepFailed,
    UnknownExecution,
)
from actum.eventstore import EventStore, open_store
from actum.eventstore.memory import MemoryStore
from tests.engine.world import VirtualWorld, engine_on, history, sound, until, virtually

ONCE_MORE = Retry(attempts=2, first_delay_s=0)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventStore]:
    """A fresh store of each kind; whatever a test does, the log is sound when the dust has settled."""
    store = open_store({"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/log.db"}[request.param])
    yield store
    sound(store)
    store.close()


class Effects(list[str]):
    """What steps have done, in order."""

    def step(self, name: str, *, takes_s: float = 0, fails: int = 0, undo_fails: int = 0, **more: Any) -> Any:
        """A step that says so, and after `takes_s` fails so many times."""
        left = [fails]
        undo_left = [undo_fails]

        async def work(*_: Any) -> str:
            self.append(name)
            await asyncio.sleep(takes_s)
            self.append(f"{name} done")
            if left[0]:
                left[0] -= 1
                raise ConnectionError(name)
            return name

        async def undo(_: Any) -> None:
            self.append(f"undo {name}")
            await asyncio.sleep(0.1)
            if undo_left[0]:
                undo_left[0] -= 1
                raise OSError(name)
            self.append(f"undone {name}")

        undoing = step(name=f"undo_{name}", retries=Retry(attempts=2, first_delay_s=0))(undo)
        pivot = more.get("pivot", False)
        return step(name=name, compensate=None if pivot else undoing, **more)(work)


def elsewhere(store: EventStore, id_: str = "one") -> Control:
    """As another process would do it."""
    return Control(store, VirtualWorld(), id_)


async def ended(handle: Any) -> Any:
    try:
        return await handle.result()
    except (ExecutionFailed, ExecutionParked) as exc:
        return exc


def row(store: EventStore) -> dict[str, Any]:
    return next(iter(store.view("executions")), {})


# -- pausing -----------------------------------------------------------------------------------------------------------


def test_a_paused_execution_starts_nothing_new(store: EventStore) -> None:
    """What runs ends and is recorded; the next step starts when the pause ends."""
    did = Effects()
    a, b = did.step("a", takes_s=1), did.step("b")

    @workflow
    async def flow(ctx: Any) -> Any:
        await a()
        return await b()

    async def main() -> Any:
        async with engine_on(store) as engine:
            handle = await engine.start(flow, id="one")
            await until(lambda: did == ["a"])
            elsewhere(store).pause("ann", "the bank is closed")
            await asyncio.sleep(60)
            assert did == ["a", "a done"]
            assert row(store)["status"] == "paused"
            assert await handle.wait_asking()
            elsewhere(store).unpause("ann")
            return await handle.result()

    assert virtually(main()) == "b"
    assert history(store)[2:6] == ["execution.paused", "step.completed a#0", "execution.resumed", "step.started b#0"]


def test_a_pause_holds_through_a_restart_and_timers_fire_afterwards(store: EventStore) -> None:
    """Nobody takes a paused execution up; a timer that fell due meanwhile fires when the pause ends."""

    @workflow
    async def flow(ctx: Any) -> str:
        await ctx.sleep("1h")
        return "slept"

    async def main() -> Any:
        async with engine_on(store, worker="w-1") as engine:
            await engine.start(flow, id="one")
            await until(lambda: row(store).get("wake_us"))
            await engine.pause("one", by="ann")
        async with engine_on(store, worker="w-2") as engine:
            engine.register(flow)
            assert await engine.recover() == ([], {})
            with pytest.raises(ExecutionPaused):
                await engine.resume("one")
            await asyncio.sleep(7200)
            await engine.unpause("one", by="ann")
            (handle,), _ = await engine.recover()
            return await handle.result()

    assert virtually(main()) == "slept"


def test_what_cannot_be_paused_is_refused(store: EventStore) -> None:
    """An execution that has ended, is paused, or is not there; and nothing is written."""

    @workflow
    async def flow(ctx: Any) -> None:
        await ctx.sleep(1)

    async def main() -> None:
        async with engine_on(store) as engine:
            handle = await engine.start(flow, id="one")
            await until(lambda: row(store).get("wake_us"))
            await engine.pause("one", by="ann")
            with pytest.raises(ControlRefused, match="paused already"):
                await engine.pause("one", by="ann")
            await engine.unpause("one", by="ann")
            with pytest.raises(ControlRefused, match="not paused but"):
                await engine.unpause("one", by="ann")
            await handle.result()
            with pytest.raises(ControlRefused, match="it has completed"):
                await engine.pause("one", by="ann")
            with pytest.raises(UnknownExecution):
                await engine.pause("won", by="ann")
            with pytest.raises(BadInput, match="who asks"):
                await engine.pause("one", by="")

    virtually(main())
    assert len(history(store)) == 6


# -- cancelling --------------------------------------------------------------------------------------------------------


def test_a_cancelled_function_cleans_up_and_is_undone(store: EventStore) -> None:
    """CancelledError is raised where it awaits, its `finally` runs steps, then what completed is undone."""
    did = Effects()
    a, b, tidy = did.step("a"), did.step("b", takes_s=100), did.step("tidy")

    @workflow
    async def flow(ctx: Any) -> Any:
        await a()
        try:
            await b()
        finally:
            await tidy()

    async def main() -> Any:
        async with engine_on(store) as engine:
            handle = await engine.start(flow, id="one")
            await until(lambda: "b" in did)
            elsewhere(store).cancel("ann", reason="ordered twice")
            return await ended(handle)

    error = virtually(main())
    assert (error.status, error.error_type) == ("cancelled", "CancelledError")
    assert did == ["a", "a done", "b", "tidy", "tidy done", "undo tidy", "undone tidy", "undo a", "undone a"]
    assert "step.cancelled b#0" in history(store)
    assert store.read_stream("execution/one")[-1].facts["by"] == "user"


def test_a_cancel_without_compensation_names_what_stays(store: EventStore) -> None:
    """What could be undone and is not, stands in the last event."""
    did = Effects()
    a, b = did.step("a"), did.step("b", takes_s=100)

    @workflow
    async def flow(ctx: Any) -> Any:
        await a()
        await b()

    async def main() -> Any:
        async with engine_on(store) as engine:
            handle = await engine.start(flow, id="one")
            await until(lambda: "b" in did)
            await engine.cancel("one", by="ann", compensate=False)
            return await ended(handle)

    virtually(main())
    assert did == ["a", "a done", "b"]
    assert store.read_stream("execution/one")[-1].facts["uncompensated"] == ["a#0"]


def test_every_branch_is_cancelled_and_the_gather_waits_for_them(store: EventStore) -> None:
    """Each open branch may clean up; the one that gathers goes on when all have."""
    did = Effects()
    slow, tidy, last = did.step("slow", takes_s=100), did.step("tidy", takes_s=1), did.step("last")

    @workflow
    async def flow(ctx: Any) -> Any:
        async def branch() -> None:
            try:
                await slow()
            finally:
                await tidy()

        try:
            await ctx.gather(branch(), branch(), ctx.sleep(1000))
        except asyncio.CancelledError:
            await last()
            raise

    async def main() -> Any:
        async with engine_on(store) as engine:
            handle = await engine.start(flow, id="one")
            await until(lambda: did.count("slow") == 2)
            await engine.cancel("one", by="ann", compensate=False)
            return await ended(handle)

    assert virtually(main()).status == "cancelled"
    assert did == ["slow", "slow", "tidy", "tidy", "tidy done", "tidy done", "last", "last done"]


def test_who_swallows_the_cancel_is_cancelled_all_the_same_and_force_ends_it_at_once(store: EventStore) -> None:
    """A second cancel is refused; with force the execution has ended, whatever it was doing."""
    did = Effects()
    a, slow = did.step("a"), did.step("slow", takes_s=100)

    @workflow
    async def flow(ctx: Any) -> str:
        await a()
        while True:
            try:
                await slow()
            except asyncio.CancelledError:
                continue

    async def main() -> Any:
        async with engine_on(store) as engine:
            handle = await engine.start(flow, id="one")
            await until(lambda: "slow" in did)
            await engine.cancel("one", by="ann")
            await until(lambda: did.count("slow") == 2)
            with pytest.raises(ControlRefused, match="--force"):
                await engine.cancel("one", by="ann")
            elsewhere(store).cancel("ann", force=True)
            return await ended(handle)

    assert virtually(main()).status == "cancelled"
    last = store.read_stream("execution/one")[-1]
    assert (last.type, last.facts["uncompensated"]) == ("execution.cancelled", ["a#0"])


def test_a_cancelled_graph_starts_nothing_new(store: EventStore) -> None:
    """What ran is stopped, what completed is undone."""
    did = Effects()
    a, b, c = did.step("a"), did.step("b", takes_s=100), did.step("c")
    graph = Graph("g").step("a", a).step("b", b).step("c", c).edge("a", "b").edge("b", "c").build()

    async def main() -> Any:
        async with engine_on(store) as engine:
            handle = await engine.start(graph, id="one")
            await until(lambda: "b" in did)
            elsewhere(store).cancel("ann")
            return await ended(handle)

    assert virtually(main()).status == "cancelled"
    assert did == ["a", "a done", "b", "undo a", "undone a"]


def test_open_questions_are_withdrawn(store: EventStore) -> None:
    """Nobody has to answer for an execution that is being cancelled."""

    @workflow
    async def flow(ctx: Any) -> None:
        await ctx.approve("Really?")

    async def main() -> Any:
        async with engine_on(store) as engine:
            handle = await engine.start(flow, id="one")
            assert await handle.wait_asking()
            elsewhere(store).cancel("ann")
            return await ended(handle)

    assert virtually(main()).status == "cancelled"
    assert [row["status"] for row in store.view("approvals")] == ["withdrawn"]
    assert "approval.withdrawn approval#0" in history(store)


def test_what_nobody_owns_is_cancelled_by_whoever_takes_it_up(store: EventStore) -> None:
    """The request stands in the log; the next worker stops what was under way and undoes what had completed."""
    did = Effects()
    a, b = did.step("a"), did.step("b", takes_s=100)

    @workflow
    async def flow(ctx: Any) -> Any:
        await a()
        await b()

    async def main() -> Any:
        async with engine_on(store, worker="w-1") as engine:
            await engine.start(flow, id="one")
            await until(lambda: "b" in did)
        elsewhere(store).cancel("ann")
        async with engine_on(store, worker="w-2") as engine:
            engine.register(flow)
            (handle,), refused = await engine.recover()
            assert not refused
            return await ended(handle)

    assert virtually(main()).status == "cancelled"
    assert did[-2:] == ["undo a", "undone a"]
    assert did.count("b") == 1
    assert "step.cancelled b#0" in history(store)


def test_a_pause_ends_with_the_cancel(store: EventStore) -> None:
    """What the workflow had asked for during the pause does not begin any more."""
    did = Effects()
    a, b = did.step("a", takes_s=1), did.step("b")

    @workflow
    async def flow(ctx: Any) -> Any:
        await a()
        await b()

    async def main() -> Any:
        async with engine_on(store) as engine:
            handle = await engine.start(flow, id="one")
            await until(lambda: "a" in did)
            await engine.pause("one", by="ann")
            await asyncio.sleep(5)
            await engine.cancel("one", by="ann")
            return await ended(handle)

    assert virtually(main()).status == "cancelled"
    assert did == ["a", "a done", "undo a", "undone a"]


def test_a_cancel_that_comes_as_it_ends_is_kept_or_refused() -> None:
    """Recorded before the end it counts; after the end it is refused: never both, never neither."""

    store = MemoryStore()

    @workflow
    async def flow(ctx: Any) -> str:
        await ctx.sleep(1)
        return "done"

    async def main(after_s: float) -> str:
        id_ = f"at {after_s}"
        async with engine_on(store) as engine:
            handle = await engine.start(flow, id=id_)
            await asyncio.sleep(after_s)
            try:
                elsewhere(store, id_).cancel("ann")
            except ControlRefused:
                assert await handle.result() == "done"
                return "refused"
            error = await ended(handle)
            assert error.status == "cancelled"
            return "cancelled"

    seen = [virtually(main(after_s)) for after_s in (0.5, 0.999, 1, 1.0001, 1.5)]
    assert seen[0] == "cancelled"
    assert seen[-1] == "refused"
    sound(store)


def test_a_cancel_during_compensation_lets_it_finish(store: EventStore) -> None:
    """A failed execution that is being undone is undone to its beginning, and has been cancelled."""
    did = Effects()
    a, b, c = did.step("a"), did.step("b"), did.step("c", fails=1)

    @workflow
    async def flow(ctx: Any) -> Any:
        await a()
        await b()
        await c()

    async def main() -> Any:
        async with engine_on(store) as engine:
            handle = await engine.start(flow, id="one")
            await until(lambda: "undo b" in did)
            elsewhere(store).cancel("ann")
            return await ended(handle)

    error = virtually(main())
    assert (error.status, error.error_type) == ("cancelled", "ConnectionError")
    assert did[-4:] == ["undo b", "undone b", "undo a", "undone a"]


def test_a_worker_that_dies_while_it_undoes_is_replaced(store: EventStore) -> None:
    """The compensation that was under way runs again, and then the rest."""
    did = Effects()
    a, b, c = did.step("a"), did.step("b"), did.step("c", takes_s=100)

    @workflow
    async def flow(ctx: Any) -> Any:
        await a()
        await b()
        await c()

    async def main() -> Any:
        async with engine_on(store, worker="w-1") as engine:
            await engine.start(flow, id="one")
            await until(lambda: "c" in did)
            await engine.cancel("one", by="ann")
            await until(lambda: "undo b" in did)
        async with engine_on(store, worker="w-2") as engine:
            engine.register(flow)
            (handle,), _ = await engine.recover()
            return await ended(handle)

    assert virtually(main()).status == "cancelled"
    assert did[-5:] == ["undo b", "undo b", "undone b", "undo a", "undone a"]


def test_what_cannot_be_undone_is_named_by_the_cancel(store: EventStore) -> None:
    """A compensation that used up its attempts does not stop the others, and stands in the end."""
    did = Effects()
    a, b, c = did.step("a"), did.step("b", undo_fails=2), did.step("c", takes_s=100)

    @workflow
    async def flow(ctx: Any) -> Any:
        await a()
        await b()
        await c()

    async def main() -> Any:
        async with engine_on(store) as engine:
            handle = await engine.start(flow, id="one")
            await until(lambda: "c" in did)
            await engine.cancel("one", by="ann")
            return await ended(handle)

    virtually(main())
    assert "undone a" in did
    assert store.read_stream("execution/one")[-1].facts["uncompensated"] == ["b#0"]


# -- deadlines ---------------------------------------------------------------------------------------------------------


def test_an_execution_past_its_deadline_fails_by_time_out(store: EventStore) -> None:
    """It is cancelled from inside, may clean up, and is undone; whoever asks is told why."""
    did = Effects()
    a, b = did.step("a"), did.step("b", takes_s=10_000)

    @workflow(timeout="1h")
    async def flow(ctx: Any) -> Any:
        await a()
        await b()

    async def main() -> Any:
        async with engine_on(store) as engine:
            return await ended(await engine.start(flow, id="one"))

    error = virtually(main())
    assert (error.status, error.error_type) == ("failed", "DeadlinePassed")
    assert did == ["a", "a done", "b", "undo a", "undone a"]
    assert store.read_stream("execution/one")[-1].facts["outcome"] == "timeout"


def test_a_deadline_that_passed_while_nobody_ran_it_counts(store: EventStore) -> None:
    """It wakes by itself, and a worker that comes later finds it due."""

    @workflow
    async def flow(ctx: Any) -> None:
        await ctx.approve(Approval("Really?"))

    async def main() -> Any:
        async with engine_on(store, worker="w-1") as engine:
            noon = datetime.fromtimestamp(engine.world.now_us() / 1e6, UTC)
            with pytest.raises(BadInput, match="has passed"):
                await engine.start(flow, id="two", deadline=noon)
            await engine.start(flow, id="one", timeout="3h", deadline=noon + timedelta(hours=1))
            await until(lambda: store.view("approvals"))
        assert row(store)["wake_us"] == 3_600_000_000 + engine_noon()
        await asyncio.sleep(4000)
        async with engine_on(store, worker="w-2") as engine:
            engine.register(flow)
            (handle,), _ = await engine.recover()
            return await ended(handle)

    assert virtually(main()).error_type == "DeadlinePassed"


def engine_noon() -> int:
    from actum.testing.clock import NOON_US

    return NOON_US


def test_a_graph_has_a_time_out_too(store: EventStore) -> None:
    """The same word in a definition: `timeout`, of the whole."""
    did = Effects()
    graph = Graph("g").step("a", did.step("a", takes_s=100)).timeout("10s").build()

    async def main() -> Any:
        async with engine_on(store) as engine:
            return await ended(await engine.start(graph, id="one"))

    assert virtually(main()).error_type == "DeadlinePassed"
    assert graph.to_json()["timeout"] == 10


# -- trying again, and going on without --------------------------------------------------------------------------------


def test_a_failed_execution_goes_on_from_its_failed_step(store: EventStore) -> None:
    """What had completed does not run again; the end that counted until then is corrected."""
    did = Effects()
    a, b = step(name="a")(did.step("a").fn), step(name="b", retries=ONCE_MORE)(did.step("b", fails=2).fn)

    @workflow
    async def flow(ctx: Any) -> Any:
        await a()
        return await b()

    async def main() -> Any:
        async with engine_on(store, worker="w-1") as engine:
            assert (await ended(await engine.start(flow, id="one"))).error_type == "ConnectionError"
            assert elsewhere(store).retry("ann", "the network is back") == ["b#0"]
            return await (await engine.resume("one")).result()

    assert virtually(main()) == "b"
    assert did.count("a") == 1
    assert row(store)["status"] == "completed"
    events = store.read_stream("execution/one")
    failed = next(event.version for event in events if event.type == "execution.failed")
    assert [event.type for event in events[-2:]] == ["execution.completed", "execution.corrected"]
    assert events[-1].facts == {"supersedes": failed, "outcome": "success"}


def test_a_reopened_execution_is_rebuilt_from_the_log_while_it_waits(store: EventStore) -> None:
    """The view of a reopened execution says what is due, before anybody has taken it up."""

    @step
    async def fails() -> None:
        raise ValueError("no")

    @workflow
    async def flow(ctx: Any) -> None:
        await fails()

    async def main() -> None:
        async with engine_on(store) as engine:
            await ended(await engine.start(flow, id="one"))
            await engine.retry("one", by="ann")

    virtually(main())
    assert (row(store)["status"], row(store)["owner"], row(store)["wake_us"]) == ("waiting", None, 0)


def test_an_execution_that_was_undone_is_not_retried(store: EventStore) -> None:
    """The steps it would build on have no effect any more; the error says what to do instead."""
    did = Effects()
    a, b = did.step("a"), did.step("b", fails=1)

    @workflow
    async def flow(ctx: Any) -> Any:
        await a()
        await b()

    async def main() -> None:
        async with engine_on(store) as engine:
            await ended(await engine.start(flow, id="one"))
            with pytest.raises(ControlRefused, match=r"was undone; fork it"):
                await engine.retry("one", by="ann")

    virtually(main())


def test_an_execution_that_had_gone_on_is_not_retried(store: EventStore) -> None:
    """What the workflow did because the step had failed cannot be taken back."""
    did = Effects()
    b, note = step(name="b")(did.step("b", fails=1).fn), step(name="note")(did.step("note").fn)

    @workflow
    async def flow(ctx: Any) -> Any:
        try:
            await b()
        except StepFailed:
            await note()
            raise

    async def main() -> None:
        async with engine_on(store) as engine:
            await ended(await engine.start(flow, id="one"))
            with pytest.raises(ControlRefused, match="had gone on after the step had failed; fork it"):
                await engine.retry("one", by="ann")
            with pytest.raises(ControlRefused, match="had gone on"):
                await engine.skip("one", "b", by="ann", reason="it is done by hand")

    virtually(main())


def test_both_failed_branches_are_tried_again(store: EventStore) -> None:
    """And the outcome of a branch that completed after the failure is told in its new place."""
    did = Effects()
    b, c = step(name="b")(did.step("b", fails=1).fn), step(name="c")(did.step("c", fails=1, takes_s=1).fn)
    d = did.step("d", takes_s=2)

    @workflow
    async def flow(ctx: Any) -> Any:
        return await ctx.gather(b(), c(), step(name="d")(d.fn)())

    async def main() -> Any:
        async with engine_on(store) as engine:
            await ended(await engine.start(flow, id="one"))
            assert await engine.retry("one", by="ann") == ["b#0", "c#0"]
            return await (await engine.resume("one")).result()

    assert virtually(main()) == ["b", "c", "d"]
    assert did.count("d") == 1


def test_a_parked_step_is_tried_again_or_skipped(store: EventStore) -> None:
    """A person looked: either it did not happen, or this is its result."""
    did = Effects()

    def flow_of(name: str) -> Any:
        danger = step(name="danger", on_doubt="park")(did.step(name, takes_s=100).fn)

        @workflow
        async def flow(ctx: Any) -> Any:
            return await danger()

        return flow

    async def main(id_: str, decide: Any) -> Any:
        flow = flow_of(id_)
        async with engine_on(store, worker="w-1") as engine:
            await engine.start(flow, id=id_)
            await until(lambda: id_ in did)
        async with engine_on(store, worker="w-2") as engine:
            engine.register(flow)
            handle = await engine.resume(id_)
            assert isinstance(await ended(handle), ExecutionParked)
            decide(elsewhere(store, id_))
            (handle,), _ = await engine.recover()
            return await handle.result()

    assert virtually(main("again", lambda control: control.retry("ann"))) == "again"
    assert virtually(main("skip", lambda control: control.skip("ann", "danger", "seen at the bank", {"n": 7}))) == {
        "n": 7
    }
    assert (did.count("again"), did.count("skip")) == (2, 1)


def test_a_step_that_failed_or_waits_is_skipped_with_a_result(store: EventStore) -> None:
    """The workflow gets that result; the person and the reason are recorded as an intervention."""
    slow = Retry(attempts=2, first_delay_s=1000)
    did = Effects()
    a, b = step(name="a", retries=slow)(did.step("a", fails=2).fn), step(name="b")(did.step("b", fails=1).fn)

    @workflow
    async def flow(ctx: Any) -> Any:
        return [await a(), await b()]

    async def main() -> Any:
        async with engine_on(store) as engine:
            handle = await engine.start(flow, id="one")
            await until(lambda: row(store).get("wake_us"))
            with pytest.raises(ControlRefused, match="did you mean 'a"):
                await engine.skip("one", "aa", by="ann", reason="…")
            with pytest.raises(BadInput, match="for a reason"):
                await engine.skip("one", "a", by="ann", reason=" ")
            assert elsewhere(store).skip("ann", "a", "known from the phone call", 41) == "a#0"
            await ended(handle)
            await engine.skip("one", "b", by="ann", reason="not needed")
            return await (await engine.resume("one")).result()

    assert virtually(main()) == [41, None]
    assert history(store).count("intervention.recorded") == 2


# -- the same id again -------------------------------------------------------------------------------------------------


def test_the_same_id_is_the_same_execution_or_an_error(store: EventStore) -> None:
    """Another workflow or another input under a known id is a mistake, and starts nothing."""

    @workflow
    async def flow(ctx: Any, x: int) -> int:
        return x

    @workflow
    async def other(ctx: Any, x: int) -> int:
        return x

    async def main() -> None:
        async with engine_on(store) as engine:
            assert await (await engine.start(flow, 1, id="one")).result() == 1
            assert await (await engine.start(flow, 1, id="one")).result() == 1
            assert await engine.submit(flow, 1, id="one") == "one"
            with pytest.raises(IdTaken, match="with another input"):
                await engine.start(flow, 2, id="one")
            with pytest.raises(IdTaken, match="of workflow 'flow', not 'other'"):
                await engine.submit(other, 1, id="one")

    virtually(main())


# -- interruptions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plain", [False, True], ids=["async", "thread"])
def test_an_interrupt_from_the_keyboard_loses_nothing(store: EventStore, plain: bool) -> None:
    """Neither a failure nor an end is recorded, and the execution can be resumed."""
    interrupts = [KeyboardInterrupt()]

    def interrupted() -> str:
        if interrupts:
            raise interrupts.pop()
        return "done"

    async def interrupted_async() -> str:
        return interrupted()

    once = step(name="once")(interrupted if plain else interrupted_async)

    @workflow
    async def flow(ctx: Any) -> Any:
        return await once()

    async def main() -> Any:
        async with Engine(store) as engine:
            return await (await engine.start(flow, id="one")).result()

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert asyncio.run(main()) == "done"
    assert "step.failed once#0" not in history(store)


def test_a_task_cancelled_from_outside_is_let_go_of(store: EventStore) -> None:
    """Somebody else's cancel is not the step's failure: the execution stays as it is and can be resumed."""
    did = Effects()
    slow = did.step("slow", takes_s=10)

    @workflow
    async def flow(ctx: Any) -> Any:
        return await slow()

    async def main() -> Any:
        async with engine_on(store) as engine:
            handle = await engine.start(flow, id="one")
            await until(lambda: "slow" in did)
            run = engine._runs["one"]
            for task in run.work.tasks.values():
                task.cancel()
            assert (await ended(handle)).status == "left"
            return await (await engine.resume("one")).result()

    assert virtually(main()) == "slow"
    assert "step.cancelled slow#0" not in history(store)


def test_a_step_in_a_thread_is_given_up(store: EventStore) -> None:
    """A thread cannot be stopped; the execution does not wait for it."""
    go_on = threading.Event()

    @step
    def blocks() -> None:
        go_on.wait(20)

    @workflow
    async def flow(ctx: Any) -> None:
        await blocks()

    async def main() -> Any:
        async with Engine(store) as engine:
            handle = await engine.start(flow, id="one")
            await until(lambda: "step.started blocks#0" in history(store))
            await engine.cancel("one", by="ann")
            try:
                return await ended(handle)
            finally:
                go_on.set()

    assert asyncio.run(main()).status == "cancelled"


def test_a_clock_that_jumps_back_does_no_harm(store: EventStore) -> None:
    """Durations are never negative, and what is due by the new clock happens by it."""
    did = Effects()
    a, b = did.step("a"), did.step("b", fails=1, retries=Retry(attempts=2, first_delay_s=5))

    class Jumping(VirtualWorld):
        back_us = 0

        def now_us(self) -> int:
            return super().now_us() - self.back_us

    world = Jumping()

    @workflow
    async def flow(ctx: Any) -> Any:
        await a()
        world.back_us = 3_600_000_000
        await b()
        await ctx.sleep(5)
        return "done"

    async def main() -> Any:
        async with Engine(store, world=world) as engine:
            return await (await engine.start(flow, id="one")).result()

    assert virtually(main()) == "done"


# -- what it is found by, and when it is taken up ----------------------------------------------------------------------


def test_labels_stand_in_the_view_and_come_from_the_workflow_unless_given(store: EventStore) -> None:
    """What `start` says goes before what the workflow says."""

    @workflow(priority=3, tags=["nightly"], attributes={"region": "eu", "gift": True})
    async def flow(ctx: Any) -> None: ...

    async def main() -> None:
        async with engine_on(store) as engine:
            await (await engine.start(flow, id="one")).result()
            await (await engine.start(flow, id="two", priority=0, tags=["now"], attributes={})).result()

    virtually(main())
    one, two = store.view("executions", order="id")
    assert (one["priority"], one["labels"]) == (3, "\ngift=true\nnightly\nregion=eu\n")
    assert (two["priority"], two["labels"]) == (None, "\nnow\n")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"priority": 2**40}, "a priority is"),
        ({"tags": "urgent"}, "a list of names"),
        ({"tags": ["a=b"]}, "without '='"),
        ({"attributes": {"Region": "eu"}}, "an attribute's name"),
        ({"attributes": {"region": 1.5}}, "'region' is text"),
        ({"timeout": "soon"}, "soon"),
        ({"deadline": datetime(2026, 11, 22)}, "offset"),  # noqa: DTZ001 - that it has none is the point
    ],
)
def test_labels_that_are_none_are_refused(store: EventStore, options: dict[str, Any], why: str) -> None:
    """Each with what is wrong about it, and nothing is written."""

    @workflow
    async def flow(ctx: Any) -> None: ...

    async def main() -> None:
        async with engine_on(store) as engine:
            with pytest.raises(BadInput, match=why):
                await engine.start(flow, id="one", **options)

    virtually(main())
    assert store.head() == 0


def test_what_is_more_urgent_is_taken_up_first(store: EventStore) -> None:
    """By priority, then by age."""

    @workflow
    async def flow(ctx: Any) -> None: ...

    async def main() -> list[str]:
        async with engine_on(store, worker="w-1") as engine:
            for id_, priority in (("old", 0), ("low", -1), ("high", 7), ("new", 0)):
                await engine.submit(flow, id=id_, priority=priority)
                await asyncio.sleep(1)
        async with engine_on(store, worker="w-2") as engine:
            engine.register(flow)
            handles, _ = await engine.recover()
            for handle in handles:
                await handle.result()
            return [handle.id for handle in handles]

    assert virtually(main()) == ["high", "old", "new", "low"]
