"""Changing a workflow's code under executions that run: `ctx.patched`."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given as forall
from hypothesis import settings
from hypothesis import strategies as st

from actum.engine import Workflow, step
from actum.eventstore.memory import MemoryStore
from tests.engine.world import engine_on, history, sound, virtually

NAMES = ("a", "b", "c", "new")


def _step(name: str) -> Any:
    @step(name=name)
    async def code(wait_s: float = 0) -> str:
        await asyncio.sleep(wait_s)
        return name

    return code


STEPS = {name: _step(name) for name in NAMES}
Line = tuple[tuple[str, float], ...]
"""Calls one after the other, and how long each takes."""

lines = st.lists(st.tuples(st.sampled_from(("a", "b", "c")), st.sampled_from((0.0, 0.01, 0.02))), max_size=4).map(tuple)
programs = st.lists(lines, min_size=1, max_size=3)
"""Lines side by side."""


def flow(program: list[Line], patched: frozenset[tuple[int, int]]) -> Workflow:
    """The program; at these places (line, call) its newer version takes another way, asked for by a patch."""

    async def line(ctx: Any, number: int, calls: Line) -> list[str]:
        said = []
        for place, (name, wait_s) in enumerate(calls):
            if (number, place) in patched and ctx.patched("better"):
                said.append(await STEPS["new"](wait_s))
                said.append(await STEPS["new"](wait_s))
            else:
                said.append(await STEPS[name](wait_s))
        return said

    async def code(ctx: Any) -> Any:
        return await ctx.gather(*(line(ctx, number, calls) for number, calls in enumerate(program)))

    code.__qualname__ = f"code {sorted(patched)}"
    return Workflow(code, name="flow")


def played(program: list[Line], patched: frozenset[tuple[int, int]], lives_s: list[float]) -> tuple[MemoryStore, Any]:
    """Run it through these lives, the first under the old code, all others under the new."""
    store = MemoryStore()

    async def main() -> Any:
        for number, life_s in enumerate([*lives_s, 1000.0]):
            code = flow(program, frozenset() if number == 0 else patched)
            async with engine_on(store, worker=f"w-{number}") as engine:
                engine.register(code)
                handle = await engine.start(code, id="one")
                result = asyncio.ensure_future(handle.result())
                await asyncio.wait([result], timeout=life_s)
                if result.done():
                    return result.result()
                result.cancel()
        raise AssertionError("it never ended")

    found = virtually(main())
    sound(store)
    return store, found


places = st.frozensets(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=4)
lives = st.lists(st.sampled_from((0.0, 0.005, 0.015, 0.025, 0.035)), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@forall(programs, places, lives)
def test_a_patch_never_diverges(program: list[Line], patched: frozenset[tuple[int, int]], lives_s: list[float]) -> None:
    """Whenever the code is changed, and however often workers die: what was begun the old way goes on the old way."""
    store, output = played(program, patched, lives_s)

    assert "replay.diverged" not in history(store)
    for said, calls in zip(output, program, strict=True):
        olds = [word for word in said if word != "new"]
        assert said.count("new") % 2 == 0
        assert len(olds) + said.count("new") // 2 == len(calls)
    marks = [event.facts for event in store.read_stream("execution/one") if event.type == "patch.marked"]
    assert len(marks) == (1 if any("new" in said for said in output) else 0)


def test_an_execution_that_starts_under_the_new_code_takes_the_new_way() -> None:
    """There is no record that knows another."""
    program, patched = [(("a", 0.01), ("b", 0.01))], frozenset({(0, 0)})
    store = MemoryStore()

    async def main() -> Any:
        async with engine_on(store) as engine:
            return await (await engine.start(flow(program, patched), id="one")).result()

    assert virtually(main()) == [["new", "new", "b"]]
    assert history(store)[1] == "patch.marked"
    assert store.read_stream("execution/one")[1].facts == {"patch": "better", "after": 0}


def test_an_execution_that_came_past_the_place_keeps_the_old_way() -> None:
    """What the record has begun is not begun anew; places that it has not come to take the new way."""
    program = [(("a", 0.01), ("b", 0.01), ("c", 0.01))]
    store, output = played(program, frozenset({(0, 0), (0, 1), (0, 2)}), [0.015])

    assert output == [["a", "b", "new", "new"]]
    assert [e.facts["after"] for e in store.read_stream("execution/one") if e.type == "patch.marked"] == [2]
