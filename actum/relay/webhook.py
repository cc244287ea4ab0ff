"""A webhook: one signed POST an event, in the order of the log, each answered before the next is sent."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Timer
from urllib.parse import urlsplit

from actum.errors import BadInput, TargetGone, TargetRefused, TargetUnavailable
from actum.relay.message import Message
from actum.relay.target import without_secrets
from actum.relay.webhook_log import Delivered, Outcome
from actum.relay.webhook_signature import key_of, signed_headers

__all__ = ["Webhook", "WebhookFailed"]

_ANSWER_LIMIT = 64 * 1024
_REFUSING = frozenset({400, 413, 415, 422})
"""About this message: sending the same again is answered the same."""
_FAILING = frozenset({500, 501, 505})
"""About this message or about the receiver: tried again so many times, and then given up."""


class WebhookFailed(Exception):
    """The receiver failed on this message. It is sent again, so many times as the relay may try one event."""


class Webhook:
    """Sends each event to an HTTP(S) URL and takes 2xx for received; redirections are not followed.

    400, 413, 415 and 422 refuse the event; 410 ends the relay; 500, 501 and 505 count as attempts for this event. All
    else (other answers, no answer within `timeout_s`, no connection) says nothing about the event, and is waited out,
    as long as `Retry-After` asks for.
    """

    batch = 1

    def __init__(self, url: str, secret: str, timeout_s: float, delivered: Callable[[Delivered], None]) -> None:
        parts = urlsplit(url)
        try:
            host, port = parts.hostname, parts.port
        except ValueError as exc:
            raise BadInput(f"{without_secrets(url)}: {exc}") from exc
        if host is None or parts.username is not None or parts.fragment:
            raise BadInput(f"{without_secrets(url)}: a webhook's URL has a host, and no user, password or fragment")
        self.name = without_secrets(url)
        self._key = key_of(secret)
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._timeout_s = timeout_s
        self._delivered = delivered
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection: http.client.HTTPConnection = kind(host, port, timeout=timeout_s)
        self._event = ""
        self._attempt = 0

    def deliver(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._deliver(message)

    def close(self) -> None:
        self._connection.close()

    def _deliver(self, message: Message) -> None:
        self._attempt = self._attempt + 1 if message.id == self._event else 1
        self._event = message.id
        began, at_us = time.monotonic(), time.time_ns() // 1000
        status: int | None = None
        retry_after_s = None
        try:
            status, reason, retry_after_s = self._post(message)
            outcome, problem = _meaning(status), "" if 200 <= status < 300 else f"it answered {status} {reason}".strip()
        except (OSError, http.client.HTTPException) as exc:
            self.close()
            late = time.monotonic() - began >= self._timeout_s
            outcome = "unavailable"
            problem = f"no answer within {self._timeout_s:g} s" if late else f"no answer ({exc or type(exc).__name__})"
        duration_us = round((time.monotonic() - began) * 1_000_000)
        self._delivered(
            Delivered(message.id, message.position, at_us, self._attempt, outcome, status, duration_us, problem)
        )
        match outcome:
            case "unavailable":
                raise TargetUnavailable(self.name, problem, retry_after_s)
            case "failed":
                raise WebhookFailed(f"{self.name}: {problem}")
            case "refused":
                raise TargetRefused(self.name, message.id, problem)
            case "gone":
                raise TargetGone(self.name, problem)

    def _post(self, message: Message) -> tuple[int, str, float | None]:
        """Send it and read the answer; once more on a new connection when the receiver had closed the old one."""
        used = self._connection.sock is not None
        try:
            return self._exchange(message)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            if not used:
                raise
            self.close()
            return self._exchange(message)

    def _exchange(self, message: Message) -> tuple[int, str, float | None]:
        connection = self._connection
        timer = Timer(self._timeout_s, self._cut)  # the socket's own time-out starts again with every byte
        timer.daemon = True
        timer.start()
        try:
            headers = {"content-type": "application/json", "user-agent": "actum-relay/1"}
            headers |= signed_headers(self._key, message.id, int(time.time()), message.body)
            connection.request("POST", self._path, message.body, headers)
            answer = connection.getresponse()
            if len(answer.read(_ANSWER_LIMIT + 1)) > _ANSWER_LIMIT or answer.will_close:
                connection.close()
            return answer.status, answer.reason[:200], _seconds(answer.headers.get("retry-after"))
        finally:
            timer.cancel()

    def _cut(self) -> None:
        sock = self._connection.sock
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def _meaning(status: int) -> Outcome:
    if 200 <= status < 300:
        return "delivered"
    if status == 410:
        return "gone"
    if status in _REFUSING:
        return "refused"
    return "failed" if status in _FAILING else "unavailable"


def _seconds(retry_after: str | None) -> float | None:
    """`Retry-After` in seconds; a date there is not believed, since clocks differ."""
    return float(retry_after) if retry_after is not None and retry_after.isascii() and retry_after.isdigit() else None
