"""`actum executions`: what ran, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from actum.cli import control
from actum.cli.options import Json, current, log_of
from actum.cli.output import console, duration, print_json, say, status_text, table
from actum.errors import BadInput, UnknownExecution, near_miss

if TYPE_CHECKING:
    from actum.engine.rules.calls import Heard
    from actum.engine.rules.state import Execution
    from actum.engine.rules.usage import Spent
    from actum.events import RecordedEvent
    from actum.eventstore import EventStore
    from actum.eventstore.custody.erasures import Missing

__all__ = ["attributes_of", "load", "missing_in", "register"]


def register(app: typer.Typer) -> None:
    executions = typer.Typer(help="What ran, and what became of it.", no_args_is_help=True)
    executions.command("list")(list_)
    executions.command("show")(show)
    control.register(executions)
    executions.command("signal")(signal)
    app.add_typer(executions, name="executions")


def list_(
    workflow: Annotated[str | None, typer.Option(help="Only this workflow.")] = None,
    status: Annotated[str | None, typer.Option(help="Only this status, e.g. failed or waiting.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Only with this tag. Repeatable: with all of them.")] = None,
    attribute: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Only with this attribute. Repeatable.")
    ] = None,
    priority: Annotated[int | None, typer.Option(help="Only of this priority.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 50,
    json: Json = False,
) -> None:
    """List executions, the newest first. What is asked for must hold together."""
    from actum.eventstore import Holding

    where: dict[str, Any] = {
        name: value for name, value in (("workflow", workflow), ("status", status)) if value is not None
    }
    if priority is not None:
        where["priority"] = priority or (None, 0)
    if tag or attribute:
        where["labels"] = Holding(tuple(f"\n{label}\n" for label in (*(tag or ()), *map(_attribute, attribute or ()))))
    with log_of() as store:
        rows = store.view("executions", where, order="started_at", descending=True, limit=limit)
        if json:
            print_json({"executions": [_labelled(row) for row in rows]})
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


def _attribute(word: str) -> str:
    from actum.engine.rules.views import label_of

    return label_of(*next(iter(attributes_of([word]).items())))


def attributes_of(words: list[str]) -> dict[str, str | int | bool]:
    """What is written `NAME=VALUE`: true, false and whole numbers are what they look like, all else is text."""
    found: dict[str, str | int | bool] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise BadInput(f"--attribute: {word!r} is not NAME=VALUE")
        if text in ("true", "false"):
            found[name] = text == "true"
        elif text.removeprefix("-").isdecimal() and text.isascii() and str(int(text)) == text:
            found[name] = int(text)
        else:
            found[name] = text
    return found


def _labelled(row: dict[str, Any]) -> dict[str, Any]:
    """The row as scripts read it: its priority a number, its tags a list, its attributes an object of text."""
    shown = {name: value for name, value in row.items() if name != "labels"}
    lines = (row["labels"] or "").split("\n")[1:-1]
    pairs = (line.partition("=") for line in lines if "=" in line)
    return shown | {
        "priority": row["priority"] or 0,
        "tags": [line for line in lines if "=" not in line],
        "attributes": {name: value for name, _, value in pairs},
    }


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
    from actum.engine.rules.folding import fold

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


def signal(
    id_: Annotated[str, typer.Argument(metavar="ID")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the workflow waits for.")],
    value: Annotated[str, typer.Option(help="JSON; what the workflow gets.")] = "null",
    signal_id: Annotated[str | None, typer.Option(help="Your own id of it: the same one again sends nothing.")] = None,
    by: Annotated[str | None, typer.Option(help="Who sends: a reference. Default: ACTUM_PERSON, or the login.")] = None,
    json: Json = False,
) -> None:
    """Send a signal to an execution, whether or not it waits for one. Whoever runs it hears of it."""
    import orjson

    from actum.engine.runtime.ports import World
    from actum.engine.runtime.signals import send_signal
    from actum.events import Actor

    try:
        parsed = orjson.loads(value)
    except ValueError as exc:
        raise BadInput(f"--value {value}: is no JSON ({exc}); text goes in quotes: --value '\"text\"'") from None
    sender = Actor("person", by or current().person)
    with log_of(writes=True) as store:
        at = send_signal(store, World(), id_, name, parsed, signal_id=signal_id, by=sender)
        events = store.stream_version(f"execution/{at}")
    if json:
        print_json({"execution": at, "signal": name, "by": sender.ref, "events": events})
    else:
        say(f"signal {name} recorded; unless a worker is running it, go on with: actum resume {at}")


def missing_in(store: EventStore, events: list[RecordedEvent]) -> list[Missing]:
    """What was erased of these events, and by whom; the log is asked only when something is missing."""
    from actum.eventstore.custody.erasures import missing_of, read_custody

    if all(event.missing is None for event in events):
        return []
    return missing_of(events, read_custody(store).erasures)


def _as_json(state: Execution, events: list[RecordedEvent], missing: list[Missing]) -> dict[str, Any]:
    import orjson

    from actum.engine.rules.usage import spent_facts
    from actum.engine.rules.views import execution_row

    end = None if state.end_payload is None else orjson.loads(state.end_payload)
    given = None if state.input is None else orjson.loads(state.input).get("input")
    return {
        "id": state.id,
        **_labelled(execution_row(state)),
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
        "used": spent_facts(state.spent) or None,
        "unread_signals": [
            {"signal": heard.name, "value": heard.value, "version": int(key[1:])} for key, heard in _unread(state)
        ],
        "parent": state.parent,
        "children": [
            {"key": child.key, "execution": child.execution, "outcome": child.outcome or None}
            for child in state.children.values()
        ],
        "previous": state.previous,
        "first": state.first,
        "next": state.next,
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


def _unread(state: Execution) -> list[tuple[str, Heard]]:
    """Signals that nothing has read, in the order in which they came."""
    return [(key, heard) for key, heard in state.heard.items() if key in state.unread(heard.name)]


def _as_page(state: Execution, events: list[RecordedEvent], missing: list[Missing]) -> None:
    import orjson
    from rich.text import Text

    from actum.cli.story import story
    from actum.engine.rules.views import execution_row
    from actum.events import to_us

    out = console()
    row = execution_row(state)
    out.print(Text.assemble((state.id, "bold"), "  ", state.workflow, "  ", status_text(row["status"])))
    started = to_us(state.started_at)
    ended = to_us(state.ended_at) if state.ended_at else None
    about = [f"started {state.started_at[:19].replace('T', ' ')} UTC"]
    if ended is not None:
        about.append(f"took {duration(ended - started)}, {duration(state.active_us)} of it at work")
    if state.definition is not None and state.kind == "graph":
        about.append(f"definition {state.definition[:19]}")
    if state.owner:
        about.append(f"worker {state.owner}")
    out.print(" · ".join(about), style="dim", markup=False)
    kin = [f"{word} {id_}" for word, id_ in (("child of", state.parent), ("goes on from", state.previous)) if id_]
    kin += [f"goes on as {state.next}"] if state.next else []
    kin += [f"started {child.execution} ({child.outcome or 'running'})" for child in state.children.values()]
    if kin:
        out.print(" · ".join(kin), style="dim", markup=False)
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
    for _, heard in _unread(state):
        out.print(f"unread signal {heard.name}  {_line(heard.value)}", style="yellow", markup=False)
    if state.spent is not None:
        out.print(f"used    {_used(state.spent)}", markup=False)
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


def _used(spent: Spent) -> str:
    """What it has used of models, as steps have reported it: unknown is said, and is never 0."""
    parts = [
        "no tokens reported" if spent.input_tokens is None else f"{spent.input_tokens:,} tokens in",
        *([] if spent.output_tokens is None else [f"{spent.output_tokens:,} out"]),
    ]
    if spent.cost_unknown:
        parts.append(f"cost unknown ({spent.cost_unknown} has not said)")
    elif spent.cost_nanousd is not None:
        parts.append(f"${spent.cost_nanousd / 1e9:,.6f}")
    kept = spent.reserved["tokens"], spent.reserved["cost_nanousd"]
    if any(kept):
        parts.append(f"kept for what is under way: {kept[0]:,} tokens, ${kept[1] / 1e9:,.6f}")
    return ", ".join(parts)


def _line(value: Any) -> str:
    import orjson

    text = orjson.dumps(value).decode()
    return text if len(text) <= 160 else text[:157] + "…"
