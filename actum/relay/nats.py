"""NATS JetStream: each event under `<prefix>.<type>`, acknowledged by a stream that must be there already.

The event's id is the `Nats-Msg-Id`, so what is sent again within the stream's duplicate window is stored once.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from threading import Thread
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import nats
from nats.aio.client import Client
from nats.errors import Error, MaxPayloadError, NoServersError
from nats.js.client import JetStreamContext
from nats.js.errors import NoStreamResponseError

from actum.errors import BadInput, TargetRefused, TargetUnavailable
from actum.relay.message import Message
from actum.relay.target import in_rounds, without_secrets

__all__ = ["NatsTarget"]

_PREFIX = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
T = TypeVar("T")


class NatsTarget:
    """URL: `nats://host:4222/prefix` (or `tls://`); the prefix is `actum` when there is none."""

    batch = 500

    def __init__(self, url: str, timeout_s: float) -> None:
        parts = urlsplit(url)
        self._prefix = parts.path.strip("/") or "actum"
        if not _PREFIX.fullmatch(self._prefix) or parts.query:
            raise BadInput(f"{without_secrets(url)}: {self._prefix!r} is not a subject of words with dots between them")
        self.name = without_secrets(url)
        self._server = urlunsplit((parts.scheme, parts.netloc, "", "", ""))
        self._timeout_s = timeout_s
        self._heard: Exception | None = None
        """What the client met last, which says more than the error that it raises."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: Client | None = None
        self._stream: JetStreamContext | None = None

    def deliver(self, messages: Sequence[Message]) -> None:
        # Within a round no two messages are of one stream: when one gets lost, none of its stream overtakes it.
        for round_ in in_rounds(messages):
            for message, answer in zip(round_, self._run(self._publish(round_)), strict=True):
                match answer:
                    case None:
                        continue
                    case MaxPayloadError():
                        raise TargetRefused(self.name, message.id, "it is larger than the server takes") from answer
                    case NoStreamResponseError():
                        subject = f"{self._prefix}.{message.type}"
                        raise TargetUnavailable(self.name, f"no stream there takes {subject}; add one") from answer
                    case Error() | OSError() | TimeoutError():
                        self._drop()
                        cause = self._heard if isinstance(answer, NoServersError) and self._heard else answer
                        said = f"{type(cause).__name__}: {cause}".rstrip(": ")
                        raise TargetUnavailable(self.name, f"not acknowledged ({said})") from answer
                    case _:
                        raise answer

    def close(self) -> None:
        self._drop()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._loop = None

    async def _publish(self, messages: Sequence[Message]) -> list[BaseException | None]:
        try:
            stream = await self._connected()
        except (Error, OSError, TimeoutError) as exc:
            return [exc] * len(messages)
        sent = [
            stream.publish(
                f"{self._prefix}.{message.type}",
                message.body,
                timeout=self._timeout_s,
                headers={"Nats-Msg-Id": message.id},
            )
            for message in messages
        ]
        answers = await asyncio.gather(*sent, return_exceptions=True)
        return [answer if isinstance(answer, BaseException) else None for answer in answers]

    async def _connected(self) -> JetStreamContext:
        if self._stream is None or self._client is None or not self._client.is_connected:
            self._client = await asyncio.wait_for(
                nats.connect(
                    self._server,
                    allow_reconnect=False,  # the relay tries again itself, and says so
                    max_reconnect_attempts=1,  # none would mean without end
                    reconnect_time_wait=0,
                    connect_timeout=max(1, round(self._timeout_s)),
                    error_cb=self._hear,
                ),
                self._timeout_s,
            )
            self._stream = self._client.jetstream()
        return self._stream

    async def _hear(self, problem: Exception) -> None:
        self._heard = problem

    def _drop(self) -> None:
        client, self._client, self._stream = self._client, None, None
        if client is not None:
            with suppress(Error, OSError, TimeoutError):
                self._run(asyncio.wait_for(client.close(), 2))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it in the loop's own thread, which also answers the server's pings while there is nothing to send."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            Thread(target=_serve, args=(self._loop,), name="actum-relay-nats", daemon=True).start()
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.close()
