"""Executions whose record cannot be told in full any more: they stop, and say why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actum.engine import Approval, Engine, step, workflow
from actum.errors import ExecutionFailed, PayloadErased
from actum.events import Actor
from actum.eventstore import EventStore, open_store
from actum.eventstore.custody.custodian import record
from actum.eventstore.custody.erasing import finish
from tests.engine.world import engine_on, really, sound


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventStore]:
    store = open_store("memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/log.db")
    yield store
    sound(store)
    store.close()


@step
async def score(name: str) -> int:
    return len(name)


@step(retries=2)
async def refuse(name: str) -> int:
    raise ValueError(f"{name} will not do")


@workflow
async def asking(ctx: Any, name: str) -> int:
    points = await score(name)
    await ctx.approve(Approval("May it?", {"name": name}, "may-it"))
    return points


@workflow
async def plain(ctx: Any, name: str) -> int:
    return await score(name)


@workflow
async def failing(ctx: Any, name: str) -> int:
    return await refuse(name)


def erase(store: EventStore, type_: str) -> None:
    """Erase the payloads of all events of this type, as a rule does."""
    facts = {
        "basis": "test",
        "before": "2999-01-01T00:00:00.000000Z",
        "event_type": type_,
        "payloads": 1,
        "executions": 1,
    }
    record(store, lambda: 2_000_000_000_000_000, "payload.erased", [facts], Actor("person", "p-1"), {"reason": "test"})
    finish(store)


async def start(store: EventStore, flow: Any) -> None:
    async with Engine(store) as engine:
        handle = await engine.start(flow, "anna", id="one")
        if flow is asking:
            await handle.wait_asking()
        else:
            try:
                await handle.result()
            except ExecutionFailed:
                return


async def resume(store: EventStore, flow: Any) -> Any:
    async with engine_on(store) as engine:
        engine.register(flow)
        return await (await engine.resume("one")).result()


@pytest.mark.parametrize(("type_", "version"), [("execution.started", 0), ("step.completed", 2)])
def test_what_needs_an_erased_payload_is_parked(store: EventStore, type_: str, version: int) -> None:
    """Input or result gone, nobody can say what the code would have done: it is left to a person, and says why."""
    really(start(store, asking))
    erase(store, type_)

    with pytest.raises(PayloadErased) as told:
        really(resume(store, asking))

    assert (told.value.execution, told.value.version, told.value.what) == ("one", version, type_)
    last = store.read_stream("execution/one")[-1]
    assert (last.type, last.facts) == ("execution.parked", {"reason": "erased"})
    assert [row["status"] for row in store.view("executions")] == ["parked"]


def test_it_is_parked_once(store: EventStore) -> None:
    """Resuming it again says the same and writes nothing; recovering leaves it alone."""
    really(start(store, asking))
    erase(store, "execution.started")
    with pytest.raises(PayloadErased):
        really(resume(store, asking))
    head = store.head()

    with pytest.raises(PayloadErased):
        really(resume(store, asking))
    assert store.head() == head

    async def recover() -> Any:
        async with engine_on(store) as engine:
            return await engine.recover()

    assert really(recover()) == ([], {})


def test_recovering_goes_on_with_the_others(store: EventStore) -> None:
    """One that cannot go on is among the refused, with its reason."""
    really(start(store, asking))
    erase(store, "execution.started")

    async def recover() -> Any:
        async with engine_on(store) as engine:
            engine.register(asking)
            return await engine.recover()

    handles, refused = really(recover())

    assert handles == []
    assert isinstance(refused["one"], PayloadErased)


def test_what_the_code_is_not_told_is_not_missed(store: EventStore) -> None:
    """The arguments of a step come from the code again, so an execution goes on without their record."""
    really(start(store, asking))
    erase(store, "step.started")

    async def main() -> Any:
        async with engine_on(store) as engine:
            engine.register(asking)
            handle = await engine.resume("one")
            await engine.approve("one", "may-it", by="p-1")
            return await handle.result()

    assert really(main()) == 4


def test_an_erased_result_is_not_null(store: EventStore) -> None:
    """An execution that ended well and whose output was erased gives no result: not None, an error that says so."""
    really(start(store, plain))
    erase(store, "execution.completed")

    with pytest.raises(PayloadErased, match=r"execution\.completed"):
        really(resume(store, plain))


def test_a_failure_without_its_words_is_still_that_failure(store: EventStore) -> None:
    """The error's type is a fact and stays; its message was erased, and that is what is said in its place."""
    really(start(store, failing))
    erase(store, "execution.failed")

    with pytest.raises(ExecutionFailed) as told:
        really(resume(store, failing))

    assert (told.value.error_type, told.value.message) == ("ValueError", "the message was erased")


def test_what_is_reopened_needs_its_payloads_again(store: EventStore) -> None:
    """An execution that had failed needs nothing; taken back, it needs its input to go on."""

    async def main() -> None:
        await start(store, failing)
        async with Engine(store) as engine:
            await engine.retry("one", by="ann")
        erase(store, "execution.started")
        async with Engine(store) as engine:
            engine.register(failing)
            with pytest.raises(PayloadErased):
                await engine.resume("one")

    really(main())
    assert store.view("executions")[0]["status"] == "parked"


def test_a_persons_result_is_needed_like_a_steps(store: EventStore) -> None:
    """The workflow was told what the person said in the place of the step."""

    async def main() -> None:
        await start(store, failing)
        async with Engine(store) as engine:
            await engine.skip("one", "refuse", by="ann", reason="by hand", result=7)
        erase(store, "step.skipped")
        async with Engine(store) as engine:
            engine.register(failing)
            with pytest.raises(PayloadErased):
                await engine.resume("one")

    really(main())
