"""Redis streams, on a real server: one entry an event, in the order of the log, however often it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import redis

from actum.errors import TargetUnavailable
from actum.eventstore import open_store
from actum.relay import Ledger, Message, Relay
from actum.relay.redis import RedisTarget
from actum.testing.builders import batch, event_id


@pytest.fixture
def there(redis_url: str, unique: str) -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(redis_url)
    yield client
    client.delete(unique, "{" + unique + "}:relays")
    client.close()


def open_target(redis_url: str, unique: str, relay: str = "mail") -> RedisTarget:
    return RedisTarget(f"{redis_url}/0?stream={unique}", relay, "default", 5)


@pytest.fixture
def target(redis_url: str, unique: str) -> Iterator[RedisTarget]:
    target = open_target(redis_url, unique)
    yield target
    target.close()


def message(number: int, name: str = "", size: int = 2) -> Message:
    return Message(event_id(name or number), "s/1", "step.completed", number, b"{" + b" " * (size - 2) + b"}")


def entries(there: redis.Redis, unique: str) -> list[tuple[str, str]]:
    found: Any = there.xrange(unique)
    return [(entry.decode(), fields[b"id"].decode()) for entry, fields in found]


def test_an_event_is_an_entry_whose_id_is_its_position(
    target: RedisTarget, there: redis.Redis, unique: str, ledger: Ledger
) -> None:
    """The entry's id is the position plus one; id, type and message are its fields; the order is the log's."""
    store = open_store("memory://")
    for i in range(30):
        store.append(batch(i, stream=f"s/{i % 3}"))

    assert Relay(store, "mail", target, ledger).deliver_all() == 30

    assert entries(there, unique) == [(f"{i + 1}-0", event_id(i)) for i in range(30)]
    ((_, fields),) = there.xrange(unique, "5-0", "5-0")  # type: ignore[misc, union-attr]
    assert fields[b"type"] == b"step.completed"
    assert orjson.loads(fields[b"event"])["position"] == 4


def test_what_is_sent_again_is_there_once_also_when_it_was_trimmed(
    target: RedisTarget, there: redis.Redis, unique: str
) -> None:
    """A batch whose answer got lost is sent again: no entry is doubled, and none that a reader deleted comes back."""
    target.deliver([message(0), message(1), message(2)])
    there.xdel(unique, "2-0")
    target.deliver([message(0), message(1), message(2), message(3)])

    assert [entry for entry, _ in entries(there, unique)] == ["1-0", "3-0", "4-0"]
    there.xtrim(unique, maxlen=0)
    target.deliver([message(2), message(3)])
    target.deliver([message(4)])
    assert [entry for entry, _ in entries(there, unique)] == ["5-0"]


def test_entries_of_another_log_are_not_taken_for_ours(target: RedisTarget, there: redis.Redis, unique: str) -> None:
    """Where another event stands at our position, nothing is written and the conflict is said."""
    target.deliver([message(0), message(1)])
    with pytest.raises(TargetUnavailable, match="another log or relay"):
        target.deliver([message(1, "other"), message(2)])

    assert len(entries(there, unique)) == 2


def test_a_second_relay_into_one_stream_does_not_lose_events_silently(
    target: RedisTarget, redis_url: str, there: redis.Redis, unique: str
) -> None:
    """Entries can only be added at the end: one that belongs before it is an error, not a success."""
    target.deliver([message(5)])
    second = open_target(redis_url, unique, "second")
    with pytest.raises(TargetUnavailable, match=r"equal or smaller.*another log or relay"):
        second.deliver([message(3)])
    second.close()

    assert [entry for entry, _ in entries(there, unique)] == ["6-0"]


def test_large_batches_go_in_pieces(target: RedisTarget, there: redis.Redis, unique: str) -> None:
    """A batch of more than a mebibyte arrives whole and in order."""
    target.deliver([message(i, size=300_000) for i in range(9)])

    assert [entry for entry, _ in entries(there, unique)] == [f"{i + 1}-0" for i in range(9)]


def test_no_server_is_unavailable() -> None:
    """Nobody listens there: said at once."""
    target = RedisTarget("redis://127.0.0.1:1/0", "mail", "default", 1)
    with pytest.raises(TargetUnavailable, match="Connection refused"):
        target.deliver([message(0)])
    target.close()


def test_the_name_has_no_password() -> None:
    """What stands in tables and messages is where it is, not how to get in."""
    target = RedisTarget("redis://me:hunter2@127.0.0.1:6379/0", "", "acme", 1)
    assert target.name == "redis://127.0.0.1:6379/0#actum:acme"
    target.close()
