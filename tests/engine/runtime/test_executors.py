"""Where steps run: processes that can die alone, executors of one's own, a Ray cluster; and what is refused at once."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from actum.engine import Engine, Graph, Job, Retry, step, workflow
from actum.errors import BadInput, ExecutionFailed
from actum.eventstore import EventStore
from actum.eventstore.memory import MemoryStore
from tests.engine.runtime import far_steps
from tests.engine.world import engine_on, history, really, sound, virtually


@pytest.fixture
def store() -> Iterator[EventStore]:
    store = MemoryStore()
    yield store
    sound(store)


def run(store: EventStore, flow: Any, given: Any = None, **engine: Any) -> Any:
    """To the end, in real time; a failed execution gives its error."""

    async def main() -> Any:
        async with Engine(store, **engine) as running:
            try:
                return await (await running.start(flow, given, id="one")).result()
            except ExecutionFailed as exc:
                return exc

    return really(main())


def gone(pid: int) -> bool:
    """Whether a process has ended, at the latest in a moment."""
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


@workflow
async def two_orders(ctx: Any) -> Any:
    return [
        await far_steps.describe(far_steps.Order("tea", 2)),
        await far_steps.describe(far_steps.Order("rye", 3)),
        await far_steps.describe_later(far_steps.Order("oat", 4)),  # type: ignore[misc]
    ]


def test_a_process_gets_typed_arguments_and_knows_its_step(store: EventStore) -> None:
    """Same arguments, same `current_step`, in another process, which serves the next attempt too."""
    first, second, third = run(store, two_orders)

    assert first["order"] == "2 tea"
    assert first["step"] == ["one", "describe#0", 1]
    assert second["step"] == ["one", "describe#1", 1]
    assert first["pid"] == second["pid"] != os.getpid()
    assert third == "4 oat"


def test_what_a_step_has_used_in_a_process_is_recorded(store: EventStore) -> None:
    """Whether it returns or raises there."""

    @workflow
    async def both(ctx: Any) -> None:
        await far_steps.spends(False)
        await far_steps.spends(True)

    run(store, both)

    ends = [event.facts for event in store.read() if event.type in ("step.completed", "step.failed")]
    assert [facts["used"] for facts in ends] == [[{"input_tokens": 7, "cost_nanousd": 9, "model": "m-far"}]] * 2


def test_an_error_in_a_process_is_the_steps_own(store: EventStore) -> None:
    """Type, text and traceback are as if it had been raised here."""

    @workflow
    async def flow(ctx: Any) -> Any:
        return await far_steps.refuse("rye")

    failed = run(store, flow)

    assert (failed.error_type, failed.message) == ("NoStock", "step 'refuse': no rye")
    said = store.read_stream("execution/one")[2].value()
    assert "far_steps.py" in said["traceback"]


def test_retries_see_the_bases_of_an_error_in_a_process(store: EventStore) -> None:
    """`on` names a base class of what was raised elsewhere."""
    tried = step(executor="process", retries=Retry(attempts=2, first_delay_s=0, on=("LookupError",)))
    flow = Graph("flow").step("refuse", tried(far_steps.refuse.fn), inputs={"item": "rye"})

    run(store, flow)

    assert "step.started refuse#0 (2)" in history(store)


def test_a_process_that_dies_fails_its_attempt_and_no_other(store: EventStore, tmp_path: Path) -> None:
    """The attempt beside it comes to its end; the next attempt gets a new process."""

    @workflow
    async def flow(ctx: Any) -> Any:
        return await ctx.gather(far_steps.nap(str(tmp_path / "nap")), far_steps.die_once())

    assert run(store, flow) == ["rested", "lived"]
    failed = [e.facts for e in store.read_stream("execution/one") if e.type == "step.failed"]
    assert [(f["step"], f["error_type"]) for f in failed] == [("die_once", "WorkerProcessDied")]


def test_how_a_process_ended_is_said(store: EventStore) -> None:
    """The exit code of a step that leaves stands in the failure."""

    @workflow
    async def flow(ctx: Any) -> Any:
        return await far_steps.leave()

    assert "ended with code 7" in run(store, flow).message


def test_a_time_out_kills_the_process(store: EventStore, tmp_path: Path) -> None:
    """Nothing of an attempt whose time is up goes on."""
    journal = tmp_path / "pid"

    @workflow
    async def flow(ctx: Any) -> Any:
        return await far_steps.hang(str(journal))

    assert run(store, flow).error_type == "TimeoutError"
    assert gone(int(journal.read_text()))


def test_closing_the_engine_kills_what_runs(store: EventStore, tmp_path: Path) -> None:
    """Nobody waits for the process any more, so it does not go on behind anyone's back."""
    journal = tmp_path / "pid"

    @workflow
    async def flow(ctx: Any) -> Any:
        return await far_steps.hang(str(journal))

    async def main() -> None:
        async with Engine(store) as engine:
            await engine.start(flow, id="one")
            while not journal.exists() or not journal.read_text():
                await asyncio.sleep(0.01)

    really(main())

    assert gone(int(journal.read_text()))


def test_a_process_ends_with_the_one_it_works_for(tmp_path: Path) -> None:
    """kill -9 of the engine leaves nothing running, however busy it is."""
    journal = tmp_path / "pid"
    code = f"""
import asyncio
from actum.engine.runtime.executor_process import Processes
from actum.engine.runtime.executors import Job
from actum.engine.runtime.step_info import StepInfo
from tests.engine.runtime.far_steps import hang
asyncio.run(Processes().run(Job(hang.fn, ({str(journal)!r},), {{}}, StepInfo("one", "hang#0", 1))))
"""
    root = str(Path(__file__).parents[3])
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=root, env={**os.environ, "PYTHONPATH": root})
    while not journal.exists() or not journal.read_text():
        time.sleep(0.01)
        assert parent.poll() is None
    parent.kill()
    parent.wait()

    assert gone(int(journal.read_text()))


def test_a_result_that_cannot_be_recorded_fails_there_too(store: EventStore) -> None:
    """It is the same failure as for any other step, so it is not tried again either."""

    @workflow
    async def flow(ctx: Any) -> Any:
        return await far_steps.cannot_be_recorded()

    assert run(store, flow).error_type == "UnrecordableResult"


# -- executors of one's own --------------------------------------------------------------------------------------------


class Noted:
    """Runs steps where it stands, and remembers them."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.closed = False

    def check(self, run: Callable[..., Any]) -> None:
        if run.__name__ == "unfit":
            raise BadInput("'unfit' is not for this executor")

    async def run(self, job: Job) -> Any:
        self.ran.append(job.info.key)
        return job.run(*job.args, **job.kwargs)

    def close(self) -> None:
        self.closed = True


@step(executor="noted")
def double(n: int) -> int:
    return 2 * n


@step(executor="noted")
def unfit() -> None: ...


@step(executor="proces")
def misspelt() -> None: ...


@step(executor="threads")
async def in_threads() -> None: ...


@step(executor="asyncio")
def in_the_loop() -> None: ...


def test_an_engine_runs_steps_where_it_is_told_to() -> None:
    """An executor of one's own gets the steps that name it, undoing ones too, and is closed with the engine."""
    noted, store = Noted(), MemoryStore()

    @step(compensate=double)
    async def here() -> int:
        return 4

    @workflow
    async def flow(ctx: Any) -> Any:
        await here()
        raise ValueError(str(await double(5)))

    async def main() -> None:
        async with engine_on(store, executors={"noted": noted}) as engine:
            with pytest.raises(ExecutionFailed, match="10"):
                await (await engine.start(flow, id="one")).result()

    virtually(main())

    assert noted.ran == ["double#0", "here#0/undo"]
    assert noted.closed


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (misspelt, "no executor 'proces'; did you mean 'process'"),
        (unfit, "step 'unfit': 'unfit' is not for this executor"),
        (in_threads, "step 'in_threads'.*is async"),
        (in_the_loop, "step 'in_the_loop'.*is plain"),
        (step(executor="process")(lambda: None), "cannot be found by its name in another process"),
        (step(executor="process", name="other")(far_steps.describe.fn.__get__(1)), "cannot be found|something else"),
    ],
)
@pytest.mark.parametrize("late", [False, True])
def test_a_step_that_could_run_nowhere_is_refused_before_anything_is_written(bad: Any, said: str, late: bool) -> None:
    """Whether it comes first or last, and for a graph as for a function: the start is refused, naming the step."""
    store = MemoryStore()

    @workflow
    async def flow(ctx: Any) -> Any:
        if late:
            await double(1)
        await bad()

    async def main() -> None:
        async with engine_on(store, executors={"noted": Noted()}) as engine:
            with pytest.raises(BadInput, match=said):
                await engine.start(flow, id="one")

    virtually(main())

    assert store.head() == 0


def test_a_graphs_steps_are_refused_like_a_functions() -> None:
    """A graph says all its steps before it runs."""
    store = MemoryStore()
    flow = Graph("flow").step("a", double, inputs={"n": 1}).step("b", misspelt).edge("a", "b")

    async def main() -> None:
        async with engine_on(store, executors={"noted": Noted()}) as engine:
            with pytest.raises(BadInput, match="step 'b'"):
                await engine.start(flow, id="one")

    virtually(main())

    assert store.head() == 0


# -- Ray ---------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_ray_runs_steps_in_its_workers(store: EventStore, tmp_path: Path) -> None:
    """Typed arguments, `current_step`, a dead worker, the step's own error, and a time-out that ends the task."""
    pytest.importorskip("ray", reason="RAY ABSENT: pip install 'actum[ray]'")
    from actum.engine.runtime.executor_ray import Ray

    journal = tmp_path / "pid"

    @workflow
    async def refused(ctx: Any) -> Any:
        return await far_steps.far_refuse("rye")

    @workflow
    async def stuck(ctx: Any) -> Any:
        return await far_steps.far_hang(str(journal))

    @workflow
    async def fine(ctx: Any) -> Any:
        return await far_steps.far(far_steps.Order("tea", 2))

    async def main() -> list[Any]:
        ends = []
        async with asyncio.timeout(120), Engine(store, executors={"ray": Ray("local", num_cpus=1)}) as engine:
            for flow in (fine, refused, stuck):
                try:
                    ends.append(await (await engine.start(flow, id=flow.name)).result())
                except ExecutionFailed as exc:
                    ends.append(exc.error_type)
        return ends

    done, error, late = asyncio.run(main())

    assert done["order"] == "2 tea"
    assert done["step"] == ["fine", "far#0", 2]
    assert done["pid"] != os.getpid()
    failed = [e.facts["error_type"] for e in store.read_stream("execution/fine") if e.type == "step.failed"]
    assert failed == ["WorkerProcessDied"]
    assert (error, late) == ("NoStock", "TimeoutError")
    assert gone(int(journal.read_text()))
