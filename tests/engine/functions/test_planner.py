"""The planner of durable functions alone: what it asks for, and what it makes of the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from actum.engine import Approval, step, workflow
from actum.engine.functions.outcomes import failure_of
from actum.engine.functions.planner import FunctionPlanner
from actum.engine.functions.workflow import Workflow
from actum.engine.rules.calls import Approve, Call, Done, Failure, Give, Outcome, Sleep, Wish
from actum.errors import BadInput, StepFailed

HERE = Path(__file__).name


@dataclass
class Receipt:
    number: int


RAN: list[str] = []
"""What ran for real, as the plain function: nothing may, inside a workflow."""


@step
async def a(x: Any = None) -> Any:
    RAN.append("a")


@step
async def b(x: Any = None) -> Any:
    RAN.append("b")


@step
def clean_up(x: Any = None) -> Any:
    RAN.append("clean_up")


@step
async def typed(x: Any = None) -> Receipt:
    RAN.append("typed")
    return Receipt(0)


@pytest.fixture(autouse=True)
def nothing_runs_for_real() -> Iterable[None]:
    RAN.clear()
    yield
    assert RAN == []


class Played:
    """A planner in the test's hands: `asked` holds the keys wanted so far, `end` the wish it ended with."""

    def __init__(self, flow: Workflow, given: Any = None) -> None:
        self.planner = FunctionPlanner(flow, "one")
        self.asked: list[str] = []
        self.wishes: list[Wish] = []
        self.end: Done | Give | None = None
        self.hear(self.planner.begin(given))

    def hear(self, wishes: list[Wish]) -> list[str]:
        new = []
        for wish in wishes:
            self.wishes.append(wish)
            if isinstance(wish, (Done, Give)):
                assert self.end is None
                self.end = wish
            else:
                assert isinstance(wish, (Call, Approve, Sleep))
                new.append(wish.key)
        self.asked += new
        return new

    def settle(self, key: str, value: Any = None, kind: Any = "completed") -> list[str]:
        return self.hear(self.planner.settle(key, Outcome(kind, value)))

    def fail(self, key: str, error: str = "ValueError") -> list[str]:
        return self.hear(self.planner.settle(key, Outcome("failed", None, Failure(error, "boom"))))

    @property
    def output(self) -> Any:
        assert isinstance(self.end, Done), self.end
        return self.end.output

    @property
    def error(self) -> Failure:
        assert isinstance(self.end, Give), self.end
        return self.end.error


# -- keys ------------------------------------------------------------------------------------------------------------


def test_calls_are_known_by_name_and_occurrence() -> None:
    """Each call of a step counts on its own, whatever is called in between."""

    @workflow
    async def flow(ctx: Any) -> None:
        await a()
        await b()
        await a()
        await ctx.sleep(5)
        await ctx.approve("Really?")
        await ctx.step("a", clean_up)

    played = Played(flow)
    for key in ("a#0", "b#0", "a#1", "sleep#0"):
        assert played.asked[-1] == key
        played.settle(key)
    played.settle("approval#0", kind="granted")

    assert played.asked == ["a#0", "b#0", "a#1", "sleep#0", "approval#0", "a#2"]


def test_branches_have_scopes_of_their_own() -> None:
    """The branches of a gather cannot change each other's keys, in whatever order their steps end."""

    async def branch() -> None:
        await a()
        await a()

    @workflow
    async def flow(ctx: Any) -> None:
        await ctx.gather(branch(), branch())
        await ctx.gather(branch())

    played = Played(flow)
    assert played.asked == ["g0.0/a#0", "g0.1/a#0"]
    assert played.settle("g0.1/a#0") == ["g0.1/a#1"]
    assert played.settle("g0.0/a#0") == ["g0.0/a#1"]
    played.settle("g0.1/a#1")
    assert played.settle("g0.0/a#1") == ["g1.0/a#0"]


def test_a_gather_inside_a_gather_nests_its_scope() -> None:
    """Scopes are paths, for coroutines and for gathers as children alike."""

    async def inner(ctx: Any) -> list[Any]:
        return await ctx.gather(leaf(), a())

    async def leaf() -> Any:
        return await b()

    @workflow
    async def flow(ctx: Any) -> Any:
        return await ctx.gather(inner(ctx), ctx.gather(leaf()))

    played = Played(flow)
    assert sorted(played.asked) == ["g0.0/a#0", "g0.0/g0.0/b#0", "g0.1/g0.0/b#0"]
    for number, key in enumerate(sorted(played.asked)):
        played.settle(key, number)

    assert played.output == [[1, 0], [2]]


# -- gather ----------------------------------------------------------------------------------------------------------


def test_results_come_in_the_order_given() -> None:
    """Whichever ends first."""

    @workflow
    async def flow(ctx: Any) -> Any:
        return await ctx.gather(a(), b(), a())

    played = Played(flow)
    for value, key in enumerate(("b#0", "a#1", "a#0")):
        played.settle(key, value)

    assert played.output == [2, 0, 1]


def test_an_empty_gather_gives_no_results() -> None:
    """Nothing to wait for is no reason to wait for ever."""

    @workflow
    async def flow(ctx: Any) -> Any:
        return await ctx.gather()

    assert Played(flow).output == []


def test_the_first_failure_is_raised_while_the_others_go_on() -> None:
    """A workflow that catches it may go on itself; the other branch still gets what it asks for."""

    async def branch() -> None:
        await b()
        await b()

    @workflow
    async def flow(ctx: Any) -> Any:
        try:
            await ctx.gather(a(), branch())
        except StepFailed as exc:
            return await a(exc.error_type)

    played = Played(flow)
    assert played.fail("a#0") == ["a#1"]
    assert played.settle("g0.1/b#0") == ["g0.1/b#1"]
    played.settle("a#1", "recovered")

    assert played.output == "recovered"


def test_failures_may_stand_among_the_results() -> None:
    """With `return_exceptions` every child is waited for."""

    @workflow
    async def flow(ctx: Any) -> Any:
        found = await ctx.gather(a(), b(), return_exceptions=True)
        return [type(one).__name__ for one in found]

    played = Played(flow)
    played.fail("a#0")
    assert played.end is None
    played.settle("b#0", 1)

    assert played.output == ["StepFailed", "int"]


def test_a_workflow_that_has_ended_asks_for_nothing_more() -> None:
    """Branches that were still open are let go: what their steps return starts nothing."""

    async def branch() -> None:
        await b()
        await b()

    @workflow
    async def flow(ctx: Any) -> None:
        await ctx.gather(a(), branch())

    played = Played(flow)
    played.fail("a#0")
    assert played.error.error_type == "ValueError"

    assert played.settle("g0.1/b#0") == []


def test_an_ended_workflow_runs_no_steps_while_its_branches_unwind() -> None:
    """A `finally` in a branch that is let go neither asks for its step nor runs it as a plain function."""

    async def branch() -> None:
        try:
            await b()
        finally:
            clean_up()
            await a()

    @workflow
    async def flow(ctx: Any) -> None:
        await ctx.gather(a(), branch())

    played = Played(flow)
    played.fail("a#0")

    assert played.asked == ["a#0", "g0.1/b#0"]


def test_ten_thousand_branches_are_wanted_at_once() -> None:
    """Width costs time in proportion, and no stack."""

    async def branch(n: int) -> Any:
        return await a(n)

    @workflow
    async def flow(ctx: Any) -> Any:
        return sum(await ctx.gather(*[branch(n) for n in range(10_000)]))

    played = Played(flow)
    assert len(played.asked) == 10_000
    for n, key in enumerate(list(played.asked)):
        played.settle(key, n)

    assert played.output == sum(range(10_000))


def test_ten_thousand_steps_in_a_row() -> None:
    """Depth costs no stack either."""

    @workflow
    async def flow(ctx: Any) -> Any:
        return sum([await a(n) for n in range(10_000)])

    played = Played(flow)
    for n in range(10_000):
        assert played.settle(f"a#{n}", 1) == ([f"a#{n + 1}"] if n < 9_999 else [])

    assert played.output == 10_000


# -- answers ---------------------------------------------------------------------------------------------------------


def test_a_failure_is_raised_where_the_step_is_awaited() -> None:
    """It can be caught there, with the step's name, the error's type and its text."""

    @workflow
    async def flow(ctx: Any) -> Any:
        try:
            await a()
        except StepFailed as exc:
            return [exc.step, exc.error_type, exc.message]

    played = Played(flow)
    played.fail("a#0")

    assert played.output == ["a", "ValueError", "boom"]


def test_a_failure_that_nobody_catches_fails_the_workflow_with_its_cause() -> None:
    """The execution's error is the step's, and says which step."""

    @workflow
    async def flow(ctx: Any) -> Any:
        try:
            await a()
        finally:
            await clean_up()

    played = Played(flow)
    assert played.fail("a#0") == ["clean_up#0"]
    played.settle("clean_up#0")

    assert (played.error.error_type, played.error.message) == ("ValueError", "step 'a': boom")


@pytest.mark.parametrize("error", [KeyError("k"), asyncio.CancelledError("c")], ids=repr)
def test_the_workflows_own_error_fails_it(error: BaseException) -> None:
    """Whatever it raises is recorded with its type and its bases."""

    @workflow
    async def flow(ctx: Any) -> None:
        raise error

    failure = Played(flow).error

    assert failure.error_type == type(error).__name__
    assert HERE in failure.traceback


def test_typed_results_are_what_the_step_declares() -> None:
    """The recorded JSON becomes the declared type before the workflow sees it."""

    @workflow
    async def flow(ctx: Any) -> Any:
        receipt = await typed()
        return [type(receipt).__name__, receipt.number]

    played = Played(flow)
    played.settle("typed#0", {"number": 7})

    assert played.output == ["Receipt", 7]


def _fussy(value: Any) -> Any:
    raise KeyError("a validator of the user's own")


@pytest.mark.parametrize("convert", [None, _fussy], ids=["does not fit", "raises anything"])
def test_a_result_that_does_not_fit_its_type_is_raised_where_it_is_awaited(
    convert: Callable[[Any], Any] | None,
) -> None:
    """Whatever the conversion raises, the workflow gets it, and the engine goes on."""

    @workflow
    async def flow(ctx: Any) -> Any:
        pending: Any = typed()
        if convert is not None:
            pending.wish = pending.wish._replace(convert=convert)
        try:
            await pending
        except Exception as exc:
            return type(exc).__name__

    played = Played(flow)
    played.settle("typed#0", {"number": "many"})

    assert played.output == ("ValidationError" if convert is None else "KeyError")


def test_an_approval_gives_who_decided() -> None:
    """A yes is a value; no, and no answer in time, are errors that say who or what refused."""

    @workflow
    async def flow(ctx: Any) -> Any:
        return await ctx.approve(Approval("Really?", name="ok"))

    yes, no = Played(flow), Played(flow)
    yes.hear(yes.planner.settle("ok#0", Outcome("granted", by="p-1", comment="fine")))
    no.hear(no.planner.settle("ok#0", Outcome("rejected", by="p-1", comment="why")))

    assert yes.output == {"status": "approved", "by": "p-1", "comment": "fine"}
    assert (no.error.error_type, no.error.message) == ("ApprovalRejected", "approval 'ok' was rejected by p-1: why")


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (Approval("?", context=object()), "cannot be recorded"),
        (Approval("?", context="x" * 300_000), "over the limit"),
        (Approval("?", name="a/b"), "without '/'"),
        (Approval("?", name=""), "1 to 200"),
        (Approval("?", severity="urgent"), "not 'urgent'"),  # type: ignore[arg-type]
        (Approval("?", deadline_s=-1), "more than 0"),
    ],
    ids=["context", "large", "name", "no name", "severity", "deadline"],
)
def test_a_question_that_cannot_be_put_fails_where_it_is_written(asked: Approval, says: str) -> None:
    """The workflow gets the error at once, and nothing is asked."""

    @workflow
    async def flow(ctx: Any) -> None:
        await ctx.approve(asked)

    played = Played(flow)

    assert played.asked == []
    assert played.error.error_type == "BadInput"
    assert says in played.error.message


@pytest.mark.parametrize("name", ["", "a/b", "a#b", "x" * 201, "a\nb", "\ud800"], ids=repr)
def test_names_must_be_fit_for_keys(name: str) -> None:
    """A name that would break a key, or the record, is refused before it is used."""

    @workflow
    async def flow(ctx: Any) -> None:
        await ctx.step(name, clean_up)

    @workflow
    async def naps(ctx: Any) -> None:
        await ctx.sleep(1, name)

    assert "1 to 200" in Played(flow).error.message
    assert "1 to 200" in Played(naps).error.message
    with pytest.raises(BadInput, match="1 to 200"):
        step(name=name or "/")(clean_up.fn)


# -- what may not be awaited -----------------------------------------------------------------------------------------


async def _helper() -> None:
    await asyncio.sleep(1)  # HELPER


def _line(mark: str) -> int:
    lines = Path(__file__).read_text().splitlines()
    return next(n for n, line in enumerate(lines, 1) if line.endswith(f"# {mark}"))


def test_awaiting_the_event_loop_names_the_line() -> None:
    """Only what the engine records may be awaited: anything else raises at once, and says where."""

    @workflow
    async def flow(ctx: Any) -> None:
        await asyncio.sleep(1)  # DIRECT

    @workflow
    async def through_a_helper(ctx: Any) -> None:
        await _helper()

    async def run() -> list[Failure]:
        return [Played(flow).error, Played(through_a_helper).error]

    direct, helper = asyncio.run(run())

    assert direct.error_type == helper.error_type == "ForeignAwait"
    assert f"{HERE}:{_line('DIRECT')} awaits something of asyncio" in direct.message
    assert f"{HERE}:{_line('HELPER')} awaits" in helper.message


def test_awaiting_an_asyncio_gather_runs_none_of_its_branches() -> None:
    """What `asyncio.gather` has scheduled is cancelled before it can call a step as a plain function."""

    async def branch() -> None:
        await a()

    @workflow
    async def flow(ctx: Any) -> None:
        await asyncio.gather(branch(), branch())

    async def run() -> Failure:
        played = Played(flow)
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True)  # type: ignore[arg-type]
        return played.error

    assert asyncio.run(run()).error_type == "ForeignAwait"


def test_a_bare_yield_names_the_line() -> None:
    """`asyncio.sleep(0)` is another loop's business too."""

    @workflow
    async def flow(ctx: Any) -> None:
        await asyncio.sleep(0)  # BARE

    error = Played(flow).error

    assert f"{HERE}:{_line('BARE')} awaits a bare yield" in error.message


def test_a_foreign_await_may_be_caught() -> None:
    """It is an error like others, raised where the await stands."""

    @workflow
    async def flow(ctx: Any) -> Any:
        try:
            await asyncio.sleep(0)
        except Exception as exc:
            return type(exc).__name__

    assert Played(flow).output == "ForeignAwait"


def test_a_call_is_awaited_once() -> None:
    """One call is one result: awaiting it again is a mistake, alone as in a gather."""

    @workflow
    async def twice(ctx: Any) -> None:
        call = a()
        await call
        await call

    @workflow
    async def twins(ctx: Any) -> None:
        call = a()
        await ctx.gather(call, call)

    played = Played(twice)
    played.settle("a#0")

    assert "the call 'a#0' a second time" in played.error.message
    assert "the call 'a#0' a second time" in Played(twins).error.message


def test_only_calls_can_be_gathered() -> None:
    """A child that cannot be awaited is named."""

    @workflow
    async def flow(ctx: Any) -> None:
        await ctx.gather(a(), 5)

    played = Played(flow)

    assert "awaits a builtins.int" in played.error.message


# -- letting go ------------------------------------------------------------------------------------------------------


def test_letting_go_runs_no_steps() -> None:
    """Closing a planner unwinds every branch without running a step for real, however its `finally` is written."""

    async def branch() -> None:
        try:
            await b()
        finally:
            clean_up()

    @workflow
    async def flow(ctx: Any) -> None:
        try:
            await ctx.gather(branch(), a())
        finally:
            clean_up()
            await a()
            await ctx.gather(a(), branch())

    played = Played(flow)
    played.planner.close()

    assert played.planner.settle("a#0", Outcome("completed")) == []


def test_letting_go_of_a_stubborn_branch_ends() -> None:
    """A branch that awaits again and again on its way out is given up."""

    @workflow
    async def flow(ctx: Any) -> None:
        for _ in range(20):
            try:
                await a()
            except BaseException:
                continue

    Played(flow).planner.close()


def test_an_error_that_cannot_say_what_it_is_can_be_recorded() -> None:
    """A broken `__str__` is no reason to lose the failure."""

    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert failure_of(Broken()) == Failure(
        "Broken", "(its text cannot be had: RuntimeError)", failure_of(Broken()).traceback, ("Exception",)
    )


# -- input -----------------------------------------------------------------------------------------------------------


async def _none(ctx: Any) -> None: ...
async def _one(ctx: Any, order: Receipt) -> Any:
    return order.number


async def _two(ctx: Any, x: int, y: Receipt | None = None) -> Any:
    return [x, y and y.number]


@pytest.mark.parametrize(
    ("fn", "given", "output"),
    [
        (_none, None, None),
        (_none, {}, None),
        (_one, {"number": 7}, 7),
        (_two, {"x": 1}, [1, None]),
        (_two, {"x": 1, "y": {"number": 7}}, [1, 7]),
    ],
)
def test_an_input_becomes_the_arguments(fn: Any, given: Any, output: Any) -> None:
    """One parameter takes the whole input, several take it by name; each is made what it is declared to be."""
    assert Played(workflow(fn), given).output == output


@pytest.mark.parametrize(
    ("fn", "given", "says"),
    [
        (_none, 5, "takes no input, but was given 5"),
        (_one, {"numbr": 7}, "input 'order'"),
        (_two, 5, "takes an object with x, y, not 5"),
        (_two, {"x": 1, "z": 2}, "has no input 'z'"),
        (_two, {}, "input 'x' is missing"),
    ],
)
def test_an_input_that_does_not_fit_is_refused(fn: Any, given: Any, says: str) -> None:
    """Before anything is asked for."""
    with pytest.raises(BadInput, match=says):
        Played(workflow(fn), given)


def test_a_workflow_is_async() -> None:
    """A plain function cannot be a workflow, and is told so."""
    with pytest.raises(BadInput, match="async"):
        workflow(lambda ctx: None)  # type: ignore[arg-type, return-value]
