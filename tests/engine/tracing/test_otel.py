"""Spans in the SDK's own exporter: their tree, their times, and what is current in a step."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from opentelemetry import trace as api
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from actum.engine import Approval, Retry, step, workflow
from actum.engine.tracing.otel import Tracing
from actum.engine.tracing.spans import spans_of
from actum.errors import BadInput
from actum.events import to_us
from actum.eventstore import EventStore, open_store
from actum.testing.clock import NOON_US
from tests.engine.world import engine_on, really, sound, until, virtually

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def store() -> Any:
    store = open_store("memory://")
    yield store
    sound(store)
    store.close()


class Collected:
    """What an exporter has been given, and a provider for users' own spans that gives to the same one."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        processor = SimpleSpanProcessor(self.exporter)
        self.tracing = Tracing(processor)
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(processor)
        self.tracer = provider.get_tracer("mine")

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def tree(self) -> list[str]:
        """Each span below its parent, indented, by start; with `!` and the error where there is one."""
        lines: list[str] = []
        ids = {one.context.span_id for one in self.spans if one.context}

        def below(parent: int | None, depth: int) -> None:
            here = [one for one in self.spans if (one.parent.span_id if one.parent else None) == parent]
            if parent is None:
                here += [one for one in self.spans if one.parent and one.parent.span_id not in ids]
            for one in sorted(
                here, key=lambda one: (one.start_time or 0, (one.attributes or {}).get("actum.position", 0))
            ):
                kind = (one.attributes or {}).get("actum.kind", "own")
                failed = f" !{one.status.description}" if one.status.description else ""
                lines.append(f"{'  ' * depth}{kind} {one.name}{failed}")
                assert one.context is not None
                below(one.context.span_id, depth + 1)

        below(None, 0)
        return lines

    def one(self, kind: str, name: str) -> ReadableSpan:
        found = [one for one in self.spans if one.name == name and (one.attributes or {}).get("actum.kind") == kind]
        assert len(found) == 1, (kind, name, self.tree())
        return found[0]


@pytest.fixture
def collected() -> Collected:
    return Collected()


def run(store: EventStore, collected: Collected, flow: Any, **more: Any) -> None:
    async def main() -> None:
        async with engine_on(store, observer=collected.tracing) as engine:
            handle = await engine.start(flow, id="one", **more)
            await until(lambda: handle.done)

    virtually(main())


tries = 0


@step(retries=Retry(attempts=3, first_delay_s=2))
async def flaky() -> int:
    global tries
    tries += 1
    if tries % 3:
        raise ConnectionError("not yet")
    return tries


@step
async def quick() -> int:
    return 1


async def give_back(value: int) -> None: ...


@step(compensate=give_back)
async def take() -> int:
    return 1


@step
async def refuse() -> int:
    raise ValueError("no")


@workflow
async def retrying(ctx: Any) -> int:
    return await flaky()


@workflow
async def branching(ctx: Any) -> Any:
    return await ctx.gather(flaky(), quick())


@workflow
async def undone(ctx: Any) -> Any:
    await take()
    await refuse()


def test_each_attempt_has_a_span_below_its_step(store: EventStore, collected: Collected) -> None:
    """A step that is retried is one span, with what went wrong in the attempts below it."""
    run(store, collected, retrying)

    assert collected.tree() == [
        "execution retrying",
        "  step flaky",
        "    attempt flaky !ConnectionError",
        "    attempt flaky !ConnectionError",
        "    attempt flaky",
    ]
    whole = collected.one("step", "flaky")
    assert [event.name for event in whole.events] == ["step.retry_scheduled"] * 2


def test_times_and_places_are_those_of_the_events(store: EventStore, collected: Collected) -> None:
    """Nothing is measured: a span says what the log says, and where."""
    run(store, collected, retrying)

    events = store.read_stream("execution/one")
    span = collected.one("execution", "retrying")
    about = span.attributes or {}
    assert span.start_time == to_us(events[0].at) * 1000
    assert span.end_time == to_us(events[-1].at) * 1000
    assert (span.end_time or 0) - (span.start_time or 0) > 2_000_000_000
    assert about["actum.execution.id"] == "one"
    assert (about["actum.event.id"], about["actum.position"]) == (events[0].id, events[0].position)
    assert (about["actum.end.event.id"], about["actum.end.position"]) == (events[-1].id, events[-1].position)


def test_branches_are_side_by_side_below_the_execution(store: EventStore, collected: Collected) -> None:
    """What is gathered begins together, and each part ends by itself."""
    run(store, collected, branching)

    assert [line for line in collected.tree() if not line.startswith("    ")] == [
        "execution branching",
        "  step flaky",
        "  step quick",
    ]
    flaky_, quick_ = collected.one("step", "flaky"), collected.one("step", "quick")
    assert flaky_.start_time == quick_.start_time
    assert (flaky_.end_time or 0) > (quick_.end_time or 0)


def test_what_was_undone_has_a_span_below_the_execution(store: EventStore, collected: Collected) -> None:
    """A failure and the compensation that it led to are in one picture."""
    run(store, collected, undone)

    assert collected.tree() == [
        "execution undone !ValueError",
        "  step take",
        "    attempt take",
        "  step refuse !ValueError",
        "    attempt refuse !ValueError",
        "  compensation give_back",
    ]


def test_waiting_for_a_person_and_for_time_is_in_the_picture(store: EventStore, collected: Collected) -> None:
    """A question is a span from asking to the answer, and a timer until it fires."""

    @workflow
    async def waiting(ctx: Any) -> None:
        await ctx.sleep("1m")
        await ctx.approve(Approval("May it?", name="may-it", severity="high"))

    async def main() -> None:
        async with engine_on(store, observer=collected.tracing) as engine:
            handle = await engine.start(waiting, id="one")
            assert await handle.wait_asking()
            await engine.approve("one", "may-it", by="p-1")
            await handle.result()

    virtually(main())

    assert collected.tree() == ["execution waiting", "  timer sleep", "  approval may-it"]


def test_another_worker_goes_on_with_the_same_trace(store: EventStore, collected: Collected) -> None:
    """After a takeover the attempt in doubt and the next one are below one step, in one trace."""
    stuck: list[bool] = []

    @step
    async def hang() -> int:
        if not stuck:
            stuck.append(True)
            await engine_is_gone()
        return 1

    async def engine_is_gone() -> None:
        import asyncio

        await asyncio.Event().wait()

    @workflow
    async def long(ctx: Any) -> int:
        await quick()
        return await hang()

    second = Collected()

    async def main() -> None:
        async with engine_on(store, observer=collected.tracing) as engine:
            await engine.start(long, id="one")
            await until(lambda: stuck)
        async with engine_on(store, observer=second.tracing) as engine:
            engine.register(long)
            handles, _ = await engine.recover()
            assert await handles[0].result() == 1

    virtually(main())

    assert sorted(one.name for one in collected.spans) == ["quick", "quick"]
    assert sorted(one.name for one in second.spans) == ["hang", "hang", "hang", "long"]  # and none of them twice
    both = Collected()
    for one in (*collected.spans, *second.spans):
        both.exporter.export((one,))
    assert both.tree() == [
        "execution long",
        "  step quick",
        "    attempt quick",
        "  step hang",
        "    attempt hang !InDoubt",
        "    attempt hang",
    ]
    assert len({one.context.trace_id for one in both.spans if one.context}) == 1
    assert [note.name for note in second.one("execution", "long").events] == ["execution.claimed"]


@pytest.mark.parametrize("flow", [retrying, branching, undone], ids=lambda flow: flow.name)
def test_the_log_has_the_same_spans_as_were_seen_live(store: EventStore, collected: Collected, flow: Any) -> None:
    """Spans are a function of events: made later, they have the same ids, times and attributes."""
    run(store, collected, flow)
    later = Collected()

    later.tracing.export(spans_of(store.read()))

    assert [json.loads(one.to_json()) for one in later.spans] == [json.loads(one.to_json()) for one in collected.spans]


def test_an_execution_belongs_to_the_trace_of_whoever_starts_it(store: EventStore, collected: Collected) -> None:
    """The caller's span is the parent, and stands in the first event for every worker to come."""

    async def main() -> None:
        async with engine_on(store, observer=collected.tracing) as engine:
            with collected.tracer.start_as_current_span("request"):
                handle = await engine.start(retrying, id="one")
            await handle.result()

    virtually(main())

    assert collected.tree()[:2] == ["own request", "  execution retrying"]
    said = store.read_stream("execution/one")[0].head["trace"]
    request = next(one for one in collected.spans if one.name == "request")
    assert request.context is not None
    assert said == f"00-{request.context.trace_id:032x}-{request.context.span_id:016x}-01"


def test_a_traceparent_is_recorded_without_an_observer_too(store: EventStore) -> None:
    """Whoever traces later finds the caller in the log."""

    async def main() -> None:
        async with engine_on(store) as engine:
            await (await engine.start(retrying, id="one", trace=CALLER)).result()
            await engine.submit(retrying, id="two", trace=CALLER)
            with pytest.raises(BadInput, match="no traceparent"):
                await engine.start(retrying, id="three", trace="00-nothing")
            await engine.recover()
            await until(lambda: not store.view("executions", {"status": ("running", "waiting")}))

    virtually(main())

    assert store.read_stream("execution/two")[0].head["trace"] == CALLER
    assert store.stream_version("execution/three") == 0
    spans = [span for span in spans_of(store.read()) if span.kind == "execution"]
    assert [(one.trace_id, one.parent_id, one.remote) for one in spans] == [(CALLER[3:35], CALLER[36:52], True)] * 2


def test_a_trace_that_is_not_kept_is_not_given_on(store: EventStore, collected: Collected) -> None:
    """Whether a trace is sampled is for its beginning to say."""
    run(store, collected, retrying, trace=CALLER.removesuffix("01") + "00")

    assert collected.spans == []


def test_what_a_step_traces_itself_hangs_below_its_attempt(store: EventStore, collected: Collected) -> None:
    """In async steps, in threads, and in compensations the attempt's span is the current one."""

    async def put_back(value: int) -> None:
        with collected.tracer.start_as_current_span("in the compensation"):
            pass

    @step(compensate=put_back)
    async def awaited() -> int:
        with collected.tracer.start_as_current_span("in the step"):
            return 1

    @step
    def threaded() -> int:
        with collected.tracer.start_as_current_span("in the thread"):
            raise ValueError("no")

    @workflow
    async def traced(ctx: Any) -> None:
        await awaited()
        await threaded()

    async def main() -> None:
        from actum.engine import Engine

        async with Engine(store, observer=collected.tracing) as engine:
            handle = await engine.start(traced, id="one")
            await until(lambda: handle.done)
            assert not api.get_current_span().get_span_context().is_valid

    really(main())

    assert collected.tree() == [
        "execution traced !ValueError",
        "  step awaited",
        "    attempt awaited",
        "      own in the step",
        "  step threaded !ValueError",
        "    attempt threaded !ValueError",
        "      own in the thread !ValueError: no",
        "  compensation put_back",
        "    own in the compensation",
    ]


def test_a_processor_that_fails_does_no_harm(store: EventStore, collected: Collected) -> None:
    """Traces are for looking at; an execution does not hang on them."""

    def broken(span: ReadableSpan) -> None:
        raise OSError("the collector is on fire")

    collected.tracing._processor.on_end = broken  # type: ignore[method-assign]

    run(store, collected, retrying)

    assert store.view("executions")[0]["status"] == "completed"


def test_nothing_of_opentelemetry_is_loaded_when_nobody_traces() -> None:
    """Off by default, and then it costs nothing."""
    program = """
import asyncio, sys
from actum import Engine, open_store, step, workflow

@step
async def one():
    return 1

@workflow
async def flow(ctx):
    return await one()

async def main():
    async with Engine(open_store("memory://")) as engine:
        handle = await engine.start(flow, trace="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        assert await handle.result() == 1

asyncio.run(main())
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)

    assert (ended.stdout.strip(), ended.stderr) == ("[]", "")


def test_the_clock_of_spans_is_the_log_s(store: EventStore, collected: Collected) -> None:
    """In virtual time, spans begin at the virtual noon."""
    run(store, collected, retrying)

    assert collected.one("execution", "retrying").start_time == NOON_US * 1000
