"""The `actum` command without the wait for its imports: every process is forked from one that has them done.

What runs is a process of its own, with its own folder, environment, standard streams, signals and exit code, as if
`python -m actum` had been started: only the import of the modules in `MODULES` is shared. Two things are those of the
keeper of the modules: the seed of the hashes of strings, and the encoding of the standard streams.
"""

from __future__ import annotations

import gc
import importlib
import io
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Final

__all__ = ["MODULES", "Warm"]

MODULES: Final = (
    "actum.cli.main",
    "actum.engine",
    "actum.engine.runtime.worker",
    "actum.eventstore.check.workers",
    "actum.eventstore.sqlite.store",
    "actum.eventstore.tables.schema",
    "actum.metrics",
    "actum.migrations",
    "actum.wiring",
    "alembic.command",
    "sqlalchemy.dialects.sqlite",
)
"""What nearly every command needs. None of them may start a thread: a thread does not live on in a fork."""

# Hands what it was given to the keeper, passes signals on, and ends as the process ended that was forked for it.
# Killed, it takes that process with it.
_SCRIPT = """#!{python} -IS
import array, json, os, signal, socket, sys
pid, early = 0, []
def pass_on(number, _):
    os.kill(pid, number) if pid else early.append(number)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, pass_on)
keeper = socket.socket(socket.AF_UNIX)
keeper.connect({address!r})
words = json.dumps([os.getcwd(), dict(os.environ), sys.argv[1:]]).encode()
streams = array.array("i", [0, 1, 2])
keeper.sendmsg([len(words).to_bytes(4, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
keeper.sendall(words)
answer = keeper.makefile()
pid = int(answer.readline())
for number in early:
    os.kill(pid, number)
for stream in streams:
    os.close(stream)
code = int(answer.readline())
if code < 0:
    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""


class Warm:
    """Keeps the modules; `actum` is a script that begins where their import ends."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="actum-warm-")
        address = f"{self._folder.name}/socket"
        self.actum = Path(self._folder.name) / "actum"
        self.actum.write_text(_SCRIPT.format(python=sys.executable, address=address))
        self.actum.chmod(0o755)
        self._keeper = subprocess.Popen(
            [sys.executable, "-m", "actum.testing.warm", address], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._keeper.stdout is not None
        if self._keeper.stdout.readline() != b"ready\n":
            raise RuntimeError(f"the keeper of the modules ended with {self._keeper.wait()}; see its standard error")

    def close(self) -> None:
        """Let the modules go. What runs still, runs on."""
        self._keeper.communicate()
        self._folder.cleanup()


def _serve(address: str) -> None:
    """Answer whoever connects, until standard input ends; returns only in the process of a command."""
    own = {part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part}
    libraries = [part for part in sys.path[1:] if part not in own]
    for name in MODULES:
        importlib.import_module(name)
    sys.argv[:] = ["actum", "verify", "--help"]
    with suppress(SystemExit), redirect_stdout(io.StringIO()):  # what reads a command line is imported by doing so
        runpy.run_module("actum", run_name="__main__")
    threads = os.listdir("/proc/self/task") if os.path.isdir("/proc/self/task") else []
    if len(threads) > 1:
        sys.exit("a module that is kept warm has started a thread, which would be missing in every fork")
    gc.collect()
    gc.freeze()  # no collection in a fork copies the pages of what is here already
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen(32)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([listening.fileno(), 0], [], [])
        if 0 in ready:
            os._exit(0)
        there, _ = listening.accept()
        if os.fork() == 0:
            listening.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _attend(there, libraries)
            return
        there.close()


def _attend(there: socket.socket, libraries: list[str]) -> None:
    """Fork the process for one command and report how it ended; returns only in that process."""
    size, fds, _, _ = socket.recv_fds(there, 4, 3)
    asked = b""
    while len(asked) < int.from_bytes(size, "big"):
        asked += there.recv(1 << 16)
    cwd, environment, words = json.loads(asked)
    pid = os.fork()
    if pid == 0:
        there.close()
        for number, fd in enumerate(fds):
            os.dup2(fd, number)
            os.close(fd)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(environment)
        time.tzset()
        folders = [part for part in environment.get("PYTHONPATH", "").split(os.pathsep) if part]
        sys.path[:] = [cwd, *folders, *libraries]
        sys.argv[:] = ["actum", *words]
        return
    for fd in (*fds, 0, 1, 2):
        os.close(fd)
    there.sendall(b"%d\n" % pid)
    ended = os.pidfd_open(pid)
    ready, _, _ = select.select([ended, there.fileno()], [], [])
    if ended not in ready:  # whoever asked is gone
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    try:
        there.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    finally:
        os._exit(0)


if __name__ == "__main__":
    _serve(sys.argv[1])
    runpy.run_module("actum", run_name="__main__", alter_sys=True)
