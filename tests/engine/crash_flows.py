"""What the processes of `test_crash.py` run: four executions in which everything happens that can be recorded."""

from __future__ import annotations

from typing import Any, Final

from actum.engine import Approval, Graph, Over, Retry, Workflow, current_step, step, workflow

__all__ = ["FLOWS"]

QUICK = Retry(attempts=3, first_delay_s=0.002)


def attempt() -> int:
    me = current_step()
    assert me is not None
    return me.attempt


@step
async def add(n: int) -> int:
    return n + 1


@step
def double(n: int) -> int:
    return n * 2


@step(retries=QUICK)
async def flaky(n: int) -> int:
    if attempt() == 1:
        raise ConnectionError("not yet")
    return n


@workflow
async def parcel(ctx: Any, n: int) -> int:
    await ctx.sleep(0.002)
    return await add(n)


@workflow
async def order(ctx: Any) -> Any:
    """A retry, branches, a race, a timer, a signal, a child."""

    async def branch(n: int) -> int:
        return await double(await add(n))

    first = await flaky(await add(1))
    pair = await ctx.gather(branch(first), branch(10))
    won = await ctx.race(quick=add(first), slow=ctx.sleep("1h"))
    paid = await ctx.wait_signal("paid")
    return [*pair, won.which, paid, await ctx.child(parcel, first)]


@step(retries=QUICK)
async def cancel(what: str) -> None:
    if attempt() == 1 and what == "hotel":
        raise ConnectionError("nobody answers")


@step(compensate=cancel)
async def book(what: str) -> str:
    return what


@step(pivot=True)
async def pay() -> None: ...


@step
def board() -> None:
    raise OSError("no seats")


@workflow
async def trip(ctx: Any) -> None:
    """Fails at its end, and is undone as far back as the pivot."""
    await book("visa")
    await pay()
    for what in ("train", "hotel"):
        await book(what)
    await board()


@step
async def ship(by: str) -> str:
    return f"shipped for {by}"


@workflow
async def release(ctx: Any, given: Any = None) -> Any:
    """Waits for a person before its step, wants more input, and goes on as another."""
    if given is not None:
        return [given, await add(1)]
    decision = await ctx.approve(Approval("Ship?", name="ok"))
    shipped = await ship(decision["by"])
    return ctx.continue_as_new([shipped, await ctx.receive("How many?")])


async def items() -> list[int]:
    return [1, 2, 3]


async def tripled(n: int) -> int:
    return n * 3


async def total(of: list[int]) -> int:
    return sum(of)


lines = (
    Graph("lines")
    .step("start", items)
    .step("each", tripled, inputs={"n": "{{ item }}"}, over=Over("{{ start }}", concurrency=2))
    .step("sum", total, inputs={"of": "{{ each }}"})
    .edge("start", "each")
    .edge("each", "sum")
    .build()
)
FLOWS: Final[tuple[Workflow | Graph, ...]] = (order, trip, release, lines)
