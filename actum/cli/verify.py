"""`actum verify`: prove the whole store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from actum.cli.options import Json, current, log_of
from actum.cli.output import console, print_json, progress, table

__all__ = ["page", "register"]


def register(app: typer.Typer) -> None:
    app.command("verify")(verify)


def verify(
    checkpoint: Annotated[
        Path | None, typer.Option(help="A checkpoint kept from before: the log must still contain it.")
    ] = None,
    key: Annotated[
        list[str] | None, typer.Option("--key", help="A verifier key (text or file) to trust; may be repeated.")
    ] = None,
    witness: Annotated[
        list[str] | None, typer.Option(help="A witness's key (text or file) whose cosignatures to check; repeatable.")
    ] = None,
    tsa_root: Annotated[
        list[Path] | None, typer.Option(help="Root certificates (PEM) of time-stamping authorities; repeatable.")
    ] = None,
    proof: Annotated[
        Path | None, typer.Option(help="Check this one event's proof instead, offline; needs --key, no store.")
    ] = None,
    json: Json = False,
) -> None:
    """Check bytes, chains, tree, signatures, time stamps and views; name the first wrong event, and exit with 1."""
    if proof is not None:
        from actum.cli.proof import check_proof

        check_proof(proof, key or [], witness or [], json=json)
        return
    from actum.eventstore.check import check_store
    from actum.wiring import rebuild_views, trusted, verifier_keys

    with log_of() as store:
        keys, origin = verifier_keys(store, key or [], current())
        beliefs = trusted(store, current(), witness or [], tsa_root or [])
        outside = [] if checkpoint is None else [_kept(checkpoint)]
        with progress("verifying", hidden=json) as bar:
            task = bar.add_task("verify", total=store.head())
            found = check_store(
                store,
                keys=keys,
                outside=outside,
                trusted=beliefs,
                rebuild=rebuild_views,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
    answer = found.to_json() | {"keys": origin}
    if json:
        print_json(answer)
    else:
        page(answer)
    raise typer.Exit(1 if answer["verdict"] == "failed" else 0)


def _kept(path: Path) -> str:
    from actum.errors import BadInput, CheckpointRefused
    from actum.events.checkpoint import parse_unverified

    try:
        note = path.read_text()
        parse_unverified(note)  # whether it is one at all; the check says whether it is true
    except (OSError, UnicodeDecodeError, CheckpointRefused) as exc:
        raise BadInput(f"--checkpoint {path}: {exc}") from exc
    return note


_MARK = {True: Text("✓", style="green"), False: Text("✗", style="bold red"), None: Text("–", style="yellow")}
_VERDICT = {
    "verified": Text("VERIFIED", style="bold green"),
    "verified_with_gaps": Text("VERIFIED, WITH STATED GAPS", style="bold yellow"),
    "failed": Text("FAILED", style="bold red"),
}


def page(answer: dict[str, Any]) -> None:
    """A verification for people."""
    out = console()
    rows = [(_MARK[check["ok"]], check["name"], check["detail"]) for check in answer["checks"]]
    out.print(table(None, ("", "check", "what was found"), rows))
    out.print()
    out.print(
        _VERDICT[answer["verdict"]], Text(f"{answer['events']:,} events, root {answer['root'][:16]}…", style="dim")
    )
    bad = answer["first_bad"]
    if bad is not None:
        where = "" if bad["stream"] is None else f", {bad['stream']} version {bad['version']}"
        out.print(f"first wrong event: position {bad['position']}{where}: {bad['reason']}", style="red", markup=False)
    if answer["keys"] == "beside the store":
        out.print(
            "The key was read from beside the store. Who could change the store could change it too: keep the "
            "verifier key elsewhere and pass it with --key.",
            style="dim",
        )
