"""What is sent of an event: the header as it is, and its payload unless that is personal or gone."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import orjson
import pytest
import rfc8785

from actum.events import RecordedEvent
from actum.eventstore import Append, open_store
from actum.relay import message_of
from actum.testing.builders import event


def recorded(payload: bytes | None, class_: str = "business") -> RecordedEvent:
    store = open_store("memory://")
    new = event("a", payload=payload)
    new.payload_class = class_  # type: ignore[assignment]
    store.append([Append("s/1", 0, [new])])
    (there,) = store.read()
    return there


def test_a_message_carries_header_leaf_position_and_payload() -> None:
    """The receiver can hash the header again, in canonical form, and gets the leaf of the log's tree."""
    there = recorded(b'{"n": 1.5}')
    message = message_of(there)
    body = orjson.loads(message.body)

    assert (message.id, message.stream, message.type, message.position) == (there.id, "s/1", "step.completed", 0)
    assert set(body) == {"actum_relay", "header", "leaf", "payload", "position"}
    assert (body["actum_relay"], body["position"], body["payload"]) == (1, 0, {"n": 1.5})
    assert body["header"] == there.head
    assert sha256(b"\x00" + rfc8785.dumps(body["header"])).hexdigest() == body["leaf"] == there.leaf.hex()


@pytest.mark.parametrize(
    ("payload", "class_", "personal", "sent"),
    [
        (None, "business", False, {}),
        (b"null", "public", False, {"payload": None}),
        (b"", "business", False, {"payload_base64": ""}),
        (b"\xff\x00", "business", False, {"payload_base64": "/wA="}),
        (b'"a@example.org"', "personal", False, {"withheld": "personal"}),
        (b'"a@example.org"', "personal", True, {"payload": "a@example.org"}),
    ],
)
def test_a_payload_is_sent_unless_it_is_personal(
    payload: bytes | None, class_: str, personal: bool, sent: dict[str, object]
) -> None:
    """JSON goes as it is, other bytes as base64; what is personal goes only when that was asked for."""
    body = orjson.loads(message_of(recorded(payload, class_), personal=personal).body)

    assert {name: body[name] for name in body.keys() - {"actum_relay", "header", "leaf", "position"}} == sent


def test_an_erased_payload_is_said_to_be_erased() -> None:
    """The header still says that there was one; the message says why it is not there."""
    there = recorded(b"1", "personal")

    assert orjson.loads(message_of(RecordedEvent(0, there.header), personal=True).body)["withheld"] == "erased"


@pytest.mark.parametrize(("personal", "name"), [(False, None), (True, "Ada")])
def test_personal_fields_are_sent_only_when_asked_for(personal: bool, name: str | None) -> None:
    """The rest of the payload goes, with null in their places."""
    store = open_store("memory://")
    new = event("a", payload=b'{"name":"Ada","n":1}')
    new.personal = ["/name"]
    store.append([Append("s/1", 0, [new])])
    (there,) = store.read()
    body = orjson.loads(message_of(there, personal=personal).body)

    assert body["payload"] == {"name": name, "n": 1}
    assert "withheld" not in body


def test_a_payload_that_cannot_be_read_here_is_said_to_be_so(tmp_path: Path) -> None:
    """It is not erased: another relay, with the key ring, could send it."""
    url = f"sqlite:///{tmp_path}/log.db"
    store = open_store(url, keys=f"file:{tmp_path}/ring")
    new = event("a", payload=b"1")
    new.key = store.key_for("ada")
    store.append([Append("s/1", 0, [new])])
    store.close()
    store = open_store(url)
    (there,) = store.read()
    store.close()

    assert orjson.loads(message_of(there).body)["withheld"] == "unreadable"
