"""Simulating a workflow: what it goes through, that a seed is the same everywhere, and what a mistake looks like."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from actum.engine import Approval, Graph, step, workflow
from actum.errors import BadInput
from actum.testing import Ended, SimulationFailed, simulate
from actum.testing.pytest_plugin import Seeds, Simulate
from actum.testing.simulation.loop import Stuck
from actum.testing.simulation.simulation import Simulation
from actum.testing.simulation.weather import CALM, Weather

SHOP = """
from actum import Approval, step, workflow

@step(retries=2)
async def charge(amount: int) -> int:
    return amount

@step
async def ship(amount: int) -> None: ...

@workflow
async def checkout(ctx, amount: int) -> int:
    question = ctx.approve(Approval("Ship it?", name="ok"))
    paid = await charge(amount)
    if paid > 10:
        await ship(paid)  # before anybody has said yes
    await question
    return paid

words = {"guards": {"ship": "ok"}, "failures": False}
"""
TEST = """
from shop import checkout

def test_nothing_is_shipped_without_a_yes(actum_simulate):
    actum_simulate(checkout, 20, guards={"ship": "ok"}, seeds=5)
"""


@step(compensate=lambda result: None, retries=2)
async def reserve(n: int) -> int:
    return n


@step
def sign(n: int) -> int:
    return n


@workflow
async def lease(ctx: Any, n: int) -> Any:
    found = await ctx.gather(reserve(n), reserve(n + 1))
    await ctx.sleep("30d")
    await ctx.approve(Approval("Go on?", name="ok"))
    paid = await ctx.wait_signal("paid")
    more = await ctx.receive("How many?")
    return [*found, await sign(paid), more]


def test_a_workflow_of_everything_keeps_every_promise(actum_simulate: Simulate) -> None:
    """Timers of a month, branches, people, signals and input, in any weather; every end is one that it may have."""
    seen: list[Any] = []

    def check(ended: Ended) -> None:
        seen.append(ended.output)
        assert ended.status != "completed" or ended.output == [1, 2, 5, 3]

    ends = actum_simulate(
        lease, 1, seeds=60, signals={"paid": 5}, inputs={"input": 3}, guards={"sign": "ok"}, check=check
    )

    assert ends.keys() <= {"completed", "failed", "cancelled"}
    assert sum(ends.values()) == len(seen)


def test_a_graph_guards_its_steps_by_itself(actum_simulate: Simulate) -> None:
    """What comes only after a question needs its yes; a script answers for the steps."""
    graph = Graph("g").approval("ok", "Ship?").step("ship", reserve).edge("ok", "ship").build()

    assert actum_simulate(graph, seeds=40, steps={"ship": 1})["completed"]


def test_weather_reaches_everything_that_can_go_wrong() -> None:
    """Among the first seeds there is every kind of fault, a zombie, a pause, a cancel, a clock set back and on."""
    weathers = [Weather.of(seed) for seed in range(200)]

    assert {fate.kind for one in weathers for fate in one.fates} == {"ok", "lost", "landed", "late", "refused"}
    assert {life.zombie for one in weathers for life in one.lives} == {True, False}
    asked = {ask.what for one in weathers for ask in one.asks}
    assert asked == {"pause", "cancel", "cancel, and leave it", "cancel, now"}
    assert {jump.by_s > 0 for one in weathers for jump in one.jumps} == {True, False}
    assert CALM in weathers


def test_a_workflow_that_waits_for_what_nobody_sends_is_named() -> None:
    """What a simulation does not hold is said: here the signal."""
    with pytest.raises(SimulationFailed, match=r"'one' is running and waits for paid#0") as failed:
        simulate(lease, 1, seeds=1, approvals={"ok": True}, failures=False, asks=False)

    assert isinstance(failed.value.why, Stuck)


def test_a_failing_check_is_a_failing_seed() -> None:
    """The check's own words stand in the message, with the seed and the record."""

    def check(ended: Ended) -> None:
        raise AssertionError("not what I meant")

    with pytest.raises(
        SimulationFailed, match=r"seed 7: AssertionError: not what I meant[\s\S]*step.completed"
    ) as failed:
        simulate(lease, 1, seeds=[7], signals={"paid": 1}, inputs={"input": 1}, approvals={"ok": True}, check=check)

    assert failed.value.seed == 7


def test_what_is_no_workflow_is_refused() -> None:
    """By name, before anything runs."""
    with pytest.raises(BadInput, match="a @workflow or a Graph"):
        simulate(reserve)  # type: ignore[arg-type]


def test_services_can_begin_anew_with_every_seed() -> None:
    """A function makes the fakes of each run."""
    made: list[dict[str, Any]] = []

    def services() -> dict[str, Any]:
        made.append({})
        return made[-1]

    simulate(lease, 1, seeds=3, services=services, signals={"paid": 1}, inputs={"input": 1})

    assert len(made) == 3


# -- a seed is the same everywhere -------------------------------------------------------------------------------------


def test_a_seed_is_the_same_in_every_process(tmp_path: Path) -> None:
    """Every event, its time and its writer; however Python hashes strings there."""
    script = tmp_path / "told.py"
    script.write_text(
        SHOP
        + """
from actum.testing.simulation.simulate import story
from actum.testing.simulation.simulation import Simulation
from actum.testing.simulation.weather import Luck, Weather

@workflow(name="parent")
async def parent(ctx, n):
    return await ctx.gather(*(ctx.child(checkout, n) for n in range(4)))

for seed in range(5, 9):
    simulation = Simulation(parent, 20, seed=seed, luck=Luck((9, 7, 20)))
    simulation.run(Weather.of(seed))
    print("\\n".join(story(simulation)))
"""
    )
    told = [
        subprocess.run(
            [sys.executable, str(script)],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]

    assert told[0].count("execution.completed") > 10
    assert told[0] == told[1]


def _in(folder: Path, command: list[str]) -> tuple[int, str]:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def _again(told: str) -> list[str]:
    """The one command that a failure names, for this interpreter."""
    (command,) = [line.partition("Again: ")[2] for line in told.splitlines() if "Again: " in line]
    program, *words = shlex.split(command)
    return [sys.executable, "-m", program, *words]


def _broken(told: str) -> str:
    return next(line.partition("P8")[2] for line in told.splitlines() if "P8 (" in line)


def test_the_command_of_a_failing_seed_makes_it_happen_again(tmp_path: Path) -> None:
    """A step that forgets its approval is found by `actum test simulate`, and found again by the command it prints."""
    (tmp_path / "shop.py").write_text(SHOP)
    simulate = [sys.executable, "-m", "actum", "test", "simulate", "shop:checkout", "--input", "20"]

    code, told = _in(tmp_path, [*simulate, "--given", "shop:words"])
    code_again, told_again = _in(tmp_path, _again(told))

    assert (code, code_again) == (1, 1)
    assert "nobody had granted 'ok'" in _broken(told)
    assert _broken(told_again) == _broken(told)


def test_the_command_of_a_failing_test_makes_it_fail_again(tmp_path: Path) -> None:
    """The same in pytest, whose command goes through this seed only."""
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "test_shop.py").write_text(TEST)
    plugin = ["-p", "actum.testing.pytest_plugin", "-q", "--tb=short"]

    code, told = _in(tmp_path, [sys.executable, "-m", "pytest", *plugin])
    again = _again("\n".join(line for line in told.splitlines() if line.startswith("E ")))
    code_again, told_again = _in(tmp_path, [*again, *plugin])

    assert (code, code_again) == (1, 1)
    assert _broken(told_again) == _broken(told)


def test_options_choose_the_seeds() -> None:
    """One, or so many of each part; without a word, as many as the test says."""
    assert Seeds("t", None, None).of(3) == [0, 1, 2]
    assert Seeds("t", None, None).of(3, 2) == [6, 7, 8]
    assert Seeds("t", None, 2).of(3, 1) == [2, 3]
    assert Seeds("t", 9, 2).of(3, 1) == [9]


@pytest.mark.parametrize("module", ["actum.testing", "actum.testing.pytest_plugin"])
def test_importing_it_is_light(module: str) -> None:
    """Who has actum installed and does not use this pays for no engine and no store."""
    code = (
        f"import sys, {module}; print([m for m in sys.modules if m.startswith(('actum.e', 'sqlalchemy', 'pydantic'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.strip() == "[]"


def test_a_simulation_can_be_run_again_and_again() -> None:
    """Nothing is left over from the run before."""
    simulation = Simulation(lease, 1, seed=3, signals={"paid": [1]}, inputs={"input": 1})

    first = simulation.run(Weather.of(3, asks=False))
    assert simulation.run(Weather.of(3, asks=False)).output == first.output
