"""A PostgreSQL server, and a PgBouncer in front of one, of a test's own: to be stopped, restored and misconfigured."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from actum.errors import StoreRefused
from actum.testing.postgres import ask

__all__ = ["PASSWORD", "Server", "find_bouncer", "find_programs", "free_port", "pooled"]

PASSWORD = "correct-horse"
_PATIENCE_S = 20


def find_programs() -> Path | None:
    """The folder of a PostgreSQL server's programs; None when this machine has none."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return folders[-1] if folders and (folders[-1] / "initdb").exists() else None


def find_bouncer() -> str | None:
    """PgBouncer's program, or what ACTUM_PGBOUNCER says it is."""
    return os.environ.get("ACTUM_PGBOUNCER") or shutil.which("pgbouncer")


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class _Unprivileged:
    """Servers refuse to run as root; then they run as the user `postgres`, or as nobody."""

    def __init__(self) -> None:
        self.user: str | None = None
        if os.getuid() == 0:
            import pwd

            names = {entry.pw_name for entry in pwd.getpwall()}
            self.user = "postgres" if "postgres" in names else "nobody"

    def folder(self) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="actum-server-"))
        if self.user is not None:
            shutil.chown(folder, self.user)
        return folder


class Server:
    """Asks for a password, allows prepared transactions, and has a database `log`. Trust it with nothing.

    `settings` are like `commit_delay=2000`. With `primary` it is a replica of that server, which streams from it.
    """

    def __init__(self, programs: Path, *settings: str, primary: Server | None = None) -> None:
        self._programs = programs
        self._settings = settings
        self.largest_file: int | None = None
        """From the next start on no file grows past so many bytes, as if its disk were full."""
        self._as = _Unprivileged()
        self._folder = self._as.folder()
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        data = f"{self._folder}/data"
        if primary is None:
            password = self._folder / "password"
            password.write_text(PASSWORD)
            password.chmod(0o644)
            self._run("initdb", "-D", data, "-U", "boss", "-A", "scram-sha-256", f"--pwfile={password}")
            self.start()
            ask(self.url("postgres"), "CREATE DATABASE log")
        else:
            source = f"{primary.url('postgres')}?application_name=replica"
            self._run("pg_basebackup", "-D", data, "-d", source, "-R", "-X", "stream", "-c", "fast")
            self.start()

    def url(self, database: str = "log", user: str = "boss", password: str = PASSWORD) -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self._port}/{database}"

    def start(self) -> None:
        settings = ("max_prepared_transactions=4", "listen_addresses=127.0.0.1", "fsync=off", *self._settings)
        options = [word for setting in settings for word in ("-c", setting)]
        self._process = subprocess.Popen(
            [self._programs / "postgres", "-D", f"{self._folder}/data", "-p", str(self._port), "-k", "", *options],
            user=self._as.user,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            preexec_fn=self._limit if self.largest_file is not None else None,
        )
        _wait_for(self.url("postgres"))

    def _limit(self) -> None:
        assert self.largest_file is not None
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.largest_file, self.largest_file))

    def stop(self) -> None:
        """As a machine that is switched off does."""
        if self._process is not None:
            self._process.send_signal(3)  # SIGQUIT: at once, and recover when started again
            self._process.wait(_PATIENCE_S)
            self._process = None

    def wait_for_replica(self, replica: Server) -> None:
        """Until the replica has replayed all that is committed here."""
        ((there,),) = ask(self.url("postgres"), "SELECT pg_current_wal_lsn()::text")
        replayed = f"SELECT pg_last_wal_replay_lsn() >= '{there}'::pg_lsn"
        _wait_until(lambda: ask(replica.url("postgres"), replayed) == [(True,)])

    def cut_off(self) -> None:
        """As when the line to the primary breaks: this replica hears nothing from it any more."""
        ask(self.url("postgres"), "ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()")
        _wait_until(lambda: ask(self.url("postgres"), "SELECT count(*) FROM pg_stat_wal_receiver") == [(0,)])

    def promote(self) -> None:
        """Make this replica a primary, with what it has."""
        assert ask(self.url("postgres"), f"SELECT pg_promote(true, {_PATIENCE_S})") == [(True,)]

    def dump(self, database: str = "log") -> bytes:
        return self._run("pg_dump", "-Fc", self.url(database))

    def restore(self, dump: bytes, database: str) -> None:
        """Into a new database of this name."""
        ask(self.url("postgres"), f"CREATE DATABASE {database}")
        self._run("pg_restore", "-d", self.url(database), given=dump)

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def _run(self, program: str, *arguments: str, given: bytes = b"") -> bytes:
        done = subprocess.run(
            [self._programs / program, *arguments],
            input=given,
            capture_output=True,
            user=self._as.user,
            cwd="/",
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout


@contextmanager
def pooled(program: str, url: str, connections: int = 6) -> Iterator[str]:
    """The same database through a PgBouncer in transaction mode with so few server connections."""
    parts = urlsplit(url)
    runs_as, port = _Unprivileged(), free_port()
    folder = runs_as.folder()
    (folder / "users").write_text(f'"{parts.username}" "{parts.password or ""}"\n')
    password = f" password={parts.password}" if parts.password else ""
    (folder / "ini").write_text(
        f"[databases]\n* = host={parts.hostname} port={parts.port} user={parts.username}{password}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
        f"auth_file = {folder}/users\npool_mode = transaction\nmax_client_conn = 500\n"
        f"default_pool_size = {connections}\nserver_reset_query = DISCARD ALL\nserver_reset_query_always = 1\n"
    )
    process = subprocess.Popen(
        [program, "-q", str(folder / "ini")],
        user=runs_as.user,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
    )
    try:
        through = parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}").geturl()
        _wait_for(through)
        yield through
    finally:
        process.terminate()
        process.wait(_PATIENCE_S)
        shutil.rmtree(folder)


def _wait_for(url: str) -> None:
    def answers() -> bool:
        with contextlib.suppress(StoreRefused):
            return ask(url, "SELECT 1") == [(1,)]
        return False

    _wait_until(answers)


def _wait_until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"a server was not ready after {_PATIENCE_S} s")
        time.sleep(0.05)
