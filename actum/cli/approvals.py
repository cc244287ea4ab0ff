"""`actum approvals`: the questions that wait, and their answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from actum.cli.options import Json, current, log_of
from actum.cli.output import console, duration, print_json, say, status_text, table

if TYPE_CHECKING:
    from actum.eventstore import EventStore

__all__ = ["register"]

Which = Annotated[str | None, typer.Argument(metavar="[APPROVAL]", help="Which question, when several wait.")]
By = Annotated[str | None, typer.Option(help="Who decides: a reference. Default: ACTUM_PERSON, or the login.")]
Comment = Annotated[str, typer.Option(help="Why; goes into the record.")]


def register(app: typer.Typer) -> None:
    approvals = typer.Typer(help="The questions that wait for people, and their answers.", no_args_is_help=True)
    approvals.command("list")(list_)
    approvals.command("show")(show)
    approvals.command("approve")(approve)
    approvals.command("reject")(reject)
    app.add_typer(approvals, name="approvals")


def list_(all_: Annotated[bool, typer.Option("--all", help="Answered ones too.")] = False, json: Json = False) -> None:
    """Show the inbox: who asks what, how long it has waited, and what happens at the deadline."""
    with log_of() as store:
        rows = store.view("approvals", None if all_ else {"status": "waiting"}, order="requested_at")
        found = [row | {"title": _asked(store, row).get("title")} for row in rows]
        if json:
            print_json({"approvals": found})
            return
        if not found:
            say("nothing waits for an answer")
            return
        shown = [
            (
                row["execution"],
                row["approval"],
                row["title"] or "",
                row["severity"],
                status_text(row["status"]),
                _since(row["requested_at"]),
                row["deadline"][:19].replace("T", " ") + " → expires, which means no" if row["deadline"] else "–",
            )
            for row in found
        ]
        columns = ("execution", "approval", "question", "severity", "status", "asked", "deadline (UTC)")
        console().print(table(None, columns, shown))


def _asked(store: EventStore, row: dict[str, Any]) -> dict[str, Any]:
    events = store.read_stream(f"execution/{row['execution']}", row["version"], row["version"] + 1)
    value = events[0].value() if events else None
    return value if isinstance(value, dict) else {}


def _since(at: str) -> str:
    import time

    from actum.events import to_us

    return f"{duration(max(0, time.time_ns() // 1000 - to_us(at)))} ago"


def show(
    execution: Annotated[str, typer.Argument(metavar="EXECUTION")], approval: Which = None, json: Json = False
) -> None:
    """Show a question exactly as it was put, with the digest that an answer is bound to."""
    import orjson

    from actum.cli.executions import load, missing_in
    from actum.engine.rules.folding import fold
    from actum.engine.runtime.approvals import pick_approval

    with log_of() as store:
        events = load(store, execution)
        state = fold(execution, events)
        key = pick_approval(state, approval)
        asked = events[state.approvals[key].version]
        value = asked.value() or {}
        erased = next(map(str, missing_in(store, [asked])), None)
        about = {
            "execution": execution,
            "workflow": state.workflow,
            "approval": key,
            "status": state.approvals[key].status,
            "title": value.get("title"),
            "context": value.get("context"),
            "severity": asked.facts["severity"],
            "requested_at": asked.at,
            "deadline": asked.facts.get("deadline"),
            "shown": state.approvals[key].shown,
            "by": state.approvals[key].by or None,
            "comment": state.approvals[key].comment or None,
            "erased": erased,
        }
        if json:
            print_json(about)
            return
        out = console()
        out.print(erased or str(about["title"]), style="bold", markup=False)
        out.print(f"{execution} · {state.workflow} · {key} · severity {about['severity']}", style="dim", markup=False)
        out.print(orjson.dumps(about["context"], option=orjson.OPT_INDENT_2).decode(), markup=False)
        out.print(f"shown as {about['shown']}", style="dim", markup=False)
        out.print(status_text(str(about["status"])), f"asked {_since(asked.at)}")
        if about["status"] == "waiting":
            say(f"answer with: actum approvals approve {execution}   or: actum approvals reject {execution}")


def approve(
    execution: Annotated[str, typer.Argument(metavar="EXECUTION")],
    approval: Which = None,
    by: By = None,
    comment: Comment = "",
    json: Json = False,
) -> None:
    """Say yes. The answer is bound to what was shown."""
    _answer(execution, approval, True, by, comment, json)


def reject(
    execution: Annotated[str, typer.Argument(metavar="EXECUTION")],
    approval: Which = None,
    by: By = None,
    comment: Comment = "",
    json: Json = False,
) -> None:
    """Say no. The workflow sees the rejection; what was done before is compensated if it fails of it."""
    _answer(execution, approval, False, by, comment, json)


def _answer(execution: str, approval: str | None, granted: bool, by: str | None, comment: str, json: bool) -> None:
    from actum.engine.runtime.approvals import answer_approval
    from actum.engine.runtime.ports import World

    person = by or current().person
    with log_of(writes=True) as store:
        key = answer_approval(store, World(), execution, approval, granted=granted, by=person, comment=comment)
        events = store.stream_version(f"execution/{execution}")
    status = "granted" if granted else "rejected"
    if json:
        print_json({"execution": execution, "approval": key, "status": status, "by": person, "events": events})
    else:
        console().print(status_text(status), f"{key} by {person}")
        say(f"recorded; unless a worker is running it, go on with: actum resume {execution}")
