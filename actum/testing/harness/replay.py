"""Recorded histories as files, and whether today's code still does what they say."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import orjson

from actum.engine.definitions import Code, planner_for
from actum.engine.rules.calls import Continue, Done, Give
from actum.engine.rules.folding import fold
from actum.engine.runtime.run import Run
from actum.errors import BadInput, ReplayDiverged
from actum.events import RecordedEvent
from actum.eventstore.memory import MemoryStore
from actum.testing.harness.history import History, events_of
from actum.testing.simulation.loop import virtually
from actum.testing.simulation.world import virtual_engine

__all__ = ["check_replay", "load_history", "save_history"]

_OVER = ("execution.completed", "execution.failed", "execution.cancelled", "execution.continued")


def save_history(of: History | Iterable[RecordedEvent], path: str | Path) -> None:
    """Write the record of one execution, payloads too, as a file for `check_replay`: one event a line."""
    events = events_of(of)
    lines = [
        orjson.dumps({"position": e.position, "header": e.head, "payload": e.payload and e.payload.decode()})
        for e in events
    ]
    Path(path).write_bytes(b"\n".join(lines) + b"\n")


def load_history(path: str | Path) -> list[RecordedEvent]:
    """Read what `save_history` has written. Raises `BadInput` naming the line that is none of it."""
    found: list[RecordedEvent] = []
    for number, line in enumerate(Path(path).read_bytes().splitlines(), 1):
        try:
            said = orjson.loads(line)
            payload = said["payload"]
            header = orjson.dumps(said["header"], option=orjson.OPT_SORT_KEYS)
            found.append(RecordedEvent(said["position"], header, None if payload is None else payload.encode(), b""))
            _ = found[-1].type, found[-1].stream
        except (ValueError, KeyError, TypeError) as exc:
            raise BadInput(f"{path}, line {number}: not an event of a saved history ({exc!r})") from exc
    if not found:
        raise BadInput(f"{path} holds no events")
    return found


def check_replay(code: Code, of: History | Iterable[RecordedEvent] | str | Path) -> None:
    """Run today's code over a recorded history, or the file of one; nothing is called and nothing is written.

    Raises `ReplayDiverged`, with what is recorded, what the code asks for instead and where, when executions with this
    record could not go on with this code.
    """
    past = load_history(of) if isinstance(of, (str, Path)) else list(events_of(of))
    if not past:
        raise BadInput("the history holds no events")
    if past[0].facts.get("workflow") != code.name:
        raise BadInput(f"the history is of workflow {past[0].facts.get('workflow')!r}, not of {code.name!r}")
    virtually(_replay(code, past))


async def _replay(code: Code, past: list[RecordedEvent]) -> None:
    id_ = past[0].stream.removeprefix("execution/")
    begun, end = _before_the_end(past)
    async with virtual_engine(MemoryStore()) as engine:
        engine.register(code)
        run = Run(engine, id_, planner_for(code, id_), code.classes)
        try:
            run.load(begun)
            state = fold(id_, begun)
            ends = any(isinstance(wish, (Done, Continue, Give)) for wish in run._planning.wishes)
            if end in ("execution.completed", "execution.continued") and not ends and not state.cancel_requested:
                open_ = ", ".join(repr(key) for key in run._planning.calls if key not in state.settled) or "nothing"
                raise ReplayDiverged(id_, "the end", open_)
        finally:
            run.drop(ReplayDiverged(id_, "", ""))


def _before_the_end(past: list[RecordedEvent]) -> tuple[list[RecordedEvent], str]:
    """The record up to where it was decided how it ends, and how that was."""
    for place, event in enumerate(past):
        if event.type in _OVER:
            return past[:place], event.type
    return past, ""
