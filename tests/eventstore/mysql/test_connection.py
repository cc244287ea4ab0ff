"""What a connection is set to, whatever the server's settings are."""

from __future__ import annotations

import ssl

from actum.eventstore.mysql.connection import close
from actum.eventstore.mysql.open import parse_url


def test_connections_whose_server_is_not_verified_share_what_encrypts_them(mysql_url: str) -> None:
    """Making it anew would load the system's authorities, which costs more than everything else in connecting."""
    address = parse_url(mysql_url)
    first, second = address.connect(), address.connect()
    try:
        assert first.ctx is second.ctx
        assert first.ctx.verify_mode == ssl.CERT_NONE
    finally:
        close(first)
        close(second)
