"""A real HTTP server that keeps what it gets and answers as it is told: also wrongly, late, or not at all."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from types import TracebackType
from typing import Any

import orjson

HANG, DROP, DRIP, LARGE = -1, -2, -3, -4


class Receiver:
    """Answers with the statuses in `answers`, one a request, and 204 when there are none left."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.headers: dict[str, str] = {}
        self.asked, self.closing = Event(), Event()
        there = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                there.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
                there.asked.set()
                answer = there.answers.pop(0) if there.answers else 204
                if answer == HANG:
                    there.closing.wait(20)
                if answer == DRIP:  # a byte now and then, so that a socket's own time-out never strikes
                    while not there.closing.wait(0.05):
                        try:
                            self.wfile.write(b"H")
                        except OSError:
                            break
                if answer in (HANG, DROP, DRIP):
                    self.close_connection = True
                    return
                self.send_response(200 if answer == LARGE else answer)
                for name, value in there.headers.items():
                    self.send_header(name, value)
                text = b"x" * 200_000 if answer == LARGE else b"" if answer == 204 else b"said so"
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: Any) -> None: ...

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None: ...

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook"

    @property
    def positions(self) -> list[int]:
        return [orjson.loads(body)["position"] for _, body in self.requests]

    def __enter__(self) -> Receiver:
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
