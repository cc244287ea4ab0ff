"""`actum checkpoint`: what goes to witnesses and time-stamping authorities, what comes back, and new epochs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from actum.cli.options import Json, current, log_of
from actum.cli.output import print_json, say
from actum.events.checkpoint import VerifierKey
from actum.eventstore import EventStore

__all__ = ["register"]

Note = Annotated[
    Path | None, typer.Option("--note", help="Which checkpoint's note, as a file; the last one if absent.")
]


def register(app: typer.Typer) -> None:
    checkpoint = typer.Typer(help="Checkpoints: for witnesses, time stamps, and after a loss.", no_args_is_help=True)
    checkpoint.command("show")(show)
    checkpoint.command("cosigned")(cosigned)
    checkpoint.command("stamp-request")(stamp_request)
    checkpoint.command("stamp")(stamp)
    checkpoint.command("new-epoch")(new_epoch)
    app.add_typer(checkpoint, name="checkpoint")


def show(
    since: Annotated[
        int | None, typer.Option(min=0, help="Print it as a witness takes it: with the proof from this size on.")
    ] = None,
    tiles: Annotated[Path | None, typer.Option(help="Make the proof from this folder of tiles.")] = None,
) -> None:
    """Print the last checkpoint's signed note: what to keep elsewhere, and what others put their names to."""
    from actum.eventstore.sealing.proving import witness_request
    from actum.eventstore.sealing.tile_folder import TileFolder

    with log_of() as store:
        if since is None:
            text = _last(store.checkpoints())
        else:
            text = witness_request(store, since, None if tiles is None else TileFolder(tiles))
    typer.echo(text, nl=False)


def cosigned(
    note: Annotated[Path, typer.Argument(help="The note with the witness's line.")],
    witness: Annotated[list[str], typer.Option(help="The witness's key (text or file); repeatable.")],
) -> None:
    """Record a checkpoint that witnesses cosigned, once their signatures are found right."""
    from actum.events.cosignature import WitnessKey
    from actum.eventstore.sealing.record import record_cosigned
    from actum.wiring import text_of, verifier_keys

    with log_of(writes=True, must_exist=True) as store:
        keys, _ = verifier_keys(store, [], current())
        known = [WitnessKey.from_text(text_of(key)) for key in witness]
        found = record_cosigned(store, _now, _read(note), _followed(store, keys), known)
    say(f"recorded: cosigned by {', '.join(one.by.name for one in found)}")


def stamp_request(
    out: Annotated[Path, typer.Argument(help="Where to write the request (.tsq) for the authority.")],
    note: Note = None,
) -> None:
    """Write an RFC 3161 request over the last checkpoint. Nothing is sent: post the file to your authority."""
    from actum.events import timestamp

    with log_of() as store:
        text = _last(store.checkpoints()) if note is None else _read(note)
    out.write_bytes(timestamp.stamp_request(text))
    out.with_name(f"{out.name}.note").write_text(text)
    say(f"wrote {out}, and {out}.note, the checkpoint that it is over: give it with --note when the answer is there")


def stamp(
    response: Annotated[Path, typer.Argument(help="The authority's response (.tsr).")],
    root: Annotated[list[Path], typer.Option(help="Root certificates (PEM) of the authority; repeatable.")],
    note: Note = None,
) -> None:
    """Record a time stamp, once imprint, signature, certificates and time are found right."""
    from actum.events.times import to_text
    from actum.events.timestamp import load_roots
    from actum.eventstore.sealing.record import record_stamp
    from actum.wiring import bytes_of, verifier_keys

    roots = [one for path in root for one in load_roots(bytes_of(path), str(path))]
    with log_of(writes=True, must_exist=True) as store:
        keys, _ = verifier_keys(store, [], current())
        text = _last(store.checkpoints()) if note is None else _read(note)
        found = record_stamp(store, _now, text, _followed(store, keys), bytes_of(response), roots)
    say(f"recorded: stamped at {to_text(found.at_us)} by {found.authority}")


def new_epoch(
    reason: Annotated[str, typer.Option(help="Why events are lost. It stays in the log for ever.")],
    json: Json = False,
) -> None:
    """Go on signing a log that lost signed events for good, under a new origin; the loss is recorded in the log."""
    from actum.wiring import begin_epoch

    with log_of(must_exist=True) as store:
        fork = begin_epoch(store, current(), reason, _now)
        size, note = store.checkpoints()[-1]
    origin = note.partition("\n")[0]
    lost = {"signed": fork.signed_size, "agrees_to": fork.agrees_to, "size": size, "origin": origin}
    if json:
        print_json(lost)
        return
    say(
        f"{fork.signed_size:,} events were signed, and the log holds them up to size {fork.agrees_to:,}. That is on "
        f"record now, and the log is signed as {origin} from here on: tell your auditors and witnesses."
    )


def _followed(store: EventStore, keys: list[VerifierKey]) -> list[VerifierKey]:
    """The store's own keys, those before and after a rotation too."""
    from actum.events.rotation import follow
    from actum.eventstore.sealing.sealer import origin_of, rotations_in, system_stream

    rotations = rotations_in(store.read_stream(system_stream(store.tenant)), origin_of(store.tenant))
    return list(follow(keys, rotations)[0].spans)


def _last(checkpoints: list[tuple[int, str]]) -> str:
    if not checkpoints:
        from actum.errors import BadInput

        raise BadInput("this log is not signed yet; run `actum seal`")
    return checkpoints[-1][1]


def _read(path: Path) -> str:
    from actum.errors import BadInput
    from actum.wiring import bytes_of

    try:
        return bytes_of(path).decode()
    except UnicodeDecodeError as exc:
        raise BadInput(f"{path}: is no note ({exc})") from exc


def _now() -> int:
    import time

    return time.time_ns() // 1000
