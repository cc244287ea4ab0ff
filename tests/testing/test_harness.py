"""The harness: scripted steps, time that passes when it is told to, restarts, and differences that can be read."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from actum.engine import Approval, Graph, Retry, Workflow, step, workflow
from actum.errors import BadInput, ExecutionFailed, NotWaiting, ReplayDiverged
from actum.testing import Harness, assert_history, assert_steps, check_replay, run, save_history


async def refund(paid: int) -> None: ...


@step(retries=Retry(attempts=3, first_delay_s=60), compensate=refund)
def charge(amount: int) -> int:
    raise AssertionError("the test answers for it")


@step
async def ship(order: str) -> str:
    return f"{order} is on its way"


@workflow
async def checkout(ctx: Any, order: str) -> Any:
    paid = await charge(12)
    await ctx.sleep("3d")
    await ctx.approve(Approval("Ship?", name="ok"))
    address = await ctx.wait_signal("address")
    more = await ctx.receive("A gift?")
    return [paid, await ship(order), address, more]


def test_a_workflow_runs_to_its_end_by_what_a_test_says() -> None:
    """An answer for each attempt, a decision, a signal and an input: three days later it has ended."""
    ended = run(
        checkout,
        "o-1",
        steps={"charge": [ConnectionError("gone"), TimeoutError, 12]},
        approvals={"ok": True},
        signals={"address": "Rome"},
        inputs={"input": "no"},
    )

    assert ended.result() == [12, "o-1 is on its way", "Rome", "no"]
    assert_steps(ended, ["charge failed", "charge (2) failed", "charge (3) completed", "ship completed"])
    assert_history(ended, ["execution.started", ..., "timer.fired sleep#0", ..., "execution.completed"])


def test_what_nobody_answers_is_waited_for() -> None:
    """The end names what is still open, and its result is no output."""
    ended = run(checkout, "o-1", steps={"charge": 12})

    assert (ended.status, ended.waits_for) == ("waiting", ("ok#0",))
    with pytest.raises(ExecutionFailed, match="it waits for ok#0"):
        ended.result()


def test_a_no_is_undone() -> None:
    """A script holds for compensations too, and what could not be undone is named."""
    ended = run(checkout, "o-1", steps={"charge": 12, "charge/undo": OSError("no")}, approvals={"ok": False})

    assert (ended.status, ended.error_type, ended.uncompensated) == ("failed", "ApprovalRejected", ("charge#0",))
    failed = ["undo charge failed", "undo charge (2) failed", "undo charge (3) failed"]
    assert_steps(ended, ["charge completed", *failed])


def test_time_passes_only_when_it_is_told_to() -> None:
    """A second before it is due a timer has not fired; through a killed worker too."""
    with Harness(steps={"charge": 12}) as harness:
        flow = harness.start(checkout, "o-1")
        assert flow.now().waits_for == ("sleep#0",)
        harness.skip(3 * 86_400 - 1)
        harness.restart()
        assert flow.now().waits_for == ("sleep#0",)
        harness.skip(1)
        assert flow.now().waits_for == ("ok#0",)


def test_people_and_programs_come_from_outside() -> None:
    """Each answer moves it on to the next question; an answer that nobody asked for is refused."""
    with Harness(steps={"charge": 12}) as harness:
        flow = harness.start(checkout, "o-1")
        with pytest.raises(NotWaiting):
            flow.approve("ok")
        flow.finish()
        flow.signal("address", "Rome")
        flow.approve("ok")
        assert flow.now().waits_for == ("input#0",)
        flow.give("yes")
        assert flow.output == [12, "o-1 is on its way", "Rome", "yes"]


def test_a_retry_waits_for_its_time_and_a_script_can_change() -> None:
    """While nothing is skipped, the next attempt does not come."""
    with Harness(steps={"charge": ConnectionError("gone")}) as harness:
        flow = harness.start(checkout, "o-1")
        harness.skip(59)
        assert_steps(flow, ["charge failed"])
        harness.script(charge=lambda amount: amount + 1)
        harness.skip(1)
        assert_steps(flow, ["charge failed", "charge (2) completed"])


def test_it_is_cancelled_and_paused_as_by_a_person() -> None:
    """A pause holds what falls due; a cancel undoes what was done."""
    with Harness(steps={"charge": 12}) as harness:
        flow = harness.start(checkout, "o-1")
        flow.pause()
        harness.skip("4d")
        assert flow.status == "paused"
        flow.unpause()
        flow.cancel()
        assert flow.finish().status == "cancelled"
        assert_steps(flow, ["charge completed", "undo charge"])


def test_a_graph_is_scripted_by_its_steps() -> None:
    """A step's id is its name; a name that is none of them is refused with the nearest one."""
    graph = Graph("g").step("fetch", refund).step("keep", refund).edge("fetch", "keep").build()

    assert run(graph, {"paid": 1}, steps={"fetch": {"n": 1}, "keep": [[1, 2]]}).result() == [1, 2]
    with pytest.raises(BadInput, match="no step 'fetsh' to script; did you mean 'fetch'"):
        run(graph, {"paid": 1}, steps={"fetsh": 1})


def test_a_difference_is_shown_line_by_line() -> None:
    """What is missing and what is there instead stand beside each other."""
    ended = run(checkout, "o-1", steps={"charge": 12})

    with pytest.raises(AssertionError, match=r"- charge failed\n\+ charge completed"):
        assert_steps(ended, ["charge failed"])
    with pytest.raises(AssertionError, match=r"- \.\.\.\n"):
        assert_history(ended, [..., "step.failed charge#0"])


def test_a_harness_is_for_plain_tests() -> None:
    """In a running event loop it says so, and starts nothing."""

    async def inside() -> None:
        with pytest.raises(BadInput, match="use it in a plain test"):
            Harness()

    asyncio.run(inside())


def renamed(fn: Any) -> Workflow:
    return Workflow(fn, name="checkout")


async def asks_first(ctx: Any, order: str) -> Any:
    await ctx.approve(Approval("Ship?", name="ok"))
    return await charge(12)


async def goes_on(ctx: Any, order: str) -> Any:
    first = await checkout.fn(ctx, order)
    return [first, await ship("another")]


def test_a_recorded_history_is_held_against_the_code_of_today(tmp_path: Path) -> None:
    """The same code replays it, from a file too; other code is told where it parts from the record."""
    answers: dict[str, Any] = {"approvals": {"ok": True}, "signals": {"address": "Rome"}, "inputs": {"input": 1}}
    ended = run(checkout, "o-1", steps={"charge": 12}, **answers)
    save_history(ended, tmp_path / "checkout.jsonl")

    check_replay(checkout, ended)
    check_replay(checkout, tmp_path / "checkout.jsonl")
    with pytest.raises(ReplayDiverged, match="charge#0"):
        check_replay(renamed(asks_first), ended)
    with pytest.raises(ReplayDiverged, match="the end"):
        check_replay(renamed(goes_on), tmp_path / "checkout.jsonl")
    (tmp_path / "checkout.jsonl").write_text("{}\n")
    with pytest.raises(BadInput, match="line 1: not an event"):
        check_replay(checkout, tmp_path / "checkout.jsonl")
