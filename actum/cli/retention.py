"""`actum retention`: how long payloads are kept."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actum.cli.options import Json, log_of
from actum.cli.output import console, how_many, print_json, say, table
from actum.errors import BadInput

if TYPE_CHECKING:
    from actum.eventstore.custody.retaining import RuleState, Standing
    from actum.eventstore.custody.retention import Policy

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    retention = typer.Typer(help="How long payloads are kept.", no_args_is_help=True)
    retention.command("set")(set_)
    retention.command("show")(show)
    retention.command("run")(run)
    app.add_typer(retention, name="retention")


def set_(
    policy: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE | WHAT=TIME …",
            help="A JSON file, or rules like personal=6mo business=7y type:model.called=30d: the whole policy.",
        ),
    ],
    json: Json = False,
) -> None:
    """Put a retention policy in force, in place of the one before. It destroys nothing: `retention run` does."""
    from actum.cli.erase import person
    from actum.eventstore.custody.custodian import set_retention
    from actum.eventstore.custody.retention import Policy

    wanted = Policy.from_words(policy) if any("=" in word for word in policy) else _from_file(policy)
    with log_of(writes=True, must_exist=True) as store:
        set_retention(store, wanted, by=person(), clock=_now_us)
    if json:
        print_json({"policy": wanted.to_json(), "digest": wanted.digest})
    else:
        say(f"{how_many(len(wanted.rules), 'rule')} in force from now on; `actum retention show` says what is due")


def _from_file(words: list[str]) -> Policy:
    import orjson

    from actum.eventstore.custody.retention import Policy
    from actum.wiring import bytes_of

    if len(words) != 1:
        raise BadInput("name one file, or say rules like personal=6mo")
    try:
        value = orjson.loads(bytes_of(Path(words[0])))
    except orjson.JSONDecodeError as exc:
        raise BadInput(f"{words[0]}: is no JSON: {exc}; nothing was changed") from exc
    return Policy.from_json(value, words[0])


def show(json: Json = False) -> None:
    """Show the policy in force, the oldest payload that each rule keeps, and what is due when."""
    from actum.events import to_text
    from actum.eventstore.custody.retaining import look

    with log_of() as store:
        standing = look(store, to_text(_now_us()))
    _tell(standing, json=json)


def run(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go.")] = False,
    json: Json = False,
) -> None:
    """Destroy the payloads past their time that no hold covers. What had not ended keeps its payloads until then."""
    from actum.cli.erase import person
    from actum.events import to_text
    from actum.eventstore.custody.retaining import look, run_retention

    with log_of(writes=not dry_run, must_exist=True) as store:
        if dry_run:
            standing = look(store, to_text(_now_us()))
        else:
            standing = run_retention(store, by=person(), clock=_now_us)
    _tell(standing, json=json, done=not dry_run)


def _tell(standing: Standing, *, json: bool, done: bool = False) -> None:
    if json:
        print_json(_as_json(standing) | ({"erased": sum(one.to_go for one in standing.rules)} if done else {}))
        return
    if standing.policy is None:
        say("no retention policy was set: everything is kept")
        return
    rows = [
        (
            str(one.rule),
            str(one.rule.keep),
            f"{one.kept:,}",
            _day(one.oldest),
            _day(one.next_due),
            f"{one.to_go:,}",
            f"{one.held:,}",
            f"{len(one.spared):,}",
        )
        for one in standing.rules
    ]
    columns = ("payloads", "kept for", "there", "oldest", "next due", "erased" if done else "due", "held", "running")
    console().print(table(None, columns, rows, right="there,erased,due,held,running"))
    if standing.without_rule:
        say(f"{how_many(standing.without_rule, 'payload')} without a rule: kept")


def _day(instant: str | None) -> str:
    return "–" if instant is None else instant[:10]


def _as_json(standing: Standing) -> dict[str, Any]:
    policy = standing.custody.policy
    return {
        "policy": None if standing.policy is None else standing.policy.to_json(),
        "since": None if policy is None else policy.at,
        "by": None if policy is None else policy.by.ref,
        "digest": None if policy is None else policy.digest,
        "rules": [_rule(one) for one in standing.rules],
        "without_rule": standing.without_rule,
    }


def _rule(one: RuleState) -> dict[str, Any]:
    return {
        "rule": str(one.rule),
        "keep": str(one.rule.keep),
        "there": one.kept,
        "oldest": one.oldest,
        "next_due": one.next_due,
        "due": one.to_go,
        "held": one.held,
        "running": [stream.removeprefix("execution/") for stream in one.spared],
    }


def _now_us() -> int:
    return time.time_ns() // 1000
