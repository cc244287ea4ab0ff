"""Steps that need a processor of their own: each attempt runs in a process that can be killed, and nobody else with it.

Not `concurrent.futures`: there a process that dies takes every attempt under way in the others with it, and one whose
time is up cannot be ended.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any

from actum.engine.runtime.executors import Job
from actum.engine.runtime.far import check_sendable, request_of, value_of
from actum.errors import WorkerProcessDied

__all__ = ["Processes", "read_message", "write_message"]


class Processes:
    """Functions at the top of a module, in processes that are kept for the next; as many as there are processors.

    Arguments and result go there and back as JSON; annotations make dataclasses and models of arguments again. When an
    attempt's time is up, or nobody waits for it any more, its process is killed.
    """

    def __init__(self, max_processes: int | None = None) -> None:
        most = max_processes or os.cpu_count() or 1
        self._visitors = ThreadPoolExecutor(most, thread_name_prefix="actum-process")
        self._idle: list[_Child] = []
        self._lock = threading.Lock()
        self._closed = False

    def check(self, run: Callable[..., Any]) -> None:
        check_sendable(run)

    async def run(self, job: Job) -> Any:
        visit = _Visit(request_of(job))
        try:
            answer = await asyncio.get_running_loop().run_in_executor(self._visitors, self._ask, visit)
        except asyncio.CancelledError:
            visit.stop()
            raise
        return value_of(answer, job.info)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for child in idle:
            child.end()
        self._visitors.shutdown(wait=False, cancel_futures=True)

    def _ask(self, visit: _Visit) -> bytes:
        with self._lock:
            child = self._idle.pop() if self._idle else None
        child = child or _Child()
        try:
            answer = visit.make(child)
        except (OSError, EOFError):
            raise WorkerProcessDied(child.end()) from None
        with self._lock:
            if not self._closed:
                self._idle.append(child)
                return answer
        child.end()
        return answer


class _Visit:
    """One attempt in one process. Who stops it kills the process, unless the answer has come."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._lock = threading.Lock()
        self._child: _Child | None = None
        self._stopped = False

    def make(self, child: _Child) -> bytes:
        with self._lock:
            if self._stopped:
                raise EOFError
            self._child = child
        try:
            return child.ask(self._request)
        finally:
            with self._lock:
                self._child = None

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            if self._child is not None:
                self._child.kill()


class _Child:
    """A process that runs one attempt after the other. It ends with this one, however this one ends."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "actum.engine.runtime.process_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},
            start_new_session=True,  # an interrupt from the keyboard is for the one who drains
        )

    def ask(self, request: bytes) -> bytes:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        write_message(self._process.stdin, request)
        return read_message(self._process.stdout)

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> int:
        """See that it is gone; how it ended, as `subprocess` says it."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    continue  # what was not sent yet has nobody to go to
        try:
            return self._process.wait(0.2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def write_message(pipe: IO[bytes], message: bytes) -> None:
    pipe.write(len(message).to_bytes(8, "big") + message)
    pipe.flush()


def read_message(pipe: IO[bytes]) -> bytes:
    """The next message. Raises `EOFError` when the other side is gone."""
    size = pipe.read(8)
    message = pipe.read(int.from_bytes(size, "big")) if len(size) == 8 else b""
    if len(size) < 8 or len(message) < int.from_bytes(size, "big"):
        raise EOFError
    return message
