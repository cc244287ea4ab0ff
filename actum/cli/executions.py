"""`actum executions`: what ran, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from actum.cli.options import Json, log_of
from actum.cli.output import console, duration, print_json, say, status_text, table
from actum.errors import BadInput, UnknownExecution, near_miss

if TYPE_CHECKING:
    from actum.engine.state import Execution
    from actum.events import RecordedEvent
    from actum.eventstore import EventStore
    from actum.eventstore.erasures import Missing

__all__ = ["load", "missing_in", "register"]


def register(app: typer.Typer) -> None:
    executions = typer.Typer(help="What ran, and what became of it.", no_args_is_help=True)
    executions.command("list")(list_)
    executions.command("show")(show)
    app.add_typer(executions, name="executions")


def list_(
    workflow: Annotated[str | None, typer.Option(help="Only this workflow.")] = None,
    status: Annotated[str | None, typer.Option(help="Only this status, e.g. failed or waiting.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 50,
    json: Json = False,
) -> None:
    """List executions, the newest first."""
    where = {name: value for name, value in (("workflow", workflow), ("status", status)) if value is not None}
    with log_of() as store:
        rows = store.view("executions", where, order="started_at", descending=True, limit=limit)
        if json:
            print_json({"executions": rows})
            return
        if not rows:
            say("no executions" + (" like that" if where else " yet"))
            return
        shown = [
            (
                row["id"],
                row["workflow"],
                status_text(row["status"]),
                row["started_at"][:19].replace("T", " "),
                _took(row),
                row["waiting_for"] or row["error_type"] or "",
            )
            for row in rows
        ]
        console().print(
            table(None, ("id", "workflow", "status", "started (UTC)", "took", "waits for / error"), shown, "took")
        )
        if len(rows) == limit:
            say(f"the newest {limit}; more with --limit")


def _took(row: dict[str, Any]) -> str:
    from actum.events import to_us

    return duration(to_us(row["ended_at"]) - to_us(row["started_at"])) if row["ended_at"] else "–"


def load(store: EventStore, id_: str) -> list[RecordedEvent]:
    """The events of an execution; raises `UnknownExecution` with a near miss."""
    events = store.read_stream(f"execution/{id_}")
    if not events:
        known = [row["id"] for row in store.view("executions", order="started_at", descending=True, limit=500)]
        raise UnknownExecution(id_, near_miss(id_, known))
    return events


def show(
    id_: Annotated[str, typer.Argument(metavar="ID")],
    at: Annotated[
        int | None, typer.Option("--at", help="The state as of this event of the execution (from 0).")
    ] = None,
    json: Json = False,
) -> None:
    """Show one execution: its state, now or as of any event, and what led there."""
    from actum.engine.state import fold

    with log_of() as store:
        events = load(store, id_)
        if at is not None:
            if not 0 <= at < len(events):
                raise BadInput(f"--at {at}: execution {id_!r} has events 0 to {len(events) - 1}")
            events = events[: at + 1]
        state = fold(id_, events)
        missing = missing_in(store, events)
        if json:
            print_json(_as_json(state, events, missing))
            return
        _as_page(state, events, missing)


def missing_in(store: EventStore, events: list[RecordedEvent]) -> list[Missing]:
    """What was erased of these events, and by whom; the log is asked only when something is missing."""
    from actum.eventstore.erasures import missing_of, read_custody

    if all(event.missing is None for event in events):
        return []
    return missing_of(events, read_custody(store).erasures)


def _as_json(state: Execution, events: list[RecordedEvent], missing: list[Missing]) -> dict[str, Any]:
    import orjson

    from actum.engine.views import execution_row

    end = None if state.end_payload is None else orjson.loads(state.end_payload)
    given = None if state.input is None else orjson.loads(state.input).get("input")
    return {
        "id": state.id,
        **execution_row(state),
        "as_of": events[-1].version,
        "input": given,
        "output": (end or {}).get("output"),
        "error": (end or {}).get("error"),
        "steps": [
            {
                "key": step.key,
                "status": step.status,
                "attempts": step.attempt,
                "compensation": step.compensation,
                "compensated": step.undo or None,
            }
            for step in state.steps.values()
        ],
        "approvals": [
            {"key": a.key, "status": a.status, "by": a.by or None, "comment": a.comment or None}
            for a in state.approvals.values()
        ],
        "uncompensated": state.uncompensated,
        "events": len(events),
        "erased": [
            {
                "version": one.version,
                "type": one.type,
                "part": one.part,
                "at": one.erasure.at,
                "by": one.erasure.by.ref,
                "basis": one.erasure.basis,
            }
            for one in missing
        ],
    }


def _as_page(state: Execution, events: list[RecordedEvent], missing: list[Missing]) -> None:
    import orjson
    from rich.text import Text

    from actum.cli.story import story
    from actum.engine.views import execution_row
    from actum.events import to_us

    out = console()
    row = execution_row(state)
    out.print(Text.assemble((state.id, "bold"), "  ", state.workflow, "  ", status_text(row["status"])))
    started = to_us(state.started_at)
    ended = to_us(state.ended_at) if state.ended_at else None
    about = [f"started {state.started_at[:19].replace('T', ' ')} UTC"]
    if ended is not None:
        about.append(f"took {duration(ended - started)}, {duration(state.active_us)} of it at work")
    if state.owner:
        about.append(f"worker {state.owner}")
    out.print(" · ".join(about), style="dim", markup=False)
    gone = {one.version: str(one) for one in missing}
    if state.input is None and 0 in gone:
        out.print(f"input   {gone[0]}", markup=False)
    if state.input is not None:
        out.print(f"input   {_line(orjson.loads(state.input).get('input'))}", markup=False)
    end_at = next((one.version for one in missing if one.type == f"execution.{state.status}"), None)
    if state.end_payload is None and end_at is not None:
        out.print(f"{'output' if state.status == 'completed' else 'error '}  {gone[end_at]}", markup=False)
    if state.end_payload is not None:
        end = orjson.loads(state.end_payload)
        if "error" in end:
            out.print(f"error   {end['error']['type']}: {end['error']['message']}", style="red", markup=False)
        else:
            out.print(f"output  {_line(end.get('output'))}", markup=False)
    if state.uncompensated:
        out.print(f"NOT UNDONE: {', '.join(state.uncompensated)}", style="bold red", markup=False)
    out.print()
    rows = [
        (
            str(line.version),
            duration(to_us(line.at) - started) if line.at else "",
            line.what,
            line.who,
            ", ".join(filter(None, (line.detail, gone.get(line.version)))),
        )
        for line in story(events)
    ]
    out.print(table(None, ("event", "at", "what happened", "by", "detail"), rows, "event,at"))


def _line(value: Any) -> str:
    import orjson

    text = orjson.dumps(value).decode()
    return text if len(text) <= 160 else text[:157] + "…"
