"""`actum test simulate`: a workflow through many seeds of everything that can go wrong."""

from __future__ import annotations

import logging
import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from actum.cli.options import Json
from actum.cli.output import console, err, print_json
from actum.errors import BadInput

__all__ = ["register"]

_app = typer.Typer(help="Hold workflows to the promises.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(_app, name="test")


@_app.command("simulate")
def simulate(
    what: Annotated[str, typer.Argument(metavar="FILE|MODULE:NAME", help="A graph (JSON or YAML), or a workflow.")],
    input_: Annotated[str, typer.Option("--input", help="The input: JSON, @FILE, or - for stdin.")] = "null",
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds.")] = 200,
    first: Annotated[int, typer.Option(min=0, help="The first of them.")] = 0,
    seed: Annotated[int | None, typer.Option(help="This seed only.")] = None,
    given: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:NAME", help="A dict of what else `actum.testing.simulate` takes: steps, signals, services…"
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Run a workflow once for each seed, in virtual time, and check the promises P1 to P8 at the end of each.

    Appends are lost or late, workers die and are taken over from, clocks jump, people pause and cancel. Exits with 1 at
    the first seed under which a promise does not hold, and prints the command that makes it happen again.
    """
    from actum.cli.run import _code, _input
    from actum.testing.simulation.simulate import SimulationFailed
    from actum.testing.simulation.simulate import simulate as simulated

    code = _code(what, {}, {})
    if code is None:
        raise BadInput(f"{what!r} is neither a file nor of the form module:name")
    words = ["actum", "test", "simulate", what, "--input", input_]
    words += [] if given is None else ["--given", given]
    again = shlex.join(words).replace("{", "{{").replace("}", "}}") + " --seed {seed}"
    logging.getLogger("actum").setLevel(logging.CRITICAL)  # what goes wrong here is meant to
    chosen = range(first, first + seeds) if seed is None else [seed]
    try:
        ends = simulated(code, _input(input_), seeds=chosen, again=again, **_given(given))
    except SimulationFailed as exc:
        if json:
            why = f"{type(exc.why).__name__}: {exc.why}"
            print_json({"seeds": chosen.index(exc.seed) + 1, "ends": None, "failed": {"seed": exc.seed, "why": why}})
        err().print(str(exc), markup=False, highlight=False)
        raise typer.Exit(1) from None
    if json:
        print_json({"seeds": len(chosen), "ends": dict(ends), "failed": None})
        return
    said = ", ".join(f"{count} {status}" for status, count in ends.most_common())
    console().print(f"{len(chosen)} seeds, every promise held: {said}", markup=False)


def _given(target: str | None) -> dict[str, Any]:
    if target is None:
        return {}
    from actum.engine.definitions import import_target

    found = import_target(target, str(Path.cwd()))
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise BadInput(f"--given {target!r} is a dict of what `simulate` takes, not a {type(found).__name__}")
    known = ("approvals", "asks", "check", "failures", "guards", "inputs", "others", "services", "signals", "steps")
    for name in found:
        if name not in known:
            raise BadInput(f"--given {target!r}: {name!r} is none of {', '.join(known)}")
    return found
