"""What is personal: from types and schemas to the events of an execution about somebody."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import orjson
import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict

from actum import Approval, Business, Engine, Graph, Personal, Public, step, workflow
from actum.engine.payloads.classes import Classes, Declared, classes_of_function, classes_of_schemas
from actum.errors import BadInput, DefinitionError, PayloadErased
from actum.eventstore import EventStore, open_store
from actum.eventstore.memory import MemoryStore
from tests.engine.world import really, sound, until

ADA = "ada@example.org"
_ABOUT_SOMEBODY = ("execution.started", "step.started", "step.completed", "execution.completed")


class Address(BaseModel):
    street: Annotated[str, Personal]
    city: str


@dataclass
class Customer:
    name: Annotated[str, Personal]
    since: int


class Basket(TypedDict):
    note: Annotated[str, Personal]
    n: int


class Order(BaseModel):
    customer: Customer
    to: list[Address] = []
    baskets: dict[str, Basket] = {}
    second: Address | None = None
    total: int = 0


class Comment(BaseModel):
    author: Annotated[str, Personal]
    replies: list[Comment] = []


class Tree(BaseModel):
    left: Tree | None = None


class Marked(BaseModel):
    code: Annotated[str, Public]
    price: Annotated[int, Business]


def returns(annotation: Any) -> Declared:
    def fn() -> Any: ...

    fn.__annotations__ = {"return": annotation}
    classes = classes_of_function(fn, None, 0, "args", "")
    return Declared() if classes is None else classes.returned


@pytest.mark.parametrize(
    ("annotation", "fields"),
    [
        (Customer, {"/name"}),
        (Order, {"/customer/name", "/to/*/street", "/baskets/*/note", "/second/street"}),
        (list[Customer], {"/*/name"}),
        (tuple[Customer, ...], {"/*/name"}),
        (Mapping[str, Customer], {"/*/name"}),
        (Customer | None, {"/name"}),
        (list[Annotated[str, Personal]], {"/*"}),
        (Annotated[Customer, "not ours"], {"/name"}),
        (Comment, {"/author", "/replies/*"}),
    ],
    ids=lambda value: "" if isinstance(value, set) else str(value),  # a set has another order in each process
)
def test_personal_fields_are_found_in_types(annotation: Any, fields: set[str]) -> None:
    """In dataclasses, models, typed dicts and what holds them; where a type holds itself, all of the inner one."""
    assert returns(annotation) == Declared("business", returns(annotation).fields)
    assert set(returns(annotation).fields) == fields


@pytest.mark.parametrize(
    ("annotation", "declared"),
    [
        (str, Declared()),
        (Tree, Declared()),
        (Any, Declared()),
        (Annotated[str, Personal], Declared("personal")),
        (Annotated[Customer, Business], Declared("business")),
        (Annotated[dict[str, Any], Public], Declared("public")),
        (Marked, Declared("business")),
    ],
    ids=str,
)
def test_a_class_as_a_whole(annotation: Any, declared: Declared) -> None:
    """A mark on the whole type is about the whole payload; types without marks declare nothing."""
    assert returns(annotation) == declared


def test_arguments_are_found_however_they_are_given() -> None:
    """By place and by name; all that a variable parameter takes."""

    def fn(a: int, b: Customer, *rest: Annotated[str, Personal], **more: Annotated[str, Personal]) -> None: ...

    assert classes_of_function(fn, None, 0, "args", "") == Classes(
        Declared("business", ("/args/1/name", "/kwargs/b/name", "/args/*", "/kwargs/*"))
    )
    assert classes_of_function(fn, "public", 0, "args", "") == Classes(Declared("public"), Declared("public"))


def test_marks_that_cannot_be_resolved_are_an_error() -> None:
    """Nobody is to believe that something is personal while it is not."""

    def fn(a: Annotated[Nowhere, Personal]) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(BadInput, match=r"annotations cannot be resolved.*Nowhere"):
        classes_of_function(fn, None, 0, "args", "")


def test_schemas_declare_with_a_keyword() -> None:
    """`x-actum-class` on a property, on what is in a list or a map, or on the whole."""
    schema = {
        "properties": {
            "name": {"type": "string", "x-actum-class": "personal"},
            "notes": {"items": {"x-actum-class": "personal"}},
            "n": {"type": "integer"},
        },
        "additionalProperties": {"properties": {"a/b": {"x-actum-class": "personal"}}},
    }
    assert classes_of_schemas([("/input", schema)], []) == Classes(
        Declared("business", ("/input/name", "/input/notes/*", "/input/*/a~1b"))
    )
    assert classes_of_schemas([("", {"x-actum-class": "personal"})], []) == Classes(Declared("personal"))
    assert classes_of_schemas([("", {"type": "object"}), ("", None)], []) is None


# -- through the engine ----------------------------------------------------------------------------------------------


@step
async def plain(order: Any) -> Any:
    return {"charged": order}


@step
async def typed(order: Order) -> Customer:
    return order.customer


@step(payload_class="business")
async def harmless(n: int) -> int:
    return n + 1


@workflow
async def about_somebody(ctx: Any, order: Order) -> str:
    customer = await typed(order)
    await plain({"name": customer.name})
    assert await harmless(1) == 2
    return "thanks, " + customer.name


@workflow
async def asks(ctx: Any, name: str) -> Any:
    return (await ctx.approve(Approval("Really?", context=name)))["comment"] + name


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return open_store({"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/log.db"}[request.param])


def run(store: EventStore, code: Any, given: Any, **how: Any) -> Any:
    async def main() -> Any:
        async with Engine(store) as engine:
            return await (await engine.start(code, given, id="one", **how)).result()

    return really(main())


GIVEN = {"customer": {"name": "Ada", "since": 1843}, "total": 7}


def about(store: EventStore) -> dict[str, tuple[Any, ...]]:
    """By type and step: class, key of the whole, key of the personal part."""
    return {
        f"{e.type} {e.facts.get('step', '')}".strip(): (
            e.head["payload"]["class"],
            e.head["payload"].get("key"),
            e.head.get("personal", {}).get("key", "" if "personal" in e.head else None),
        )
        for e in store.read_stream("execution/one")
        if "payload" in e.head
    }


def test_an_execution_about_somebody_is_under_their_key(store: EventStore) -> None:
    """Declared fields are cut out, declared payloads stay what they are, and the rest is personal as a whole."""
    assert run(store, about_somebody, GIVEN, subject=ADA) == "thanks, Ada"
    (key,) = store.keys_of(ADA)

    assert store.read_stream("execution/one")[0].facts["key"] == key
    assert about(store) == {
        "execution.started": ("business", None, key),
        "step.started typed": ("business", None, key),
        "step.completed typed": ("business", None, key),
        "step.started plain": ("personal", key, None),
        "step.completed plain": ("personal", key, None),
        "step.started harmless": ("business", None, None),
        "step.completed harmless": ("business", None, None),
        "execution.completed": ("personal", key, None),
    }
    assert ADA.encode() not in b"".join(e.header + (e.payload or b"") for e in store.read())
    sound(store)


def test_without_a_subject_declared_fields_are_still_kept_apart(store: EventStore) -> None:
    """Under no key; what nobody declared is business as ever, and the log has no subject."""
    run(store, about_somebody, GIVEN)

    assert about(store)["execution.started"] == ("business", None, "")
    assert about(store)["step.completed plain"] == ("business", None, None)
    assert "key" not in store.read_stream("execution/one")[0].facts
    assert list(store.subjects()) == []
    sound(store)


def test_after_the_key_is_destroyed_the_story_still_reads(store: EventStore) -> None:
    """Who it was about is gone from every payload; what is not personal is there."""
    run(store, about_somebody, GIVEN, subject=ADA)
    store.destroy_key(store.keys_of(ADA)[0])

    events = store.read_stream("execution/one")
    assert b"Ada" not in b"".join(e.header + (e.payload or b"") for e in store.read(types=_ABOUT_SOMEBODY))
    started = events[0].value()["input"]
    assert (started["customer"], started["total"]) == ({"name": None, "since": 1843}, 7)
    assert events[-1].type == "execution.completed"


def test_what_people_say_about_it_is_theirs_too(store: EventStore) -> None:
    """The question that is shown and the comment of who answers are under the subject's key."""

    async def main() -> Any:
        async with Engine(store) as engine:
            handle = await engine.start(asks, "Ada", id="one", subject=ADA)
            await handle.wait_asking()
            await engine.approve("one", "approval", by="bob", comment="fine, ")
            return await handle.result()

    assert really(main()) == "fine, Ada"
    (key,) = store.keys_of(ADA)
    assert about(store)["approval.requested"] == ("personal", key, None)
    assert about(store)["approval.granted"] == ("personal", key, None)


def test_a_running_execution_outlives_its_subject(store: EventStore) -> None:
    """It goes on in its process; its log stays whole, and nothing more of the subject is kept."""
    gate = asyncio.Event()

    @step
    async def slow(name: str) -> str:
        await gate.wait()
        return name

    @workflow
    async def flow(ctx: Any, name: str) -> str:
        return await slow(name) + "!"

    async def main() -> Any:
        async with Engine(store) as engine:
            handle = await engine.start(flow, "Ada", id="one", subject=ADA)
            await until(lambda: store.stream_version("execution/one") >= 2)
            store.destroy_key(store.keys_of(ADA)[0])
            gate.set()
            return await handle.result()

    assert really(main()) == "Ada!"
    events = store.read_stream("execution/one")
    assert [e.type for e in events][-1] == "execution.completed"
    assert [e.payload for e in events] == [None] * len(events)


def test_an_execution_without_its_record_is_not_resumed(store: EventStore) -> None:
    """On erased input the code would decide something else: it is parked for a person, and the error says why."""

    async def begin() -> None:
        async with Engine(store, worker="w-1") as engine:
            await engine.submit(asks, "Ada", id="one", subject=ADA)

    async def resume() -> None:
        async with Engine(store, worker="w-1") as engine:
            engine.register(asks)
            await engine.resume("one")

    really(begin())
    store.destroy_key(store.keys_of(ADA)[0])
    with pytest.raises(PayloadErased, match="was erased"):
        really(resume())
    assert [event.type for event in store.read_stream("execution/one")] == ["execution.started", "execution.parked"]


def test_an_error_of_a_step_with_personal_input_is_personal(store: EventStore) -> None:
    """Its words may hold what it was given."""

    @step
    async def fails(customer: Customer) -> None:
        raise ValueError(f"no such customer: {customer['name']}")  # type: ignore[index]

    @workflow
    async def flow(ctx: Any, name: str) -> str:
        try:
            await fails({"name": name, "since": 1})  # type: ignore[arg-type]
        except Exception:
            return "failed"
        return "done"

    assert run(store, flow, "Ada") == "failed"
    assert about(store)["step.failed fails"] == ("personal", None, None)


def test_a_graph_declares_in_its_schemas() -> None:
    """Parameters, inputs and outputs of steps; a keyword of another value is refused."""
    store = MemoryStore()
    personal = {"type": "object", "properties": {"name": {"type": "string", "x-actum-class": "personal"}}}
    graph = (
        Graph("greeting")
        .parameter("who", schema=personal)
        .step("greet", greet, inputs={"who": "{{ parameters.who }}"}, output_schema=personal)
    )
    run(store, graph, {"who": {"name": "Ada"}}, subject=ADA)
    (key,) = store.keys_of(ADA)

    assert about(store)["execution.started"] == ("business", None, key)
    assert about(store)["step.completed greet"] == ("business", None, key)
    assert about(store)["step.started greet"] == ("personal", key, None)
    raw = next(r for r in store.read_raw() if r.type == "step.completed")
    assert json.loads(raw.payload[1].data) == {"/name": "Ada"}  # type: ignore[index]
    with pytest.raises(DefinitionError, match="is public, business or personal, not 'secret'"):
        _ = Graph("g").step("greet", greet, output_schema={"x-actum-class": "secret"}).plan


def greet(who: Any) -> dict[str, Any]:
    return {"name": who["name"], "n": 1}


def test_a_large_result_goes_through_a_workflow(tmp_path: Path) -> None:
    """With a place for it, a result may have 64 MiB."""

    @step
    async def large() -> str:
        return "x" * (1 << 20)

    @workflow
    async def flow(ctx: Any) -> int:
        return len(await large())

    store = open_store(f"sqlite:///{tmp_path}/log.db")
    assert run(store, flow, None) == 1 << 20
    assert len(orjson.loads(store.read_stream("execution/one")[2].payload or b"")) == 1 << 20
    sound(store)
    store.close()


def test_only_a_class_is_a_class() -> None:
    """The error names the step and the three."""
    with pytest.raises(BadInput, match=r"'greet'.*public, business or personal, not 'secret'"):
        step(payload_class="secret")(greet)  # type: ignore[call-overload]
