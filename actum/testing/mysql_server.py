"""A MariaDB server of a test's own: to be misconfigured, and to be switched off."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from actum.errors import StoreRefused
from actum.testing.mysql import ask
from actum.testing.postgres_server import free_port

__all__ = ["MySQLServer", "find_server"]

_PATIENCE_S = 30


def find_server() -> tuple[str, str] | None:
    """The programs that make a data folder and serve it; None when this machine has none."""
    programs = shutil.which("mariadb-install-db"), shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin")
    return (programs[0], programs[1]) if programs[0] and programs[1] else None


class MySQLServer:
    """Listens on a port of its own on this machine only, keeps a binary log, and has a database `log`."""

    def __init__(self, programs: tuple[str, str]) -> None:
        make, self._serve = programs
        self._folder = Path(tempfile.mkdtemp(prefix="actum-server-"))
        (self._folder / "tmp").mkdir()  # one each: at its start a server deletes what it takes for its own leftovers
        self._port = free_port()
        self._as = [] if os.getuid() else ["--user=root"]
        self._process: subprocess.Popen[bytes] | None = None
        done = subprocess.run(
            [
                make,
                "--no-defaults",
                f"--datadir={self._folder}/data",
                f"--tmpdir={self._folder}/tmp",
                "--auth-root-authentication-method=normal",
                *self._as,
            ],
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        self.start()
        ask(self.url("mysql"), "CREATE DATABASE log")

    def url(self, database: str = "log") -> str:
        return f"mysql://root@127.0.0.1:{self._port}/{database}"

    def files(self, database: str = "log") -> Path:
        """The folder with the files of a database's tables."""
        return self._folder / "data" / database

    def start(self, *options: str) -> None:
        """Serve, with these options of the server's."""
        self._process = subprocess.Popen(
            [
                self._serve,
                "--no-defaults",
                f"--datadir={self._folder}/data",
                f"--tmpdir={self._folder}/tmp",
                f"--socket={self._folder}/socket",
                f"--port={self._port}",
                "--bind-address=127.0.0.1",
                "--log-bin",
                "--sync-binlog=1",
                *self._as,
                *options,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                ask(self.url("mysql"), "SELECT 1")
                return
            except StoreRefused:
                pass
            assert self._process.poll() is None, "the server did not start"
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.05)

    def kill(self) -> None:
        """As a machine that is switched off does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_PATIENCE_S)
            self._process = None

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._folder)
