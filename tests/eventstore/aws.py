"""AWS on this machine, for tests."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["endpoint_of"]


def endpoint_of() -> Iterator[str]:
    """The address of a server that speaks S3 and KMS, while it runs."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
