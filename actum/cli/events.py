"""`actum events`: the log itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actum.cli.options import Json, log_of
from actum.cli.output import console, print_json, say, table

if TYPE_CHECKING:
    from actum.events import RecordedEvent

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    events = typer.Typer(help="The log itself.", no_args_is_help=True)
    events.command("list")(list_)
    app.add_typer(events, name="events")


def list_(
    id_: Annotated[str | None, typer.Argument(metavar="[ID]", help="One execution; without it, the whole log.")] = None,
    after: Annotated[int, typer.Option(help="Start behind this position.")] = -1,
    limit: Annotated[
        int | None, typer.Option(min=1, help="So many at the most. Default: 100; all with --json.")
    ] = None,
    type_: Annotated[list[str] | None, typer.Option("--type", help="Only these types; may be repeated.")] = None,
    json: Json = False,
) -> None:
    """List events in the order of the log, with their place, their facts and who caused them."""
    from actum.cli.executions import load
    from actum.errors import BadInput, near_miss
    from actum.events import CURRENT

    for name in type_ or ():
        if name not in CURRENT:
            raise BadInput(f"--type {name}: there is no such event type{near_miss(name, CURRENT)}")
    many = limit if limit is not None or json else 100
    with log_of() as store:
        if id_ is not None:
            found = [
                event for event in load(store, id_) if event.position > after and (not type_ or event.type in type_)
            ][:many]
        else:
            found = list(store.read(after, many, types=type_ or None))
        if json:
            print_json({"events": [_as_json(event) for event in found]})
            return
        if not found:
            say("no events")
            return
        rows = [
            (
                str(event.position),
                event.at[:23].replace("T", " "),
                event.stream,
                str(event.version),
                event.type,
                event.actor.ref if event.actor.kind == "person" else event.actor.kind,
                _facts(event.facts),
            )
            for event in found
        ]
        columns = ("position", "at (UTC)", "stream", "version", "type", "by", "facts")
        console().print(table(None, columns, rows, right="position,version", whole="at (UTC),type"))
        if many is not None and len(found) == many:
            say(f"{many} events; more with --after {found[-1].position} or --limit")


_DIGEST = re.compile(r"((?:hmac-)?sha256:[0-9a-f]{6})[0-9a-f]{58}")


def _facts(facts: dict[str, Any]) -> str:
    """Facts in one line; of digests the beginning, which --json has whole."""
    return _DIGEST.sub(r"\1…", " ".join(f"{name}={value}" for name, value in facts.items()))


def _as_json(event: RecordedEvent) -> dict[str, Any]:
    return {"position": event.position, "leaf": event.leaf.hex(), **event.head, "value": event.value()}
