"""`actum pools`: what steps share, who has it, and who waits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from actum.cli.options import Json, log_of
from actum.cli.output import console, duration, print_json, say, table

__all__ = ["ResourcesFile", "loaded", "register"]

ResourcesFile = Annotated[
    Path | None,
    typer.Option("--resources", metavar="FILE", help="Pools, rate limits and breakers: YAML or JSON."),
]


def register(app: typer.Typer) -> None:
    app.command("pools")(pools)


def loaded(path: Path | None) -> Any:
    """What the file says; None without a file."""
    if path is None:
        return None
    from actum.engine.resources.load import load_resources

    return load_resources(path)


def pools(resources: ResourcesFile = None, json: Json = False) -> None:
    """Say what steps share: how much is in use, how many wait and how long, and what breakers are open.

    Capacities, rate limits and breakers that never opened are known from the file that workers are given.
    """
    from actum.engine.resources.declared import Resources
    from actum.engine.resources.status import resources_status
    from actum.engine.runtime.ports import World, owners_of

    rules = loaded(resources) or Resources()
    with log_of() as store:
        found = resources_status(store, rules, World().now_us, owners_of(store).alive)
    if json:
        print_json(found)
        return
    if not any(found.values()):
        say("nothing is shared: no pool is in use, and no breaker was ever open")
        return
    _show(found)


def _show(found: dict[str, Any]) -> None:
    out = console()
    if found["pools"]:
        rows = [
            (
                one["pool"],
                _number(one["capacity"], one["unit"]),
                str(one["in_use"]),
                str(one["waiting"]),
                duration(one["longest_wait_us"]),
            )
            for one in found["pools"]
        ]
        columns = ("pool", "capacity", "in use", "waiting", "longest wait")
        out.print(table(None, columns, rows, "capacity,in use,waiting,longest wait"))
    if found["limits"]:
        rows = [
            (
                one["limit"],
                f"{one['count']} per {duration(one['per_us'])}",
                duration(one["next_in_us"]) if one["next_in_us"] else "now",
                str(one["waiting"]),
                duration(one["longest_wait_us"]),
            )
            for one in found["limits"]
        ]
        columns = ("rate limit", "rate", "next", "waiting", "longest wait")
        out.print(table(None, columns, rows, "waiting,longest wait"))
    if found["breakers"]:
        rows = [
            (
                one["breaker"],
                one["state"].replace("_", " "),
                (one["since"] or "–")[:19].replace("T", " "),
                str(one["waiting"]),
                duration(one["longest_wait_us"]),
            )
            for one in found["breakers"]
        ]
        columns = ("breaker", "state", "since (UTC)", "waiting", "longest wait")
        out.print(table(None, columns, rows, "waiting,longest wait"))


def _number(number: int | None, unit: str | None) -> str:
    return "–" if number is None else f"{number:,} {unit}" if unit else f"{number:,}"
