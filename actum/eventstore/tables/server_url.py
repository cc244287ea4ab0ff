"""What the URLs of stores on servers have in common: `scheme://user:password@host:port/database?options`."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from actum.errors import BadInput, near_miss

__all__ = ["ServerUrl", "parse_server_url", "without_password"]

_SECONDS: Final = re.compile(r"\d{1,6}(\.\d+)?", re.ASCII)


class ServerUrl(NamedTuple):
    """The parts of a URL; an empty text, or port 0, for what it does not say."""

    shown: str
    """The URL without the password: for messages."""
    host: str
    port: int
    user: str
    password: str
    database: str
    ours: dict[str, str]
    """Our own options, with their defaults."""
    drivers: dict[str, str]
    """Options for the driver."""

    def is_read_only(self) -> bool:
        """What our option `mode` says."""
        mode = self.ours["mode"]
        if mode not in ("rw", "ro"):
            raise BadInput(f"{self.shown!r}: mode is rw or ro, not {mode!r}")
        return mode == "ro"

    def seconds(self, name: str, least: float = 0) -> float:
        """What one of the options says that is a time."""
        value = self.ours[name] if name in self.ours else self.drivers[name]
        if not _SECONDS.fullmatch(value) or float(value) < least:
            raise BadInput(f"{self.shown!r}: {name} is a number of seconds, not {value!r}")
        return float(value)


def parse_server_url(url: str, example: str, ours: Mapping[str, str], drivers: Collection[str]) -> ServerUrl:
    """Take a URL apart. Raises `BadInput`, with the password hidden, for a port, a name or an option that cannot be."""
    shown = without_password(url)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # which may quote a part of the password
        raise BadInput(
            f"{shown!r}: the port must be a number up to 65535; in a password, / ? # @ are written %2F %3F %23 %40"
        ) from None
    database = unquote(parts.path.removeprefix("/"))
    if not database or "/" in database:
        raise BadInput(f"{shown!r} names no database; write {example}")
    own, others = dict(ours), dict[str, str]()
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name in own:
            own[name] = value
        elif name in drivers:
            others[name] = value
        else:
            raise BadInput(f"{shown!r}: unknown option {name!r}{near_miss(name, [*ours, *drivers])}")
    host, user, password = (unquote(part or "") for part in (parts.hostname, parts.username, parts.password))
    return ServerUrl(shown, host, port or 0, user, password, database, own, others)


def without_password(url: str) -> str:
    """The URL as it may be shown."""
    shown = re.sub(r"^(\w+://[^:@/?#]*):.*@", r"\1:***@", url)  # up to the last @: it may stand in the password
    return re.sub(r"([?&]password=)[^&#]*", r"\1***", shown)
