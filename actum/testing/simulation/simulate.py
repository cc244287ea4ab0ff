"""Simulating a user's workflow: through many seeds of everything that can go wrong, each held to the promises."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random
from typing import Any, Literal

from actum.engine import Graph, Workflow
from actum.engine.definitions import Code
from actum.errors import BadInput
from actum.events import RecordedEvent
from actum.testing.harness.ended import Ended
from actum.testing.harness.history import brief
from actum.testing.harness.script import Script, check_names
from actum.testing.simulation.promises import Guard
from actum.testing.simulation.simulation import Simulation
from actum.testing.simulation.weather import Luck, Weather

__all__ = ["SimulationFailed", "each_seed", "guards_of", "simulate"]

_SHOWN = 60


class SimulationFailed(AssertionError):
    """A seed under which something did not hold. `seed` makes it again, `again` is the command that does."""

    def __init__(self, seed: int, why: BaseException, again: str, story: Sequence[str] = ()) -> None:
        self.seed = seed
        self.why = why
        self.again = again
        lines = [f"seed {seed}: {type(why).__name__}: {why}", *story, f"Again: {again}"]
        super().__init__("\n".join(lines))


def simulate(
    code: Code,
    workflow_input: Any = None,
    *,
    seeds: int | Iterable[int] = 200,
    steps: Mapping[str, Any] | None = None,
    signals: Mapping[str, Any] | None = None,
    approvals: Mapping[str, bool | None] | None = None,
    inputs: Mapping[str, Any] | None = None,
    guards: Mapping[str, str] | None = None,
    services: Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None = None,
    others: Sequence[Code] = (),
    failures: bool = True,
    asks: bool = True,
    check: Callable[[Ended], None] | None = None,
    again: str = "",
) -> Counter[str]:
    """Run a workflow once for each seed; returns how many ended with each status.

    A seed draws everything that goes wrong: appends that are lost, that land without an answer, that land late or are
    refused; workers that die at any moment, and some that live on while another takes over; a wall clock that jumps;
    people who pause and cancel; attempts that are slow, fail or hang. Nothing of it waits: all time is virtual. At the
    end of each the promises P1 to P8 are checked against the log and what the steps have done.

    Raises `SimulationFailed` for the first seed under which a promise or `check` does not hold, or that never comes to
    its end. Its message holds the one command that makes it happen again.

    - `seeds`: how many, or which.
    - `steps`: what steps answer instead of running; see `Script`. All others run: what they talk to must be fakes.
    - `signals`: what is sent, by name; of a list, one after the other. `inputs`: likewise what is given when asked for.
    - `approvals`: what people say, by name: True, False, or None for silence. Without a word the seed decides.
    - `guards`: step → the approval without which it must never start. A graph says by itself.
    - `services`: what steps ask for; a function makes them anew for each seed, so that fakes can begin empty.
    - `others`: workflows that are started by name.
    - `failures`: whether attempts fail and hang by the seed. `asks`: whether people pause and cancel.
    - `check`: called with each end, it may raise `AssertionError`.
    - `again`: the command that makes a seed happen again, with `{seed}` in it.
    """
    if not isinstance(code, Code):
        raise BadInput(f"what is simulated is a @workflow or a Graph, not {code!r}")
    check_names(code, steps or {})
    ends: Counter[str] = Counter()

    def once(seed: int) -> None:
        simulation = Simulation(
            code,
            workflow_input,
            seed=seed,
            luck=_luck(seed, failures),
            script=Script(steps),
            answer=_answers(seed, approvals or {}),
            signals={name: value if isinstance(value, list) else [value] for name, value in (signals or {}).items()},
            inputs=inputs,
            guards=[*(Guard(*pair) for pair in (guards or {}).items()), *guards_of(code)],
            services=services() if callable(services) else services,
            others=others,
        )
        weather = Weather.of(seed, asks=asks)
        try:
            ended = simulation.run(weather)
            if check is not None:
                check(ended)
        except Exception as exc:
            raise SimulationFailed(seed, exc, again.format(seed=seed) or _again(code, seed), story(simulation)) from exc
        ends[ended.status] += 1

    for seed in range(seeds) if isinstance(seeds, int) else seeds:
        once(seed)
    return ends


def each_seed(seeds: Iterable[int], run: Callable[[int], None], again: str) -> None:
    """Call `run` with each; an error becomes a `SimulationFailed` with the command `again`, which holds `{seed}`."""
    for seed in seeds:
        try:
            run(seed)
        except Exception as exc:
            raise SimulationFailed(seed, exc, again.format(seed=seed)) from exc


def guards_of(code: Code) -> list[Guard]:
    """What a graph says itself: each visit of a step whose only way in is from a question needs a yes of its own."""
    if not isinstance(code, Graph):
        return []
    asked = {one.id for one in code.steps if one.question is not None}
    into: dict[str, set[str]] = {}
    for way in code.transitions:
        into.setdefault(way.target, set()).add(way.source)
    starts = {code.start_at, *code.also_start}
    return [
        Guard(target, next(iter(sources)), each=True)
        for target, sources in into.items()
        if len(sources) == 1 and sources <= asked and target not in starts
    ]


def story(simulation: Simulation) -> list[str]:
    """The end of the record, in words: who wrote what, when."""
    log = simulation.record.log
    left_out = [f"  … {len(log) - _SHOWN} events before"] if len(log) > _SHOWN else []
    return left_out + [_line(event) for event in log[-_SHOWN:]]


def _line(event: RecordedEvent) -> str:
    stream = event.stream.removeprefix("execution/")
    return f"  {event.position:3} {event.at[11:23]} {stream} {event.actor.ref} {brief(event)}"


def _luck(seed: int, failures: bool) -> Luck:
    draw = Random(f"luck {seed}")
    lowest = 0 if failures and draw.random() < 0.7 else 4
    return Luck(tuple(draw.randrange(lowest, 25) for _ in range(draw.randrange(1, 30))))


def _answers(seed: int, approvals: Mapping[str, bool | None]) -> Callable[[str], Literal["yes", "no", "silence"]]:
    def answer(key: str) -> Literal["yes", "no", "silence"]:
        name = key.rpartition("/")[2].partition("#")[0]
        said = approvals[name] if name in approvals else Random(f"answer {seed} {key}").random() < 0.7
        return "silence" if said is None else "yes" if said else "no"

    return answer


def _again(code: Code, seed: int) -> str:
    if isinstance(code, Workflow) and "<" not in code.target:
        return f"actum test simulate {code.target} --seed {seed}, or simulate(…, seeds=[{seed}]) with the same words"
    return f"simulate(…, seeds=[{seed}])"
