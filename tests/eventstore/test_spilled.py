"""A mapping that lies partly in a temporary file says what one says that is all in memory."""

from __future__ import annotations

import subprocess
import sys

from hypothesis import given as forall
from hypothesis import settings
from hypothesis import strategies as st

from actum.eventstore.spilled import Spilled, in_step

texts = st.text(max_size=3)
moves = st.tuples(st.sampled_from(["set", "get", "change", "remove", "trim", "items", "len"]), texts, st.integers())


@settings(max_examples=50, deadline=None)
@forall(st.lists(moves, max_size=40), st.integers(0, 3))
def test_it_is_a_mapping(done: list[tuple[str, str, int]], room: int) -> None:
    """Whatever is done, in whatever order, each text has what was last set, or changed in place."""
    spilled, plain = Spilled[list[int]](room), dict[str, list[int]]()
    for move, key, value in done:
        if move == "set":
            spilled[key] = [value]
            plain[key] = [value]
        elif move == "get":
            assert spilled.get(key) == plain.get(key)
        elif move == "change" and key in plain:
            got = spilled.get(key)
            assert got is not None
            got.append(value)
            plain[key].append(value)
        elif move == "remove":
            spilled.remove(key)
            plain.pop(key, None)
        elif move == "trim":
            spilled.trim()
            assert len(spilled.recent) <= room
        elif move == "items":
            assert list(spilled.items()) == sorted(plain.items())
        else:
            assert len(spilled) == len(plain)
    assert list(spilled.items()) == sorted(plain.items())


@settings(max_examples=50, deadline=None)
@forall(st.dictionaries(texts, st.integers()), st.dictionaries(texts, st.integers()), st.integers(0, 3))
def test_two_go_in_step(ours: dict[str, int], theirs: dict[str, int], room: int) -> None:
    """Each text of either comes once, in order, with what both have for it."""
    one, other = Spilled[int](room), Spilled[int](99)
    for spilled, plain in ((one, ours), (other, theirs)):
        for key, value in plain.items():
            spilled[key] = value

    both = [(key, ours.get(key), theirs.get(key)) for key in sorted(ours.keys() | theirs.keys())]
    assert list(in_step(one, other)) == both


FULL = """
import resource, signal
from actum.errors import NoTemporaryRoom
from actum.eventstore.spilled import Spilled
spilled = Spilled[bytes](1)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    for n in range(100_000):
        spilled[f"{n:06}"] = bytes(1000)
except NoTemporaryRoom as exc:
    print(exc)
"""


def test_a_full_disk_is_named() -> None:
    """No room for the file is an error that says so and what to do, and nothing is silently forgotten."""
    said = subprocess.run([sys.executable, "-c", FULL], capture_output=True, text=True, check=True, timeout=60).stdout
    assert "no temporary file can be used" in said
    assert "TMPDIR" in said
