"""Steps that run in other processes, which find them here by name."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actum.engine import Retry, current_step, step

AGAIN = Retry(attempts=2, first_delay_s=0)


@dataclass
class Order:
    item: str
    amount: int


class NoStock(LookupError): ...


@step(executor="process")
def describe(order: Order) -> dict[str, Any]:
    """What it is given, and where it runs. What it prints is nobody's answer."""
    me = current_step()
    assert me is not None
    print("noise")
    return {"order": f"{order.amount} {order.item}", "step": list(me[:3]), "pid": os.getpid()}


@step(executor="process")
async def describe_later(order: Order) -> str:
    return f"{order.amount} {order.item}"


@step(executor="process")
def refuse(item: str) -> None:
    raise NoStock(f"no {item}")


@step(executor="process", retries=AGAIN)
def die_once() -> str:
    me = current_step()
    assert me is not None
    if me.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return "lived"


@step(executor="process")
def leave() -> None:
    os._exit(7)


@step(executor="process")
def nap(journal: str) -> str:
    """Say who it is, then take a while."""
    Path(journal).write_text(str(os.getpid()))
    time.sleep(0.3)
    return "rested"


@step(executor="process", timeout=3)
def hang(journal: str) -> None:
    Path(journal).write_text(str(os.getpid()))
    while True:
        time.sleep(60)


@step(executor="process")
def cannot_be_recorded() -> Any:
    return {1, object()}


@step(executor="ray", retries=AGAIN)
def far(order: Order) -> dict[str, Any]:
    """Dies at its first attempt."""
    me = current_step()
    assert me is not None
    if me.attempt == 1:
        os._exit(1)
    return {"order": f"{order.amount} {order.item}", "step": list(me[:3]), "pid": os.getpid()}


@step(executor="ray", timeout=8)
def far_hang(journal: str) -> None:
    Path(journal).write_text(str(os.getpid()))
    while True:
        time.sleep(60)


@step(executor="ray")
def far_refuse(item: str) -> None:
    raise NoStock(f"no {item}")


@step(executor="process")
def spends(fails: bool) -> None:
    """It says what it has used, and may fail after that."""
    me = current_step()
    assert me is not None
    me.used(tokens_in=7, cost_nanousd=9, model="m-far")
    if fails:
        raise NoStock("none")
