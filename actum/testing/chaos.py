"""A PostgreSQL store under chaos: writers that are killed and come back, readers that poll, connections that end.

Each writer is a process that appends its batches in turn and says which one was answered. Whoever is killed is
replaced by a process that goes on after the last answer, so the batch that was under way is appended again. Readers
are processes too, and keep a running hash of what they saw. Afterwards the log is held against all of it.
"""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from threading import Event, Thread
from urllib.parse import urlsplit

from actum.errors import StoreRefused, StoreUnavailable
from actum.eventstore import EventStore, open_store
from actum.eventstore.check.store import check_store
from actum.testing.builders import batch, event_id
from actum.testing.postgres import ask

__all__ = ["Findings", "chaos"]

_WRITE = """
import sys, time
from actum.errors import StoreRefused, StoreUnavailable
from actum.eventstore import open_store
from actum.testing.builders import batch
from actum.testing.chaos import names_of
url, writer, start = sys.argv[1], sys.argv[2], int(sys.argv[3])
def stubborn(do):
    while True:
        try:
            return do()
        except (StoreRefused, StoreUnavailable):
            time.sleep(0.05)
store = stubborn(lambda: open_store(url))
for i in range(start, 10**9):
    stubborn(lambda: store.append(batch(*names_of(writer, i), stream=f"s/{i % 3}")))
    print(i, flush=True)
"""

_READ = """
import sys, threading
from hashlib import sha256
from actum.errors import StoreError
from actum.eventstore import open_store
end, seen, skipped, digest = [10**18], 0, 0, sha256()
def told():
    end[0] = int(sys.stdin.readline())
threading.Thread(target=told, daemon=True).start()
store = None
while seen < end[0]:
    try:
        store = store or open_store(sys.argv[1])
        for event in store.read(after=seen - 1, payloads=False):
            skipped += event.position != seen
            digest.update(event.id.encode())
            seen += 1
        store.wait(seen - 1, 0.05)
    except StoreError:
        continue
print(seen, skipped, digest.hexdigest(), flush=True)
"""

_LARGEST = 12
_PATIENCE_S = 120


def names_of(writer: str, i: int) -> list[str]:
    """The events of a writer's batch: from 1 to 12 of them, always the same ones."""
    return [f"{writer}-{i}-{k}" for k in range(1 + i * 5 % _LARGEST)]


@dataclass
class Findings:
    """What was done, and what was wrong afterwards. Every list is empty when the promises hold."""

    events: int = 0
    acknowledged: int = 0
    seconds: float = 0
    writers_killed: int = 0
    connections_killed: int = 0
    sequencers: int = 0
    """How many processes gave positions, one after the other."""
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    misread: list[str] = field(default_factory=list)
    """What a reader saw other than every position in turn, with the event that is there."""
    verdict: str = ""


class _Writer:
    """One name, and the process that writes under it now."""

    def __init__(self, url: str, name: str) -> None:
        self.name = name
        self._url = url
        self.answered = -1
        self._begin()

    def _begin(self) -> None:
        self.heard = Event()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WRITE, self._url, self.name, str(self.answered + 1)],
            stdout=subprocess.PIPE,
            text=True,
        )
        self._listener = Thread(target=self._listen, args=(self._process, self.heard))
        self._listener.start()

    def _listen(self, process: subprocess.Popen[str], heard: Event) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if line.endswith("\n"):  # the last one may be cut
                self.answered = int(line)
                heard.set()

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        """As with kill -9; what it had said is heard to the end."""
        self._process.kill()
        self._listener.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process.wait()

    def replace(self) -> None:
        self.kill()
        self._begin()

    def events(self) -> int:
        whole, rest = divmod(self.answered + 1, _LARGEST)
        return whole * _LARGEST * (_LARGEST + 1) // 2 + sum(len(names_of("", i)) for i in range(rest))


def chaos(
    url: str,
    *,
    events: int | None = None,
    seconds: float | None = None,
    writers: int = 8,
    readers: int = 2,
    pause_s: tuple[float, float] = (0.1, 0.6),
    seed: int = 0,
    progress: Callable[[int], None] = lambda _: None,
) -> Findings:
    """Let all hell loose on the empty store at this URL until so many events are answered, or so long; then look.

    It begins when every writer has had an answer, and a process that was replaced is killed only after it had one.
    Before each kill it waits between the two times of `pause_s`. Of ten kills five are of any writer's process, two of
    the one that gives the positions, and three of three server connections each.
    """
    chance, found = random.Random(seed), Findings()
    options = "&" if "?" in url else "?"
    rushed, database = f"{url}{options}lease=0.3&busy_timeout=5", urlsplit(url).path[1:]
    watching = [
        subprocess.Popen(
            [sys.executable, "-c", _READ, f"{url}{options}mode=ro"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(readers)
    ]
    crowd = [_Writer(rushed, f"w{i}") for i in range(writers)]
    try:
        for writer in crowd:
            assert writer.heard.wait(_PATIENCE_S), "a writer does not begin"
        begun = time.monotonic()
        while True:
            time.sleep(chance.uniform(*pause_s))
            answered = sum(writer.events() for writer in crowd)
            progress(answered)
            if events is not None and answered >= events:
                break
            if seconds is not None and time.monotonic() - begun >= seconds:
                break
            what = chance.random()
            if what < 0.7:
                ready = [writer for writer in crowd if writer.heard.is_set()]  # the others have nothing to lose yet
                first = [writer for writer in ready if what < 0.2 and writer.pid == _sequencer(url)]
                if ready:
                    (first or [chance.choice(ready)])[0].replace()
                    found.writers_killed += 1
            else:
                ask(
                    url,
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    f"WHERE datname = '{database}' AND pid <> pg_backend_pid() ORDER BY random() LIMIT 3",
                )
                found.connections_killed += 3
    finally:
        for writer in crowd:
            writer.kill()
    found.seconds = time.monotonic() - begun
    _look(rushed, found, crowd, watching)
    return found


def _sequencer(url: str) -> int:
    """The process that gives the positions."""
    held = ask(url, "SELECT split_part(holder, '-', 1)::int FROM leases WHERE name = 'sequencer'")
    return int(held[0][0]) if held else 0


def _append_last(store: EventStore) -> None:
    """An event after all others: when it has its position, every batch that a killed writer left has one too."""
    for _ in range(100):
        with contextlib.suppress(StoreRefused, StoreUnavailable):
            store.append(batch("last", stream="s/last"))
            return
    raise AssertionError("no answer in 100 tries")


def _look(url: str, found: Findings, crowd: list[_Writer], watching: list[subprocess.Popen[str]]) -> None:
    with contextlib.closing(open_store(url)) as store:
        _append_last(store)
        log = [(event.position, event.id) for event in store.read(payloads=False)]
        found.verdict = check_store(store).verdict
    ((found.sequencers,),) = ask(url, "SELECT max(epoch) FROM leases WHERE name = 'sequencer'")
    found.events = len(log)
    places: dict[str, int] = {}
    digest = sha256()
    for expected, (position, id_) in enumerate(log):
        if id_ in places:
            found.doubled.append(id_)
        if position != expected:
            found.misread.append(f"position {position} stands where {expected} should")
        places[id_] = position
        digest.update(id_.encode())
    for writer in crowd:
        last = -1
        for i in range(writer.answered + 1):
            for name in names_of(writer.name, i):
                found.acknowledged += 1
                place = places.get(event_id(name))
                if place is None:
                    found.lost.append(name)
                elif place <= last:
                    found.disordered.append(name)
                last = last if place is None else place
    for reader in watching:
        said, _ = reader.communicate(f"{len(log)}\n", timeout=600)
        if said.split() != [str(len(log)), "0", digest.hexdigest()]:
            found.misread.append(f"a reader saw {said.strip()}")
