"""`actum relay`: events to a real receiver from the command line, and what its status says."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import orjson
import pytest

from .commands import Shell

SECRET = "whsec_" + b64encode(bytes(32)).decode()


class Taken:
    """A receiver that takes everything, or answers with `status`."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.status = 204
        there = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                there.bodies.append(orjson.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(there.status)
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"


@pytest.fixture
def taken() -> Iterator[Taken]:
    there = Taken()
    thread = Thread(target=there.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield there
    there.server.shutdown()
    thread.join()
    there.server.server_close()


def relay(actum: Shell, *words: str) -> Any:
    """Run `actum relay` with the secret in the environment, as an operator has it."""
    return actum("relay", *words, environment={"ACTUM_WEBHOOK_SECRET": SECRET})


def test_events_reach_a_webhook_once_and_the_status_says_how_far(actum: Shell, taken: Taken) -> None:
    """Run twice, each event is delivered once; status, lag and the delivery log name what happened."""
    actum("run", "flows:twice", "--input", "3")
    first = relay(actum, "run", taken.url, "--name", "hook", "--once")
    again = relay(actum, "run", taken.url, "--name", "hook", "--once")

    assert (first.code, again.code) == (0, 0), first.err
    positions = [body["position"] for body in taken.bodies]
    assert positions == list(range(len(positions)))
    assert f"{len(positions)} events delivered" in first.err
    assert "0 events delivered" in again.err
    told = relay(actum, "status", "--json")
    (one,) = told.json()["relays"]
    assert (told.code, one["name"], one["state"], one["lag"], one["oldest_pending_s"]) == (0, "hook", "working", 0, 0)
    assert one["position"] == told.json()["head"] - 1 == positions[-1]
    assert len(relay(actum, "deliveries", "hook", "--json").json()["deliveries"]) == len(positions)
    assert "working" in relay(actum, "status").out


def test_a_target_that_is_down_is_exit_code_3_and_a_failing_status(actum: Shell, taken: Taken) -> None:
    """The command says what is wrong; the status says since which event, and that one does not work (exit code 1)."""
    actum("run", "flows:twice", "--input", "3")
    taken.status = 503
    ended = relay(actum, "run", taken.url, "--name", "hook", "--once")

    assert (ended.code, "it answered 503" in ended.err) == (3, True)
    told = relay(actum, "status", "--json")
    (one,) = told.json()["relays"]
    assert (told.code, one["state"], one["position"], one["lag"]) == (1, "failing", -1, told.json()["head"])
    assert one["oldest_pending_s"] > 0
    assert "503" in one["last_error"]
    taken.status = 410
    assert relay(actum, "run", taken.url, "--name", "hook").code == 1


def test_a_relay_below_the_floor_is_named_and_the_others_are_shown(actum: Shell, taken: Taken) -> None:
    """Without the archive one cannot go on: its state says so, exit code 1; with the archive it lags, and works."""
    actum("run", "flows:twice", "--input", "3")
    relay(actum, "run", taken.url, "--name", "slow", "--once")
    actum("run", "flows:twice", "--input", "4")
    actum("run", "flows:twice", "--input", "5")
    relay(actum, "run", taken.url, "--name", "quick", "--once")
    actum("archive", "run", "archive", "--segment", "4")
    assert actum("archive", "run", "archive", "--segment", "4", "--drop").code == 0

    told = relay(actum, "status", "--json")
    quick, slow = told.json()["relays"]
    assert (told.code, quick["state"], slow["state"]) == (1, "working", "archived")
    assert slow["lag"] == told.json()["head"] - 1 - slow["position"]
    assert slow["oldest_pending_s"] is None
    assert "ACTUM_ARCHIVE" in slow["last_error"]
    assert "archived" in relay(actum, "status").out
    whole = actum("relay", "status", "--json", environment={"ACTUM_ARCHIVE": "archive"})
    assert (whole.code, [one["state"] for one in whole.json()["relays"]]) == (0, ["working", "working"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "kafka://there/x"), "is no target for events"),
        (("run", "http://127.0.0.1:1/", "--types", "step.complete", "--once"), "did you mean 'step.completed'"),
        (("run", "http://127.0.0.1:1/", "--from", "99999", "--once"), "has no position"),
        (("deliveries", "nobody"), "there is no relay 'nobody'"),
    ],
)
def test_wrong_use_is_exit_code_2(actum: Shell, words: tuple[str, ...], said: str) -> None:
    """A target, type, position or relay that does not exist is named, and nothing is sent."""
    actum("run", "flows:twice", "--input", "3")
    ended = relay(actum, *words)

    assert (ended.code, said in ended.err) == (2, True), ended.err


def test_without_a_secret_nothing_is_sent(actum: Shell, taken: Taken) -> None:
    """An unsigned webhook would be believed by nobody who checks."""
    actum("run", "flows:twice", "--input", "3")
    ended = actum("relay", "run", taken.url, "--once")

    assert (ended.code, taken.bodies) == (2, [])
    assert "whsec_" in ended.err


def test_looking_makes_no_file(actum: Shell) -> None:
    """A status without relays says so, is no failure, and leaves nothing beside the store."""
    actum("run", "flows:twice", "--input", "3")
    before = sorted(path.name for path in actum.folder.iterdir())
    told = relay(actum, "status")

    assert (told.code, "no relays" in told.err) == (0, True)
    assert sorted(path.name for path in actum.folder.iterdir()) == before
