"""`actum keys`: the key that signs checkpoints, and the key ring that wraps data keys."""

from __future__ import annotations

from typing import Annotated

import typer

from actum.cli.options import Json, current, log_of
from actum.cli.output import how_many, print_json, say

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    keys = typer.Typer(help="The key that signs checkpoints, and the key ring.", no_args_is_help=True)
    keys.command("new")(new)
    keys.command("rotate")(rotate)
    keys.command("show")(show)
    keys.command("rewrap")(rewrap)
    app.add_typer(keys, name="keys")


def new(json: Json = False) -> None:
    """Make the store's first key and print its public half: what others pin. One that is there is left as it is."""
    from actum.errors import BadInput
    from actum.wiring import signing_key, verifier_keys

    with log_of(writes=True) as store:
        there, _ = verifier_keys(store, [], current())
        if there:
            raise BadInput("this store has a key already; replace it with `actum keys rotate`")
        key = signing_key(store, current())
        if key is None:
            raise BadInput("this store is no file; say where its key shall lie with ACTUM_KEY_FILE")
    _print({"key": key.verifier().to_text()}, json=json)


def rotate(json: Json = False) -> None:
    """Hand over to a new key, in an event that both keys sign. Whoever pinned the old one follows by itself."""
    from actum.wiring import rotate_key

    with log_of() as store:
        before, after = rotate_key(store, current())
    _print({"old": before.to_text(), "new": after.to_text()}, json=json)


def show(json: Json = False) -> None:
    """Print the public keys: the one to pin, the one in force now, and which events handed over in between."""
    from actum.errors import BadInput
    from actum.eventstore.sealing.sealer import origin_of, rotations_in, system_stream
    from actum.wiring import signing_key, verifier_keys

    with log_of() as store:
        pinned, _ = verifier_keys(store, [], current())
        if not pinned:
            raise BadInput("this store has no key yet; `actum seal` or `actum keys new` makes one")
        in_force = signing_key(store, current())
        assert in_force is not None  # where its public half lies, it lies
        handed_over = rotations_in(store.read_stream(system_stream(store.tenant)), origin_of(store.tenant))
    keys = {"pinned": pinned[0].to_text(), "in_force": in_force.verifier().to_text()}
    if json:
        print_json(keys | {"rotations": [rotation.position for rotation in handed_over]})
        return
    _print(keys, json=False)
    for rotation in handed_over:
        say(f"rotated   by event {rotation.position}; `actum proof {rotation.position}` proves it")


def rewrap(
    new: Annotated[
        bool, typer.Option("--new", help="By a new key of the key ring, which replaces its old ones.")
    ] = False,
    json: Json = False,
) -> None:
    """Wrap all data keys again by what the key ring (ACTUM_KEY_RING) wraps with now. No payload is written again."""
    from actum.wiring import rewrap_keys

    with log_of(writes=True) as store:
        done = rewrap_keys(store, current(), new=new)
    if json:
        print_json({"rewrapped": done})
    else:
        say(f"{how_many(done, 'data key')} wrapped again")


def _print(said: dict[str, str], *, json: bool) -> None:
    if json:
        print_json(said)
    else:
        for name, text in said.items():
            say(f"{name.replace('_', ' '):<9} {text}")
