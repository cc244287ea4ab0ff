"""`actum erase`: destroy a person's payloads; the log stays whole and says so."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actum.cli.options import Json, current, log_of
from actum.cli.output import console, how_many, print_json, say
from actum.errors import BadInput

if TYPE_CHECKING:
    from actum.eventstore.custody.erasing import Found

__all__ = ["person", "register"]


def register(app: typer.Typer) -> None:
    app.command("erase")(erase)


def erase(
    subject: Annotated[str | None, typer.Argument(metavar="SUBJECT", help="Whose payloads, as runs name it.")] = None,
    basis: Annotated[
        str | None, typer.Option(help="On what ground, in a word that stays: gdpr-17, request, court-order.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why, in words that stay; not with the subject's name.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also against holds and running executions; the log says so.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go.")] = False,
    complete: Annotated[
        bool, typer.Option("--finish", help="Only destroy what the log says is erased and is still there.")
    ] = False,
    json: Json = False,
) -> None:
    """Destroy the payloads, the keys and the name of a subject. Exit code 1 when a hold or a run forbids it.

    The log says first what goes, on what ground and by whom; its headers stay, and it verifies as before.
    """
    from actum.eventstore.custody.erasing import erase_subject, find_subject, finish
    from actum.eventstore.custody.erasures import read_custody

    if complete:
        if subject is not None or dry_run or force:
            raise BadInput("--finish stands alone: it is about everything that the log says is erased")
        with log_of(writes=True, must_exist=True, finishes=True) as store:
            left = finish(store)
        if json:
            print_json({"keys": left.keys, "payloads": left.payloads})
        else:
            say(f"{how_many(left.payloads, 'payload')} and {how_many(left.keys, 'key')} were left; they are gone now")
        return
    if subject is None:
        raise BadInput("name the subject to erase, or say --finish")
    if dry_run:
        with log_of() as store:
            from actum.events import to_text

            found = find_subject(store, subject, read_custody(store), to_text(time.time_ns() // 1000))
        _tell(found, json=json, done=False)
        if found.refused is not None and not force:
            say(str(found.refused))
            raise typer.Exit(1)
        return
    if basis is None or reason is None:
        raise BadInput("say --basis and --reason: they stand in the log when the payloads are gone")
    with log_of(writes=True, must_exist=True, finishes=True) as store:
        found = erase_subject(
            store,
            subject,
            basis=basis,
            reason=reason,
            by=person(),
            clock=lambda: time.time_ns() // 1000,
            force=force,
        )
    _tell(found, json=json, done=True)


def person() -> Any:
    """Who sits at this terminal, for the log."""
    from actum.events import Actor

    return Actor("person", current().person)


def _tell(found: Found, *, json: bool, done: bool) -> None:
    executions = sorted({id_ for ids in found.executions.values() for id_ in ids})
    payloads = sum(found.payloads.values())
    if json:
        print_json(
            {
                "erased": done and bool(found.keys),
                "keys": list(found.keys),
                "payloads": payloads,
                "executions": executions,
                "counted_from": found.counted_from,
                "running": list(found.running),
                "holds": [hold.id for hold in found.holds],
            }
        )
        return
    if not found.keys:
        say("nothing is filed under this name: it is erased already, or was never there")
        return
    verb = "erased" if done else "would be erased"
    console().print(
        f"{how_many(payloads, 'payload')} of {how_many(len(executions), 'execution')} {verb}, "
        f"under {how_many(len(found.keys), 'key')}: {', '.join(found.keys)}",
        markup=False,
    )
    for id_ in executions:
        console().print(f"  {id_}" + ("  (has not ended)" if id_ in found.running else ""), markup=False)
    if found.counted_from:
        say(
            f"not counted, and {verb} as well: what is under it before event {found.counted_from:,}; those events are "
            "in the archive, and were not read"
        )
