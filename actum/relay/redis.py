"""Redis streams: each event one entry, whose id follows from its position, so that sending again adds nothing.

This is a relay, never the record: what Redis promises about durability depends on how it is run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from actum.errors import BadInput, TargetUnavailable
from actum.relay.message import Message
from actum.relay.target import without_secrets

__all__ = ["RedisTarget"]

_BYTES_AT_ONCE = 1 << 20

# One script, so that entries and the position behind them are written together. It stops at the first that cannot be
# added: one after it would lock it out for ever, since ids in a stream only grow.
_ADD: Final = """
local relay = ARGV[1]
local last = tonumber(redis.call('HGET', KEYS[2], relay) or '-1')
local position = last
for i = 2, #ARGV, 4 do
  position = tonumber(ARGV[i])
  local entry = string.format('%.0f', position + 1) .. '-0'
  local there = redis.call('XRANGE', KEYS[1], entry, entry)
  if #there > 0 then
    if there[1][2][2] ~= ARGV[i + 1] then
      return redis.error_reply('OTHER ' .. entry .. ' holds event ' .. tostring(there[1][2][2]))
    end
  elseif position > last then
    redis.call('XADD', KEYS[1], entry, 'id', ARGV[i + 1], 'type', ARGV[i + 2], 'event', ARGV[i + 3])
  end
end
if position > last then redis.call('HSET', KEYS[2], relay, string.format('%.0f', position)) end
return position
"""


class RedisTarget:
    """URL: `redis://host:6379/0?stream=KEY` (or `rediss://`); the stream is `actum:<tenant>` when none is named.

    One stream takes one relay of one log. How far that has come lies beside it in the hash `{KEY}:relays`, so entries
    may be trimmed or deleted without coming again.
    """

    batch = 500

    def __init__(self, url: str, relay: str, tenant: str, timeout_s: float) -> None:
        parts = urlsplit(url)
        query = parse_qsl(parts.query)
        self._key = next((value for name, value in query if name == "stream"), f"actum:{tenant}")
        rest = urlencode([pair for pair in query if pair[0] != "stream"])
        self.name = without_secrets(url) + f"#{self._key}"
        self._relay = relay or self.name
        try:
            self._redis = redis.Redis.from_url(
                urlunsplit(parts._replace(query=rest)),
                socket_timeout=timeout_s,
                socket_connect_timeout=timeout_s,
                retry=Retry(NoBackoff(), 0),  # the relay tries again itself, and says so
            )
        except (ValueError, TypeError) as exc:
            raise BadInput(f"{without_secrets(url)}: {exc}") from exc
        self._add = self._redis.register_script(_ADD)

    def deliver(self, messages: Sequence[Message]) -> None:
        try:
            for some in _chunks(messages):
                arguments = [part for m in some for part in (m.position, m.id, m.type, m.body)]
                self._add(keys=[self._key, "{" + self._key + "}:relays"], args=[self._relay, *arguments])
        except (RedisError, OSError) as exc:
            said = str(exc)
            if "OTHER" in said or "equal or smaller" in said:
                said += "; the stream holds entries of another log or relay: name another one with ?stream="
            raise TargetUnavailable(self.name, said) from exc

    def close(self) -> None:
        self._redis.close()


def _chunks(messages: Sequence[Message]) -> Iterator[list[Message]]:
    """The messages in pieces that do not hold Redis up for long."""
    some: list[Message] = []
    size = 0
    for message in messages:
        if some and size + len(message.body) > _BYTES_AT_ONCE:
            yield some
            some, size = [], 0
        some.append(message)
        size += len(message.body)
    if some:
        yield some
