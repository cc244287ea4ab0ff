"""`actum db`: the store's schema."""

from __future__ import annotations

import typer

from actum.cli.options import Json, current
from actum.cli.output import print_json, say
from actum.errors import BadInput

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    db = typer.Typer(help="The store's schema.", no_args_is_help=True)
    db.command("upgrade")(upgrade)
    db.command("check")(check)
    app.add_typer(db, name="db")


def upgrade(json: Json = False) -> None:
    """Bring the store to the schema that this program needs; makes the store when it is not there."""
    from actum.eventstore.sqlite_open import create_or_upgrade

    before, after = create_or_upgrade(_url())
    if json:
        print_json({"before": before, "after": after})
    elif before == after:
        say(f"schema {after}: nothing to do")
    else:
        say(f"schema {before or 'none'} → {after}")


def check(json: Json = False) -> None:
    """Say which schema the store has, and whether this program can use it (exit code 1 when not)."""
    from actum.eventstore.sqlite_open import parse_url, revision_of
    from actum.migrations import HEAD

    url = _url()
    path = parse_url(url)[0]
    found = revision_of(url, path) if path.exists() else None
    if json:
        print_json({"found": found, "needed": HEAD, "ok": found == HEAD})
    else:
        say(f"schema {found or 'none'}, this program needs {HEAD}" + ("" if found == HEAD else ": actum db upgrade"))
    raise typer.Exit(0 if found == HEAD else 1)


def _url() -> str:
    url = current().store
    if not url.startswith("sqlite:"):
        raise BadInput(f"{url!r} has no schema: only a SQLite store has one in this release")
    return url
