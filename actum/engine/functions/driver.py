"""What the running branch of a workflow asks for, under which key: the driver that `Context` and `Step` see."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from random import Random
from typing import Any

from actum.engine.functions.awaited import ChildHandle, Pending
from actum.engine.functions.branches import Branch
from actum.engine.rules.calls import (
    Approval,
    Approve,
    Call,
    Child,
    Mark,
    ParentClose,
    Receive,
    Sleep,
    StepSpec,
    Undo,
    Wait,
    Wish,
)
from actum.engine.rules.children import child_id

__all__ = ["BranchDriver"]


class BranchDriver:
    """Gives out calls to the branch that runs at this moment; each gets the next occurrence of its name there."""

    def __init__(self, execution: str) -> None:
        self._execution = execution
        self._branch: Branch | None = None
        self.now_us = 0
        self._patches: dict[str, int] = {}
        self._asked_after = -1
        self._told = 0
        self._wishes: list[Wish] = []
        self._handles: dict[str, ChildHandle] = {}
        """By key: children that were started, and need not be awaited."""

    def pending_step(
        self, spec: StepSpec, args: tuple[Any, ...], kwargs: dict[str, Any], convert: Callable[[Any], Any] | None
    ) -> Pending:
        branch = self._branch
        assert branch is not None
        return Pending(Call(spec, branch.occurrence(spec.name), branch.scope, args, kwargs or None, convert))

    def pending_approval(self, approval: Approval) -> Pending:
        branch = self._branch
        assert branch is not None
        return Pending(Approve(approval, branch.occurrence(approval.name), branch.scope))

    def pending_sleep(self, seconds: float, name: str, until_us: int | None = None) -> Pending:
        branch = self._branch
        assert branch is not None
        return Pending(Sleep(seconds, branch.occurrence(name), branch.scope, name, until_us))

    def pending_wait(self, signal: str) -> Pending:
        branch = self._branch
        assert branch is not None
        return Pending(Wait(signal, branch.occurrence(signal), branch.scope))

    def pending_child(
        self,
        name: str,
        workflow: Any,
        workflow_input: Any,
        id_: str | None,
        on_parent_close: ParentClose,
        convert: Callable[[Any], Any] | None,
    ) -> Pending:
        branch = self._branch
        assert branch is not None
        occurrence = branch.occurrence(name)
        return Pending(Child(name, workflow, workflow_input, occurrence, branch.scope, id_, on_parent_close, convert))

    def start_child(
        self,
        name: str,
        workflow: Any,
        workflow_input: Any,
        id_: str | None,
        on_parent_close: ParentClose,
        convert: Callable[[Any], Any] | None,
    ) -> ChildHandle:
        branch = self._branch
        assert branch is not None
        occurrence = branch.occurrence(name)
        child = Child(name, workflow, workflow_input, occurrence, branch.scope, id_, on_parent_close, convert, True)
        handle = ChildHandle(child, id_ or child_id(self._execution, child.key), self)
        self._handles[child.key] = handle
        self._wishes.append(child)
        return handle

    def say(self, wish: Wish) -> None:
        self._wishes.append(wish)

    def draw(self, what: str) -> bytes:
        """32 bytes of chance: of the execution's id, the branch, and how often this branch has drawn."""
        branch = self._branch
        assert branch is not None
        number = branch.occurrence(f"#{what}")
        return sha256(f"{self._execution}\n{branch.scope}\n{what}\n{number}".encode()).digest()

    @property
    def rng(self) -> Random:
        branch = self._branch
        assert branch is not None
        if branch.rng is None:
            branch.rng = Random(self.draw("rng"))
        return branch.rng

    def patched(self, patch: str) -> bool:
        after = self._patches.get(patch)
        if after is not None:
            return after <= self._told
        if self._told <= self._asked_after:
            return False  # the code that made this record came past here and did not know of the patch
        self._patches[patch] = self._told
        self._wishes.append(Mark(patch, self._told))
        return True

    def pending_undo(self, since: int, name: str) -> Pending:
        branch = self._branch
        assert branch is not None
        return Pending(Undo(since, branch.occurrence(name), branch.scope, name))

    def told(self) -> int:
        return self._told

    def pending_input(self, prompt: Any, name: str) -> Pending:
        branch = self._branch
        assert branch is not None
        return Pending(Receive(name, prompt, branch.occurrence(name), branch.scope))
