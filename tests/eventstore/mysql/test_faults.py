"""MySQL when things break: connections in every phase, and writers killed at any moment, many at once."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pymysql
import pytest

import actum.eventstore.mysql.store as store_module
from actum.errors import StoreUnavailable
from actum.eventstore import Appended, open_store
from actum.eventstore.check.store import check_store
from actum.eventstore.mysql.store import MySQLStore
from actum.testing.builders import STREAM, batch, event_id
from actum.testing.mysql import SERVER, ask
from tests.eventstore.postgres.test_faults import WRITE, _kill, _kill_after, start, stubborn


def kill(con: Any) -> None:
    ask(SERVER, f"KILL CONNECTION {con.thread_id()}")


@pytest.mark.parametrize(
    "phase", ["START TRANSACTION", "lock", "load", "write_group", "COMMIT", "ROLLBACK"], ids=lambda name: name.lower()
)
def test_a_connection_lost_in_any_phase_loses_and_doubles_nothing(
    mysql: str, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    """When the server ends our connection before a phase of an append, the event is there once afterwards."""
    store = MySQLStore(mysql)
    store.append(batch("before"))
    killed = 0

    def breaking(real: Callable[..., Any], broken: Callable[..., bool]) -> Callable[..., Any]:
        def wrapped(*arguments: Any) -> Any:
            nonlocal killed
            if killed < 2 and broken(*arguments):
                killed += 1
                kill(next(a for a in arguments if isinstance(a, pymysql.Connection)))
            return real(*arguments)

        return wrapped

    if phase in ("START TRANSACTION", "COMMIT", "ROLLBACK"):
        monkeypatch.setattr(store_module, "do", breaking(store_module.do, lambda con, sql, *_: sql == phase))
    elif phase == "write_group":
        monkeypatch.setattr(store_module, phase, breaking(store_module.write_group, lambda *_: True))
    else:
        name = "_lock_end" if phase == "lock" else "_load_heads"
        monkeypatch.setattr(MySQLStore, name, breaking(getattr(MySQLStore, name), lambda *_: True))
    if phase == "ROLLBACK":
        assert store.append(batch("before", expected=0)) == Appended(0, 0, {STREAM: 1})
    assert stubborn(store, "a").first_position == 1
    monkeypatch.undo()

    assert killed == 2
    assert stubborn(store, "b").first_position == 2
    assert [e.id for e in store.read()] == [event_id(name) for name in ("before", "a", "b")]
    assert check_store(store).verdict == "verified"
    store.close()


@pytest.mark.parametrize("landed", [False, True], ids=["lost", "landed"])
def test_an_answer_lost_at_the_commit_is_unknown_and_trying_again_tells(
    mysql: str, monkeypatch: pytest.MonkeyPatch, landed: bool
) -> None:
    """Whether the server committed before the connection died or not, the same append leaves one copy."""
    store = MySQLStore(mysql)
    real = store_module.do

    def deaf(con: Any, sql: str, *rest: Any) -> int:
        if sql != "COMMIT":
            return real(con, sql, *rest)
        if landed:
            real(con, sql)
        kill(con)
        return real(con, "SELECT 1")

    monkeypatch.setattr(store_module, "do", deaf)
    with pytest.raises(StoreUnavailable, match="append the same events again"):
        store.append(batch("a", expected=0))
    monkeypatch.undo()

    assert store.head() == landed
    assert store.append(batch("a", expected=0)) == Appended(0, 0, {STREAM: 1})
    assert store.head() == 1
    assert check_store(store).verdict == "verified"
    store.close()


def test_all_connections_lost_at_once_are_made_again(mysql: str) -> None:
    """Readers, writer and leases all find their way back."""
    store = MySQLStore(mysql)
    owners = store.owners()
    owners.hold("w")
    for i in range(4):
        store.append(batch(i))
        list(store.read())
        kill_all(mysql)
        assert stubborn(store, f"{i}b").first_position == 2 * i + 1
        assert store.head() == 2 * i + 2
    owners.release("w")
    assert check_store(store).verdict == "verified"
    store.close()


def kill_all(url: str) -> None:
    database = url.rpartition("/")[2]
    for (number,) in ask(SERVER, f"SELECT id FROM information_schema.processlist WHERE db = '{database}'"):
        try:
            ask(SERVER, f"KILL CONNECTION {number}")
        except pymysql.OperationalError:
            continue  # it has gone by itself


def _wait_grown(url: str, by: int) -> None:
    """Until so many more events are there, whoever writes them."""
    wanted: int | None = None
    until = time.monotonic() + 120
    while time.monotonic() < until:
        size = sum(size for (size,) in ask(url, "SELECT size FROM tree_state"))
        wanted = size + by if wanted is None else wanted
        if size >= wanted:
            return
        time.sleep(0.01)
    raise AssertionError("nobody writes")


@pytest.mark.parametrize("round_", range(4))
def test_what_was_acknowledged_survives_a_kill(mysql: str, round_: int) -> None:
    """A writer killed with SIGKILL at a random moment leaves all it had acknowledged, whole batches, that verify."""
    process = start(WRITE, mysql, "child", "100000")
    acknowledged = _kill_after(process, random.Random(round_).randint(0, 60))

    store = open_store(mysql)
    assert store.append(batch("after")).first_position == store.head() - 1
    ids = [e.id for e in store.read()]
    assert ids[: 2 * (acknowledged + 1)] == [
        event_id(f"child-{i}{b}") for i in range(acknowledged + 1) for b in ("", "b")
    ]
    assert len(ids) % 2 == 1
    assert check_store(store).verdict == "verified"
    assert store.append(batch("child-0", "child-0b", stream="s/0")).first_position == 0
    store.close()


@pytest.mark.slow
def test_whatever_dies_nothing_is_lost_doubled_or_reordered(mysql: str) -> None:
    """Four processes append to the same streams at once; they and their connections are killed at random."""
    chance = random.Random(5)
    writers = {f"w{i}": start(WRITE, mysql, f"w{i}", "10000000") for i in range(4)}
    acknowledged: dict[str, int] = {}
    for _ in range(12):
        _wait_grown(mysql, chance.randint(2, 200))
        if chance.random() < 0.5:
            kill_all(mysql)
            continue
        name = chance.choice(sorted(writers))
        acknowledged[name] = _kill(writers.pop(name))
        born = f"w{len(writers) + len(acknowledged)}"
        writers[born] = start(WRITE, mysql, born, "10000000")
    for name, process in writers.items():
        acknowledged[name] = _kill(process)

    store = open_store(mysql)
    last = stubborn(store, "last").first_position
    log = [e.id for e in store.read()]
    assert len(log) == len(set(log)) == last + 1
    place = {id_: at for at, id_ in enumerate(log)}
    for name, count in acknowledged.items():
        places = [place[event_id(f"{name}-{i}{b}")] for i in range(count + 1) for b in ("", "b")]
        assert places == sorted(places), f"{name}: out of order"
    assert sum(acknowledged.values()) > 20
    assert check_store(store).verdict == "verified"
    store.close()
