"""What the runtime takes from outside: the time, chance, ids, and who else is alive. Tests bring their own."""

from __future__ import annotations

import fcntl
import os
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from actum.errors import BadInput
from actum.events import uuid7, uuid7s
from actum.eventstore.tables.owners import KINDS_THAT_RUN, OPEN, Living
from actum.eventstore.views import NoneOf

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from actum.engine.runtime.step_info import StepInfo
    from actum.events import NewEvent, RecordedEvent
    from actum.eventstore import EventStore

__all__ = ["Alone", "FileOwners", "Observer", "Owners", "TaskQueue", "ViewQueue", "World", "owners_of", "unowned"]

_LOOKS = 25
"""How often a worker's file is tried before its name counts as taken."""


class World:
    """The clock, chance and ids of this machine. Subclass it to make a world that is under control."""

    def now_us(self) -> int:
        """Microseconds since the epoch."""
        return time.time_ns() // 1000

    def chance(self) -> float:
        """A draw from [0, 1)."""
        return random.random()

    def new_id(self) -> str:
        """An id that nobody has: UUIDv7."""
        return uuid7(time.time_ns() // 1000, random.getrandbits(62))

    def new_ids(self, count: int) -> list[str]:
        """So many ids that nobody has."""
        return uuid7s(time.time_ns() // 1000, [random.getrandbits(62) for _ in range(count)])


class Owners(Protocol):
    """Who is alive among the workers of a store."""

    def hold(self, worker: str) -> None:
        """Be seen as alive from now on, until `release` or the end of the process."""

    def release(self, worker: str) -> None: ...

    def alive(self, worker: str) -> bool:
        """Whether that worker's process is there. A dead one counts as alive for one lease at most."""

    def living(self) -> list[Living]:
        """Every worker that is alive."""

    def tell(self, worker: str, about: dict[str, Any]) -> None:
        """Let others see this of a worker that is held here, at the latest in one lease."""


class TaskQueue(Protocol):
    """Which executions nobody runs. Several workers that ask at once get different ones, as far as the store can."""

    def take(
        self, worker: str, limit: int, *, workflows: Sequence[str] | None = None, but: Collection[str] = ()
    ) -> list[dict[str, Any]]:
        """At most so many executions that are open and whose owner is not alive: id, workflow, owner.

        Those of a higher priority come first, then the oldest.

        Of these workflows only, and none of `but`. Taking is politeness: what makes an execution one's own is its
        claim in the log. What is not claimed within a lease is given to others.
        """

    def close(self) -> None:
        """Let go of the database."""


class ViewQueue:
    """For any store: what the view says; behind what is urgent, from anywhere on, so that workers seldom meet."""

    def __init__(self, store: EventStore, owners: Owners, chance: Callable[[], float]) -> None:
        self._store = store
        self._owners = owners
        self._chance = chance

    def take(
        self, worker: str, limit: int, *, workflows: Sequence[str] | None = None, but: Collection[str] = ()
    ) -> list[dict[str, Any]]:
        living = self._owners.living()
        rows = unowned(self._store, [one.name for one in living], 4 * limit, workflows, but)
        urgent = sum((row["priority"] or 0) > 0 for row in rows)
        if len(living) > 1 and len(rows) - urgent > limit:
            start = int(self._chance() * (len(rows) - urgent - limit + 1))
            rows = [*rows[:urgent], *rows[urgent + start :]]
        return rows[:limit]

    def close(self) -> None: ...


def unowned(
    store: EventStore,
    living: Sequence[str],
    limit: int,
    workflows: Sequence[str] | None = None,
    but: Collection[str] = (),
) -> list[dict[str, Any]]:
    """Rows of executions that are open and belong to none of the living: by priority, then the oldest first."""
    where: dict[str, Any] = {"status": OPEN, "kind": KINDS_THAT_RUN, "owner": NoneOf(living), "id": NoneOf(but)}
    if workflows is not None:
        where["workflow"] = tuple(workflows)
    first = store.view("executions", where, order="priority", descending=True, limit=limit)
    urgent = [row for row in first if (row["priority"] or 0) > 0]
    oldest = store.view("executions", where, order="started_at", limit=limit)
    known = {row["id"] for row in urgent}
    rows = [*urgent, *(row for row in oldest if row["id"] not in known)]
    return sorted(rows, key=lambda row: (-(row["priority"] or 0), row["started_at"]))[:limit]


class Observer(Protocol):
    """Who is told what executions do, in the event loop's thread. It must be quick, and must not raise."""

    def caller(self) -> str | None:
        """Whose trace an execution that is started now belongs to, as a `traceparent`; None for one of its own."""

    def loaded(self, execution: str, past: Sequence[RecordedEvent]) -> None:
        """All of an execution's events so far; again when somebody else has appended some."""

    def recorded(self, execution: str, events: Sequence[NewEvent | RecordedEvent], first_position: int) -> None:
        """The next events of an execution, which are durable now, from this position on."""

    def entered(self, info: StepInfo) -> None:
        """An attempt begins; called in the context in which its code will run."""

    def left(self, execution: str) -> None:
        """The engine has let go of it."""


class Alone:
    """For a store that only this process can reach."""

    def __init__(self) -> None:
        self._held: set[str] = set()
        self._about: dict[str, dict[str, Any]] = {}

    def hold(self, worker: str) -> None:
        self._held.add(worker)

    def release(self, worker: str) -> None:
        self._held.discard(worker)

    def alive(self, worker: str) -> bool:
        return worker in self._held

    def living(self) -> list[Living]:
        return [Living(worker, None, self._about.get(worker, {})) for worker in sorted(self._held)]

    def tell(self, worker: str, about: dict[str, Any]) -> None:
        self._about[worker] = about


class FileOwners:
    """For an embedded store: each worker holds a lock on a file of its own beside the store.

    The operating system lets go of the lock when the process dies, however it dies, so nothing has to time out.
    """

    def __init__(self, store: Path) -> None:
        self._folder = store.with_name(store.name + ".workers")
        self._held: dict[str, int] = {}

    def hold(self, worker: str) -> None:
        self._folder.mkdir(exist_ok=True)
        path = self._folder / worker
        for _ in range(_LOOKS):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if path.exists() and os.stat(path).st_ino == os.fstat(handle).st_ino:
                    self._held[worker] = handle
                    return
            except BlockingIOError:
                time.sleep(0.02)  # somebody may only be looking whether it is held
            except FileNotFoundError:
                pass  # somebody looked, and took it for a dead one's
            os.close(handle)
        raise BadInput(f"a worker {worker!r} is running on this store already; give this one another name")

    def release(self, worker: str) -> None:
        handle = self._held.pop(worker, None)
        if handle is not None:
            (self._folder / worker).unlink(missing_ok=True)
            os.close(handle)

    def alive(self, worker: str) -> bool:
        if worker in self._held:
            return True
        if not worker:
            return False
        try:
            handle = os.open(self._folder / worker, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:  # nobody holds it: what a dead worker left behind
            (self._folder / worker).unlink(missing_ok=True)
            return False
        finally:
            os.close(handle)

    def living(self) -> list[Living]:
        names = sorted(path.name for path in self._folder.glob("*")) if self._folder.exists() else []
        return [Living(name, None, self._said(name)) for name in names if self.alive(name)]

    def tell(self, worker: str, about: dict[str, Any]) -> None:
        said, handle = orjson.dumps(about), self._held[worker]
        os.pwrite(handle, said, 0)
        os.ftruncate(handle, len(said))

    def _said(self, worker: str) -> dict[str, Any]:
        try:
            said: dict[str, Any] = orjson.loads((self._folder / worker).read_bytes())
        except (OSError, orjson.JSONDecodeError):  # it says nothing, or something new just now
            return {}
        return said


def owners_of(store: EventStore) -> Owners:
    """Who is alive on this store: by leases in a store that has them, lock files beside a store that is a file."""
    if hasattr(store, "owners"):
        of_store: Owners = store.owners()
        return of_store
    path = getattr(store, "path", None)
    return Alone() if path is None else FileOwners(path)
