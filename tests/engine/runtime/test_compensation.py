"""Undoing: in which order, what a pivot keeps, and what a workflow undoes by itself before it goes on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actum.engine import Graph, Retry, step, workflow
from actum.errors import BadInput, ExecutionFailed, StepFailed
from actum.eventstore.memory import MemoryStore
from tests.engine.world import engine_on, history, sound, until, virtually


class Saga:
    """Steps that write down when they are done and undone."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self.store = MemoryStore()

    def step(
        self,
        name: str,
        *,
        takes_s: float = 0.0,
        undo_takes_s: float = 1.0,
        undo_timeout: float | None = None,
        undo_fails: bool = False,
        **more: Any,
    ) -> Any:
        async def do() -> str:
            await asyncio.sleep(takes_s)
            self.did.append(name)
            return name

        async def undo(result: str) -> None:
            assert result == name
            self.did.append(f"undo {name}")
            await asyncio.sleep(undo_takes_s)
            if undo_fails:
                raise OSError(name)
            self.did.append(f"undone {name}")

        retries = Retry(attempts=2, first_delay_s=0)
        undoing = step(name=f"undo_{name}", retries=retries, timeout=undo_timeout)(undo)
        return step(name=name, compensate=None if more.get("pivot") else undoing, **more)(do)

    def run(self, flow: Any) -> Any:
        """To the end; a failed execution gives its error."""

        async def main() -> Any:
            async with engine_on(self.store) as engine:
                handle = await engine.start(flow, id="one")
                try:
                    return await handle.result()
                except ExecutionFailed as exc:
                    return exc

        result = virtually(main())
        sound(self.store)
        return result

    @property
    def end(self) -> dict[str, Any]:
        return self.store.read_stream("execution/one")[-1].facts


@step
async def fails() -> None:
    raise ValueError("no")


def test_steps_of_one_group_are_undone_side_by_side() -> None:
    """A group that completed one after the other is undone at once; what completed before it waits its turn."""
    saga = Saga()
    first = saga.step("first")
    hotel, car = saga.step("hotel", undo_group="booking"), saga.step("car", undo_group="booking", undo_takes_s=2)

    @workflow
    async def flow(ctx: Any) -> None:
        await first()
        await ctx.gather(hotel(), car())
        await fails()

    saga.run(flow)

    assert saga.did[3:5] == ["undo car", "undo hotel"]
    assert saga.did[5:] == ["undone hotel", "undone car", "undo first", "undone first"]


def test_what_completed_in_between_keeps_its_place() -> None:
    """Two steps of a group with another one between them are no neighbours: the order stays the reverse."""
    saga = Saga()
    a, b, c = saga.step("a", undo_group="g"), saga.step("b"), saga.step("c", undo_group="g")

    @workflow
    async def flow(ctx: Any) -> None:
        await a()
        await b()
        await c()
        await fails()

    saga.run(flow)

    assert saga.did[3:] == ["undo c", "undone c", "undo b", "undone b", "undo a", "undone a"]


def test_a_graph_has_groups_and_pivots() -> None:
    """The same words as those of a step, in a definition too."""
    saga = Saga()
    a, b, c = saga.step("a"), saga.step("b"), saga.step("c")
    undo = a.spec.compensate.run
    graph = (
        Graph("g")
        .step("start", saga.step("start"))
        .step("paid", c.fn, pivot=True)
        .step("a", a.fn, compensate=undo, undo_group="g")
        .step("b", b.fn)
        .step("last", fails)
        .edge("start", "paid")
        .edge("paid", "a")
        .edge("a", "b")
        .edge("b", "last")
        .build()
    )

    saga.run(graph)

    assert saga.did == ["start", "c", "a", "b", "undo a", "undone a"]
    started = {
        event.facts["step"]: event.facts
        for event in saga.store.read_stream("execution/one", 0)
        if event.type == "step.started"
    }
    assert started["a"]["undo_group"] == "g"
    assert started["paid"]["pivot"] is True


def test_what_completed_before_a_pivot_stays() -> None:
    """From a pivot on it only goes forward: a later failure undoes what came after it, and nothing else."""
    saga = Saga()
    a, paid, b = saga.step("a"), saga.step("paid", pivot=True), saga.step("b")

    @workflow
    async def flow(ctx: Any) -> None:
        await a()
        await paid()
        await b()
        await fails()

    saga.run(flow)

    assert saga.did == ["a", "paid", "b", "undo b", "undone b"]
    assert "uncompensated" not in saga.end


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"pivot": True, "compensate": print}, "a pivot is not undone"),
        ({"undo_group": "g"}, "is for a step with compensate"),
        ({"undo_group": "a/b", "compensate": print}, "without '/'"),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_is_written(more: dict[str, Any], why: str) -> None:
    """A step says at most one of what undoes it and that nothing undoes what came before it."""
    with pytest.raises(BadInput, match=why):
        step(name="a", **more)(lambda: None)


def test_a_compensation_has_its_own_time_out() -> None:
    """One that hangs is given up, tried again, and named in the end."""
    saga = Saga()
    a, b = saga.step("a"), saga.step("b", undo_takes_s=100, undo_timeout=1)

    @workflow
    async def flow(ctx: Any) -> None:
        await a()
        await b()
        await fails()

    saga.run(flow)

    assert saga.did[2:] == ["undo b", "undo b", "undo a", "undone a"]
    assert saga.end["uncompensated"] == ["b#0"]
    ends = [event for event in saga.store.read_stream("execution/one") if event.type == "compensation.failed"]
    assert [event.facts["outcome"] for event in ends] == ["timeout", "timeout"]


# -- on the way --------------------------------------------------------------------------------------------------------


def test_a_workflow_undoes_what_it_has_done_and_goes_on() -> None:
    """Each step is undone once: by the workflow's own word, or at the end."""
    saga = Saga()
    a, b, c = saga.step("a"), saga.step("b"), saga.step("c")

    @workflow
    async def flow(ctx: Any) -> None:
        await a()
        await b()
        await ctx.compensate()
        await c()
        await fails()

    saga.run(flow)

    assert saga.did == ["a", "b", "undo b", "undone b", "undo a", "undone a", "c", "undo c", "undone c"]


def test_a_savepoint_keeps_what_came_before_it() -> None:
    """Another way is tried from the savepoint on, and the execution completes."""
    saga = Saga()
    a, b, c = saga.step("a"), saga.step("b"), saga.step("c")

    @workflow
    async def flow(ctx: Any) -> str:
        await a()
        mark = ctx.savepoint()
        await b()
        try:
            await fails()
        except StepFailed:
            await ctx.compensate(to=mark)
        return str(await c())

    assert saga.run(flow) == "c"
    assert saga.did == ["a", "b", "undo b", "undone b", "c"]
    assert [word for word in history(saga.store) if word.startswith("compensation.")] == [
        "compensation.requested",
        "compensation.started b#0",
        "compensation.completed b#0",
        "compensation.ended",
    ]


def test_undoing_nothing_is_done_at_once() -> None:
    """A workflow that has done nothing yet may say so."""
    saga = Saga()

    @workflow
    async def flow(ctx: Any) -> str:
        await ctx.compensate()
        with pytest.raises(BadInput, match="savepoint"):
            ctx.compensate(to=3)
        return "done"

    assert saga.run(flow) == "done"


def test_what_cannot_be_undone_on_the_way_is_raised_and_named() -> None:
    """The workflow hears which step stays, and so does whoever reads the end."""
    saga = Saga()
    a, b = saga.step("a"), saga.step("b", undo_fails=True)

    @workflow
    async def flow(ctx: Any) -> None:
        await a()
        await b()
        await ctx.compensate()

    error = saga.run(flow)

    assert (error.error_type, "b#0" in error.message) == ("CompensationFailed", True)
    assert saga.end["uncompensated"] == ["b#0"]
    assert "undone a" in saga.did


def test_two_branches_undo_each_their_own() -> None:
    """Requests that overlap undo each step once, and both hear that it is done."""
    saga = Saga()
    a, b, c = saga.step("a"), saga.step("b"), saga.step("c", takes_s=5)

    @workflow
    async def flow(ctx: Any) -> Any:
        await a()
        mark = ctx.savepoint()

        async def early() -> str:
            await b()
            await ctx.compensate(to=mark)
            return "early"

        async def late() -> str:
            await c()
            await ctx.compensate()
            return "late"

        return await ctx.gather(early(), late())

    assert saga.run(flow) == ["early", "late"]
    assert saga.did == ["a", "b", "undo b", "undone b", "c", "undo c", "undone c", "undo a", "undone a"]


def test_undoing_on_the_way_survives_its_worker() -> None:
    """The next worker goes on undoing, then tells the workflow, which comes to the same end."""
    saga = Saga()
    a, b, c = saga.step("a"), saga.step("b"), saga.step("c")

    @workflow
    async def flow(ctx: Any) -> str:
        await a()
        await b()
        await ctx.compensate()
        return str(await c())

    async def main() -> Any:
        async with engine_on(saga.store, worker="w-1") as engine:
            await engine.start(flow, id="one")
            await until(lambda: "undo b" in saga.did)
        async with engine_on(saga.store, worker="w-2") as engine:
            engine.register(flow)
            (handle,), refused = await engine.recover()
            assert not refused
            return await handle.result()

    assert virtually(main()) == "c"
    sound(saga.store)
    assert saga.did == ["a", "b", "undo b", "undo b", "undone b", "undo a", "undone a", "c"]
