"""Workflows that run to their end on a real store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from actum.engine import Approval, Engine, Retry, current_step, step, workflow
from actum.errors import ApprovalRejected, ExecutionFailed, ExecutionParked, Fenced
from actum.eventstore import EventStore
from tests.engine.world import really, until


@dataclass
class Order:
    item: str
    amount: int


@dataclass
class Receipt:
    order: Order
    number: int


@step
async def plus_one(x: int) -> int:
    return x + 1


def run(store: EventStore, flow: Any, given: Any = None, *, id: str = "one") -> Any:
    """Run to the end, in real time; a failed execution gives its error."""

    async def main() -> Any:
        async with Engine(store) as engine:
            return await ended(await engine.start(flow, given, id=id))

    return really(main())


async def ended(handle: Any) -> Any:
    try:
        return await handle.result()
    except (ExecutionFailed, ExecutionParked, Fenced) as exc:
        return exc


@step
async def ship(x: Any = None) -> str:
    return "shipped"


@workflow(name="guarded")
async def guarded(ctx: Any, deadline: float | None = None) -> Any:
    try:
        decision = await ctx.approve(Approval("Ship?", context={"to": "Rome"}, name="ok", deadline_s=deadline))
    except ApprovalRejected as exc:
        return [exc.outcome, exc.by, exc.comment]
    return [await ship(), decision["by"], decision["comment"]]


async def asked(store: EventStore) -> None:
    await until(lambda: store.view("approvals", {"status": "waiting"}))


@step(retries=Retry(attempts=2, first_delay_s=1))
async def flaky() -> int:
    me = current_step()
    assert me is not None
    if me.attempt == 1:
        raise ConnectionError("once")
    return me.attempt
