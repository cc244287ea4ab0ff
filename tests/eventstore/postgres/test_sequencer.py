"""Who gives positions: one process at a time, the next when it dies, and two at once without harm."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from actum.errors import StoreRefused, StoreUnavailable
from actum.events.merkle import Frontier
from actum.eventstore import Appended
from actum.eventstore.check.store import check_store
from actum.eventstore.postgres.sequence import Fence
from actum.eventstore.postgres.sequencer import drain
from actum.eventstore.postgres.store import PostgresStore
from actum.testing.builders import STREAM, batch, event_id
from actum.testing.postgres import ask, session

LEADER = """
import sys
from actum.eventstore import open_store
from actum.testing.builders import batch
store = open_store(sys.argv[1])
store.append(batch("leader"))
print("leads", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def nobody(postgres: str) -> str:
    """A store whose lease a process holds that never does anything, for an hour."""
    PostgresStore(postgres).close()
    ask(
        postgres,
        "INSERT INTO leases VALUES (0, 'sequencer', 'idle', 1, clock_timestamp() + interval '1 hour') ON CONFLICT "
        "(tenant, name) DO UPDATE SET holder = excluded.holder, until = excluded.until",
    )
    return postgres


@pytest.fixture
def rivals(postgres: str) -> Iterator[tuple[PostgresStore, PostgresStore]]:
    """Two open stores: the first one holds the lease."""
    one, two = PostgresStore(postgres), PostgresStore(postgres)
    yield one, two
    for store in (one, two):
        assert check_store(store).verdict == "verified"
        store.close()


def test_appends_of_other_processes_get_their_positions(rivals: tuple[PostgresStore, PostgresStore]) -> None:
    """What the one without the lease appends is answered with positions, in one order with the other's."""
    one, two = rivals
    assert one.append(batch("a")) == Appended(0, 0, {STREAM: 1})
    assert two.append(batch("b", "c", expected=1)) == Appended(1, 2, {STREAM: 3})
    assert one.append(batch("d", expected=3)) == Appended(3, 3, {STREAM: 4})
    assert two.append(batch("a", expected=0)) == Appended(0, 0, {STREAM: 1})
    assert [e.id for e in two.read()] == [event_id(name) for name in "abcd"]


def test_two_processes_at_full_speed_agree(rivals: tuple[PostgresStore, PostgresStore]) -> None:
    """Eight writers over both, many of them on the same streams: dense, each once, and it verifies."""

    def write(writer: int) -> list[int]:
        return [
            rivals[writer % 2].append(batch(f"{writer}-{i}", stream=f"s/{i % 3}")).first_position for i in range(25)
        ]

    with ThreadPoolExecutor(8) as pool:
        positions = [position for answer in pool.map(write, range(8)) for position in answer]

    assert sorted(positions) == list(range(200))
    assert [e.position for e in rivals[0].read()] == list(range(200))


def test_both_taking_themselves_for_the_sequencer_do_no_harm(
    rivals: tuple[PostgresStore, PostgresStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a lease that tells everybody yes, positions are still dense and each event is there once."""
    for store in rivals:
        monkeypatch.setattr(store._lease, "ours", lambda: True)

    test_two_processes_at_full_speed_agree(rivals)


def test_a_sequencer_with_a_stale_tree_is_fenced(nobody: str) -> None:
    """One that believes the log to end elsewhere writes nothing, and what waits goes on waiting."""
    store = PostgresStore(nobody + "?answer_timeout=0.1")
    with pytest.raises(StoreUnavailable):
        store.append(batch("a"))
    con = session(nobody)
    import actum.eventstore.postgres.sequencer as module

    def stale(con: object, tenant_no: int) -> tuple[Frontier, list[tuple[int, list[bytes]]]]:
        _, waiting = real(con, tenant_no)  # type: ignore[arg-type]
        wrong = Frontier()
        wrong.extend([bytes(32)] * 3)
        return wrong, waiting

    real = module.take
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "take", stale)
        with pytest.raises(Fence):
            drain(con, 0)
    assert (store.head(), list(store.read())) == (0, [])
    assert drain(con, 0) == 1
    con.close()
    assert store.append(batch("a")) == Appended(0, 0, {STREAM: 1})
    store.close()


def test_without_a_sequencer_the_outcome_is_named(nobody: str) -> None:
    """A durable append that gets no position in time is answered so, readers see none of it, and trying again tells."""
    store = PostgresStore(nobody + "?answer_timeout=0.2")
    with pytest.raises(StoreUnavailable, match=r"durable, but have waited 0.2 s for their positions"):
        store.append(batch("a", "b"))

    assert (store.head(), list(store.read()), store.stream_version(STREAM), list(store.streams())) == (0, [], 0, [])
    with pytest.raises(StoreRefused, match="1 appends are durable and have waited"):
        store.tree()
    with pytest.raises(StoreRefused, match="events of stream 'execution/one' are durable"):
        store.read_stream(STREAM)
    ask(nobody, "DELETE FROM leases")
    assert store.wait(1, 10) == 2
    assert store.append(batch("a", "b")) == Appended(0, 1, {STREAM: 2})
    assert check_store(store).verdict == "verified"
    store.close()


def test_what_waits_is_placed_in_the_order_of_its_numbers(nobody: str) -> None:
    """Streams keep their order, batches stay together, and streams are shown as far as they have positions."""
    store = PostgresStore(nobody + "?answer_timeout=0.1")
    for i in range(6):
        with pytest.raises(StoreUnavailable):
            store.append([*batch(f"a{i}", stream="s/a"), *batch(f"b{i}", stream="s/b")])
    con = session(nobody)
    assert drain(con, 0) == 6
    with pytest.raises(StoreUnavailable):
        store.append(batch("late", stream="s/a"))

    wanted = [event_id(f"{stream}{i}") for i in range(6) for stream in "ab"]
    assert [e.id for e in store.read()] == wanted
    assert (store.stream_version("s/a"), store.head()) == (6, 12)
    heads = {name: (count, leaf) for name, count, leaf in store.streams()}
    assert heads["s/a"] == (6, list(store.read())[-2].leaf)
    assert drain(con, 0) == 1
    assert drain(con, 0) == 0
    con.close()
    assert check_store(store).verdict == "verified"
    store.close()


def test_the_next_takes_over_when_the_sequencer_is_killed(postgres: str) -> None:
    """After kill -9 of the process that gave positions another does, one lease later; epochs count the hands."""
    leader = subprocess.Popen(
        [sys.executable, "-c", LEADER, postgres + "?lease=0.5"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert leader.stdout is not None
    assert leader.stdout.readline() == "leads\n"
    store = PostgresStore(postgres + "?lease=0.5")
    assert store.append(batch("a", stream="s/1")).first_position == 1
    ((before,),) = ask(postgres, "SELECT epoch FROM leases WHERE name = 'sequencer'")
    leader.kill()
    leader.communicate(timeout=10)

    assert store.append(batch("b", stream="s/1")).first_position == 2
    assert ask(postgres, "SELECT epoch FROM leases WHERE name = 'sequencer'") == [(before + 1,)]
    assert check_store(store).verdict == "verified"
    store.close()


def test_closing_hands_the_lease_on_at_once(postgres: str) -> None:
    """Whoever closes gives the lease back: the next does not wait for it to run out."""
    one, two = PostgresStore(postgres + "?lease=60"), PostgresStore(postgres + "?lease=0.2")
    one.append(batch("a"))
    one.close()

    assert two.append(batch("b")).first_position == 1
    two.close()


def test_more_than_one_transaction_can_place_is_placed_in_order(nobody: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backlog is worked off piece by piece, whole batches each time, and nobody overtakes it."""
    import actum.eventstore.postgres.sequence as sequence
    import actum.eventstore.postgres.write as write

    store = PostgresStore(nobody + "?answer_timeout=0.05")
    for i in range(7):
        with pytest.raises(StoreUnavailable):
            store.append(batch(i, f"{i}b", stream="s/1"))
    monkeypatch.setattr(sequence, "MOST", 3)
    monkeypatch.setattr(write, "MOST", 3)
    late = PostgresStore(nobody + "?answer_timeout=20")
    monkeypatch.setattr(late._lease, "ours", lambda: True)
    late._sequencer._lease.forget()

    assert late.append(batch("late", stream="s/1")).first_position == 14
    assert [e.id for e in late.read()] == [event_id(n) for i in range(7) for n in (i, f"{i}b")] + [event_id("late")]
    assert check_store(late).verdict == "verified"
    late.close()
    store.close()
