"""Relays: in order, at least once, and never in the way of who appends."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import orjson
import pytest

from actum.errors import BadInput, TargetGone, TargetUnavailable, WrongLog
from actum.eventstore import Append, EventStore, open_store
from actum.eventstore.backoff import Backoff
from actum.eventstore.subscriptions.consumer import Mark
from actum.eventstore.subscriptions.cursors_sql import open_engine
from actum.relay import Ledger, Message, Relay, open_target
from actum.relay.registry import TargetOptions
from actum.relay.target import in_rounds
from actum.relay.webhook import Webhook
from actum.testing.builders import batch, event, event_id

from .receiver import HANG, Receiver

AT_ONCE = Backoff(first_s=0)
SECRET = "whsec_" + b64encode(bytes(32)).decode()

RELAY = """
import sys
from functools import partial
from actum.eventstore import open_store
from actum.eventstore.subscriptions.cursors_sql import open_engine
from actum.relay import Ledger, Relay
from actum.relay.webhook import Webhook
log, cursors, url, secret = sys.argv[1:]
store, ledger = open_store(log), Ledger(open_engine(cursors))
hook = Webhook(url, secret, 5, partial(ledger.delivered, "hook"))
Relay(store, "hook", hook, ledger).deliver_all()
print("done")
store.close()
hook.close()
"""


@pytest.fixture
def store() -> EventStore:
    return open_store("memory://")


@pytest.fixture
def hook(receiver: Receiver, ledger: Ledger) -> Iterator[Webhook]:
    hook = Webhook(receiver.url, SECRET, 0.5, lambda made: ledger.delivered("hook", made))
    yield hook
    hook.close()


class Kept:
    """A target in memory."""

    def __init__(self, batch: int = 10) -> None:
        self.name, self.batch = "memory", batch
        self.got: list[Message] = []

    def deliver(self, messages: Sequence[Message]) -> None:
        self.got += messages

    def close(self) -> None: ...


def test_a_relay_goes_on_where_it_was(store: EventStore, ledger: Ledger) -> None:
    """A second relay of the same name delivers what came since; a new name begins where it is told."""
    store.append(batch(0, 1, 2))
    first, second, third = Kept(), Kept(), Kept()

    assert Relay(store, "a", first, ledger).deliver_all() == 3
    store.append(batch(3))
    assert Relay(store, "a", second, ledger).deliver_all() == 1
    assert Relay(store, "b", third, ledger, first=2).deliver_all() == 2

    assert [[m.position for m in one.got] for one in (first, second, third)] == [[0, 1, 2], [3], [2, 3]]


def test_a_beginning_for_a_relay_that_has_begun_is_refused(store: EventStore, ledger: Ledger) -> None:
    """It would be ignored, or events would come twice: neither is what was asked."""
    store.append(batch(0, 1))
    Relay(store, "a", Kept(), ledger).deliver_all()

    with pytest.raises(BadInput, match="delivered up to position 1 and goes on from there"):
        Relay(store, "a", Kept(), ledger, first=0)


def test_one_name_is_one_target(store: EventStore, ledger: Ledger) -> None:
    """Another target under a known name would miss what the first one got."""
    Relay(store, "a", Kept(), ledger)
    other = Kept()
    other.name = "elsewhere"

    with pytest.raises(BadInput, match="delivers to memory, not to elsewhere"):
        Relay(store, "a", other, ledger)


def test_a_restored_log_is_not_relayed_on(store: EventStore, ledger: Ledger) -> None:
    """After an older copy of the log was restored, its new events would hide behind the mark: that is refused."""
    store.append(batch(0, 1, 2))
    Relay(store, "a", Kept(), ledger).deliver_all()
    older = open_store("memory://")
    older.append(batch(0, 1, "another"))

    with pytest.raises(WrongLog, match=event_id("another")):
        Relay(older, "a", Kept(), ledger)


def test_only_the_types_that_were_asked_for_and_no_personal_payloads(store: EventStore, ledger: Ledger) -> None:
    """What goes out is what was chosen; a personal payload needs to be asked for by name."""
    personal = event("p", payload=b'"someone"')
    personal.payload_class = "personal"
    store.append([Append("s/1", 0, [event("t", type="timer.set", timer="t"), personal])])
    without, with_ = Kept(), Kept()
    Relay(store, "a", without, ledger, types=["step.completed"]).deliver_all()
    Relay(store, "b", with_, ledger, types=["step.completed"], personal=True).deliver_all()

    assert [orjson.loads(m.body).get("withheld") for m in without.got] == ["personal"]
    assert [orjson.loads(m.body)["payload"] for m in with_.got] == ["someone"]


def test_failures_are_retried_in_order_and_refusals_become_dead_letters(
    store: EventStore, ledger: Ledger, receiver: Receiver, hook: Webhook
) -> None:
    """500 twice, then taken; 422 never again; all others arrive, in order, and the delivery log has each attempt."""
    store.append(batch(0, 1, 2))
    receiver.answers += [204, 500, 500, 204, 422]

    assert Relay(store, "hook", hook, ledger, backoff=AT_ONCE).deliver_all() == 3

    assert receiver.positions == [0, 1, 1, 1, 2]
    (letter,) = store.read_stream("subscription/hook")
    assert (letter.facts["source"], letter.facts["attempts"]) == (event_id(2), 1)
    log = [(one.position, one.attempt, one.outcome) for one in reversed(ledger.deliveries("hook"))]
    assert log == [(0, 1, "delivered"), (1, 1, "failed"), (1, 2, "failed"), (1, 3, "delivered"), (2, 1, "refused")]


def test_an_event_that_fails_too_often_is_given_up(
    store: EventStore, ledger: Ledger, receiver: Receiver, hook: Webhook
) -> None:
    """So many 500 for one event, and the next one is delivered."""
    store.append(batch(0, 1))
    receiver.answers += [500] * 3
    Relay(store, "hook", hook, ledger, attempts=3, backoff=AT_ONCE).deliver_all()

    assert receiver.positions == [0, 0, 0, 1]
    assert [e.facts["error_type"] for e in store.read_stream("subscription/hook")] == ["WebhookFailed"]


def test_gone_ends_the_relay_and_its_status_says_so(
    store: EventStore, ledger: Ledger, receiver: Receiver, hook: Webhook
) -> None:
    """410 is the receiver's wish: nothing more is sent until somebody starts the relay again, and then from there."""
    store.append(batch(0, 1))
    receiver.answers += [204, 410]
    relay = Relay(store, "hook", hook, ledger)
    with pytest.raises(TargetGone, match="wants no more events"):
        relay.run(Event())

    (row,) = ledger.relays()
    assert (row.state, receiver.positions) == ("ended", [0, 1])
    assert "410" in (row.problem or "")
    assert Relay(store, "hook", hook, ledger).deliver_all() == 1
    assert (ledger.relays()[0].state, receiver.positions) == ("working", [0, 1, 1])


def test_an_outage_is_waited_out_and_seen_in_the_status(
    store: EventStore, ledger: Ledger, receiver: Receiver, hook: Webhook
) -> None:
    """While the target is down the status says so with the last error; when it is back, all arrives, in order."""
    store.append(batch(0, 1))
    receiver.answers += [503]
    with pytest.raises(TargetUnavailable):
        Relay(store, "hook", hook, ledger).deliver_all()
    (row,) = ledger.relays()
    assert (row.state, row.failures) == ("failing", 1)
    assert "503" in (row.problem or "")

    receiver.answers += [503, 503]
    stop = Event()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(Relay(store, "hook", hook, ledger, backoff=AT_ONCE).run, stop, idle_s=0.05)
        while ledger.cursors.load("hook") != Mark(1, event_id(1)) and not running.done():
            store.wait(store.head(), 0.01)
        stop.set()
        running.result(10)

    assert receiver.positions == [0, 0, 0, 0, 1]
    assert (ledger.relays()[0].state, ledger.relays()[0].failures) == ("working", 0)


def test_appends_go_on_while_the_target_hangs(tmp_path: Path, receiver: Receiver, ledger: Ledger) -> None:
    """With a relay stuck in a request, appends complete: it holds nothing that they need."""
    store = open_store(f"sqlite:///{tmp_path}/log.db")
    hook = Webhook(receiver.url, SECRET, 15, lambda made: ledger.delivered("hook", made))
    store.append(batch("first"))
    receiver.answers += [HANG]
    stop = Event()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(Relay(store, "hook", hook, ledger, backoff=AT_ONCE).run, stop, idle_s=0.05)
        assert receiver.asked.wait(10)
        for i in range(200):
            store.append(batch(i))
        assert (store.head(), running.done(), ledger.cursors.load("hook")) == (201, False, None)
        stop.set()
        receiver.closing.set()
        running.result(20)
    hook.close()
    store.close()


def test_a_relay_that_is_killed_loses_nothing_and_keeps_the_order(tmp_path: Path, receiver: Receiver) -> None:
    """A real relay process, killed with SIGKILL at random moments: every event arrives, repeats come with their id
    and at once, and no event arrives for the first time before one that stands before it."""
    log, cursors = f"sqlite:///{tmp_path}/log.db", f"sqlite:///{tmp_path}/cursors.db"
    store, total, chance = open_store(log), 80, random.Random(3)
    for i in range(total):
        store.append(batch(i, stream=f"s/{i % 3}"))
    kills, out = 0, ""
    while out != "done\n":
        process = subprocess.Popen(
            [sys.executable, "-c", RELAY, log, cursors, receiver.url, SECRET], stdout=subprocess.PIPE, text=True
        )
        wanted = len(receiver.requests) + chance.randint(1, 15)
        while kills < 6 and process.poll() is None and len(receiver.requests) < wanted:
            receiver.asked.wait(0.05)
            receiver.asked.clear()
        if kills < 6:
            process.send_signal(signal.SIGKILL)
            kills += 1
        out = process.communicate(timeout=60)[0]

    seen = receiver.positions
    assert list(dict.fromkeys(seen)) == list(range(total))
    assert total <= len(seen) <= total + kills
    ids = {headers["webhook-id"] for headers, _ in receiver.requests}
    assert ids == {event_id(i) for i in range(total)}
    made = Ledger(open_engine(cursors)).deliveries("hook", 1000)
    assert {one.event for one in made} == ids
    store.close()


def test_a_round_has_a_stream_once_and_rounds_keep_the_order() -> None:
    """What travels side by side is of different streams; laid end to end, the rounds have each stream in order."""
    messages = [Message(str(i), f"s/{i % 3 if i < 9 else 0}", "t", i, b"") for i in range(12)]
    rounds = list(in_rounds(messages))

    assert all(len({m.stream for m in one}) == len(one) for one in rounds)
    flat = [m for one in rounds for m in one]
    assert sorted(flat, key=lambda m: m.position) == messages
    for stream in ("s/0", "s/1", "s/2"):
        assert [m for m in flat if m.stream == stream] == [m for m in messages if m.stream == stream]


@pytest.mark.parametrize(
    ("url", "said"),
    [("ntas://h:1/x", "did you mean 'nats'"), ("http", "known: nats"), ("http://", "known"), ("kafka://h", "kafka")],
)
def test_a_target_that_does_not_exist_is_refused_with_those_that_do(url: str, said: str) -> None:
    """A typo gets the nearest name; nothing is connected."""
    with pytest.raises(BadInput, match=said):
        open_target(url, TargetOptions(secret=SECRET))


def test_a_secret_is_not_shown() -> None:
    """Options can be printed without giving the secret away."""
    assert "hush" not in repr(TargetOptions(secret="hush"))


def test_a_librarys_absence_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who did not install the extra is told its name, and only when a target needs it."""
    for library in ("nats", "redis"):
        monkeypatch.delitem(sys.modules, f"actum.relay.{library}", raising=False)
        monkeypatch.setitem(sys.modules, library, None)
        with pytest.raises(BadInput, match=r"install actum\[relay\]"):
            open_target(f"{library}://127.0.0.1:1/x")


def test_the_libraries_of_targets_are_imported_only_when_used() -> None:
    """Neither actum nor its relays bring in a client that nobody asked for."""
    code = "import actum, actum.relay, sys; assert not {'nats', 'redis'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
