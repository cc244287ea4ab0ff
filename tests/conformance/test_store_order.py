"""One order without gaps, for every reader, whoever writes at the same time; and each caller's own answer."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread, get_ident

import pytest

from actum.errors import BadInput, StoreRefused, VersionConflict
from actum.events.merkle import root_of
from actum.eventstore import ANY, Append, Appended, EventStore
from actum.testing.builders import STREAM, batch, event, event_id

WRITERS, EACH = 8, 60


def test_writers_and_readers_at_once_agree_on_one_dense_order(store: EventStore) -> None:
    """With eight writers at work, every reader sees 0, 1, 2, … once each, and all of them the same events."""
    total = WRITERS * EACH

    def write(writer: int) -> list[int]:
        return [store.append(batch(f"{writer}-{i}", stream=f"s/{writer % 3}")).first_position for i in range(EACH)]

    def read(_: int) -> list[tuple[int, str]]:
        seen: list[tuple[int, str]] = []
        while len(seen) < total:
            store.wait(len(seen) - 1, 5)
            seen += [(e.position, e.id) for e in store.read(after=len(seen) - 1)]
        return seen

    with ThreadPoolExecutor(WRITERS + 3) as pool:
        readers = [pool.submit(read, i) for i in range(3)]
        positions = [position for answer in pool.map(write, range(WRITERS)) for position in answer]
        seen = [reader.result(60) for reader in readers]

    assert sorted(positions) == list(range(total))
    assert [position for position, _ in seen[0]] == list(range(total))
    assert seen[0] == seen[1] == seen[2]
    assert {id_ for _, id_ in seen[0]} == {event_id(f"{w}-{i}") for w in range(WRITERS) for i in range(EACH)}


def test_a_reader_never_sees_half_a_batch(store: EventStore) -> None:
    """A batch over two streams becomes visible whole: head is always at a boundary, and so are the streams."""
    stop = Event()
    halves: list[tuple[int, int]] = []

    def watch() -> None:
        while not stop.is_set():
            before, head, after = store.stream_version("s/1"), store.head(), store.stream_version("s/2")
            if head % 2 or before > after:
                halves.append((head, before - after))

    watcher = Thread(target=watch)
    watcher.start()
    for i in range(150):
        store.append([Append("s/1", i, [event(f"a{i}")]), Append("s/2", i, [event(f"b{i}")])])
    stop.set()
    watcher.join(10)

    assert halves == []


def test_one_of_many_rivals_wins(store: EventStore) -> None:
    """When eight writers expect the same version, one append goes through and seven are told the version."""

    def rival(i: int) -> Appended | VersionConflict:
        try:
            return store.append(batch(i, expected=0))
        except VersionConflict as conflict:
            return conflict

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(rival, range(8)))

    assert sum(isinstance(answer, Appended) for answer in answers) == 1
    assert {answer.actual for answer in answers if isinstance(answer, VersionConflict)} == {1}
    assert store.head() == 1


def test_append_soon_answers_each_once_in_order(store: EventStore) -> None:
    """Each batch is answered exactly once, in the order given, the refused ones with their errors among them."""
    answers: list[tuple[int, Appended | Exception]] = []
    finished = Event()

    def take(i: int) -> Callable[[Appended | Exception], None]:
        def done(answer: Appended | Exception) -> None:
            answers.append((i, answer))
            if i == 299:
                finished.set()

        return done

    for i in range(300):
        store.append_soon(batch(i, stream="bad" if i % 7 == 3 else STREAM), take(i))
    assert finished.wait(30)

    assert [i for i, _ in answers] == list(range(300))
    for i, answer in answers:
        assert isinstance(answer, BadInput if i % 7 == 3 else Appended), (i, answer)
    good = [answer.first_position for _, answer in answers if isinstance(answer, Appended)]
    assert good == list(range(len(good)))


def test_an_answer_that_cannot_be_delivered_hurts_nobody_else(store: EventStore) -> None:
    """A callback that raises neither loses the append nor the answers of others."""
    got: list[object] = []
    finished = Event()

    def broken(_: object) -> None:
        raise RuntimeError("the caller's own bug")

    def done(answer: object) -> None:
        got.append(answer)
        finished.set()

    store.append_soon(batch("a"), broken)
    store.append_soon(batch("b"), done)
    assert finished.wait(10)

    assert got == [Appended(1, 1, {STREAM: 2})]
    assert [e.id for e in store.read()] == [event_id("a"), event_id("b")]


def test_what_is_no_batch_is_the_callers_error_and_the_store_goes_on(store: EventStore) -> None:
    """Events without a length are a TypeError for who passed them; later appends are not held up."""
    answers: list[object] = []
    with pytest.raises(TypeError):
        store.append_soon([Append(STREAM, 0, (event(i) for i in range(2)))], answers.append)  # type: ignore[arg-type]

    assert store.append(batch("b")).last_position == 0
    assert answers == []


def test_wait_returns_when_the_log_has_grown(store: EventStore) -> None:
    """A waiting reader is woken by an append from another thread, long before its time is over."""
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(store.wait, 1, 30.0)
        store.append(batch("a", "b"))
        assert waiting.result(10) == 2


def test_wait_gives_up_after_its_time(store: EventStore) -> None:
    """Without an append, wait returns the head as it is when its time is over; at once when there is enough."""
    store.append(batch("a"))

    assert store.wait(0, 0.01) == 1
    assert store.wait(-1, 30.0) == 1


def test_closing_writes_what_was_given(store: EventStore) -> None:
    """Every batch given before close is answered and durable when close returns, and nothing after it is taken."""
    answers: list[object] = []
    for i in range(200):
        store.append_soon(batch(i), answers.append)

    store.close()
    store.close()

    assert [type(answer) for answer in answers] == [Appended] * 200
    store.append_soon(batch("late"), answers.append)
    assert isinstance(answers[-1], StoreRefused)


def test_closing_from_many_threads_is_one_closing(store: EventStore) -> None:
    """Whoever closes, returns only when everything given before is answered."""
    answers: list[object] = []
    for i in range(100):
        store.append_soon(batch(i), answers.append)

    def close(_: int) -> int:
        store.close()
        return len(answers)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(close, range(4))) == [100] * 4
    assert all(isinstance(answer, Appended) for answer in answers), answers


def test_a_closed_store_refuses_every_use(store: EventStore) -> None:
    """After close every method says that the store is closed, in whichever thread, also one that had used it."""
    store.append(batch("a"))
    uses: list[Callable[[], object]] = [
        lambda: store.append(batch("b")),
        lambda: store.read_stream(STREAM),
        lambda: list(store.read()),
        lambda: list(store.read_raw()),
        store.head,
        lambda: store.wait(0, 10),
        lambda: store.stream_version(STREAM),
        lambda: list(store.streams()),
        lambda: store.view("executions"),
        store.tree,
        lambda: store.add_checkpoint(1, "note"),
        store.checkpoints,
    ]
    store.close()

    for use in uses:
        with pytest.raises(StoreRefused, match="closed"):
            use()


def test_closing_ends_a_wait(store: EventStore) -> None:
    """A thread that waits for an append is told that the store was closed, and does not wait on."""
    started = Event()

    def wait() -> int:
        started.set()
        return store.wait(0, 60.0)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait)
        started.wait(10)
        store.close()
        with pytest.raises(StoreRefused, match="closed"):
            waiting.result(10)


def test_the_tree_is_that_of_the_headers(store: EventStore) -> None:
    """Size and root kept with the log are those of RFC 6962 over its header bytes, after every append."""
    from actum.events.merkle import Frontier

    assert (store.tree().size, Frontier.from_bytes(store.tree().frontier).root()) == (0, root_of([]))
    for i, size in enumerate((1, 2, 3, 40, 1)):
        store.append(batch(*[f"{i}-{n}" for n in range(size)]))
        kept = store.tree()
        frontier = Frontier.from_bytes(kept.frontier)
        leaves = [recorded.leaf for recorded in store.read()]
        assert (kept.size, frontier.size, frontier.root()) == (len(leaves), len(leaves), root_of(leaves))


def test_stream_heads_are_those_of_the_events(store: EventStore) -> None:
    """`streams` gives each stream once, with its number of events and the leaf hash of the last."""
    for i in range(30):
        store.append([Append(f"s/{i % 4}", ANY, [event(i)])])

    heads = {name: (count, leaf) for name, count, leaf in store.streams()}
    assert len(heads) == len(list(store.streams())) == 4
    for name, head in heads.items():
        events = store.read_stream(name)
        assert head == (len(events), events[-1].leaf)
        assert store.stream_version(name) == len(events)


def test_answers_may_come_in_another_thread_but_never_before_the_write(store: EventStore) -> None:
    """When the callback runs, in whatever thread, the events can be read there."""
    heads: list[tuple[int, int]] = []
    finished = Event()

    def done(answer: Appended | Exception) -> None:
        assert isinstance(answer, Appended)
        heads.append((answer.last_position, store.head()))
        finished.set()

    store.append_soon(batch("a"), done)
    assert finished.wait(10)
    assert heads == [(0, 1)], get_ident()
