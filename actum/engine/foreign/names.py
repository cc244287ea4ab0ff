"""What steps, timers and branches of a foreign definition are called in the record. Pure.

A key is made of a path of scopes, a name and a number (`rules.calls.call_key`), so a name may hold no `/`. Names that
we add end in `~word`, and `~` in a foreign name is written otherwise, so that no two things share a name.
"""

from __future__ import annotations

from hashlib import sha256

__all__ = ["LONGEST_NAME", "branch_scope", "path_of", "recorded_name"]

LONGEST_NAME = 80
"""Characters of a state's or task's name, so that with all we add it fits an event."""
_LONGEST_SCOPE = 200
_LONGEST_PATH = 256
_WRITTEN = str.maketrans({"%": "%25", "/": "%2F", "~": "%7E", "#": "%23"})


def recorded_name(foreign: str) -> str:
    """The name under which it is recorded: itself, but for `/`, `#`, `~` and `%`."""
    return foreign.translate(_WRITTEN)


def branch_scope(scope: str, name: str, visit: int, branch: int) -> str:
    """The scope of one branch of a state or task: different for every visit of it."""
    inner = f"{recorded_name(name)}.{visit}.{branch}"
    inner = f"{scope}/{inner}" if scope else inner
    return inner if len(inner) <= _LONGEST_SCOPE else sha256(inner.encode()).hexdigest()[:32]


def path_of(scope: str, name: str) -> str:
    """A state or task and the branch it runs in, as transitions name it."""
    path = f"{scope}/{name}" if scope else name
    return path if len(path) <= _LONGEST_PATH else sha256(path.encode()).hexdigest()[:32]
