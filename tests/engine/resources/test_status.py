"""`actum pools` says what is in use, who waits and how long, and what breakers are; with a file, how much there is."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from actum.cli.main import main
from actum.engine import Engine, step, workflow
from actum.engine.resources import Breaker, Pool, RateLimit, Resources
from actum.eventstore import open_store
from tests.engine.world import really, until

RULES = """
pools:
  gpu: {capacity: 1, unit: cards}
limits:
  api: {count: 1, per: 1h}
breakers:
  down: {failures: 1}
"""


@step(needs={"gpu": 1})
async def train() -> None:
    await asyncio.sleep(60)


@step(needs={"api": 1}, breaker="down")
async def call() -> None:
    raise ConnectionError("no answer")


@workflow
async def trains(ctx: Any) -> None:
    await train()


@workflow
async def calls(ctx: Any) -> None:
    await call()


def test_what_is_in_use_and_who_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Looked at from outside, while a worker of the store has it."""
    url = f"sqlite:///{tmp_path}/a.db"
    (tmp_path / "r.yaml").write_text(RULES)
    store = open_store(url)

    def said(*words: str) -> str:
        monkeypatch.setattr("sys.argv", ["actum", "--store", url, "pools", *words])
        with pytest.raises(SystemExit) as left:
            main()
        assert left.value.code in (0, None)
        return capsys.readouterr().out

    rules = Resources(
        pools=[Pool("gpu", 1)], limits=[RateLimit("api", 1, per="1h")], breakers=[Breaker("down", failures=1)]
    )

    async def scene() -> tuple[str, str, str]:
        async with Engine(store, resources=rules) as engine:
            for id_ in ("one", "two"):
                await engine.start(trains, id=id_)
            await engine.start(calls)
            await until(lambda: store.stream_version("breaker/down"))
            await until(lambda: engine.desk._held and engine.desk._waiting)
            await asyncio.sleep(0.1)
            return (
                said("--json", "--resources", str(tmp_path / "r.yaml")),
                said("--resources", str(tmp_path / "r.yaml")),
                said(),
            )

    told, table, without = really(scene())
    found = json.loads(told)
    (pool,), (limit,), (breaker,) = found["pools"], found["limits"], found["breakers"]
    assert (pool["pool"], pool["capacity"], pool["in_use"], pool["waiting"], pool["unit"]) == ("gpu", 1, 1, 1, "cards")
    assert [one["step"] for one in pool["held_by"]] == ["train#0"]
    assert pool["longest_wait_us"] > 0
    assert (limit["limit"], limit["waiting"]) == ("api", 0)
    assert 3_500_000_000 < limit["next_in_us"] <= 3_600_000_000
    assert (breaker["breaker"], breaker["state"], breaker["waiting"]) == ("down", "open", 0)
    for word in ("1 cards", "1 per 60 min", "open"):
        assert word in table, table
    assert "gpu" in without
    after = json.loads(said("--json"))
    assert after["pools"] == [], "what was held was given back"
    store.close()
