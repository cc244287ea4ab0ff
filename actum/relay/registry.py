"""Which targets there are. A new one is one file and one line here; its library is imported when it is used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from actum.errors import BadInput, near_miss
from actum.relay.target import Target
from actum.relay.webhook_log import Delivered

__all__ = ["TARGETS", "TargetOptions", "open_target"]


def _nowhere(_: Delivered) -> None: ...


@dataclass(frozen=True)
class TargetOptions:
    """What a target may need beside its URL."""

    relay: str = ""
    """The name of the relay; empty for that of the target."""
    tenant: str = "default"
    timeout_s: float = 10.0
    secret: str = field(default="", repr=False)
    """What a webhook's messages are signed with."""
    delivered: Callable[[Delivered], None] = _nowhere
    """Told of every attempt to deliver to a webhook."""


def _nats(url: str, options: TargetOptions) -> Target:
    try:
        from actum.relay.nats import NatsTarget
    except ImportError as exc:
        raise _extra(url, exc) from exc
    return NatsTarget(url, options.timeout_s)


def _redis(url: str, options: TargetOptions) -> Target:
    try:
        from actum.relay.redis import RedisTarget
    except ImportError as exc:
        raise _extra(url, exc) from exc
    return RedisTarget(url, options.relay, options.tenant, options.timeout_s)


def _webhook(url: str, options: TargetOptions) -> Target:
    from actum.relay.webhook import Webhook

    return Webhook(url, options.secret, options.timeout_s, options.delivered)


def _extra(url: str, exc: ImportError) -> BadInput:
    return BadInput(f"{url.partition('://')[0]}:// needs a library that is not there ({exc}): install actum[relay]")


TARGETS: Final[dict[str, Callable[[str, TargetOptions], Target]]] = {
    "nats": _nats,
    "tls": _nats,
    "redis": _redis,
    "rediss": _redis,
    "http": _webhook,
    "https": _webhook,
}
"""URL scheme → how to open it."""


def open_target(url: str, options: TargetOptions | None = None) -> Target:
    """The target that a URL names; nothing is connected yet. Raises `BadInput` for a URL that cannot be one."""
    scheme, colon, rest = url.partition("://")
    make = TARGETS.get(scheme)
    if not colon or make is None or not rest.strip("/"):
        raise BadInput(f"{scheme!r} is no target for events{near_miss(scheme, TARGETS)}; known: {', '.join(TARGETS)}")
    return make(url, options or TargetOptions())
