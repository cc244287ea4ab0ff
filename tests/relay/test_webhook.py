"""Webhooks: signed, in order, and right about what an answer means; against a real server that misbehaves."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from actum.errors import BadInput, TargetGone, TargetRefused, TargetUnavailable
from actum.relay import Message
from actum.relay.webhook import Webhook, WebhookFailed
from actum.relay.webhook_log import Delivered
from actum.relay.webhook_signature import key_of, verify

from .receiver import DRIP, DROP, HANG, LARGE, Receiver

SECRET = "whsec_" + b64encode(bytes(range(32))).decode()
MESSAGE = Message("01a1fdfa-4dd0-7000-b375-0c6068e77e50", "s/1", "step.completed", 7, b'{"position":7}')


@pytest.fixture
def log() -> list[Delivered]:
    return []


@pytest.fixture
def webhook(receiver: Receiver, log: list[Delivered]) -> Iterator[Callable[..., Webhook]]:
    with ExitStack() as made:

        def make(timeout_s: float = 5.0) -> Webhook:
            there = Webhook(receiver.url, SECRET, timeout_s, log.append)
            made.callback(there.close)
            return there

        yield make


def test_a_message_is_signed_for_its_receiver(receiver: Receiver, webhook: Callable[..., Webhook]) -> None:
    """The receiver gets the bytes, the event's id, the second of sending, and a signature that only the key makes."""
    webhook().deliver([MESSAGE])

    ((headers, body),) = receiver.requests
    now = int(time.time())
    assert (body, headers["webhook-id"], headers["content-type"]) == (MESSAGE.body, MESSAGE.id, "application/json")
    assert verify(key_of(SECRET), headers, body, now)
    assert not verify(key_of(SECRET), headers, body + b" ", now)
    assert not verify(bytes(32), headers, body, now)
    assert not verify(key_of(SECRET), headers, body, now + 400)
    assert not verify(key_of(SECRET), headers | {"webhook-id": "other"}, body, now)


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The example of the Standard Webhooks specification comes out as it stands there."""
    from actum.relay.webhook_signature import signature

    key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    assert signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


@pytest.mark.parametrize(
    ("status", "error", "outcome"),
    [
        (400, TargetRefused, "refused"),
        (413, TargetRefused, "refused"),
        (422, TargetRefused, "refused"),
        (410, TargetGone, "gone"),
        (500, WebhookFailed, "failed"),
        (301, TargetUnavailable, "unavailable"),
        (401, TargetUnavailable, "unavailable"),
        (404, TargetUnavailable, "unavailable"),
        (429, TargetUnavailable, "unavailable"),
        (503, TargetUnavailable, "unavailable"),
    ],
)
def test_an_answer_means_one_of_five_things(
    receiver: Receiver,
    webhook: Callable[..., Webhook],
    log: list[Delivered],
    status: int,
    error: type[Exception],
    outcome: str,
) -> None:
    """Delivered, refused, failed, gone, or nothing about the event; the delivery log keeps answer and problem."""
    receiver.answers.append(status)
    there = webhook()

    with pytest.raises(error, match=f"it answered {status}"):
        there.deliver([MESSAGE])
    there.deliver([MESSAGE])

    assert [(one.outcome, one.status, one.attempt) for one in log] == [(outcome, status, 1), ("delivered", 204, 2)]
    assert (log[0].event, log[0].position) == (MESSAGE.id, 7)


def test_retry_after_is_what_the_relay_waits_for(receiver: Receiver, webhook: Callable[..., Webhook]) -> None:
    """Seconds are believed; a date is not."""
    receiver.answers += [503, 503]
    receiver.headers["Retry-After"] = "17"
    with pytest.raises(TargetUnavailable) as caught:
        webhook().deliver([MESSAGE])
    assert caught.value.retry_after_s == 17.0
    receiver.headers["Retry-After"] = "Wed, 21 Oct 2026 07:28:00 GMT"
    with pytest.raises(TargetUnavailable) as caught:
        webhook().deliver([MESSAGE])
    assert caught.value.retry_after_s is None


@pytest.mark.parametrize("fault", [HANG, DRIP, DROP], ids=["hang", "drip", "drop"])
def test_no_answer_in_time_is_unavailable(
    receiver: Receiver, webhook: Callable[..., Webhook], log: list[Delivered], fault: int
) -> None:
    """A receiver that hangs, sends a byte now and then, or closes: the request ends when its time is over."""
    receiver.answers += [fault]
    there = webhook(timeout_s=0.4)
    with pytest.raises(TargetUnavailable, match="no answer"):
        there.deliver([MESSAGE])
    there.deliver([MESSAGE])

    assert [one.outcome for one in log] == ["unavailable", "delivered"]
    assert log[0].status is None
    assert len(receiver.requests) == 2


def test_nobody_there_is_unavailable(log: list[Delivered], receiver: Receiver) -> None:
    """A port where nothing listens."""
    there = Webhook("http://127.0.0.1:1/hook", SECRET, 1, log.append)
    with pytest.raises(TargetUnavailable, match="no answer"):
        there.deliver([MESSAGE])


def test_a_long_answer_is_not_read_to_its_end(receiver: Receiver, webhook: Callable[..., Webhook]) -> None:
    """What a receiver says beyond 64 KiB is dropped with the connection, and the next message gets a new one."""
    receiver.answers.append(LARGE)
    there = webhook()
    there.deliver([MESSAGE, MESSAGE])
    assert len(receiver.requests) == 2


@pytest.mark.parametrize("secret", ["", "secret", "whsec_", "whsec_c2hvcnQ=", "whsec_%%%%"])
def test_a_secret_that_protects_nothing_is_refused(secret: str) -> None:
    """Without a key of at least 16 bytes nothing is sent."""
    with pytest.raises(BadInput, match="whsec_"):
        Webhook("http://127.0.0.1:1/", secret, 1, lambda _: None)


def test_a_url_with_a_password_is_refused_without_repeating_it() -> None:
    """A password in the URL would end up in tables and messages."""
    with pytest.raises(BadInput) as caught:
        Webhook("http://me:hunter2@127.0.0.1/", SECRET, 1, lambda _: None)
    assert "hunter2" not in str(caught.value)
