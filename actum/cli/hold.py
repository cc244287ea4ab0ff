"""`actum hold`: what may not be erased."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actum.cli.options import Json, log_of
from actum.cli.output import console, print_json, say, table
from actum.errors import BadInput

if TYPE_CHECKING:
    from actum.eventstore.custody.holds import Hold

__all__ = ["register"]

Reason = Annotated[str, typer.Option(help="Why, in words that stay; not with the subject's name.")]


def register(app: typer.Typer) -> None:
    hold = typer.Typer(help="What may not be erased.", no_args_is_help=True)
    hold.command("place")(place)
    hold.command("lift")(lift)
    hold.command("list")(list_)
    app.add_typer(hold, name="hold")


def place(
    reason: Reason,
    subject: Annotated[str | None, typer.Option(help="What is filed under this name.")] = None,
    execution: Annotated[str | None, typer.Option(help="What stands in this execution.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything.")] = False,
    until: Annotated[str | None, typer.Option(help="It ends by itself then; an ISO 8601 time.")] = None,
    json: Json = False,
) -> None:
    """Place a legal hold; prints its id. It wins over retention, and over every erasure that is not forced."""
    from actum.cli.erase import person
    from actum.cli.executions import load
    from actum.eventstore.custody.custodian import place_hold

    if (subject is not None) + (execution is not None) + everything != 1:
        raise BadInput("say what to hold: one of --subject, --execution and --all")
    with log_of(writes=True, must_exist=True) as store:
        if execution is not None:
            load(store, execution)
        id_ = place_hold(
            store,
            reason=reason,
            by=person(),
            clock=_now_us,
            subject=subject,
            execution=execution,
            until=until,
        )
    if json:
        print_json({"id": id_})
    else:
        console().print(id_)


def lift(id_: Annotated[str, typer.Argument(metavar="ID")], reason: Reason, json: Json = False) -> None:
    """Lift a hold."""
    from actum.cli.erase import person
    from actum.eventstore.custody.custodian import lift_hold

    with log_of(writes=True, must_exist=True) as store:
        lift_hold(store, id_, reason=reason, by=person(), clock=_now_us)
    if json:
        print_json({"id": id_})
    else:
        say(f"hold {id_} is lifted")


def list_(
    all_: Annotated[bool, typer.Option("--all", help="Also those whose time is over; lifted ones are gone.")] = False,
    json: Json = False,
) -> None:
    """List the holds in force."""
    from actum.events import to_text
    from actum.eventstore.custody.erasures import read_custody

    now = to_text(_now_us())
    with log_of() as store:
        holds = [hold for hold in read_custody(store).holds if all_ or hold.in_force(now)]
        names = {key: name for key, name, _ in store.subjects() if name is not None}
    if json:
        print_json({"holds": [_as_json(hold, names, now) for hold in holds]})
        return
    if not holds:
        say("no holds")
        return
    rows = [
        (
            hold.id,
            hold.placed_at[:19].replace("T", " "),
            hold.placed_by.ref,
            _covered(hold, names),
            "it is lifted" if hold.until is None else hold.until[:19].replace("T", " "),
            hold.reason or "",
        )
        for hold in holds
    ]
    columns = ("hold", "placed (UTC)", "by", "covers", "until", "reason")
    console().print(table(None, columns, rows, whole="hold,placed (UTC),until"))


def _covered(hold: Hold, names: dict[str, str]) -> str:
    if hold.everything:
        return "everything"
    subjects = sorted({names.get(key, f"key {key}") for key in hold.keys})
    return ", ".join([*subjects, *sorted(hold.streams)])


def _as_json(hold: Hold, names: dict[str, str], now: str) -> dict[str, Any]:
    return {
        "id": hold.id,
        "placed_at": hold.placed_at,
        "placed_by": hold.placed_by.ref,
        "keys": sorted(hold.keys),
        "subjects": sorted({names[key] for key in hold.keys if key in names}),
        "streams": sorted(hold.streams),
        "everything": hold.everything,
        "until": hold.until,
        "in_force": hold.in_force(now),
        "reason": hold.reason,
    }


def _now_us() -> int:
    return time.time_ns() // 1000
