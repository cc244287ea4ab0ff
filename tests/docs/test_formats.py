"""The format pages: their examples are the golden files, and their code does what they say."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from actum.events import (
    Actor,
    Checkpoint,
    NewEvent,
    RecordedEvent,
    SigningKey,
    VerifierKey,
    checkpoint,
    leaf_hash,
    merkle,
    seal,
)
from actum.relay import message_of
from actum.relay.webhook_signature import key_of, signed_headers

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden/events"
LOG = ("execution.started", "step.started", "step.completed")
KEY = SigningKey.generate("actum/default", seed=sha256(b"golden").digest())


def blocks(page: str) -> dict[str, str]:
    """The fenced blocks of a page by the word after their language; a block's last newline is the fence's."""
    text = (ROOT / "docs/formats" / page).read_text("utf-8")
    return dict(re.findall(r"^```\w+ (\w+)\n(.*?)\n```$", text, re.DOTALL | re.MULTILINE))


def golden(type_: str) -> dict[str, str]:
    kept: dict[str, str] = json.loads((GOLDEN / f"{type_}.v1.json").read_text("utf-8"))
    return kept


def run(code: str, name: str) -> Callable[..., Any]:
    """A function of a page's code, which is ours and reviewed like any other."""
    scope: dict[str, Any] = {}
    exec(code, scope)
    function: Callable[..., Any] = scope[name]
    return function


EVENT, CHECKPOINT = blocks("event.md"), blocks("checkpoint.md")
LEAVES = [bytes.fromhex(golden(type_)["leaf"]) for type_ in LOG]


def hashes(block: str) -> list[bytes]:
    return [bytes.fromhex(line) for line in block.splitlines()]


def test_the_event_example_is_a_golden_event() -> None:
    """The event page shows the golden step.completed, to the byte."""
    assert {name: EVENT[name] for name in ("header", "payload", "salt", "leaf")} == golden("step.completed")


def test_the_event_page_lists_every_header_field() -> None:
    """The table of fields has exactly the fields of a header that has them all, nested ones too, and of parts."""
    page = (ROOT / "docs/formats/event.md").read_text("utf-8")
    head = json.loads(EVENT["header"])
    nested = {f"{name}.{inner}" for name in ("actor", "payload") for inner in head[name]}
    nested |= {"payload.key", "personal"}  # of payloads that are kept apart

    assert set(re.findall(r"^\| `([a-z_.]+)` \|", page, re.MULTILINE)) == set(head) | nested


def test_the_shown_header_has_every_field_there_is() -> None:
    """An event with everything that can be given has no field that the example lacks."""
    event = NewEvent("step.completed", {}, "", Actor("system", "s"), "i", b"", "public", "c", "c", "t")
    header = seal(event, "default", "execution/e", 1, bytes(32), "", bytes(32)).header

    assert set(json.loads(header)) == set(json.loads(EVENT["header"]))


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_the_events_page_code_checks_every_golden_event(path: Path) -> None:
    """The standard-library check on the page accepts every golden event, and refuses it with one bit changed."""
    check = run(EVENT["check"], "check_event")
    kept = json.loads(path.read_text("utf-8"))
    header, leaf = kept["header"].encode(), bytes.fromhex(kept["leaf"])
    payload = kept["payload"].encode() if "payload" in kept else None
    salt = bytes.fromhex(kept.get("salt", ""))

    assert check(header, leaf, payload, salt) == RecordedEvent(0, header).head
    with pytest.raises(AssertionError, match="other bytes"):
        check(header.replace(b'"default"', b'"defaulu"'), leaf, payload, salt)
    with pytest.raises(AssertionError, match="canonical"):
        check(header.replace(b",", b", ", 1), leaf, payload, salt)
    if payload is not None:
        with pytest.raises(AssertionError, match="payload"):
            check(header, leaf, payload + b" ", salt)


@pytest.mark.parametrize("number", [b"412000.0", b"412e3", b"NaN", b"-0", b"9007199254740992"])
def test_the_events_page_code_refuses_numbers_outside_the_profile(number: bytes) -> None:
    """A header that was hashed with a number in another form, or out of range, is refused all the same."""
    header = EVENT["header"].encode().replace(b"412000", number)
    with pytest.raises((AssertionError, ValueError)):
        run(EVENT["check"], "check_event")(header, leaf_hash(header), None, None)


def test_the_checkpoint_example_is_the_log_of_golden_events() -> None:
    """Leaves, note, key and proofs on the checkpoint page are those of the golden events and the documented key."""
    head = Checkpoint("actum/default", 3, merkle.root_of(LEAVES))

    assert hashes(CHECKPOINT["leaves"]) == LEAVES
    assert CHECKPOINT["note"] + "\n" == checkpoint.sign(head, KEY)
    assert CHECKPOINT["vkey"] == KEY.verifier().to_text()
    assert hashes(CHECKPOINT["inclusion"]) == merkle.inclusion_proof(LEAVES, 1, 3)
    assert hashes(CHECKPOINT["consistency"]) == merkle.consistency_proof(LEAVES, 1, 3)


def test_the_checkpoint_example_verifies() -> None:
    """What the page shows is accepted by the code that the page describes."""
    head = checkpoint.verify(CHECKPOINT["note"] + "\n", [VerifierKey.from_text(CHECKPOINT["vkey"])])

    assert merkle.verify_inclusion(LEAVES[1], 1, head.size, hashes(CHECKPOINT["inclusion"]), head.root)
    assert merkle.verify_consistency(1, LEAVES[0], head.size, head.root, hashes(CHECKPOINT["consistency"]))


def test_the_checkpoint_pages_code_checks_its_example() -> None:
    """The check on the page accepts the example, and refuses it with an event missing or the size changed."""
    check = run(CHECKPOINT["check"], "check_log")
    note, vkey = CHECKPOINT["note"] + "\n", CHECKPOINT["vkey"]
    check(note, vkey, LEAVES)

    with pytest.raises(AssertionError):
        check(note, vkey, LEAVES[:2])
    from cryptography.exceptions import InvalidSignature

    with pytest.raises(InvalidSignature):
        check(note.replace("\n3\n", "\n2\n"), vkey, LEAVES[:2])


def test_the_proof_page_shows_the_golden_proof() -> None:
    """The example is the golden file, and the check on the page accepts it and refuses another index."""
    page = blocks("proof.md")
    shown = page["proof"] + "\n"
    assert shown == (ROOT / "tests/golden/formats/event.tlog-proof").read_text("utf-8")

    vkeys = [VerifierKey.from_text(CHECKPOINT["vkey"])]
    check = run(page["check"], "check_proof")
    assert leaf_hash(check(shown, lambda note: checkpoint.verify(note, vkeys))) == LEAVES[1]
    with pytest.raises(AssertionError):
        check(shown.replace("index 1", "index 2"), lambda note: checkpoint.verify(note, vkeys))


def test_the_tiles_page_shows_the_golden_tiles() -> None:
    """Names and bytes on the page are those of the golden folder."""
    page, folder = blocks("tiles.md"), ROOT / "tests/golden/formats/tiles"
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())

    assert page["files"].splitlines() == files
    assert (folder / "checkpoint").read_text("utf-8") == CHECKPOINT["note"] + "\n"
    assert hashes((folder / "tile/0/000.p/3").read_bytes().hex(" ", 32).replace(" ", "\n")) == LEAVES
    entries = (folder / "tile/entries/000.p/3").read_bytes()
    assert entries[:32].hex() == page["entries"]
    text = (ROOT / "docs/formats/tiles.md").read_text("utf-8")
    assert f"{len(entries):,} bytes; it begins with" in text


def test_the_relay_example_is_what_is_sent_of_the_golden_event() -> None:
    """The message and the webhook's headers on the relay page are what the relay makes of the event on its page."""
    page, kept = blocks("relay.md"), golden("step.completed")
    event = RecordedEvent(24, kept["header"].encode(), kept["payload"].encode(), bytes.fromhex(kept["salt"]))
    message = message_of(event)
    key = key_of("whsec_" + b64encode(bytes(range(32))).decode())
    headers = dict(line.split(": ", 1) for line in page["headers"].splitlines())

    assert page["message"] == message.body.decode()
    assert headers == signed_headers(key, message.id, int(headers["webhook-timestamp"]), message.body)


def test_the_relay_pages_code_checks_its_example() -> None:
    """The check on the page accepts the example, and refuses another body, another secret and an old message."""
    page = blocks("relay.md")
    check = run(page["check"], "check_webhook")
    headers = dict(line.split(": ", 1) for line in page["headers"].splitlines())
    secret, other = ("whsec_" + b64encode(bytes(range(i, i + 32))).decode() for i in (0, 1))
    body, now = page["message"].encode(), int(headers["webhook-timestamp"])

    check(secret, headers, body, now)
    for wrong in ((secret, headers, body + b" ", now), (other, headers, body, now), (secret, headers, body, now + 999)):
        with pytest.raises(AssertionError):
            check(*wrong)


def test_the_relay_page_lists_every_field_that_is_sent() -> None:
    """The table of fields has exactly those that a message may have."""
    page = (ROOT / "docs/formats/relay.md").read_text("utf-8")
    kept = golden("step.completed")
    header = kept["header"].encode()
    sent: set[str] = set()
    for payload in (b"1", b"", None):
        sent |= set(json.loads(message_of(RecordedEvent(0, header, payload, bytes(32))).body))

    assert set(re.findall(r"^\| `([a-z_0-9]+)` \| (?:integer|object|text|any JSON)", page, re.MULTILINE)) == sent
