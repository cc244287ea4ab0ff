"""From a URL to a SQLite file that is ours, of today's schema, or a clear refusal. Nothing else is touched."""

from __future__ import annotations

import os
import re
import sqlite3
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, quote, unquote

from actum.errors import BadInput, StoreRefused, near_miss
from actum.migrations import HEAD, REVISIONS

__all__ = ["create_or_upgrade", "parse_url", "prepare", "revision_of"]

_OPTIONS: Final = ("mode", "busy_timeout")
_SECONDS: Final = re.compile(r"\d{1,6}(\.\d+)?", re.ASCII)


def parse_url(url: str) -> tuple[Path, dict[str, str]]:
    """`sqlite:///relative.db` or `sqlite:////absolute.db`, and the options behind the question mark."""
    rest, _, query = url.partition("?")
    if not rest.startswith("sqlite:///") or not rest.removeprefix("sqlite:///"):
        raise BadInput(f"{url!r} is not a SQLite store; write sqlite:///file.db, or sqlite:////absolute/file.db")
    options = dict(parse_qsl(query, keep_blank_values=True))
    for name, value in options.items():
        if name not in _OPTIONS:
            raise BadInput(f"{url!r}: unknown option {name!r}{near_miss(name, _OPTIONS)}")
        if name == "mode" and value not in ("rw", "ro"):
            raise BadInput(f"{url!r}: mode is rw or ro, not {value!r}")
        if name == "busy_timeout" and not _SECONDS.fullmatch(value):
            raise BadInput(f"{url!r}: busy_timeout is a number of seconds, not {value!r}")
    return Path(unquote(rest.removeprefix("sqlite:///"))), options


def prepare(url: str, path: Path, *, read_only: bool) -> None:
    """Make the file when it is not there, in write-ahead mode and today's schema; else see that it is ours.

    Raises `StoreRefused` when it is a directory, no database, another program's database, older (run
    `actum db upgrade`) or newer than this program.
    """
    try:
        if path.is_dir():
            raise StoreRefused(url, f"{path} is a directory, not a store file")
        if not path.parent.is_dir():
            raise StoreRefused(url, f"the folder {path.parent} does not exist")
        there = path.exists()
    except PermissionError as exc:
        raise StoreRefused(url, f"the folder {path.parent} may not be entered by this user") from exc
    found = revision_of(url, path) if there else BLANK
    if found == BLANK:
        if read_only:
            raise StoreRefused(url, f"there is no store at {path}")
        _create(url, path)
        return
    if found == HEAD:
        return
    if found is None:
        raise StoreRefused(url, f"{path} is a database, but not a store of actum; name another file")
    if found in REVISIONS:
        raise StoreRefused(url, f"is of schema {found}, this program needs {HEAD}; run `actum db upgrade`")
    raise StoreRefused(
        url, f"was written by a newer version (schema {found}, this program knows {HEAD}); upgrade actum to open it"
    )


BLANK: Final = "blank"


def revision_of(url: str, path: Path) -> str | None:
    """The schema revision of a SQLite file, `BLANK` when it holds nothing yet, None when it holds no tables of ours."""
    try:
        con = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, timeout=5)
        try:
            tables = {name for (name,) in con.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not tables:
                return BLANK  # new, or another process is just making it: `upgrade` takes turns
            if "alembic_version" not in tables or "events" not in tables:
                return None
            row = con.execute("SELECT version_num FROM alembic_version").fetchone()
        finally:
            con.close()
    except sqlite3.OperationalError as exc:
        raise StoreRefused(url, f"{path} cannot be opened: {_why(path, exc)}") from exc
    except sqlite3.DatabaseError as exc:
        raise StoreRefused(url, f"{path} is not a database ({exc})") from exc
    return row[0] if row else None


def _why(path: Path, exc: sqlite3.Error) -> str:
    """What this user may not do, where that is the reason: SQLite itself does not say."""
    if path.exists() and not os.access(path, os.R_OK):
        return "this user may not read it"
    if not os.access(path.parent, os.W_OK):
        return (
            f"this user may not write to the folder {path.parent}, and SQLite needs files of its own beside the "
            "store, even to read it"
        )
    return str(exc)


def create_or_upgrade(url: str) -> tuple[str | None, str]:
    """Bring the file to today's schema, making it when it is not there; returns the revision before and after.

    Raises `StoreRefused` as `prepare` does, but for a store that is merely older.
    """
    path, _ = parse_url(url)
    found = revision_of(url, path) if path.is_file() and path.stat().st_size else None
    if found is None or found not in REVISIONS or found == HEAD:
        prepare(url, path, read_only=False)
        return found, HEAD
    from sqlalchemy import URL

    from actum.migrations.upgrade import upgrade

    return upgrade(URL.create("sqlite", database=str(path.absolute())))


def _create(url: str, path: Path) -> None:
    from sqlalchemy import URL  # with Alembic, only when a schema is made

    from actum.migrations.upgrade import upgrade

    try:
        con = sqlite3.connect(path, timeout=5)
        try:
            con.execute("PRAGMA page_size = 8192")  # headers of 600 bytes leave half as much of it unused as 4096
            con.execute("PRAGMA journal_mode = WAL")
        finally:
            con.close()
    except sqlite3.Error as exc:
        raise StoreRefused(url, f"{path} cannot be made: {_why(path, exc)}") from exc
    upgrade(URL.create("sqlite", database=str(path.absolute())))
