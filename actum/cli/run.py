"""`actum run` and `actum resume`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actum.cli.options import Json, log_of
from actum.cli.output import console, err, how_many, print_json, say, status_text
from actum.errors import BadInput, ExecutionFailed, ExecutionParked, WorkflowError

if TYPE_CHECKING:
    from actum.engine import Engine, Handle
    from actum.engine.definitions import Code
    from actum.eventstore import EventStore

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    app.command("run")(run)
    app.command("resume")(resume)


def run(
    what: Annotated[str, typer.Argument(metavar="FILE|MODULE:NAME", help="A graph (JSON or YAML), or a workflow.")],
    input_: Annotated[str, typer.Option("--input", help="The input: JSON, @FILE, or - for stdin.")] = "null",
    id_: Annotated[str | None, typer.Option("--id", help="The execution's id; a known one is resumed.")] = None,
    subject: Annotated[
        str | None, typer.Option(help="The person it is about: what it records of them can be erased.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the end, or only record the start.")] = True,
    modules: Annotated[
        list[str] | None,
        typer.Option(metavar="OLD=NEW", help="Where the file says module OLD…, its code is in NEW… here. Repeatable."),
    ] = None,
    json: Json = False,
) -> None:
    """Start an execution and see it to its end. Prints its id first.

    When only a person's answer can move it on, the command says so and returns; `actum resume` goes on.
    """
    code = _code(what, _renamed(modules or []))
    given = _input(input_)
    with log_of(writes=True) as store:
        code_ = asyncio.run(_run(store, code, given, id_, subject, wait, json))
    raise typer.Exit(code_)


def resume(
    id_: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="One execution; without it, all that are due.")
    ] = None,
    json: Json = False,
) -> None:
    """Go on with what a dead process has left, or with an execution that was parked."""
    with log_of(writes=True) as store:
        code = asyncio.run(_resume(store, id_, json))
    raise typer.Exit(code)


def _renamed(modules: list[str]) -> dict[str, str]:
    renamed: dict[str, str] = {}
    for word in modules:
        old, _, new = word.partition("=")
        if not all(part.isidentifier() for part in f"{old}.{new}".split(".")):
            raise BadInput(f"--modules: {word!r} is not OLD=NEW, two names of modules")
        renamed[old] = new
    return renamed


def _code(what: str, modules: dict[str, str]) -> Code:
    from actum.engine.definitions import import_target
    from actum.engine.durable import Workflow
    from actum.engine.graph import Graph
    from actum.engine.graph_load import load_graph

    path = Path(what)
    if path.exists() or ":" not in what or what.endswith((".json", ".yaml", ".yml")):
        return load_graph(path, modules=modules)
    if modules:
        raise BadInput(f"--modules is for a graph in a file, not for {what!r}")
    found = import_target(what, str(Path.cwd()))
    if isinstance(found, (Workflow, Graph)):
        return found
    raise BadInput(f"{what!r} is neither a @workflow nor a Graph; its type is {type(found).__name__}")


def _input(text: str) -> Any:
    import orjson

    where = "--input"
    try:
        if text == "-":
            raw = sys.stdin.buffer.read()
        elif text.startswith("@"):
            where = text[1:]
            raw = Path(where).read_bytes()
        else:
            raw = text.encode()
        return orjson.loads(raw)
    except OSError as exc:
        raise BadInput(f"{where}: {exc.strerror}") from exc
    except orjson.JSONDecodeError as exc:
        raise BadInput(f"{where}: not JSON: {exc.msg} (line {exc.lineno}, column {exc.colno})") from exc


async def _run(
    store: EventStore, code: Code, given: Any, id_: str | None, subject: str | None, wait: bool, json: bool
) -> int:
    from actum.engine import Engine

    async with Engine(store) as engine:
        if not wait:
            if id_ is not None and store.stream_version(f"execution/{id_}"):
                return _tell(_known(store, id_), json)
            started = await engine.submit(code, given, id=id_, subject=subject)
            if not json:
                console().print(started, markup=False)
            return _tell(_answer(store, started, "running", None, None), json)
        handle = await engine.start(code, given, id=id_, subject=subject)
        if not json:
            console().print(handle.id, markup=False)
            sys.stdout.flush()
        with _watched(f"running {handle.id}"):
            answer = await _see_through(store, handle)
    return _tell(answer, json)


def _known(store: EventStore, id_: str) -> dict[str, Any]:
    """What there is to say of an execution that was there before its start was asked for again."""
    status = store.view("executions", {"id": id_})[0]["status"]
    say(f"{id_} is there already; nothing was started")
    return _answer(store, id_, status, None, None)


async def _see_through(store: EventStore, handle: Handle) -> dict[str, Any]:
    """Wait for the end, or until only a person can move it on."""
    if await handle.wait_asking():
        return _answer(store, handle.id, "waiting", None, None)
    try:
        return _answer(store, handle.id, "completed", await handle.result(), None)
    except ExecutionFailed as exc:
        return _answer(store, handle.id, exc.status, None, {"type": exc.error_type, "message": exc.message})
    except ExecutionParked as exc:
        return _answer(store, handle.id, "parked", None, {"type": "ExecutionParked", "message": exc.reason})
    except WorkflowError as exc:
        return _answer(store, handle.id, "parked", None, {"type": type(exc).__name__, "message": str(exc)})


@contextmanager
def _watched(what: str) -> Iterator[None]:
    """A line that moves while something runs, where somebody watches."""
    shown = err()
    if not shown.is_terminal:
        yield
        return
    with shown.status(what):
        yield


def _answer(store: EventStore, id_: str, status: str, output: Any, error: dict[str, str] | None) -> dict[str, Any]:
    events = store.stream_version(f"execution/{id_}")
    rows = store.view("approvals", {"execution": id_, "status": "waiting"}) if status == "waiting" else []
    answer = {"id": id_, "status": status, "output": output, "error": error, "events": events}
    if rows:
        answer["waiting_for"] = [row["approval"] for row in rows]
    return answer


def _tell(answer: dict[str, Any], json: bool) -> int:
    if json:
        print_json(answer)
    else:
        _for_people(answer)
    return 0 if answer["status"] in ("completed", "waiting", "running") else 1


def _for_people(answer: dict[str, Any]) -> None:
    import orjson

    out = console()
    out.print(status_text(answer["status"]), f"[dim]· {how_many(answer['events'], 'event')}[/dim]")
    if answer["error"]:
        out.print(f"{answer['error']['type']}: {answer['error']['message']}", markup=False, style="red")
    elif answer["status"] == "completed" and answer["output"] is not None:
        out.print(orjson.dumps(answer["output"], option=orjson.OPT_INDENT_2).decode(), markup=False)
    for approval in answer.get("waiting_for", ()):
        say(f"waits for an answer to {approval}: actum approvals show {answer['id']}")
    if answer["status"] == "running":
        say(f"started; go on with: actum resume {answer['id']}")


async def _resume(store: EventStore, id_: str | None, json: bool) -> int:
    from actum.engine import Engine

    async with Engine(store) as engine:
        if id_ is not None:
            with _watched(f"resuming {id_}"):
                answer = await _see_through(store, await engine.resume(id_))
            return _tell(answer, json)
        return await _resume_all(engine, store, json)


async def _resume_all(engine: Engine, store: EventStore, json: bool) -> int:
    handles, refused = await engine.recover()
    with _watched(f"resuming {how_many(len(handles), 'execution')}"):
        answers = await asyncio.gather(*[_see_through(store, handle) for handle in handles])
    failed = any(answer["status"] not in ("completed", "waiting") for answer in answers) or bool(refused)
    if json:
        print_json({"resumed": answers, "refused": {id_: str(exc) for id_, exc in refused.items()}})
        return 1 if failed else 0
    for answer in answers:
        console().print(answer["id"], markup=False)
        _for_people(answer)
    for id_, exc in refused.items():
        say(f"{id_}: {exc}")
    if not answers and not refused:
        say("nothing is left to resume")
    return 1 if failed else 0
