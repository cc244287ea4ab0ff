"""Marks in the consumer's own database: exactly one effect of each event, whatever is killed."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, create_engine, make_url, text

from actum.errors import CursorMoved, TargetUnavailable
from actum.events import RecordedEvent
from actum.eventstore import open_store
from actum.eventstore.subscriptions.consumer import START, ExactlyOnce, Mark
from actum.eventstore.subscriptions.cursors_sql import SqlCursors, open_engine
from actum.eventstore.subscriptions.subscription import Subscription
from actum.testing.builders import batch

CONSUME = """
import sys
from sqlalchemy import text
from actum.eventstore import open_store
from actum.eventstore.subscriptions.consumer import ExactlyOnce
from actum.eventstore.subscriptions.cursors_sql import SqlCursors, open_engine
from actum.eventstore.subscriptions.subscription import Subscription
log, mine = sys.argv[1:]
store, cursors = open_store(log + "?mode=ro"), SqlCursors(open_engine(mine))
def take(connection, events):
    for event in events:
        connection.execute(text("INSERT INTO effects VALUES (:p)"), {"p": event.position})
        print(event.position, flush=True)
print("ready", Subscription(store, "s", ExactlyOnce(cursors, "s", take)).mark().position, flush=True)
Subscription(store, "s", ExactlyOnce(cursors, "s", take), batch=3).catch_up()
print("done", flush=True)
"""


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A consumer's own database, with a table for its effects; it has no key, so a double would stay."""
    url = make_url(f"sqlite:///{tmp_path}/mine.db")
    if request.param == "postgresql":
        url = make_url(request.getfixturevalue("postgres_url")).set(drivername="postgresql+psycopg")
    if request.param == "mysql":
        url = make_url(request.getfixturevalue("mysql_url")).set(drivername="mysql+pymysql")
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE effects (position INTEGER)"))
    yield engine
    with engine.begin() as connection:
        for table in ("effects", "actum_cursors"):
            connection.execute(text(f"DROP TABLE IF EXISTS {table}"))
    engine.dispose()


def effects(engine: Engine) -> list[int]:
    with engine.connect() as connection:
        return list(connection.execute(text("SELECT position FROM effects ORDER BY position")).scalars())


def test_effects_are_exactly_once_whenever_the_consumer_is_killed(tmp_path: Path, engine: Engine) -> None:
    """A real process, killed with SIGKILL again and again between and within transactions: each effect once."""
    log = f"sqlite:///{tmp_path}/log.db"
    store, total, chance = open_store(log), 120, random.Random(7)
    for i in range(0, total, 4):
        store.append(batch(*range(i, i + 4), stream=f"s/{i % 5}"))
    kills, done = 0, False
    while not done:
        command = [sys.executable, "-c", CONSUME, log, engine.url.render_as_string(hide_password=False)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        left = chance.randint(0, 25)
        for line in process.stdout:
            done = line == "done\n"
            left -= 1
            if left < 0 and not done and kills < 8:
                process.send_signal(signal.SIGKILL)
                kills += 1
                break
        process.communicate(timeout=60)
        assert effects(engine) == list(range(len(effects(engine))))

    assert kills == 8
    assert effects(engine) == list(range(total))
    store.close()


def test_a_handler_that_fails_has_no_effect_and_moves_nothing(engine: Engine) -> None:
    """What was written before the exception is undone with the move."""
    cursors = SqlCursors(engine)

    def fail() -> None:
        with cursors.moving("s", START, Mark(0, "a")) as connection:
            connection.execute(text("INSERT INTO effects VALUES (1)"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (effects(engine), cursors.load("s")) == ([], None)


def test_of_two_that_move_the_same_mark_one_does_and_one_is_told(engine: Engine) -> None:
    """Threads that all begin at one mark: each step forward is made by exactly one of them."""
    cursors = SqlCursors(engine)

    def rival(number: int) -> int:
        won = 0
        for position in range(20):
            try:
                before = START if position == 0 else Mark(position - 1, "e")
                with cursors.moving("s", before, Mark(position, "e")) as connection:
                    connection.execute(text("INSERT INTO effects VALUES (:p)"), {"p": position})
                won += 1
            except CursorMoved:
                continue
        return won

    with ThreadPoolExecutor(3) as pool:
        won = sum(pool.map(rival, range(3)))

    mark = cursors.load("s")
    assert mark is not None
    assert sorted(effects(engine)) == list(range(won))
    assert mark.position == won - 1 >= 0


def test_tenants_do_not_see_each_others_marks(engine: Engine) -> None:
    """One database holds the marks of many tenants under the same names."""
    one, other = SqlCursors(engine, "one"), SqlCursors(engine, "other")
    with one.moving("s", START, Mark(5, "x")):
        pass

    assert (one.load("s"), other.load("s"), one.names(), other.names()) == (Mark(5, "x"), None, ["s"], [])


def test_a_database_that_does_not_answer_is_unavailable(tmp_path: Path) -> None:
    """Trouble of the consumer's database makes no dead letters: the subscription says so and stays where it is."""
    store = open_store("memory://")
    store.append(batch("a"))
    locked = create_engine(f"sqlite:///{tmp_path}/mine.db", connect_args={"timeout": 0})
    cursors = SqlCursors(locked)

    def take(connection: Connection, events: Sequence[RecordedEvent]) -> None:
        pytest.fail("taken")

    with locked.connect() as rival:
        rival.execute(text("BEGIN EXCLUSIVE"))
        with pytest.raises(TargetUnavailable, match="database is locked"):
            Subscription(store, "s", ExactlyOnce(cursors, "s", take)).catch_up()
    assert store.head() == 1
    with pytest.raises(TargetUnavailable, match="unable to open"):
        SqlCursors(open_engine(f"sqlite:///{tmp_path}/no/such/folder.db"))
