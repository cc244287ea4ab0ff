"""`actum db`: the store's schema, and what a role may do with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, NamedTuple

import typer

from actum.cli.options import Json, current, log_of
from actum.cli.output import print_json, say
from actum.errors import BadInput
from actum.eventstore.tables.server_url import without_password

__all__ = ["register"]

_MYSQL = ("mysql:", "mariadb:")


def register(app: typer.Typer) -> None:
    db = typer.Typer(help="The store's schema.", no_args_is_help=True)
    db.command("upgrade")(upgrade)
    db.command("check")(check)
    db.command("grant")(grant)
    db.command("sweep")(sweep)
    app.add_typer(db, name="db")


class _Schema(NamedTuple):
    """What can be done to the schema of one kind of store."""

    upgrade: Callable[[str], tuple[str | None, str]]
    found: Callable[[str], str | None]
    """The revision; None when there is no store."""


def upgrade(json: Json = False) -> None:
    """Bring the store to the schema that this program needs; makes the store when it is not there."""
    before, after = _schema().upgrade(current().store)
    if json:
        print_json({"before": before, "after": after})
    elif before == after:
        say(f"schema {after}: nothing to do")
    else:
        say(f"schema {before or 'none'} → {after}")


def check(json: Json = False) -> None:
    """Say which schema the store has, and whether this program can use it (exit code 1 when not)."""
    from actum.migrations import HEAD

    found = _schema().found(current().store)
    if json:
        print_json({"found": found, "needed": HEAD, "ok": found == HEAD})
    else:
        say(_fitting(found))
    raise typer.Exit(0 if found == HEAD else 1)


def _fitting(found: str | None) -> str:
    """Whether a store of this schema can be used, and what to do when not."""
    from actum.migrations import HEAD, REVISIONS

    if found is None:
        return "there is no store there; `actum db upgrade` makes it"
    if found == HEAD:
        return f"schema {found}, which is what this program needs"
    if found in REVISIONS:
        return f"schema {found}, this program needs {HEAD}; run `actum db upgrade`"
    return f"schema {found}, which this program does not know: it knows up to {HEAD}; use a newer actum"


def grant(
    role: Annotated[str, typer.Argument(help="A role or user that exists there; on MySQL, user@host.")],
    json: Json = False,
) -> None:
    """Let a role use a PostgreSQL or MySQL store, and never change or delete an event, a position or a checkpoint."""
    url = current().store
    if url.startswith("postgresql:"):
        from actum.eventstore.postgres import roles as postgres_roles

        done = postgres_roles.grant_use(url, role)
    elif url.startswith(_MYSQL):
        from actum.eventstore.mysql import roles as mysql_roles

        done = mysql_roles.grant_use(url, role)
    else:
        raise BadInput("only a PostgreSQL or MySQL store has roles")
    if json:
        print_json({"role": role, "statements": done})
    else:
        say(f"role {role} may use the store, and may not change what is recorded")


def sweep(
    hours: Annotated[float, typer.Option(min=0, help="Leave what is younger: its append may be under way.")] = 1,
    remove: Annotated[bool, typer.Option("--remove", help="Remove them; without it they are only listed.")] = False,
    json: Json = False,
) -> None:
    """List large payloads that no event refers to, as interrupted appends leave them; or remove them."""
    with log_of(writes=True) as store:
        found = store.sweep_blobs(hours * 3600, remove=remove)
    if json:
        print_json({"orphans": found, "removed": remove})
        return
    for name in found:
        say(name)
    say(f"{len(found)} payloads without an event" + (", removed" if remove and found else ""))


def _schema() -> _Schema:
    url = current().store
    if url.startswith("sqlite:"):
        from actum.eventstore.sqlite import open as sqlite_open

        return _Schema(sqlite_open.create_or_upgrade, _found_in_file)
    if url.startswith("postgresql:"):
        from actum.eventstore.postgres import open as postgres_open

        return _Schema(postgres_open.create_or_upgrade, postgres_open.revision_at)
    if url.startswith(_MYSQL):
        from actum.eventstore.mysql import open as mysql_open

        return _Schema(mysql_open.create_or_upgrade, mysql_open.revision_at)
    if url.startswith("duckdb:"):
        from actum.eventstore.duckdb import open as duckdb_open

        return _Schema(duckdb_open.create_or_upgrade, duckdb_open.revision_at)
    shown = without_password(url)
    raise BadInput(f"{shown!r} has no schema: only a SQLite, DuckDB, PostgreSQL or MySQL store has one")


def _found_in_file(url: str) -> str | None:
    from actum.eventstore.sqlite.open import parse_url, revision_of

    path = parse_url(url)[0]
    return revision_of(url, path) if path.exists() else None
