"""What the workflow of one execution wants: its planner, told of every outcome in the order of the log."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from actum.engine.payloads.codec import encode_arguments
from actum.engine.payloads.given import changed, given_to_steps
from actum.engine.resources.needs import Hold
from actum.engine.rules.calls import (
    Approve,
    Call,
    CancelChild,
    Child,
    Continue,
    Done,
    Give,
    Mark,
    Past,
    Planner,
    Raced,
    Receive,
    SignalChild,
    Skip,
    Sleep,
    Spawn,
    Take,
    Undo,
    Wait,
    Wish,
    call_key,
)
from actum.engine.rules.commands import Queue
from actum.engine.runtime.kin import Kin
from actum.errors import BadInput, ReplayDiverged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from actum.engine.payloads.classes import Classes
    from actum.engine.rules.budgets import Budget
    from actum.engine.rules.state import Execution
    from actum.engine.runtime.engine import Engine
    from actum.engine.runtime.run import Run
    from actum.events import NewEvent, RecordedEvent

__all__ = ["Planning", "input_of"]


def input_of(state: Execution) -> Any:
    """The input as the workflow sees it; None once it was erased."""
    return None if state.input is None else orjson.loads(state.input).get("input")


class Planning:
    """Brings the planner to where the record is, and keeps what it has asked for since.

    - `wishes`: what it wants and is not decided on yet.
    - `calls`: the steps that it asked for, by key, as long as they may be needed.
    - `budget`: what the execution may spend.
    - `declares`: how the payloads of steps are filed that say so, by key; `""` is the workflow itself.
    """

    def __init__(self, engine: Engine, run: Run, planner: Planner, classes: Classes | None) -> None:
        self.planner = planner
        self.kin = Kin(engine, run)
        self.wishes: list[Wish] = []
        self.calls: dict[str, Call] = {}
        self.declares = {} if classes is None else {"": classes}
        self._given: dict[str, bytes | None] = {}
        """While it loads: what steps were given, by key."""
        self._engine = engine
        self._run = run
        self.budget: Budget | None = getattr(planner, "budget", None)
        self.hold: Hold | None = getattr(planner, "hold", None)
        self._told = 0

    @property
    def _state(self) -> Execution:
        return self._run.state

    def begin(self, past: Past, workflow_input: Any) -> None:
        """See what a new execution wants first. Raises `BadInput` when the input does not fit."""
        self._recall(past)
        self._ask(self.planner.begin(workflow_input))

    def close(self) -> None:
        close = getattr(self.planner, "close", None)
        if close is not None:
            close()

    def keep_ends(self, *, calls: bool = False) -> None:
        """All that was asked for is decided on, but for `calls`; how it ends may have to wait for what is under way."""
        kept = (Done, Continue, Give, Call) if calls else (Done, Continue, Give)
        self.wishes = [wish for wish in self.wishes if isinstance(wish, kept)]

    @property
    def ends(self) -> bool:
        """Whether the workflow wants nothing but to end."""
        return any(isinstance(wish, (Done, Continue, Give)) for wish in self.wishes)

    def queue(self, now: int) -> Queue | None:
        """What asks for that which the execution is to hold throughout, as long as nobody has."""
        if self.hold is None or self._state.hold is not None:
            return None
        return Queue(now, Hold(self._engine.desk.rules.resolve_hold(self.hold.needs), self.hold.preemptible))

    def _recall(self, past: Past) -> None:
        recall = getattr(self.planner, "recall", None)
        if recall is not None:
            recall(past)

    # -- from the record ---------------------------------------------------------------------------------------------

    def load(self, state: Execution, past: Iterable[RecordedEvent]) -> None:
        """Tell a new planner all that is recorded. Raises `ReplayDiverged` when it asks for something else."""
        self._told = 0
        self.wishes = []
        self.calls = {}
        if state.ended or state.version == 0:
            return
        asked: dict[str, Wish] = {}
        self._given = given_to_steps(past)
        self._recall(state.past)
        self._note(asked, self.planner.begin(input_of(state)))
        for told, key in enumerate(state.settled):
            if key in state.heard:
                self._hear(asked, key)
                continue
            if type(asked.get(key)) not in self._recorded_as(key):
                raise self._diverged(key, asked, told)
            self._note(asked, self.planner.settle(key, state.outcome(key)))
        for key in self._asked_for():
            if type(asked.get(key)) not in self._recorded_as(key):
                raise self._diverged(key, asked, len(state.settled))
        for key, winner in state.races.items():
            race = asked.get(key)
            if not isinstance(race, Raced) or race.winner != winner:
                now = f"{race.winner!r} in it" if isinstance(race, Raced) else "no race that is decided there"
                raise ReplayDiverged(self._run.id, f"{winner!r} as the winner of race {key.replace('##', '#')!r}", now)
        for key, child in state.children.items():
            for number, signal in enumerate(child.signals):
                sent = asked.get(f"{key}!{number}")
                if not isinstance(sent, SignalChild) or sent.signal != signal:
                    now = f"signal {sent.signal!r}" if isinstance(sent, SignalChild) else "none"
                    raise ReplayDiverged(self._run.id, f"signal {signal!r} to child {key!r}", now)
        self._given = {}
        self._told = len(state.settled)

    def _recorded_as(self, key: str) -> tuple[type, ...]:
        if key in self._state.steps:
            return (Call, Skip)
        for recorded, wish in (
            (self._state.approvals, Approve),
            (self._state.awaited, Wait),
            (self._state.children, Child),
            (self._state.inputs, Receive),
            (self._state.rollbacks, Undo),
        ):
            if key in recorded:
                return (wish,)
        return (Sleep,)

    def _asked_for(self) -> Iterator[str]:
        """The keys of all that the record says was asked for."""
        state = self._state
        for recorded in (
            state.steps,
            state.approvals,
            state.timers,
            state.awaited,
            state.children,
            state.inputs,
            state.rollbacks,
        ):
            yield from recorded

    def _note(self, asked: dict[str, Wish], wishes: Iterable[Wish]) -> None:
        for wish in wishes:
            key = ""
            if not isinstance(wish, (Take, Mark, Spawn, CancelChild, Done, Continue, Give)):
                key = wish.key
                asked[key] = wish
                if type(wish) is Call:
                    self._check_given(key, wish)
            self._ask_one(wish, key)

    def _check_given(self, key: str, call: Call) -> None:
        """Hold a step's arguments against those recorded. Values are said with the place, which is no fact."""
        if key not in self._given:
            return
        found = changed(call, self._given[key])
        if found is None:
            return
        place, before, now = found
        where = ", ".join(filter(None, (self._where(key), f"{before} then, {now} now")))
        raise ReplayDiverged(self._run.id, f"{key!r} with its {place}", f"another {place}", where)

    def _hear(self, asked: dict[str, Wish] | None, key: str) -> None:
        """Tell the planner what came unasked. After a cancel, what was asked for and has not begun does not begin."""
        heard = self._state.heard[key]
        if heard.kind == "cancel":
            self.wishes = [wish for wish in self.wishes if isinstance(wish, (Done, Continue, Give))]
        wishes = self.planner.hear(heard)
        if asked is None:
            self._ask(wishes)
        else:
            self._note(asked, wishes)

    def _diverged(self, key: str, asked: dict[str, Wish], told: int) -> ReplayDiverged:
        """The code does not ask for `key`, or for something else under that name, after so many answers."""
        state = self._state
        if key in asked:
            other = f"a {type(asked[key]).__name__.lower()} of that name"
            return ReplayDiverged(self._run.id, repr(key), other, self._where(key))
        over = set(state.settled[:told])
        known = {*self._asked_for(), *state.races}
        open_ = [other for other in asked if other not in over]
        now = [other for other in open_ if other not in known] or open_
        if now:
            return ReplayDiverged(self._run.id, repr(key), repr(", ".join(now)), self._where(now[0]))
        end = any(isinstance(wish, (Done, Continue, Give)) for wish in self.wishes)
        return ReplayDiverged(self._run.id, repr(key), "the end" if end else "nothing")

    def _where(self, key: str) -> str:
        """The line of the code that asks for this, where the planner knows."""
        where = getattr(self.planner, "where", None)
        return "" if where is None else where(key)

    # -- going on ----------------------------------------------------------------------------------------------------

    def tell(self) -> None:
        """Tell the planner, in the order of the log, what has ended since it last heard."""
        state = self._state
        while self._told < len(state.settled):
            key = state.settled[self._told]
            self._told += 1
            if state.heard and key in state.heard:
                self._hear(None, key)
                continue
            call = self.calls.get(key)
            if call is not None and call.spec.compensate is None:
                del self.calls[key]
            self._ask(self.planner.settle(key, state.outcome(key)))

    def _ask(self, wishes: list[Wish]) -> None:
        for wish in wishes:
            self._ask_one(wish, wish.key if type(wish) is Call else "")

    def _ask_one(self, wish: Wish, key: str) -> None:
        """`key` is that of a call."""
        if type(wish) is Call:
            if self._told < len(self._state.settled) and key not in self._state.steps:
                wish = self._with_given(wish)  # what it is told next may change the arguments
            self.calls[key] = wish
            if wish.spec.executor:
                self._engine.executors.check(wish.spec)
            if wish.spec.needs is not None:
                needs = self._engine.desk.rules.resolve(wish.spec.needs, self.hold)
                wish = wish._replace(spec=replace(wish.spec, needs=needs))
            if wish.spec.classes is not None:
                self.declares[key] = wish.spec.classes
        elif type(wish) is Child and wish.key not in self._state.children:
            wish = self.kin.prepare(wish)
        elif type(wish) is Continue:
            self.kin.next_input = wish.input
        self.wishes.append(wish)

    def _with_given(self, call: Call) -> Call:
        try:
            return call._replace(given=encode_arguments(call.args, call.kwargs, self._engine.store.payload_limit_bytes))
        except BadInput:
            return call  # whoever decides on it says so

    def classes_of(self, event: NewEvent) -> Classes | None:
        """What is declared of an event's payload: by its step, or by the workflow for its own start and end."""
        facts = event.facts
        if event.type.startswith("execution."):
            return self.declares.get("")
        return self.declares.get(call_key(facts.get("scope", ""), facts.get("step", ""), facts.get("occurrence", 0)))
