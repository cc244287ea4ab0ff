"""Children that are started without waiting for them: awaited later, signalled, cancelled, outlived or waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from actum.engine import workflow
from actum.errors import BadInput, ChildFailed, ReplayDiverged
from actum.eventstore.memory import MemoryStore
from tests.engine.functions.test_racing import book, breaks, quick, run
from tests.engine.world import engine_on, history, sound, until, virtually


@workflow
async def naps(ctx: Any, seconds: float = 60) -> float:
    await ctx.sleep(seconds)
    return seconds


@workflow
async def listens(ctx: Any) -> list[Any]:
    return [await ctx.wait_signal("word"), await ctx.wait_signal("word")]


@workflow
async def falls(ctx: Any) -> None:
    await breaks()


def status(store: MemoryStore, id_: str) -> str:
    return str(store.view("executions", {"id": id_})[0]["status"])


def test_the_workflow_goes_on_and_awaits_it_later() -> None:
    """What comes back is not waited for until it is awaited, and then gives the output, however often."""

    @workflow
    async def parent(ctx: Any) -> Any:
        child = ctx.start_child(naps, 5)
        first = await quick("at once")
        return [first, child.id, await child, await child]

    store, output = run(parent)

    assert output == ["at once", "one.naps-0", 5, 5]
    assert history(store)[:3] == ["execution.started", "child.started naps#0", "step.started quick#0"]
    assert history(store)[-1] == "execution.completed"


def test_one_that_ended_before_it_was_awaited() -> None:
    """Its end is kept for whoever asks, and so is its failure."""

    @workflow
    async def parent(ctx: Any) -> Any:
        good, bad = ctx.start_child(naps, 1), ctx.start_child(falls)
        await ctx.sleep(10)
        try:
            await bad
        except ChildFailed as exc:
            return [await good, exc.execution, exc.error_type]

    _, output = run(parent)

    assert output == [1, "one.falls-0", "ValueError"]


def test_it_is_started_even_if_nobody_awaits_it() -> None:
    """Also when the workflow ends in the same breath; by default it goes on alone."""

    @workflow
    async def parent(ctx: Any) -> str:
        ctx.start_child(naps, 5, id="free")
        return "gone"

    store, output = run(parent)

    assert output == "gone"
    assert history(store) == ["execution.started", "child.started naps#0", "execution.completed"]
    assert history(store, "free")[0] == "execution.started"
    assert "execution.cancel_requested" not in history(store, "free")


def test_what_cannot_be_started_fails_where_it_is_awaited() -> None:
    """Bad input starts nothing; signals to it go nowhere; the workflow hears why when it asks."""

    @workflow
    async def parent(ctx: Any) -> Any:
        child = ctx.start_child("nowhere")
        child.signal("word", 1)
        child.cancel()
        await quick()
        await child

    store, error = run(parent)

    assert "no workflow called" in error.message
    assert [row["id"] for row in store.view("executions")] == ["one"]


def test_it_is_sent_signals() -> None:
    """In their order, in one append with its start or later; each stands in the log of both, once."""

    @workflow
    async def parent(ctx: Any) -> Any:
        child = ctx.start_child(listens)
        child.signal("word", {"n": 1})
        await ctx.sleep(1)
        child.signal("word", 2)
        return await child

    store, output = run(parent)

    assert output == [{"n": 1}, 2]
    assert history(store).count("child.signalled listens#0") == 2
    assert history(store, "one.listens-0").count("signal.received") == 2
    assert history(store, "one.listens-0")[:2] == ["execution.started", "signal.received"]


@pytest.mark.parametrize("after_s", [0, 1], ids=["at-once", "later"])
def test_it_is_cancelled(after_s: int) -> None:
    """It hears of it, and who awaits it hears that it was cancelled; its parent goes on."""

    @workflow
    async def parent(ctx: Any) -> Any:
        child = ctx.start_child(naps)
        if after_s:
            await ctx.sleep(after_s)
        child.cancel()
        child.cancel()
        try:
            await child
        except ChildFailed as exc:
            return exc.error_type

    store, output = run(parent)

    assert output == "CancelledError"
    assert status(store, "one.naps-0") == "cancelled"
    assert history(store).count("child.cancel_requested naps#0") == 1


def test_who_loses_a_race_only_waits_no_more() -> None:
    """The child goes on, and can be awaited again."""

    @workflow
    async def parent(ctx: Any) -> Any:
        child = ctx.start_child(naps, 10)
        won = await ctx.race(child=child, late=ctx.sleep(1))
        return [won.which, *await ctx.gather(child, quick(2))]

    store, output = run(parent)

    assert output == ["late", 10, 2]
    assert "child.cancel_requested naps#0" not in history(store)


def test_a_cancelled_parent_may_still_await_it() -> None:
    """While it cleans up."""
    seen = []

    @workflow
    async def parent(ctx: Any) -> Any:
        child = ctx.start_child(naps, 5)
        try:
            await child
        except asyncio.CancelledError:
            seen.append(await child)
            raise

    async def cancel(engine: Any, store: MemoryStore) -> None:
        await until(lambda: "timer.set sleep#0" in history(store, "one.naps-0"))
        await engine.cancel("one", by="p-1")

    store, _ = run(parent, cancel)

    assert seen == [5]
    assert status(store, "one") == "cancelled"


# -- when the parent ends first ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "becomes"), [("abandon", "waiting"), ("cancel", "cancelled"), ("wait", "completed")]
)
def test_what_becomes_of_it_when_its_parent_has_done(policy: Any, becomes: str) -> None:
    """It goes on alone, is asked to stop, or holds up its parent's end."""

    @workflow
    async def parent(ctx: Any) -> str:
        ctx.start_child(naps, 5, on_parent_close=policy)
        await quick()
        return "done"

    async def watch(_engine: Any, store: MemoryStore) -> None:
        await until(lambda: history(store)[-1:] == ["execution.completed"])
        await until(lambda: status(store, "one.naps-0") == becomes)

    store, output = run(parent, watch)

    assert output == "done"
    if policy == "wait":
        assert history(store)[-2:] == ["child.ended naps#0", "execution.completed"]


def test_a_parent_that_fails_has_them_stopped_before_it_undoes() -> None:
    """With `wait` the child has ended before the first compensation starts."""

    @workflow
    async def parent(ctx: Any) -> None:
        await book("a table")
        ctx.start_child(naps, 3600, on_parent_close="wait")
        await breaks()

    store, error = run(parent)

    assert error.error_type == "ValueError"
    tail = history(store)
    tail = tail[tail.index("child.cancel_requested naps#0") :]
    assert tail == [
        "child.cancel_requested naps#0",
        "child.ended naps#0",
        "compensation.started book#0",
        "compensation.completed book#0",
        "execution.failed",
    ]


# -- over crashes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pause_s", [0.012, 0.03, 0.07])
def test_over_restarts(pause_s: float) -> None:
    """Whenever workers die, each child starts once, hears each word once, and the parent gets every output."""

    @workflow
    async def parent(ctx: Any) -> Any:
        children = [ctx.start_child(listens) for _ in range(3)]
        for number, child in enumerate(children):
            child.signal("word", number)
            await quick()
            child.signal("word", await quick("b"))
        ctx.start_child(naps, 0.05, on_parent_close="wait")
        return [await child for child in children]

    store = MemoryStore()

    async def main() -> Any:
        for number in range(1000):
            async with engine_on(store, worker=f"w-{number}") as engine:
                engine.register(naps, listens, parent)
                handle = await engine.start(parent, id="one")
                await engine.recover()
                result = asyncio.ensure_future(handle.result())
                await asyncio.wait([result], timeout=pause_s)
                if result.done():
                    return result.result()
                result.cancel()
        raise AssertionError("it never ended")

    assert virtually(main()) == [[0, "b"], [1, "b"], [2, "b"]]
    sound(store)
    assert [status(store, row["id"]) for row in store.view("executions")] == ["completed"] * 5


def test_code_that_sends_another_signal_is_found_out() -> None:
    """A signal that the record has and the code does not send is a divergence, which names both."""
    word = ["word"]

    @workflow
    async def parent(ctx: Any) -> Any:
        child = ctx.start_child(listens)
        child.signal(word[0], 1)
        await ctx.wait_signal("go")

    store = MemoryStore()

    async def main() -> None:
        async with engine_on(store) as engine:
            await engine.start(parent, id="one")
            await until(lambda: store.view("executions", {"id": "one", "status": "waiting"}))
        word[0] = "other"
        async with engine_on(store) as engine:
            engine.register(parent)
            with pytest.raises(
                ReplayDiverged, match="signal 'word' to child 'listens#0', the code now asks for signal"
            ):
                await engine.resume("one")

    virtually(main())


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda ctx, child: child.signal("a/b"), "the name of a signal"),
        (lambda ctx, child: child.signal("a", object()), "cannot be recorded as JSON"),
        (lambda ctx, child: ctx.start_child(naps, on_parent_close="never"), "cancel, abandon or wait, not 'never'"),
        (lambda ctx, child: ctx.start_child(7), "the name of a published one, not 7"),
    ],
)
def test_bad_input_is_refused_where_it_is_given(wrong: Callable[[Any, Any], Any], says: str) -> None:
    """It names what is wrong; nothing of it is recorded."""

    @workflow
    async def parent(ctx: Any) -> None:
        child = ctx.start_child(naps, 1)
        wrong(ctx, child)

    store, error = run(parent)

    assert error.error_type == "BadInput"
    assert says in error.message
    assert "child.signalled naps#0" not in history(store)


def test_only_the_workflow_itself_reaches_its_child() -> None:
    """A handle that has left it refuses, because nothing would be recorded."""
    handles = []

    @workflow
    async def parent(ctx: Any) -> None:
        handles.append(ctx.start_child(naps, 1))

    run(parent)

    with pytest.raises(BadInput, match="can be signalled only by the code of the workflow"):
        handles[0].signal("word")
