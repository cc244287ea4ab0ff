"""`actum verify`: prove the whole store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from actum.cli.options import Json, current, log_of
from actum.cli.output import console, how_many, print_json, progress, table
from actum.errors import BadInput

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
    rotation: Annotated[
        list[Path] | None,
        typer.Option(help="With --proof: the proof of a key rotation between the key and the proof; repeatable."),
    ] = None,
    archive: Annotated[
        str | None, typer.Option(metavar="PLACE", help="Check the archive there, too: a folder, or s3://bucket/prefix.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="How many processes check a long log. Default: one for each core.")
    ] = None,
    json: Json = False,
) -> None:
    """Check bytes, chains, tree, signatures, time stamps and views; name the first wrong event, and exit with 1."""
    if proof is not None:
        from actum.cli.proof import check_proof

        check_proof(proof, key or [], rotation or [], witness or [], json=json)
        return
    if rotation:
        raise BadInput("--rotation goes with --proof: a whole log holds its rotations itself")
    from actum.eventstore.check.store import check_store
    from actum.eventstore.check.workers import Workers
    from actum.wiring import archive_at, rebuild_views, trusted, verifier_keys

    place = None if archive is None else archive_at(archive)
    jobs = jobs or os.cpu_count() or 1
    outside = [] if checkpoint is None else [_kept(checkpoint)]
    with log_of() as store, Workers(jobs) as workers, progress("verifying", hidden=json) as bar:
        keys, origin = verifier_keys(store, key or [], current())
        task = bar.add_task("log", total=store.head())
        found = check_store(
            store,
            keys=keys,
            outside=outside,
            trusted=trusted(store, current(), witness or [], tsa_root or []),
            rebuild=rebuild_views,
            workers=workers if jobs > 1 else None,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
        if place is not None:
            from actum.archive import check_archive, with_archive

            files = bar.add_task("archive", total=None)
            archived = check_archive(
                place,
                store.tenant,
                keys,
                store=store,
                workers=workers if jobs > 1 else None,
                progress=lambda done, total: bar.update(files, completed=done, total=total),
            )
            found = with_archive(found, archived)
    answer = found.to_json() | {"keys": origin}
    if json:
        print_json(answer)
    else:
        page(answer)
    raise typer.Exit(1 if answer["verdict"] == "failed" else 0)


def _kept(path: Path) -> str:
    from actum.errors import CheckpointRefused
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
    size = f"{how_many(answer['events'], 'event')}, root {answer['root'][:16]}…" if answer["events"] else "no events"
    out.print(_VERDICT[answer["verdict"]], Text(size, style="dim"))
    for what, ok in (("wrong", False), ("stated and not proved", None)):
        names = [check["name"] for check in answer["checks"] if check["ok"] is ok]
        if names:
            out.print(f"{what}: {', '.join(names)}", markup=False)
    bad = answer["first_bad"]
    if bad is not None:
        where = "" if bad["stream"] is None else f", {bad['stream']} version {bad['version']}"
        out.print(f"first wrong event: position {bad['position']}{where}: {bad['reason']}", style="red", markup=False)
    if answer["keys"] == "beside the store":
        out.print(
            "The key was not given but found beside the store. Who could change the store could change it too: keep "
            "the verifier key elsewhere and pass it with --key.",
            style="dim",
        )
