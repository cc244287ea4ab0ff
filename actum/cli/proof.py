"""`actum proof` and `actum tiles`: what others can check without us."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from actum.cli.options import Json, current, log_of
from actum.cli.output import print_json, say

if TYPE_CHECKING:
    from actum.events.tlog_proof import TlogProof

__all__ = ["check_proof", "register"]


def register(app: typer.Typer) -> None:
    app.command("proof")(proof)
    app.command("tiles")(tiles)


def proof(
    event: Annotated[str, typer.Argument(help="A position, STREAM@VERSION, or an event's id.")],
    out: Annotated[Path | None, typer.Option(help="Write the proof to this file instead of stdout.")] = None,
    tiles: Annotated[Path | None, typer.Option(help="Make it from this folder of tiles: no need to read all.")] = None,
) -> None:
    """Print one event's offline proof (C2SP tlog-proof), to be checked with `actum verify --proof`."""
    from actum.eventstore.sealing.proving import find_event, prove_event
    from actum.eventstore.sealing.tile_folder import TileFolder

    with log_of() as store:
        folder = None if tiles is None else TileFolder(tiles)
        text = prove_event(store, find_event(store, event), folder).to_text()
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text)
        say(f"wrote {out}")


def tiles(
    folder: Annotated[Path, typer.Argument(help="The folder; made when it is not there.")],
    check: Annotated[bool, typer.Option("--check", help="Read all of the folder again instead, and prove it.")] = False,
    key: Annotated[list[str] | None, typer.Option("--key", help="With --check: a verifier key to trust.")] = None,
    json: Json = False,
) -> None:
    """Write the log's tree and headers, up to the last checkpoint, as C2SP tlog-tiles; a folder there is extended."""
    from actum.errors import BadInput
    from actum.events.checkpoint import verify
    from actum.eventstore.sealing.tile_folder import TileFolder
    from actum.wiring import key_of

    there = TileFolder(folder)
    if check:
        head = there.check()
        if key:
            verify(there.note() or "", [key_of(one) for one in key], origin=head.origin)
        said = {"size": head.size, "root": head.root.hex(), "signature": "verified" if key else "not checked: no --key"}
    else:
        with log_of() as store:
            signed = store.checkpoints()
            if not signed:
                raise BadInput("this log is not signed yet; run `actum seal`")
            written = there.extend(store, signed[-1][1])
        said = {"size": signed[-1][0], "written": written}
    if json:
        print_json(said)
    else:
        say(f"{folder}: " + ", ".join(f"{name} {value}" for name, value in said.items()))


def check_proof(path: Path, keys: list[str], rotations: list[Path], witnesses: list[str], *, json: bool) -> None:
    """Check a proof without a store; exit code 1 when it does not prove its event."""
    from actum.errors import BadInput, CheckpointRefused
    from actum.events import RecordedEvent, to_text
    from actum.events.cosignature import WitnessKey, open_cosigned
    from actum.events.tlog_proof import trust_with, verify_event
    from actum.eventstore.sealing.sealer import origin_of
    from actum.wiring import key_of, text_of

    if not keys:
        raise BadInput("--proof needs the log's key, from its operator: give it with --key")
    origin = origin_of(current().tenant)
    try:
        given = _proof_in(path, "--proof")
        if given.extra is None:
            raise CheckpointRefused("proof", "holds no header as extra data, so there is no event to prove")
        handed_over = [_proof_in(one, "--rotation") for one in rotations]
        trust = trust_with(map(key_of, keys), handed_over, origin=origin)
        signed = verify_event(given, given.extra, trust, origin=origin)
        cosigned = open_cosigned(given.note, [WitnessKey.from_text(text_of(one)) for one in witnesses])
    except CheckpointRefused as exc:
        if json:
            print_json({"verdict": "failed", "problem": str(exc)})
        else:
            say(f"FAILED: {exc}")
            if not rotations:
                say("When the log's key was rotated in between, give the proof of that event with --rotation.")
        raise typer.Exit(1) from None
    event = RecordedEvent(given.index, given.extra)
    if json:
        seen = [{"name": one.by.name, "at": to_text(one.at_s * 1_000_000)} for one in cosigned]
        found = {"position": given.index, "size": signed.size, "witnesses": seen, "event": event.head}
        print_json({"verdict": "verified", **found})
        return
    say(f"VERIFIED: event {given.index} of {signed.size} of the log {signed.origin}")
    for one in cosigned:
        say(f"cosigned by {one.by.name} at {to_text(one.at_s * 1_000_000)}")
    typer.echo(given.extra.decode())


def _proof_in(path: Path, option: str) -> TlogProof:
    from actum.errors import BadInput
    from actum.events.tlog_proof import TlogProof
    from actum.wiring import bytes_of

    try:
        return TlogProof.from_text(bytes_of(path).decode())
    except UnicodeDecodeError as exc:
        raise BadInput(f"{option} {path}: is no text ({exc})") from exc
