"""Which step comes next: tokens on the transitions of a graph, for one execution. Pure.

When a visit of a step ends, each transition out of it is *taken* or *dead*, and says so to its target. A step
starts when its join is satisfied by what the forward transitions into it have said, and is skipped, its own
transitions dying with it, when they all have and it is not. So exclusive branches meet again without waiting
for the one not chosen.

Loops follow from one rule: *a back edge that is taken begins a new round of its loop.* The target starts at
once. What the old round handed on and nobody has used is taken back, and its visits still under way are left
behind: what they bring no longer counts. A transition that leads out of a loop dies only when the loop is
quiet, because another round may still take it.

When nothing runs any more and a join still waits (for a branch that a loop has left behind), what it waits
for counts as dead.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from actum.engine.graphs.shape import Edge, Loop, Shape

__all__ = ["Join", "Marking", "Visit"]

Join = str | int | frozenset[int]
"""How a step waits: `all`, `any`, so many, or the steps whose transitions must have been taken."""


class Visit:
    """One round of a step: it starts, or it is skipped. `occurrence` counts both."""

    __slots__ = ("begun", "left_behind", "occurrence", "skipped", "step")

    def __init__(self, step: int, occurrence: int, skipped: bool) -> None:
        self.step = step
        self.occurrence = occurrence
        self.skipped = skipped
        self.left_behind = False
        """A new round of a loop has begun without it."""
        self.begun = False
        """Its work has been asked for, or will never be."""

    @property
    def wanted(self) -> bool:
        """Whether anything comes of it, as far as it can tell."""
        return True


class _Join:
    """What the transitions into one step have said in its present round, and what came early for the next."""

    __slots__ = ("early", "fired", "must", "need", "said", "size", "taken")

    def __init__(self, join: Join, edges: Sequence[Edge]) -> None:
        self.size = size = len(edges)
        self.must: list[int] | None = None
        """The transitions that must have been taken when all have been decided; None: any of them."""
        if isinstance(join, frozenset):
            self.must = [edge.index for edge in edges if edge.source in join]
            join = "all"
        self.need = size + 1 if join == "all" else 1 if join in ("any", "first_success") else int(join)
        """So many taken start it at once; more than there are means: wait for all, one taken suffices."""
        self.said: dict[int, bool] = {}
        self.taken = 0
        self.fired = False
        self.early: list[tuple[Edge, bool]] = []

    @property
    def waiting(self) -> bool:
        return bool(self.said) and not self.fired

    @property
    def satisfied(self) -> bool:
        """All have been decided: whether those that had to be were taken."""
        if self.must is not None:
            return all(self.said[index] for index in self.must)
        return self.taken > 0 and self.need > self.size

    def start_over(self) -> None:
        self.said = {}
        self.taken = 0
        self.fired = False


class Marking:
    """The tokens of one execution."""

    def __init__(self, shape: Shape, joins: Sequence[Join]) -> None:
        self._shape = shape
        self._joins = {
            node: _Join(joins[node], edges)
            for node, edges in enumerate(shape.incoming)
            if len(edges) > 1 or (edges and isinstance(joins[node], frozenset))
        }
        self._rounds = [0] * len(shape.outgoing)
        self._running: set[Visit] = set()
        self._waiting: set[int] = set()
        """Joins that have heard something and not started."""
        self._live = [0] * len(shape.loops)
        """Per loop: visits running in it, and joins waiting in it."""
        self._used: set[int] = set()
        """Transitions out of loops that were taken since the loop was last quiet."""
        self._owed: set[int] = set()
        """Transitions out of loops that were not taken when last asked: dead, once the loop is quiet."""
        self._touched: set[int] = set()
        self._work: deque[tuple[Edge, bool]] = deque()
        self._visits: list[Visit] = []

    @property
    def running(self) -> bool:
        """Whether any visit is under way that still counts."""
        return bool(self._running)

    def occurrence(self, step: int) -> int:
        """A round of the step outside of the flow: it stands in for another."""
        number = self._rounds[step]
        self._rounds[step] = number + 1
        return number

    def begin(self, *steps: int) -> list[Visit]:
        """The first visits."""
        self._visits = []
        for step in steps:
            self._start(step)
        return self._visits

    def end(self, visit: Visit, taken: Iterable[Edge]) -> list[Visit]:
        """What starts and what is skipped now that this visit has ended and taken these transitions."""
        if visit.left_behind:
            return []
        self._visits = []
        shape = self._shape
        step = visit.step
        self._running.discard(visit)
        for loop in shape.loops_of[step]:
            self._live[loop] -= 1
            self._touched.add(loop)
        chosen = set(taken)
        back = [edge for edge in shape.outgoing[step] if edge.back and edge in chosen]
        restarted = {node for edge in back for node in shape.loops[edge.loop].members}
        onward = [edge for edge in shape.outgoing[step] if not edge.back]
        for edge in onward:
            if edge in chosen:
                if edge.target not in restarted:
                    self._work.append((edge, True))
            elif edge.exits:
                self._owed.add(edge.index)
            elif not back:
                self._work.append((edge, False))
        if back:  # first what leads out of the loop, then the new round
            self._propagate_tokens()
            for edge in back:
                self._new_round(edge.loop)
            for edge in back:
                self._start(edge.target)
            self._work.extend((edge, True) for edge in onward if edge in chosen and edge.target in restarted)
        self._propagate()
        while not self._running and self._waiting:
            self._give_up_waiting()
        return self._visits

    # -- tokens ------------------------------------------------------------------------------------------------------

    def _propagate(self) -> None:
        self._propagate_tokens()
        while self._touched:
            self._close_innermost_loop()
            self._propagate_tokens()

    def _propagate_tokens(self) -> None:
        work = self._work
        while work:
            edge, taken = work.popleft()
            if edge.exits:
                self._owed.discard(edge.index)
                if taken:
                    self._used.add(edge.index)
            join = self._joins.get(edge.target)
            if join is not None:
                self._hear(join, edge, taken)
            elif taken:
                self._start(edge.target)
            else:
                self._skip(edge.target)

    def _start(self, step: int) -> None:
        visit = Visit(step, self.occurrence(step), False)
        self._running.add(visit)
        self._visits.append(visit)
        for loop in self._shape.loops_of[step]:
            self._live[loop] += 1

    def _skip(self, step: int) -> None:
        self._visits.append(Visit(step, self.occurrence(step), True))
        self._touched.update(self._shape.loops_of[step])
        for edge in self._shape.outgoing[step]:
            if edge.exits:
                self._owed.add(edge.index)
            elif not edge.back:
                self._work.append((edge, False))

    def _hear(self, join: _Join, edge: Edge, taken: bool) -> None:
        if edge.index in join.said:
            join.early.append((edge, taken))
            return
        step = edge.target
        join.said[edge.index] = taken
        join.taken += taken
        complete = len(join.said) == join.size
        if not join.fired and (join.taken >= join.need or (complete and join.satisfied)):
            join.fired = True
            self._start(step)
        if complete:
            if not join.fired:
                self._skip(step)
            self._work.extendleft(reversed(join.early))
            join.early = []
            join.start_over()
        self._note_waiting(step, join)

    def _note_waiting(self, step: int, join: _Join) -> None:
        if join.waiting is (step in self._waiting):
            return
        change = 1 if join.waiting else -1
        self._waiting.symmetric_difference_update((step,))
        for loop in self._shape.loops_of[step]:
            self._live[loop] += change
            self._touched.add(loop)

    def _give_up_waiting(self) -> None:
        """Nothing runs: what the first of the waiting joins has not heard by now, it will not hear."""
        step = min(self._waiting, key=lambda node: self._shape.order[node])
        said = self._joins[step].said
        self._work.extend((edge, False) for edge in self._shape.incoming[step] if edge.index not in said)
        self._propagate()

    # -- loops -------------------------------------------------------------------------------------------------------

    def _close_innermost_loop(self) -> None:
        """When nothing goes on in a loop any more, the transitions out of it that were not taken are dead.

        One that leads out of several loops waits for the last of them. Inner loops come first: what leads out
        of them may set something going in the outer ones.
        """
        loops, live, touched = self._shape.loops, self._live, self._touched
        number = min(touched, key=lambda loop: (len(loops[loop].members), loop))
        touched.discard(number)
        if live[number]:
            return
        for edge in loops[number].exits:
            if any(live[loop] or loop in touched for loop in edge.exits):
                continue
            if edge.index in self._used:
                self._used.discard(edge.index)
                self._owed.discard(edge.index)
            elif edge.index in self._owed:
                self._owed.discard(edge.index)
                self._work.append((edge, False))

    def _new_round(self, number: int) -> None:
        loop = self._shape.loops[number]
        for visit in [visit for visit in self._running if visit.step in loop.members]:
            visit.left_behind = True
            self._running.discard(visit)
            for other in self._shape.loops_of[visit.step]:
                self._live[other] -= 1
        for target in loop.followers:
            join = self._joins.get(target)
            if join is not None:
                self._take_back(join, target, loop)

    def _take_back(self, join: _Join, step: int, loop: Loop) -> None:
        """Forget what the loop's old round has said to a join that has not used it."""
        join.early = [(edge, taken) for edge, taken in join.early if edge.source not in loop.members]
        if step in loop.members and join.fired:  # it has used what others said, too: its new round begins afresh
            join.start_over()
            self._work.extendleft(reversed(join.early))
            join.early = []
        else:
            for edge in self._shape.incoming[step]:
                if edge.source in loop.members and edge.index in join.said:
                    taken = join.said.pop(edge.index)
                    join.taken -= taken
                    if edge.exits and not join.fired:
                        self._used.discard(edge.index)
                        self._owed.add(edge.index)
        self._note_waiting(step, join)
