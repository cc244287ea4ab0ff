"""`actum seal`: sign the log, once or for as long as it runs."""

from __future__ import annotations

from threading import Event
from typing import Annotated

import orjson
import typer

from actum.cli.options import Json, current, log_of
from actum.cli.output import say
from actum.events.checkpoint import Checkpoint

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    app.command("seal")(seal)


def seal(
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on: sign whenever the log has grown, until stopped.")
    ] = False,
    every: Annotated[float, typer.Option(min=0.1, help="With --watch: how often to look, in seconds.")] = 10,
    at_least_every: Annotated[
        float, typer.Option(min=1, help="Sign an idle log too after so many seconds, to say that nothing happened.")
    ] = 3600,
    streams: Annotated[
        bool, typer.Option("--streams", help="Record first where every stream ends, so that its tail can be proved.")
    ] = False,
    json: Json = False,
) -> None:
    """Sign the log's checkpoint. A log that is not the one signed before is refused, with the place of the fork."""
    import time

    from actum.errors import BadInput
    from actum.eventstore.sealing.loop import run_sealer, sign_empty_interval
    from actum.eventstore.sealing.record import seal_streams
    from actum.wiring import sealer

    def clock() -> int:
        return time.time_ns() // 1000

    with log_of() as store:
        signer = sealer(store, current(), from_scratch=watch)
        if signer is None:
            raise BadInput("this store is no file, so its signing key is not beside it; name one with ACTUM_KEY_FILE")
        if not signer.is_watched:
            say("no checkpoint is kept apart from this log, so a fork goes unseen; name a place with ACTUM_CHECKPOINTS")
        if watch:
            run_sealer(
                signer, store, clock, _until_stopped(), every_s=every, at_least_every_s=at_least_every,
                on_signed=lambda checkpoint: _report(checkpoint, checkpoint.size, json=json),
            )  # fmt: skip
            return
        if streams:
            seal_streams(store, clock)
        else:
            sign_empty_interval(store, clock, at_least_every)
        signed = signer.seal()
        _report(signed, store.head(), json=json)


def _report(signed: Checkpoint | None, size: int, *, json: bool) -> None:
    if json:
        root = None if signed is None else signed.root.hex()
        # One line each, so that what watches the watcher can read them as they come.
        typer.echo(orjson.dumps({"signed": signed is not None, "size": size, "root": root}).decode())
    elif signed is None:
        say(f"nothing to sign: all {size:,} events are covered by the last checkpoint")
    else:
        say(f"signed {signed.size:,} events, root {signed.root.hex()[:16]}…")


def _until_stopped() -> Event:
    """Set when the process is told to end, so that what is being signed is finished first."""
    import signal

    stop = Event()
    for told in (signal.SIGTERM, signal.SIGINT):
        signal.signal(told, lambda *_: stop.set())
    return stop
