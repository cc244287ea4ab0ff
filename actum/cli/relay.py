"""`actum relay`: the log's events for other systems."""

from __future__ import annotations

import signal
import time
from threading import Event
from typing import Annotated, Any

import typer

from actum.cli.options import Json, current, log_of
from actum.cli.output import console, duration, how_many, print_json, say, table

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    relay = typer.Typer(help="The log's events for other systems.", no_args_is_help=True)
    relay.command("run")(run)
    relay.command("status")(status)
    relay.command("deliveries")(deliveries)
    app.add_typer(relay, name="relay")


def run(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET-URL",
            help="nats://HOST:PORT/SUBJECT, redis://HOST:PORT/DB?stream=KEY, or the http(s):// URL of a webhook, "
            "whose messages are signed with ACTUM_WEBHOOK_SECRET.",
        ),
    ],
    name: Annotated[
        str | None, typer.Option(help="Under which name it remembers where it is. Default: the target, no secrets.")
    ] = None,
    types: Annotated[list[str] | None, typer.Option("--types", help="Only these types; may be repeated.")] = None,
    first: Annotated[
        int | None, typer.Option("--from", min=0, help="Where a new relay begins: a position. Default: 0.")
    ] = None,
    personal: Annotated[
        bool, typer.Option("--personal", help="Send personal payloads too; they are withheld otherwise.")
    ] = False,
    attempts: Annotated[
        int, typer.Option(min=1, help="How often an event that fails is tried before it becomes a dead letter.")
    ] = 12,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for the target's answer.")] = 10.0,
    once: Annotated[bool, typer.Option("--once", help="Deliver what there is now, and end.")] = False,
) -> None:
    """Deliver every event, in the order of its stream and at least once, now and as they come, until interrupted."""
    from functools import partial

    from actum.relay import Relay, open_target
    from actum.relay.registry import TargetOptions
    from actum.relay.target import without_secrets
    from actum.wiring import relay_ledger

    settings = current()
    called = name or without_secrets(target)
    with log_of() as store:
        ledger = relay_ledger(settings)
        options = TargetOptions(
            called, settings.tenant, timeout, settings.webhook_secret, partial(ledger.delivered, called)
        )
        there = open_target(target, options)
        try:
            relay = Relay(store, called, there, ledger, types=types, first=first, personal=personal, attempts=attempts)
            if once:
                say(f"{how_many(relay.deliver_all(), 'event')} delivered to {there.name}")
                return
            say(f"delivering to {there.name}; interrupt to end")
            relay.run(_until_told())
            say("ended; the next one goes on from here")
        finally:
            there.close()


def status(json: Json = False) -> None:
    """Show each relay: where it is, how far behind, and what went wrong last (exit code 1 when one does not work).

    One whose next events have left for an archive that is not at hand is in the state `archived`.
    """
    from actum.errors import EventsArchived
    from actum.events import to_text
    from actum.eventstore.subscriptions.consumer import START
    from actum.eventstore.subscriptions.subscription import Wanted, lag_behind
    from actum.wiring import has_relays, relay_ledger

    now_us = time.time_ns() // 1000
    with log_of() as store:
        head = store.head()
        found: list[dict[str, Any]] = []
        ledger = relay_ledger(current()) if has_relays(current()) else None
        for relay in ledger.relays() if ledger is not None else ():
            assert ledger is not None
            mark = ledger.cursors.load(relay.name) or START
            state, problem, problem_us = relay.state, relay.problem, relay.problem_us
            pending_s: float | None = None
            try:
                pending_s = lag_behind(store, mark, Wanted(relay.types), now_us).oldest_pending_s
            except EventsArchived as exc:
                state, problem, problem_us = "archived", str(exc), None
            found.append(
                {
                    "name": relay.name,
                    "target": relay.target,
                    "types": None if relay.types is None else list(relay.types),
                    "state": state,
                    "position": mark.position,
                    "lag": max(0, head - 1 - mark.position),
                    "oldest_pending_s": pending_s,
                    "failures": relay.failures,
                    "last_error": problem,
                    "last_error_at": None if problem_us is None else to_text(problem_us),
                }
            )
    if json:
        print_json({"head": head, "relays": found})
    elif not found:
        say("no relays; `actum relay run TARGET-URL` starts one")
    else:
        rows = [
            (
                one["name"],
                one["state"],
                str(one["position"]),
                f"{one['lag']:,}",
                duration(round(one["oldest_pending_s"] * 1_000_000)) if one["oldest_pending_s"] else "–",
                _last_error(one),
            )
            for one in found
        ]
        columns = ("relay", "state", "position", "lag", "oldest pending", "last error (UTC)")
        console().print(table(None, columns, rows, right="position,lag,oldest pending", whole="state,position,lag"))
    raise typer.Exit(0 if all(one["state"] == "working" for one in found) else 1)


def _last_error(relay: dict[str, Any]) -> str:
    at = (relay["last_error_at"] or "")[:19].replace("T", " ")
    return f"{at} {relay['last_error']}".strip() if relay["last_error"] else "–"


def deliveries(
    name: Annotated[str, typer.Argument(help="The relay, as `actum relay status` names it.")],
    limit: Annotated[int, typer.Option(min=1, help="So many at the most, the newest first.")] = 100,
    json: Json = False,
) -> None:
    """Show the latest attempts of a relay to a webhook; the last 10,000 are kept."""
    from actum.errors import BadInput, near_miss
    from actum.events import to_text
    from actum.wiring import has_relays, relay_ledger

    with log_of():
        ledger = relay_ledger(current()) if has_relays(current()) else None
        known = [] if ledger is None else [relay.name for relay in ledger.relays()]
        if ledger is None or name not in known:
            raise BadInput(f"there is no relay {name!r}{near_miss(name, known)}")
        made = ledger.deliveries(name, limit)
    if json:
        told = [{"at": to_text(one.at_us), **one._asdict()} for one in made]
        print_json({"relay": name, "deliveries": told})
        return
    if not made:
        say("no attempts; only those to webhooks are kept")
        return
    rows = [
        (
            to_text(one.at_us)[:23].replace("T", " "),
            str(one.position),
            one.event,
            str(one.attempt),
            one.outcome,
            "–" if one.status is None else str(one.status),
            duration(one.duration_us),
            one.problem or "–",
        )
        for one in made
    ]
    columns = ("at (UTC)", "position", "event", "attempt", "outcome", "answer", "took", "problem")
    console().print(table(None, columns, rows, right="position,attempt,answer,took", whole="at (UTC),event"))


def _until_told() -> Event:
    """Set by the first interrupt or termination; the second one ends the process as ever."""
    stop = Event()

    def told(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, told)
    return stop
