"""`actum executions pause|resume|cancel|retry|skip`: what people do to an execution from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from actum.cli.options import Json, current, log_of
from actum.cli.output import console, print_json, say, status_text
from actum.errors import BadInput

if TYPE_CHECKING:
    from actum.engine.runtime.control import Control
    from actum.eventstore import EventStore

__all__ = ["register"]

Id = Annotated[str, typer.Argument(metavar="ID")]
By = Annotated[str | None, typer.Option(help="Who asks: a reference. Default: ACTUM_PERSON, or the login.")]
Reason = Annotated[str, typer.Option(help="Why; goes into the record.")]


def register(executions: typer.Typer) -> None:
    executions.command("pause")(pause)
    executions.command("resume")(resume)
    executions.command("cancel")(cancel)
    executions.command("retry")(retry)
    executions.command("skip")(skip)


def pause(
    id_: Id,
    by: By = None,
    reason: Annotated[str | None, typer.Option(help="Why; stays in the log for ever, so nothing personal.")] = None,
    json: Json = False,
) -> None:
    """Start nothing new of an execution; what runs ends and is recorded. Holds through restarts."""
    with log_of(writes=True) as store:
        _control(store, id_).pause(_person(by), reason)
        _tell(store, id_, {}, json)
    if not json:
        say(f"end the pause with: actum executions resume {id_}")


def resume(id_: Id, by: By = None, json: Json = False) -> None:
    """End a pause. What fell due meanwhile happens now."""
    with log_of(writes=True) as store:
        _control(store, id_).unpause(_person(by))
        _tell(store, id_, {}, json)


def cancel(
    id_: Id,
    by: By = None,
    reason: Reason = "",
    compensate: Annotated[
        bool, typer.Option("--compensate/--no-compensate", help="Whether what has completed is undone.")
    ] = True,
    force: Annotated[
        bool, typer.Option("--force", help="End it at once: nothing is cleaned up, nothing is undone.")
    ] = False,
    json: Json = False,
) -> None:
    """Ask an execution to end. Its workflow may clean up, and what has completed is undone; then it is cancelled."""
    with log_of(writes=True) as store:
        _control(store, id_).cancel(_person(by), compensate=compensate, force=force, reason=reason)
        _tell(store, id_, {}, json)


def retry(id_: Id, by: By = None, reason: Reason = "", json: Json = False) -> None:
    """Try again the step that an execution failed of, or that is in doubt; what has completed does not run again."""
    with log_of(writes=True) as store:
        steps = _control(store, id_).retry(_person(by), reason)
        _tell(store, id_, {"steps": steps}, json)


def skip(
    id_: Id,
    step: Annotated[str, typer.Argument(metavar="STEP", help="Its key, or its name where that is clear.")],
    reason: Annotated[str, typer.Option(help="Why; goes into the record.")],
    result: Annotated[str, typer.Option(help="What the workflow gets in the place of its result: JSON.")] = "null",
    by: By = None,
    json: Json = False,
) -> None:
    """Go on without a step that failed, is in doubt, or waits for another attempt."""
    import orjson

    try:
        value = orjson.loads(result)
    except orjson.JSONDecodeError as exc:
        raise BadInput(f"--result: not JSON: {exc.msg} (line {exc.lineno}, column {exc.colno})") from exc
    with log_of(writes=True) as store:
        key = _control(store, id_).skip(_person(by), step, reason, value)
        _tell(store, id_, {"steps": [key]}, json)


def _control(store: EventStore, id_: str) -> Control:
    from actum.engine.runtime.control import Control
    from actum.engine.runtime.ports import World

    return Control(store, World(), id_)


def _person(by: str | None) -> str:
    return by or current().person


def _tell(store: EventStore, id_: str, more: dict[str, Any], json: bool) -> None:
    """What the execution is now, and, when nobody runs it, what carries out what was asked."""
    from actum.engine.runtime.ports import owners_of

    row = store.view("executions", {"id": id_})[0]
    under_way = row["status"] in ("running", "waiting", "compensating")
    runs = under_way and bool(row["owner"]) and owners_of(store).alive(row["owner"])
    if json:
        events = store.stream_version(f"execution/{id_}")
        print_json({"id": id_, "status": row["status"], "runs": runs, "events": events, **more})
        return
    console().print(status_text(row["status"]), " ".join(more.get("steps", ())), markup=False)
    if under_way and not runs:
        say(f"recorded; nobody runs it now, so carry it out with: actum resume {id_}")
    elif under_way:
        say("recorded; its worker carries it out")
