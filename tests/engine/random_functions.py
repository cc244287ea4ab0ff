"""Durable functions of every shape, as data, and their interpreter, drawn by chance."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any, Literal

from actum.engine import Approval, Retry, Workflow, step
from actum.errors import ApprovalRejected, StepFailed
from actum.testing.simulation.promises import Guard
from actum.testing.simulation.weather import Luck

NAMES = ("a", "b", "c", "d")


@dataclass(frozen=True)
class Do:
    """Run the step of this name; with `guard`, only ever after that question was granted."""

    name: str
    guard: str | None = None


@dataclass(frozen=True)
class Nap:
    ms: int


@dataclass(frozen=True)
class Ask:
    """Put a question and, when people say yes, do what it guards."""

    name: str
    answer: str
    """yes, no, or silence, which ends at the deadline."""
    then: Do


@dataclass(frozen=True)
class Both:
    """Blocks side by side. With `keep`, all are waited for before the first failure is raised."""

    blocks: tuple[Block, ...]
    keep: bool


@dataclass(frozen=True)
class Try:
    """What fails in it stops only it."""

    block: Block


@dataclass(frozen=True)
class Back:
    """Undoes what completed in the block, which is done all the same; on a cancel it tidies up by a step."""

    block: Block
    tidy: Do


@dataclass(frozen=True)
class If:
    """Which block runs depends on what a step returns."""

    test: Do
    then: Block
    otherwise: Block


@dataclass(frozen=True)
class First:
    """Blocks side by side, of which the first to end counts; which one that is depends on who is faster."""

    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Hear:
    """Wait for a signal of this name, which somebody sends; with `ms`, no longer than that."""

    name: str
    ms: int | None = None


@dataclass(frozen=True)
class Until:
    """Sleep until so long after what the workflow knows as now."""

    ms: int


@dataclass(frozen=True)
class Start:
    """Run the step in a child."""

    name: str


@dataclass(frozen=True)
class Patched:
    """Code that was changed before the execution began."""

    block: Block


Node = First | Hear | Until | Start | Patched | Do | Nap | Ask | Both | Try | Back | If
Block = tuple[Node, ...]


@dataclass(frozen=True)
class Kind:
    """What all calls of one step have in common."""

    attempts: int
    undone: Literal["", "alone", "in a group"]
    pivot: bool
    on_doubt: Literal["retry", "verify", "park"]


@dataclass(frozen=True)
class Program:
    block: Block
    kinds: dict[str, Kind]

    @property
    def in_order(self) -> bool:
        """Whether its end is the same whichever of its branches is faster."""
        nodes = _nodes(self.block)
        timed = any(isinstance(node, First) or (isinstance(node, Hear) and node.ms is not None) for node in nodes)
        return not timed and all(node.keep for node in nodes if isinstance(node, Both))

    @property
    def certain(self) -> bool:
        """Whether its output is the same whatever goes wrong around it."""
        return not any(isinstance(node, (First, Hear, Until)) for node in _nodes(self.block))

    @property
    def signals(self) -> list[str]:
        """Names of the signals it waits for."""
        return sorted({node.name for node in _nodes(self.block) if isinstance(node, Hear)})

    @property
    def answers(self) -> dict[str, str]:
        """By question."""
        return {node.name: node.answer for node in _nodes(self.block) if isinstance(node, Ask)}

    @property
    def guards(self) -> list[Guard]:
        """Steps that are done only after a question was granted."""
        return [Guard(_name(do), do.guard) for do in self._guarded()]

    def _guarded(self) -> list[Do]:
        return [node for node in _nodes(self.block) if isinstance(node, Do) and node.guard]

    def workflow(self, code_of: Callable[[str], Any], undo: Any, look: Callable[[str], Any]) -> Workflow:
        """The durable function; `code_of` a step, `undo` and `look` are what its steps are made of."""
        calls = [*(Do(name) for name in self.kinds), *self._guarded()]
        steps = {_name(do): self._step(do, code_of, undo, look) for do in calls}

        async def any_function(ctx: Any) -> Any:
            return await _run(ctx, steps, self.block)

        return Workflow(any_function, name="any")

    def _step(self, do: Do, code_of: Callable[[str], Any], undo: Any, look: Callable[[str], Any]) -> Any:
        kind = self.kinds[do.name]
        return step(
            name=_name(do),
            retries=Retry(attempts=kind.attempts, first_delay_s=0.01),
            timeout=0.05,
            compensate=undo if kind.undone and not kind.pivot else None,
            undo_group="group" if kind.undone == "in a group" and not kind.pivot else None,
            pivot=kind.pivot,
            on_doubt=kind.on_doubt,
            verify=look(do.name) if kind.on_doubt == "verify" else None,
        )(code_of(do.name))


def _name(do: Do) -> str:
    """A step's name says what guards it."""
    return do.name if do.guard is None else f"{do.name}-{do.guard}"


async def _child(ctx: Any, number: int) -> Any:
    await ctx.sleep(number / 1000)
    return number


CHILD = Workflow(_child, name="child")


async def _run(ctx: Any, steps: dict[str, Any], block: Block) -> list[Any]:
    return [await _one(ctx, steps, node) for node in block]


async def _one(ctx: Any, steps: dict[str, Any], node: Node) -> Any:
    match node:
        case Do():
            return await steps[_name(node)]()
        case First(blocks):
            won = await ctx.race(*(_run(ctx, steps, block) for block in blocks))
            return [won.which, won.value]
        case Hear(name, ms):
            return await ctx.wait_signal(name, timeout=None if ms is None else ms / 1000, default="nothing")
        case Until(ms):
            return await ctx.sleep_until(ctx.now() + timedelta(milliseconds=ms))
        case Start(name):
            return await ctx.child(CHILD, len(name))
        case Patched(block):
            return await _run(ctx, steps, block) if ctx.patched("better") else "the old way"
        case Nap(ms):
            return await ctx.sleep(ms / 1000)
        case Ask(name, answer, then):
            decision = await ctx.approve(
                Approval("Really?", name=name, deadline_s=0.2 if answer == "silence" else None)
            )
            return [decision["by"], await _one(ctx, steps, then)]
        case Both(blocks, keep):
            branches = [_run(ctx, steps, block) for block in blocks]
            found = await ctx.gather(*branches, return_exceptions=keep)
            for one in found:
                if isinstance(one, BaseException):
                    raise one
            return found
        case Try(block):
            try:
                return await _run(ctx, steps, block)
            except (StepFailed, ApprovalRejected):
                return "stopped"
        case Back(block, tidy):
            mark = ctx.savepoint()
            try:
                found = await _run(ctx, steps, block)
            except asyncio.CancelledError:
                await _one(ctx, steps, tidy)
                raise
            try:
                await ctx.compensate(to=mark)
            except StepFailed:
                return "not undone"
            return found
        case If(test, then, otherwise):
            chosen = then if await _one(ctx, steps, test) % 2 else otherwise
            return await _run(ctx, steps, chosen)


def _nodes(block: Block) -> list[Node]:
    found: list[Node] = []
    for node in block:
        found.append(node)
        match node:
            case Both(blocks) | First(blocks):
                for inner in blocks:
                    found += _nodes(inner)
            case Try(inner) | Back(inner) | Patched(inner):
                found += _nodes(inner)
            case If(test, then, otherwise):
                found += [test, *_nodes(then), *_nodes(otherwise)]
            case Ask(then=guarded):
                found.append(guarded)
    return found


# -- chance ------------------------------------------------------------------------------------------------------------


def program_of(draw: Random, *, free: bool = False) -> Program:
    """Any durable function, a few dozen calls at the most.

    With `free`, also with pivots and with undoing on the way: what is undone then hangs on which branch is faster.
    """
    asked = 0

    def block(depth: int) -> Block:
        return tuple(node(depth) for _ in range(draw.randint(1, 3 if depth else 2)))

    def blocks(depth: int) -> tuple[Block, ...]:
        return tuple(block(depth) for _ in range(draw.randint(2, 3)))

    def do() -> Do:
        return Do(draw.choice(NAMES))

    def node(depth: int) -> Node:
        nonlocal asked
        match draw.randint(0, 15 if depth else 4):
            case 3:
                return Nap(draw.randint(0, 50))
            case 4:
                asked += 1
                guarded = Do(draw.choice(NAMES), f"q{asked}")
                return Ask(f"q{asked}", draw.choice(("yes", "yes", "no", "silence")), guarded)
            case 5 | 6 | 7 as kind:
                return Both(blocks(depth - 1), kind > 5)
            case 8:
                return Try(block(depth - 1))
            case 9:
                return If(do(), block(depth - 1), block(depth - 1))
            case 10:
                return First(blocks(depth - 1))
            case 11:
                return Hear(draw.choice(("go", "come")), draw.choice((None, 5, 50)))
            case 12:
                return Until(draw.randint(1, 50))
            case 13:
                return Start(draw.choice(("x", "xx" * 20)))
            case 14:
                return Patched(block(depth - 1))
            case 15 if free:
                return Back(block(depth - 1), do())
        return do()

    kinds = {name: _kind(draw, free) for name in NAMES}
    return Program(block(2), kinds)


def _kind(draw: Random, free: bool) -> Kind:
    undone: Literal["", "alone", "in a group"] = draw.choice(("", "alone", "alone", "in a group"))
    pivot = free and draw.random() < 0.25
    return Kind(draw.randint(1, 3), undone, pivot, draw.choice(("retry", "retry", "verify", "park")))


def luck_of(draw: Random) -> Luck:
    return Luck(tuple(draw.randint(0, 20) for _ in range(draw.randint(1, 30))))
