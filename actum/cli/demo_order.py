"""The workflow that `actum demo` runs: an order, with everything in it that goes wrong in real life.

It is an ordinary workflow module; `actum run actum.cli.demo_order:order --input '{"id": "A-17", …}'` runs it too.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from actum.engine import Approval, Context, current_step, step, workflow
from actum.engine.rules.retry import Retry

__all__ = ["order"]

PACE_S = 0.15  # long enough to watch, and to be killed in the middle of


@dataclass
class Order:
    id: str
    amount_eur: int
    items: list[str]
    address: str = "Main Street 1"


@dataclass
class Receipt:
    payment: str
    amount_eur: int


@step
async def score(order: Order) -> dict[str, Any]:
    """How risky is it? More than 500 € is for a person to decide."""
    await asyncio.sleep(PACE_S)
    return {"risk": "high" if order.amount_eur > 500 else "low"}


async def release(reserved: dict[str, Any]) -> None:
    await asyncio.sleep(PACE_S)


@step(tool="warehouse", retries=Retry(attempts=4, first_delay_s=0.2), compensate=release)
async def reserve(order: Order) -> dict[str, Any]:
    """The warehouse's service is flaky: its first answer to a large order is always a broken connection."""
    await asyncio.sleep(PACE_S)
    me = current_step()
    if order.amount_eur > 100 and me is not None and me.attempt == 1:
        raise ConnectionError("warehouse: connection reset by peer")
    return {"reservation": f"R-{order.id}", "items": len(order.items)}


async def refund(receipt: dict[str, Any]) -> None:
    await asyncio.sleep(PACE_S)


@step(timeout="5s", compensate=refund)
async def charge(order: Order) -> Receipt:
    """Takes the money. The idempotency key is the same when it runs again, so the bank takes it once."""
    await asyncio.sleep(4 * PACE_S)
    me = current_step()
    key = me.idempotency_key if me is not None else "none"
    return Receipt(payment=f"P-{key[:8]}", amount_eur=order.amount_eur)


@step(tool="courier", retries=1)
async def ship(order: Order) -> str:
    """Hands the parcel to the courier, who does not deliver to the moon."""
    await asyncio.sleep(PACE_S)
    if "Moon" in order.address:
        raise LookupError(f"courier: no route to {order.address!r}")
    return f"T-{order.id}"


@workflow
async def order(ctx: Context, order: Order) -> dict[str, Any]:
    """Reserve and score side by side, take the money, ask a person if it is risky, ship."""
    risk, reserved = await ctx.gather(score(order), reserve(order))
    receipt = await charge(order)
    if risk["risk"] == "high":
        context = {"order": order.id, "amount_eur": order.amount_eur, "risk": risk, "payment": receipt.payment}
        await ctx.approve(Approval(f"Ship order {order.id} for {order.amount_eur} €?", context, "ship-it", "high"))
    tracking = await ship(order)
    return {"tracking": tracking, "payment": receipt.payment, "reservation": reserved["reservation"]}
