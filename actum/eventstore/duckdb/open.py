"""From a URL to a DuckDB file that is ours, of today's schema, or a clear refusal. Nothing else is touched."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote

import duckdb

from actum.errors import BadInput, StoreRefused, near_miss
from actum.migrations import HEAD, REVISIONS

__all__ = ["BLANK", "connect", "create_or_upgrade", "open_file", "parse_url", "refusal", "revision_at"]

BLANK: Final = "blank"

_OPTIONS: Final = ("mode",)
_MAGIC: Final = slice(8, 12)
# One thread: appends and reads by key are short, and a second one only costs them. Missing values come where the
# other stores have them. Nothing is fetched from elsewhere: by itself DuckDB would download an extension to read what
# it takes for a SQLite file.
_CONFIG: Final = {
    "threads": "1",
    "fsync_mode": "STANDARD",
    "default_null_order": "nulls_first_on_asc_last_on_desc",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}


def parse_url(url: str) -> tuple[Path, dict[str, str]]:
    """`duckdb:///relative.duckdb` or `duckdb:////absolute.duckdb`, and the options behind the question mark."""
    rest, _, query = url.partition("?")
    name = rest.removeprefix("duckdb:///")
    if name in (rest, ""):
        raise BadInput(f"{url!r} is not a DuckDB store; write duckdb:///file.duckdb, or duckdb:////absolute.duckdb")
    options = dict(parse_qsl(query, keep_blank_values=True))
    for option, value in options.items():
        if option not in _OPTIONS:
            raise BadInput(f"{url!r}: unknown option {option!r}{near_miss(option, _OPTIONS)}")
        if value not in ("rw", "ro"):
            raise BadInput(f"{url!r}: mode is rw or ro, not {value!r}")
    return Path(unquote(name)), options


def open_file(url: str, path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    """Open the file, or make it with today's schema when it is not there.

    Raises `StoreRefused` when it is a directory, no database, another program's database, older (run
    `actum db upgrade`), newer than this program, or open in another process.
    """
    _look(url, path)
    if not path.exists():
        if read_only:
            raise StoreRefused(url, f"there is no store at {path}")
        _upgrade(path)
    con = connect(url, path, read_only=read_only)
    try:
        found = _revision(con)
        if found == BLANK and not read_only:  # a process was killed before it had made the tables
            con.close()
            _upgrade(path)
            return connect(url, path, read_only=read_only)
        problem = _unusable(path, found)
        if problem is not None:
            raise StoreRefused(url, problem)
    except duckdb.Error as exc:
        con.close()
        raise refusal(url, exc, "nothing was read") from exc
    except BaseException:
        con.close()
        raise
    return con


def _unusable(path: Path, found: str | None) -> str | None:
    if found == HEAD:
        return None
    if found == BLANK:
        return f"there is no store at {path}"
    if found is None:
        return f"{path} is a database, but not a store of actum; name another file"
    if found in REVISIONS:
        return f"is of schema {found}, this program needs {HEAD}; run `actum db upgrade`"
    return f"was written by a newer version (schema {found}, this program knows {HEAD}); upgrade actum to open it"


def revision_at(url: str) -> str | None:
    """The schema revision of the store at a URL; None when there is none, or another program's."""
    path, _ = parse_url(url)
    _look(url, path)
    if not path.exists():
        return None
    con = connect(url, path, read_only=True)
    try:
        found = _revision(con)
    except duckdb.Error as exc:
        raise refusal(url, exc, "nothing was read") from exc
    finally:
        con.close()
    return None if found == BLANK else found


def create_or_upgrade(url: str) -> tuple[str | None, str]:
    """Bring the file to today's schema, making it when it is not there; returns the revision before and after.

    Raises `StoreRefused` as `open_file` does, but for a store that is merely older.
    """
    path, _ = parse_url(url)
    found = revision_at(url)
    if found in REVISIONS and found != HEAD:
        return _upgrade(path)
    open_file(url, path, read_only=False).close()
    return found, HEAD


def connect(url: str, path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    """A connection to the file, with the settings that the promises need."""
    try:
        return duckdb.connect(str(path), read_only=read_only, config=dict(_CONFIG))
    except duckdb.Error as exc:
        raise refusal(url, exc, "nothing was written") from exc


def refusal(url: str, exc: duckdb.Error, outcome: str) -> StoreRefused:
    """What DuckDB said of the file, in one sentence with what to do."""
    text = str(exc).split("\n")[0]
    held = re.search(r"Conflicting lock is held.*\(PID (\d+)\)", text)
    if held is not None:
        problem = f"is open in another process (PID {held[1]}): one process at a time has a DuckDB file; {outcome}"
    elif "different configuration" in text:
        problem = f"is open in this process in the other mode, rw or ro; close that first; {outcome}"
    elif "replaying WAL" in text:
        problem = (
            f"the write-ahead log beside the file is damaged ({text}); {outcome}. Keep both files as they are: all "
            "that was acknowledged before that byte is in them"
        )
    elif "Corrupt" in text:
        problem = f"the file is damaged ({text}); {outcome}. Keep it as it is."
    elif "No space left" in text:
        problem = f"the disk is full; {outcome}. Make room and append again."
    else:
        problem = f"{text}; {outcome}"
    return StoreRefused(url, problem)


def _look(url: str, path: Path) -> None:
    """Refuse what is no DuckDB file before DuckDB sees it: it would guess, and load what it guesses to need."""
    if path.is_dir():
        raise StoreRefused(url, f"{path} is a directory, not a store file")
    if not path.parent.is_dir():
        raise StoreRefused(url, f"the folder {path.parent} does not exist")
    if not path.exists():
        return
    try:
        with path.open("rb") as file:
            start = file.read(_MAGIC.stop)
    except OSError as exc:
        raise StoreRefused(url, f"{path} cannot be opened: {exc.strerror or exc}") from exc
    if not start:
        raise StoreRefused(url, f"{path} is empty, not a DuckDB file; remove it, and it is made anew")
    if start[_MAGIC] != b"DUCK":
        raise StoreRefused(url, f"{path} is not a DuckDB file")


def _revision(con: duckdb.DuckDBPyConnection) -> str | None:
    """The schema revision, `BLANK` when the file holds nothing yet, None when it holds no tables of ours."""
    tables = {name for (name,) in con.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    if not tables:
        return BLANK
    if "alembic_version" not in tables or "events" not in tables:
        return None
    # All rows, though there is one: a result that is not read to its end keeps its transaction open, and while an old
    # transaction is open no checkpoint is made.
    rows = con.execute("SELECT version_num FROM alembic_version").fetchall()
    return str(rows[0][0]) if rows else None


def _upgrade(path: Path) -> tuple[str | None, str]:
    from sqlalchemy import URL  # with Alembic, only when a schema is made
    from sqlalchemy.exc import NoSuchModuleError

    from actum.migrations.upgrade import upgrade

    try:
        return upgrade(URL.create("duckdb", database=str(path.absolute())))
    except NoSuchModuleError:
        raise BadInput("making a DuckDB store needs duckdb-engine: pip install 'actum[duckdb]'") from None
