"""NATS JetStream, on a real server: stored once, in order, and what is wrong is said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import nats
import orjson
import pytest
from nats.js.client import JetStreamContext

from actum.errors import BadInput, TargetRefused, TargetUnavailable
from actum.eventstore import open_store
from actum.relay import Ledger, Message, Relay
from actum.relay.nats import NatsTarget
from actum.testing.builders import batch, event_id

T = TypeVar("T")


def ask(url: str, work: Callable[[JetStreamContext], Coroutine[Any, Any, T]]) -> T:
    async def run() -> T:
        client = await nats.connect(url)
        try:
            return await work(client.jetstream())
        finally:
            await client.close()

    return asyncio.run(run())


async def stored(stream: JetStreamContext, name: str) -> list[tuple[str, dict[str, Any]]]:
    """Every message of the stream, by its sequence: subject and body."""
    found = []
    info = await stream.stream_info(name)
    for number in range(info.state.first_seq, info.state.last_seq + 1):
        message = await stream.get_msg(name, number)
        found.append((message.subject or "", orjson.loads(message.data or b"")))
    return found


@pytest.fixture
def target(nats_url: str, unique: str) -> Iterator[NatsTarget]:
    ask(nats_url, lambda js: js.add_stream(name=unique, subjects=[f"{unique}.>"]))
    target = NatsTarget(f"{nats_url}/{unique}", 5)
    yield target
    target.close()
    target.close()
    ask(nats_url, lambda js: js.delete_stream(unique))


def test_events_arrive_once_and_each_stream_in_order(
    target: NatsTarget, nats_url: str, unique: str, ledger: Ledger
) -> None:
    """Delivered, delivered again by a relay that had forgotten where it was: each event is stored once, in order."""
    store = open_store("memory://")
    for i in range(60):
        store.append(batch(i, stream=f"s/{i % 4}"))

    assert Relay(store, "one", target, ledger).deliver_all() == 60
    assert Relay(store, "again", target, ledger).deliver_all() == 60

    found = ask(nats_url, lambda js: stored(js, unique))
    assert {subject for subject, _ in found} == {f"{unique}.step.completed"}
    assert len(found) == 60
    assert {body["header"]["id"] for _, body in found} == {event_id(i) for i in range(60)}
    for stream in range(4):
        versions = [body["header"]["version"] for _, body in found if body["header"]["stream"] == f"s/{stream}"]
        assert versions == list(range(15))


def test_a_connection_that_broke_is_made_again(target: NatsTarget, nats_url: str, unique: str) -> None:
    """After a lost connection the next delivery makes a new one."""

    def message(number: int) -> Message:
        return Message(event_id(number), "s/1", "step.completed", number, b"{}")

    target.deliver([message(0)])
    assert target._client is not None
    target._run(target._client.close())
    target.deliver([message(0), message(1)])

    assert len(ask(nats_url, lambda js: stored(js, unique))) == 2


def test_no_stream_for_the_subject_is_said(nats_url: str, unique: str) -> None:
    """Without a stream nothing would be kept: that is unavailable, and the message names the subject."""
    target = NatsTarget(f"{nats_url}/{unique}", 5)
    with pytest.raises(TargetUnavailable, match=rf"no stream there takes {unique}\.step\.completed"):
        target.deliver([Message(event_id("a"), "s/1", "step.completed", 0, b"{}")])
    target.close()


def test_what_the_server_never_takes_is_refused(target: NatsTarget) -> None:
    """A message over the server's limit is about that message alone."""
    with pytest.raises(TargetRefused, match="larger than the server takes"):
        target.deliver([Message(event_id("a"), "s/1", "step.completed", 0, bytes(2_000_000))])


def test_no_server_is_unavailable() -> None:
    """Nobody listens there: said within the time-out."""
    target = NatsTarget("nats://127.0.0.1:1/x", 2)
    with pytest.raises(TargetUnavailable, match="not acknowledged"):
        target.deliver([Message(event_id("a"), "s/1", "step.completed", 0, b"{}")])
    target.close()


def test_a_prefix_that_is_no_subject_is_refused() -> None:
    """Spaces and stars would be subjects of another kind."""
    with pytest.raises(BadInput, match="not a subject"):
        NatsTarget("nats://127.0.0.1:4222/a.*.b", 1)
