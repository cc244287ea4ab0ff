"""The shape of a graph: which transitions go forward, which close a loop, and what each loop holds.

A *back edge* leads to a step that a walk from the start, in the order of the definition, is still inside of.
Without the back edges no path comes round to where it was. A *loop* is the steps on forward paths from the
target of a back edge, its *header*, to the source of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["Edge", "Loop", "Shape", "unbounded_cycle", "unreached"]


class Edge:
    """A transition between two steps, by number."""

    __slots__ = ("back", "exits", "index", "loop", "source", "target")

    def __init__(self, index: int, source: int, target: int) -> None:
        self.index = index
        self.source = source
        self.target = target
        self.back = False
        self.loop = -1
        """The loop that a back edge begins a new round of."""
        self.exits: tuple[int, ...] = ()
        """The loops that a forward edge leads out of."""

    def __repr__(self) -> str:
        return f"{self.source}{'⇠' if self.back else '→'}{self.target}"


class Loop:
    """The steps that another round of this loop visits again."""

    __slots__ = ("exits", "followers", "header", "members")

    def __init__(self, header: int, members: frozenset[int]) -> None:
        self.header = header
        self.members = members
        self.exits: list[Edge] = []
        """Forward edges that lead out of it."""
        self.followers: list[int] = []
        """Every step that a forward edge from a member leads to, each once."""


class Shape:
    """Edges told apart, and loops found. Nodes are numbered from 0; every one is reached from one of `starts`."""

    def __init__(self, nodes: int, starts: int | Sequence[int], pairs: Iterable[tuple[int, int]]) -> None:
        self.edges = [Edge(index, source, target) for index, (source, target) in enumerate(pairs)]
        self.outgoing: list[list[Edge]] = [[] for _ in range(nodes)]
        self.incoming: list[list[Edge]] = [[] for _ in range(nodes)]
        """Forward edges only."""
        for edge in self.edges:
            self.outgoing[edge.source].append(edge)
        self.order = self._walk([starts] if isinstance(starts, int) else starts)
        """For each node, its place in an order in which every forward edge leads onwards."""
        for edge in self.edges:
            if not edge.back:
                self.incoming[edge.target].append(edge)
        self.loops: list[Loop] = []
        self.loops_of: list[tuple[int, ...]] = [() for _ in range(nodes)]
        self._find_loops()

    def _walk(self, starts: Sequence[int]) -> list[int]:
        """Depth first, without recursion; marks the back edges."""
        inside = [False] * len(self.outgoing)
        seen = [False] * len(self.outgoing)
        left: list[int] = []
        for start in starts:
            if seen[start]:
                continue
            stack = [(start, iter(self.outgoing[start]))]
            inside[start] = seen[start] = True
            while stack:
                node, edges = stack[-1]
                for edge in edges:
                    edge.back = inside[edge.target]
                    if not seen[edge.target]:
                        inside[edge.target] = seen[edge.target] = True
                        stack.append((edge.target, iter(self.outgoing[edge.target])))
                        break
                else:
                    stack.pop()
                    inside[node] = False
                    left.append(node)
        order = [0] * len(self.outgoing)
        for place, node in enumerate(reversed(left)):
            order[node] = place
        return order

    def _find_loops(self) -> None:
        tails: dict[int, list[int]] = {}
        for edge in self.edges:
            if edge.back:
                tails.setdefault(edge.target, []).append(edge.source)
        member_of: dict[int, list[int]] = {}
        for number, (header, sources) in enumerate(sorted(tails.items(), key=lambda item: self.order[item[0]])):
            loop = Loop(header, self._between(header, sources))
            for node in sorted(loop.members):
                member_of.setdefault(node, []).append(number)
            onward = [edge for node in sorted(loop.members) for edge in self.outgoing[node] if not edge.back]
            loop.followers = list(dict.fromkeys(edge.target for edge in onward))
            loop.exits = [edge for edge in onward if edge.target not in loop.members]
            for edge in loop.exits:
                edge.exits = (*edge.exits, number)
            self.loops.append(loop)
        for edge in self.edges:
            if edge.back:
                edge.loop = next(
                    number for number in member_of[edge.target] if self.loops[number].header == edge.target
                )
        for node, numbers in member_of.items():
            self.loops_of[node] = tuple(numbers)

    def _between(self, header: int, tails: list[int]) -> frozenset[int]:
        """The nodes on forward paths from the header to one of the tails."""
        before = {header, *tails}
        stack = [node for node in tails if node != header]
        while stack:
            for edge in self.incoming[stack.pop()]:
                if edge.source not in before:
                    before.add(edge.source)
                    stack.append(edge.source)
        after = {header}
        stack = [header]
        while stack:
            for edge in self.outgoing[stack.pop()]:
                if not edge.back and edge.target in before and edge.target not in after:
                    after.add(edge.target)
                    stack.append(edge.target)
        return frozenset(after)


def unreached(nodes: int, starts: Sequence[int], pairs: Sequence[tuple[int, int]]) -> list[int]:
    """The nodes that no path from a start leads to."""
    following: list[list[int]] = [[] for _ in range(nodes)]
    for source, target in pairs:
        following[source].append(target)
    seen = set(starts)
    stack = list(starts)
    while stack:
        for target in following[stack.pop()]:
            if target not in seen:
                seen.add(target)
                stack.append(target)
    return [node for node in range(nodes) if node not in seen]


def unbounded_cycle(nodes: int, pairs: Sequence[tuple[int, int]], bounded: Sequence[bool]) -> list[int]:
    """A cycle through nodes none of which is bounded, as the nodes in their order; empty when there is none."""
    following: list[list[int]] = [[] for _ in range(nodes)]
    for source, target in pairs:
        if not bounded[source] and not bounded[target]:
            following[source].append(target)
    state = bytearray(nodes)  # 0 not seen, 1 on the path, 2 done
    for first in range(nodes):
        if state[first]:
            continue
        path = [first]
        stack = [iter(following[first])]
        state[first] = 1
        while stack:
            for target in stack[-1]:
                if state[target] == 1:
                    return path[path.index(target) :]
                if state[target] == 0:
                    state[target] = 1
                    path.append(target)
                    stack.append(iter(following[target]))
                    break
            else:
                stack.pop()
                state[path.pop()] = 2
    return []
