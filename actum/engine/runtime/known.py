"""Executions as they were folded last, so that asking many things of one reads only what has been added since."""

from __future__ import annotations

from collections import OrderedDict
from functools import reduce

from actum.engine.rules.folding import evolve
from actum.engine.rules.state import Execution
from actum.eventstore import EventStore

__all__ = ["Known"]


class Known:
    """The states of the last few executions that somebody asked something of, from the outside.

    A state is folded in place, so it is either here or in the hands of one caller: `take` hands it out, and only who
    has recorded all that the state says gives it back by `keep`. What is not given back is folded anew.
    """

    def __init__(self, store: EventStore, room: int = 4) -> None:
        self._store = store
        self._room = room
        self._states: OrderedDict[str, Execution] = OrderedDict()

    def take(self, id_: str) -> Execution:
        """The state after all that is recorded of an execution; at version 0 when nothing is."""
        state = self._states.pop(id_, None) or Execution(id_)
        return reduce(evolve, self._store.read_stream(f"execution/{id_}", state.version), state)

    def keep(self, state: Execution) -> None:
        """The state is as the log has it."""
        self._states[state.id] = state
        if len(self._states) > self._room:
            self._states.popitem(last=False)
