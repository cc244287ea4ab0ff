"""`actum schedules`: workflows that begin by themselves."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actum.cli.options import Json, current, log_of
from actum.cli.output import console, how_many, print_json, say, status_text, table
from actum.errors import BadInput, ProfileError

if TYPE_CHECKING:
    from actum.engine.schedules.control import Schedules
    from actum.engine.schedules.state import ScheduleState
    from actum.eventstore import EventStore

__all__ = ["register"]

Name = Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name.")]
By = Annotated[str | None, typer.Option(help="Who does it: a reference. Default: ACTUM_PERSON, or the login.")]


def register(app: typer.Typer) -> None:
    schedules = typer.Typer(help="Workflows that begin by themselves.", no_args_is_help=True)
    schedules.command("define")(define)
    schedules.command("list")(list_)
    schedules.command("show")(show)
    schedules.command("next")(next_)
    schedules.command("pause")(pause)
    schedules.command("resume")(resume)
    schedules.command("remove")(remove)
    schedules.command("trigger")(trigger)
    schedules.command("backfill")(backfill)
    schedules.command("run")(run)
    app.add_typer(schedules, name="schedules")


def define(
    name: Name,
    workflow: Annotated[
        str, typer.Argument(metavar="WORKFLOW", help="MODULE:NAME, a graph's file, or a workflow that was published.")
    ],
    input_: Annotated[str, typer.Option("--input", help="What each execution gets: JSON, @FILE, or -.")] = "null",
    cron: Annotated[str | None, typer.Option(help="Minute, hour, day, month, weekday; or @daily and its like.")] = None,
    every: Annotated[str | None, typer.Option(help="An interval, such as 15m.")] = None,
    on: Annotated[
        str | None, typer.Option(help="A type of event, such as execution.failed: each is an occasion.")
    ] = None,
    fact: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Only events with this fact. Repeatable.")
    ] = None,
    zone: Annotated[str, typer.Option(help="Whose clocks --cron means: an IANA time zone.")] = "UTC",
    start: Annotated[str | None, typer.Option(help="Nothing before this time, and where --every counts from.")] = None,
    end: Annotated[str | None, typer.Option(help="Nothing after this time.")] = None,
    jitter: Annotated[str | None, typer.Option(help="Begin later by up to so much, each time by another part.")] = None,
    missed: Annotated[
        str | None, typer.Option(help="How many that nobody began in time begin later: skip, one (default) or all.")
    ] = None,
    catch_up: Annotated[str, typer.Option(help="What is later than this is missed for good.")] = "24h",
    overlap: Annotated[
        str | None,
        typer.Option(
            help="While an earlier one runs: skip (default), buffer_one, allow, cancel_other, terminate_other."
        ),
    ] = None,
    max_running: Annotated[int | None, typer.Option(help="How many may run at the same time.")] = None,
    by: By = None,
    json: Json = False,
) -> None:
    """Have a workflow begin by itself. The same definition again changes nothing; another one holds from now on."""
    from actum.cli.run import _code, _input
    from actum.engine import Engine

    path = Path(workflow)
    is_code = ":" in workflow or path.exists() or workflow.endswith((".json", ".yaml", ".yml"))
    code = (_code(workflow, {}, {}) if is_code else None) or workflow
    given = _input(input_)
    when: dict[str, Any] = {
        "cron": cron,
        "every": every,
        "on": on,
        "on_facts": dict(_fact(one) for one in fact or ()),
        "zone": zone,
        "start": start,
        "end": end,
        "jitter": jitter,
        "missed": missed,
        "catch_up": catch_up,
        "overlap": overlap,
        "max_running": max_running,
    }
    with log_of(writes=True) as store:

        async def defined() -> bool:
            async with Engine(store) as engine:
                return await engine.schedule(name, code, given, **when, by=by or current().person)

        changed = asyncio.run(defined())
        state = _schedules(store, by).one(name)
        if json:
            print_json(_about(state) | {"changed": changed})
            return
    say(f"{name} is defined" if changed else f"{name} was defined so already; nothing was written")
    for line in _times(state, 1):
        say(f"next: {line}; somebody must carry it out: actum worker, or actum schedules run")


def _fact(text: str) -> tuple[str, str | int | bool]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise BadInput(f"--fact: {text!r} is not NAME=VALUE")
    if value in ("true", "false"):
        return name, value == "true"
    return name, int(value) if value.isascii() and value.isdigit() else value


def list_(json: Json = False) -> None:
    """Show every schedule: when it is due next, and what became of the last times."""
    with log_of() as store:
        states = _schedules(store, None).all()
    if json:
        print_json({"schedules": [_about(state) for state in states]})
        return
    if not states:
        say("there is no schedule here")
        return
    rows = [
        (
            state.name,
            state.schedule.workflow if state.schedule else "",
            _when(state),
            status_text("running" if state.status == "active" else state.status),
            next(iter(_times(state, 1)), "–") if state.status == "active" else "–",
            f"{state.fired:,}",
            f"{state.missed:,}",
            state.last_execution or "–",
        )
        for state in states
    ]
    columns = ("schedule", "workflow", "when", "status", "next (UTC)", "begun", "missed", "last")
    console().print(table(None, columns, rows, right="begun,missed"))


def show(name: Name, json: Json = False) -> None:
    """Show one schedule: its definition, and what its stream says of the last times."""
    with log_of() as store:
        state = _schedules(store, None).one(name)
        past = [_told(event) for event in store.read_stream(state.stream)[-20:]]
    if json:
        print_json(_about(state) | {"past": past})
        return
    out = console()
    out.print(f"{name} · {_when(state)} · {state.status}", markup=False, style="bold")
    out.print_json(data=_about(state)["definition"])
    out.print(table("the last of its events", ("at (UTC)", "event", "facts"), [tuple(one.values()) for one in past]))


def _told(event: Any) -> dict[str, str]:
    facts = " ".join(f"{key}={value}" for key, value in event.facts.items() if key != "schedule")
    return {"at": event.at[:19].replace("T", " "), "event": event.type, "facts": facts}


def next_(
    name: Name,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=1000, help="How many times.")] = 5,
    json: Json = False,
) -> None:
    """Show when a schedule is due next, jitter included."""
    with log_of() as store:
        state = _schedules(store, None).one(name)
    times = _times(state, count)
    if json:
        print_json({"schedule": name, "next": times})
        return
    for line in times:
        console().print(line, markup=False)
    if not times:
        say(f"no time will come: {_when(state)}")


def pause(
    name: Name,
    reason: Annotated[str, typer.Option(help="Why; goes into the record.")] = "",
    by: By = None,
    json: Json = False,
) -> None:
    """Begin nothing of it until it is resumed. What runs goes on."""
    _change(name, "pause", "is paused", by, json, reason)


def resume(name: Name, by: By = None, json: Json = False) -> None:
    """Go on with what is due from now on."""
    _change(name, "resume", "goes on", by, json)


def remove(name: Name, by: By = None, json: Json = False) -> None:
    """Begin nothing of it any more. Its past stays in the log."""
    _change(name, "remove", "is removed", by, json)


def _change(name: str, what: str, said: str, by: str | None, json: bool, *more: str) -> None:
    with log_of(writes=True, must_exist=True) as store:
        changed = getattr(_schedules(store, by), what)(name, *more)
    if json:
        print_json({"schedule": name, "done": what, "changed": changed})
    else:
        say(f"{name} {said}" if changed else f"{name} {said} already; nothing was written")


def trigger(name: Name, json: Json = False) -> None:
    """Begin one of its executions now, whatever else runs; whoever carries executions out runs it."""
    from actum.engine import Engine
    from actum.engine.schedules.scheduler import Scheduler

    with log_of(writes=True, must_exist=True) as store:

        async def triggered() -> str:
            async with Engine(store) as engine:
                return await Scheduler(engine).trigger(name)

        id_ = asyncio.run(triggered())
    if json:
        print_json({"schedule": name, "execution": id_})
    else:
        console().print(id_, markup=False)
        say(f"begun; unless a worker is running, go on with: actum resume {id_}")


def backfill(
    name: Name,
    from_: Annotated[str, typer.Option("--from", help="The first time, such as 2026-11-20T00:00:00Z.")],
    to: Annotated[str, typer.Option("--to", help="The last one.")],
    json: Json = False,
) -> None:
    """Begin the executions of times that have passed, where they are not there. Whoever runs executions runs them."""
    from actum.engine import Engine
    from actum.engine.schedules.scheduler import Scheduler

    from_us, to_us = _instant("--from", from_), _instant("--to", to)
    with log_of(writes=True, must_exist=True) as store:

        async def filled() -> tuple[list[str], list[str]]:
            async with Engine(store) as engine:
                return await Scheduler(engine).backfill(name, from_us, to_us)

        begun, there = asyncio.run(filled())
    if json:
        print_json({"schedule": name, "begun": begun, "already_there": there})
        return
    for id_ in begun:
        console().print(id_, markup=False)
    say(f"{how_many(len(begun), 'execution')} begun, {len(there):,} already there; go on with: actum resume")


def run(
    once: Annotated[bool, typer.Option("--once", help="Carry out what is due now, see it through, and end.")] = False,
    json: Json = False,
) -> None:
    """Carry schedules out, and run what they begin, until interrupted. Several processes may do it at the same time."""
    from actum.engine import Engine
    from actum.engine.schedules.scheduler import Scheduler

    with log_of(writes=True, must_exist=True) as store:

        async def carried_out() -> list[dict[str, str]]:
            async with Engine(store) as engine:
                if not once:
                    await engine.run_schedules()
                handles = await Scheduler(engine).turn()
                waiting = await asyncio.gather(*[handle.wait_asking() for handle in handles])
                return [
                    {"id": handle.id, "status": "waiting" if waits else _status(store, handle.id)}
                    for handle, waits in zip(handles, waiting, strict=True)
                ]

        ended = asyncio.run(carried_out())
    if json:
        print_json({"begun": ended})
        return
    for one in ended:
        console().print(one["id"], status_text(one["status"]))
    if not ended:
        say("nothing was due")


def _status(store: EventStore, id_: str) -> str:
    return str(store.view("executions", {"id": id_})[0]["status"])


def _schedules(store: EventStore, by: str | None) -> Schedules:
    from actum.engine.runtime.ports import World
    from actum.engine.schedules.control import Schedules
    from actum.events import Actor

    return Schedules(store, World(), Actor("person", by or current().person))


def _about(state: ScheduleState) -> dict[str, Any]:
    from actum.events import to_text

    schedule = state.schedule
    assert schedule is not None
    return {
        "schedule": state.name,
        "status": state.status,
        "workflow": schedule.workflow,
        "when": _when(state),
        "next": next(iter(_times(state, 1)), None) if state.status == "active" else None,
        "begun": state.fired,
        "missed": state.missed,
        "last_execution": state.last_execution,
        "last_due": state.last_due,
        "buffered": None if state.buffered_us is None else to_text(state.buffered_us),
        "defined_at": state.defined_at,
        "definition": schedule.facts() | {"input": schedule.input},
    }


def _when(state: ScheduleState) -> str:
    schedule = state.schedule
    assert schedule is not None
    if schedule.cron is not None:
        return f"{schedule.cron} {schedule.zone}"
    if schedule.every_us is not None:
        return f"every {schedule.every_us / 1_000_000:g} s"
    return " ".join([f"on {schedule.on}", *(f"{fact}={value}" for fact, value in schedule.on_facts.items())])


def _times(state: ScheduleState, count: int) -> list[str]:
    from itertools import islice

    from actum.engine.runtime.ports import World
    from actum.engine.schedules.times import begins_at, occurrences
    from actum.events import to_text

    schedule = state.schedule
    assert schedule is not None
    after_us = max(state.done_us, World().now_us())
    return [to_text(begins_at(schedule, due_us)) for due_us in islice(occurrences(schedule, after_us), count)]


def _instant(option: str, text: str) -> int:
    from actum.events import parse_instant

    try:
        return parse_instant(datetime.fromisoformat(text).isoformat(), option)
    except (ProfileError, ValueError) as exc:
        raise BadInput(f"{option}: {exc}") from None
