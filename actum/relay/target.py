"""Where messages go: what a target promises, and how it is named where people can read it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

from actum.relay.message import Message

__all__ = ["Target", "in_rounds", "without_secrets"]


class Target(Protocol):
    """One destination. It is used by one thread at a time, and connects when it first has something to deliver."""

    name: str
    """Where it is, without passwords."""
    batch: int
    """How many messages it takes at once, at the most."""

    def deliver(self, messages: Sequence[Message]) -> None:
        """Deliver these, so that the messages of each stream arrive in their order.

        It returns when the target has them all. `TargetUnavailable`: it may have some, and all must be given again.
        `TargetRefused`: it will never take one of them. `TargetGone`: it wants no more.
        """

    def close(self) -> None:
        """Let go of the connection. Closing twice is fine."""


def in_rounds(messages: Sequence[Message]) -> Iterator[list[Message]]:
    """The messages in rounds, in each of which a stream has one at the most: a round may travel side by side."""
    left = list(messages)
    while left:
        streams: set[str] = set()
        round_, later = list[Message](), list[Message]()
        for message in left:
            (later if message.stream in streams else round_).append(message)
            streams.add(message.stream)
        yield round_
        left = later


def without_secrets(url: str) -> str:
    """The URL without user, password and query: what may stand in a table or a message."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))
