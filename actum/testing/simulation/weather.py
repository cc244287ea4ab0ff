"""All that can go wrong around an execution, as data: it can be drawn from a seed, written down, and made smaller."""

from __future__ import annotations

from random import Random
from typing import Final, Literal, NamedTuple
from zlib import crc32

__all__ = ["CALM", "FATES", "Asked", "Fate", "FateKind", "Jump", "Life", "Luck", "Outcome", "Weather"]

FateKind = Literal["ok", "lost", "landed", "late", "refused"]
FATES: Final[tuple[FateKind, ...]] = ("ok", "lost", "landed", "late", "refused")
Outcome = Literal["ok", "fails", "hangs", "gives up"]


class Fate(NamedTuple):
    """What becomes of one append.

    - `lost`: it is not written, and the answer says that nobody knows.
    - `landed`: it is written, and the answer says that nobody knows.
    - `late`: the answer says that nobody knows, and only then it is written.
    - `refused`: it and all that follow for `answer_s` are refused, as by a full disk.
    """

    kind: FateKind = "ok"
    write_s: float = 0
    """How long it takes to be written."""
    answer_s: float = 0
    """How long after that the answer takes."""


class Life(NamedTuple):
    """How long a worker lives. A zombie lives on, taken for dead, while the next one takes over."""

    ms: int
    zombie: bool = False


class Asked(NamedTuple):
    """What a person asks of the execution, so long after the request before."""

    what: Literal["pause", "unpause", "cancel", "cancel, and leave it", "cancel, now"]
    after_ms: int


class Jump(NamedTuple):
    """The wall clock is set on, or back, so long after the jump before."""

    by_s: float
    after_ms: int


class Luck(NamedTuple):
    """What becomes of every attempt. It depends on the call and its recorded failures, never on crashes.

    A number of `chances` is drawn for each attempt: 0 and 1 fail, 2 hangs, 3 fails with an error that is not tried
    again where retries name error types, all others end well; and another says how many milliseconds it takes.
    """

    chances: tuple[int, ...] = (20,)

    def outcome(self, key: str, failures: int) -> Outcome:
        found: dict[int, Outcome] = {0: "fails", 1: "fails", 2: "hangs", 3: "gives up"}
        return found.get(self._draw(key, failures), "ok")

    def takes_s(self, key: str, failures: int) -> float:
        return self._draw(f"{key} takes", failures) / 1000

    def value(self, key: str) -> int:
        """A number that is this call's own."""
        return crc32(key.encode()) % 100

    def _draw(self, what: str, number: int) -> int:
        return self.chances[crc32(f"{what} {number}".encode()) % len(self.chances)]


class Weather(NamedTuple):
    """All that goes wrong. The default is nothing."""

    fates: tuple[Fate, ...] = ()
    """Of appends, one after the other; all further ones are good."""
    lives: tuple[Life, ...] = ()
    """Of workers, one after the other; the last one lives to the end."""
    answers_after_ms: tuple[int, ...] = ()
    """How long people take to answer."""
    idle_after_s: float | None = None
    """How long what only waits stays in a worker's memory; None for ever."""
    asks: tuple[Asked, ...] = ()
    jumps: tuple[Jump, ...] = ()

    @classmethod
    def of(cls, seed: int, *, asks: bool = True) -> Weather:
        """The weather of a seed: about one in ten is fair. `asks`: people pause and cancel, too."""
        draw = Random(f"weather {seed}")
        if draw.random() < 0.1:
            return CALM
        rough = draw.random()
        return cls(
            tuple(_fate(draw, rough) for _ in range(draw.randrange(25))),
            tuple(Life(draw.randrange(120), draw.random() < 0.4) for _ in range(draw.randrange(7))),
            tuple(draw.randrange(100) for _ in range(draw.randrange(5))),
            draw.choice((None, 0.0, 0.02)),
            _asks(draw) if asks and draw.random() < 0.3 else (),
            tuple(_jump(draw) for _ in range(draw.randrange(4))) if draw.random() < 0.3 else (),
        )


CALM: Final = Weather()
"""Nothing goes wrong."""


def _fate(draw: Random, rough: float) -> Fate:
    kind = draw.choice(FATES) if draw.random() < rough else "ok"
    longest_s = 45 if kind == "refused" and draw.random() < 0.1 else 0.3  # at times longer than an engine is patient
    return Fate(kind, draw.randrange(30) / 1000, draw.random() ** 3 * longest_s)


def _asks(draw: Random) -> tuple[Asked, ...]:
    words: tuple[Literal["pause", "cancel", "cancel, and leave it", "cancel, now"], ...]
    words = ("pause", "pause", "cancel", "cancel, and leave it", "cancel, now")
    return tuple(Asked(draw.choice(words), draw.randrange(120)) for _ in range(draw.randrange(1, 4)))


def _jump(draw: Random) -> Jump:
    return Jump(draw.choice((-1, 1)) * draw.choice((0.001, 1, 60, 86_400)), draw.randrange(100))
