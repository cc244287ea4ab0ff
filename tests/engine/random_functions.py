"""Durable functions of every shape, as data, and their interpreter; what their steps answer, for properties."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal
from zlib import crc32

from hypothesis import strategies as st

from actum.engine import Approval, Retry, Workflow, step
from actum.errors import ApprovalRejected, StepFailed

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

    def workflow(self, code_of: Callable[[str], Any], undo: Any, look: Callable[[str], Any]) -> Workflow:
        """The durable function; `code_of` a step, `undo` and `look` are what its steps are made of."""
        steps = {
            name: step(
                name=name,
                retries=Retry(attempts=kind.attempts, first_delay_s=0.01),
                timeout=0.05,
                compensate=undo if kind.undone and not kind.pivot else None,
                undo_group="group" if kind.undone == "in a group" and not kind.pivot else None,
                pivot=kind.pivot,
                on_doubt=kind.on_doubt,
                verify=look(name) if kind.on_doubt == "verify" else None,
            )(code_of(name))
            for name, kind in self.kinds.items()
        }

        async def any_function(ctx: Any) -> Any:
            return await _run(ctx, steps, self.block)

        return Workflow(any_function, name="any")


async def _child(ctx: Any, number: int) -> Any:
    await ctx.sleep(number / 1000)
    return number


CHILD = Workflow(_child, name="child")


async def _run(ctx: Any, steps: dict[str, Any], block: Block) -> list[Any]:
    return [await _one(ctx, steps, node) for node in block]


async def _one(ctx: Any, steps: dict[str, Any], node: Node) -> Any:
    match node:
        case Do(name, guard):
            return await steps[name](guard)
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


@dataclass(frozen=True)
class Luck:
    """What becomes of every attempt; it depends on the call and on its recorded failures, never on crashes."""

    chances: tuple[int, ...]

    def outcome(self, key: str, failures: int) -> str:
        """ok, fails, hangs, or gives up: an error that is never tried again."""
        return {0: "fails", 1: "fails", 2: "hangs", 3: "gives up"}.get(self._draw(key, failures), "ok")

    def takes_s(self, key: str, failures: int) -> float:
        return self._draw(f"{key} takes", failures) / 1000

    def value(self, key: str) -> int:
        return crc32(key.encode()) % 100

    def _draw(self, what: str, number: int) -> int:
        return self.chances[crc32(f"{what} {number}".encode()) % len(self.chances)]


# -- chance ------------------------------------------------------------------------------------------------------------

lucks = st.lists(st.integers(0, 20), min_size=1, max_size=30).map(lambda chances: Luck(tuple(chances)))
_kinds = st.builds(
    Kind,
    st.integers(1, 3),
    st.sampled_from(("", "alone", "alone", "in a group")),
    st.sampled_from((False, False, False, True)),
    st.sampled_from(("retry", "retry", "verify", "park")),
)


@st.composite
def programs(draw: Callable[..., Any], free: bool = False) -> Program:
    """Any durable function, a few dozen calls at the most.

    With `free`, also with pivots and with undoing on the way: what is undone then hangs on which branch is faster.
    """
    asked = 0

    def block(depth: int) -> Block:
        return tuple(node(depth) for _ in range(draw(st.integers(1, 3 if depth else 2))))

    def do() -> Do:
        return Do(draw(st.sampled_from(NAMES)))

    def node(depth: int) -> Node:
        nonlocal asked
        kind = draw(st.integers(0, 15 if depth else 4))
        if kind == 3:
            return Nap(draw(st.integers(0, 50)))
        if kind == 4:
            asked += 1
            guarded = Do(draw(st.sampled_from(NAMES)), f"q{asked}")
            return Ask(f"q{asked}", draw(st.sampled_from(("yes", "yes", "no", "silence"))), guarded)
        if kind in (5, 6, 7):
            keep = kind > 5
            return Both(tuple(block(depth - 1) for _ in range(draw(st.integers(2, 3)))), keep)
        if kind == 8:
            return Try(block(depth - 1))
        if kind == 9:
            return If(do(), block(depth - 1), block(depth - 1))
        if kind == 10:
            return First(tuple(block(depth - 1) for _ in range(draw(st.integers(2, 3)))))
        if kind == 11:
            return Hear(draw(st.sampled_from(("go", "come"))), draw(st.sampled_from((None, 5, 50))))
        if kind == 12:
            return Until(draw(st.integers(1, 50)))
        if kind == 13:
            return Start(draw(st.sampled_from(("x", "xx" * 20))))
        if kind == 14:
            return Patched(block(depth - 1))
        if kind == 15 and free:
            return Back(block(depth - 1), do())
        return do()

    kinds = {name: draw(_kinds) for name in NAMES}
    if not free:
        kinds = {name: replace(kind, pivot=False) for name, kind in kinds.items()}
    return Program(block(2), kinds)
