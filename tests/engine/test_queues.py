"""The queues of database servers: workers that ask at once get different executions."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from actum.engine import Engine, workflow
from actum.eventstore import open_store


@workflow
async def nothing(ctx: Any) -> None: ...


@workflow
async def other(ctx: Any) -> None: ...


@pytest.fixture(params=["postgres", "mysql"])
def address(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


def submit(store: Any, flow: Any, *ids: str, **options: Any) -> None:
    async def main() -> None:
        async with Engine(store, blocked_after_s=None) as engine:
            for id_ in ids:
                await engine.submit(flow, id=id_, **options)

    asyncio.run(main())


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["id"] for row in rows]


def test_what_one_has_taken_another_does_not_get(address: str) -> None:
    """For one lease, within which its claim is in the log; then it is given to others. The urgent come first."""
    store = open_store(f"{address}?lease=2")
    submit(store, nothing, "a", "b", "c")
    submit(store, nothing, "urgent", priority=3)
    submit(store, other, "o")
    first, second = store.queue(), store.queue()

    assert ids(first.take("w-1", 2, workflows=["nothing"])) == ["urgent", "a"]
    assert ids(second.take("w-2", 9, workflows=["nothing"], but=["b"])) == ["c"]
    assert ids(second.take("w-2", 9)) == ["b", "c", "o"]
    assert second.take("w-2", 9, workflows=[]) == []
    for _ in range(200):
        if got := [id_ for id_ in ids(second.take("w-2", 9)) if id_ in ("urgent", "a")]:
            break
        asyncio.run(asyncio.sleep(0.05))
    assert got == ["urgent", "a"]
    first.close()
    second.close()
    store.close()


def test_no_two_that_ask_at_once_get_the_same(address: str) -> None:
    """Whoever looks while another one takes passes over what that one looks at."""
    store = open_store(f"{address}?lease=60")
    submit(store, nothing, *(f"e{n}" for n in range(100)))
    queues = [store.queue() for _ in range(4)]

    def take(number: int) -> list[str]:
        found: list[str] = []
        for _ in range(4):
            found += ids(queues[number].take(f"w-{number}", 3, but=found))
        return found

    with ThreadPoolExecutor(4) as pool:
        taken = [id_ for some in pool.map(take, range(4)) for id_ in some]
    for queue in queues:
        queue.close()
    store.close()
    assert len(taken) == len(set(taken)) >= 12


def test_claims_are_given_back_when_nothing_is_free(address: str) -> None:
    """Not while others are taking what there is: what a worker took last may not be in the log yet."""
    if address.startswith("mysql"):
        from actum.eventstore.mysql.connection import ask as do
        from actum.testing.mysql import session
    else:
        from actum.testing.postgres import session

        def do(con: Any, sql: str) -> Any:
            return con.execute(sql.encode())

    store = open_store(f"{address}?lease=60")
    submit(store, nothing, "a", "b")
    first, second = store.queue(), store.queue()
    assert ids(first.take("w-1", 1)) == ["a"]

    other = session(address)
    do(other, "BEGIN")
    do(other, "SELECT id FROM executions WHERE id = 'b' FOR UPDATE")
    assert first.take("w-1", 1, but=["a"]) == []  # another one has it in its hands
    assert second.take("w-2", 9) == []
    do(other, "ROLLBACK")
    other.close()
    assert first.take("w-1", 1, but=["a", "b"]) == []

    assert ids(second.take("w-2", 9)) == ["a", "b"]
    first.close()
    second.close()
    store.close()
