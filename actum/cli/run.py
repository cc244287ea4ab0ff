"""`actum run` and `actum resume`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actum.cli.executions import attributes_of
from actum.cli.options import Json, log_of
from actum.cli.output import console, err, how_many, print_json, say, status_text
from actum.cli.pools import ResourcesFile, loaded
from actum.cli.workflow_import import TaskFile, Tasks, bindings_of
from actum.errors import BadInput, ExecutionFailed, ExecutionParked, WorkflowDeprecated, WorkflowError

if TYPE_CHECKING:
    from actum.engine import Engine, Handle
    from actum.engine.definitions import Code
    from actum.engine.resources import Resources
    from actum.eventstore import EventStore

__all__ = ["register", "renamed"]


def register(app: typer.Typer) -> None:
    app.command("run")(run)
    app.command("resume")(resume)


def run(
    what: Annotated[
        str,
        typer.Argument(
            metavar="FILE|MODULE:NAME|NAME",
            help="A definition (JSON or YAML), a workflow, or the name of a published graph: its newest definition.",
        ),
    ],
    input_: Annotated[str, typer.Option("--input", help="The input: JSON, @FILE, or - for stdin.")] = "null",
    id_: Annotated[
        str | None, typer.Option("--id", help="The execution's id; a known one is resumed, or given its input.")
    ] = None,
    subject: Annotated[
        str | None, typer.Option(help="The person it is about: what it records of them can be erased.")
    ] = None,
    timeout: Annotated[
        str | None, typer.Option(help="How long it may take, e.g. 1h; then it is cancelled and has failed.")
    ] = None,
    priority: Annotated[int | None, typer.Option(help="What is higher is taken up first; else 0.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="What it can be found by. Repeatable.")] = None,
    attribute: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="What it can be found by. Repeatable.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the end, or only record the start.")] = True,
    modules: Annotated[
        list[str] | None,
        typer.Option(metavar="OLD=NEW", help="Where the file says module OLD…, its code is in NEW… here. Repeatable."),
    ] = None,
    task: Tasks = None,
    tasks: TaskFile = None,
    resources: ResourcesFile = None,
    json: Json = False,
) -> None:
    """Start an execution and see it to its end. Prints its id first.

    FILE is a graph, a state machine of the Amazon States Language, or a Serverless Workflow; the tasks of the last two
    are bound to functions with --task or --tasks.

    When only a person's answer can move it on, the command says so and returns; `actum resume` goes on.
    """
    code = _code(what, renamed(modules or []), bindings_of(task, tasks))
    given = _input(input_)
    options = {
        "subject": subject,
        "timeout": timeout,
        "priority": priority,
        "tags": tag,
        "attributes": attributes_of(attribute) if attribute else None,
    }
    with log_of(writes=True, must_exist=code is None) as store:
        if code is None:
            code = _published(store, what)
        code_ = asyncio.run(_run(store, code, given, id_, options, wait, json, loaded(resources)))
    raise typer.Exit(code_)


def resume(
    id_: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="One execution; without it, all that are due.")
    ] = None,
    resources: ResourcesFile = None,
    json: Json = False,
) -> None:
    """Go on with what a dead process has left, or with an execution that was parked."""
    with log_of(writes=True) as store:
        code = asyncio.run(_resume(store, id_, json, loaded(resources)))
    raise typer.Exit(code)


def renamed(modules: list[str]) -> dict[str, str]:
    renamed: dict[str, str] = {}
    for word in modules:
        old, _, new = word.partition("=")
        if not all(part.isidentifier() for part in f"{old}.{new}".split(".")):
            raise BadInput(f"--modules: {word!r} is not OLD=NEW, two names of modules")
        renamed[old] = new
    return renamed


def _code(what: str, modules: dict[str, str], tasks: dict[str, str]) -> Code | None:
    """The code that a file or a module has; None for what is the name of a published graph, if anything."""
    from actum.cli.workflow import names_a_file
    from actum.engine.definitions import import_target
    from actum.engine.functions.workflow import Workflow
    from actum.engine.graphs.graph import Graph

    if names_a_file(what) or "/" in what:
        return _from_file(Path(what), modules, tasks)
    if modules or tasks:
        option = "--modules is for a graph" if modules else "--task is for another engine's definition"
        raise BadInput(f"{option} in a file, not for {what!r}")
    if ":" not in what:
        return None
    found = import_target(what, str(Path.cwd()))
    if isinstance(found, (Workflow, Graph)):
        return found
    raise BadInput(f"{what!r} is neither a @workflow nor a Graph; its type is {type(found).__name__}")


def _from_file(path: Path, modules: dict[str, str], tasks: dict[str, str]) -> Code:
    from actum.engine.graphs.load import load_graph
    from actum.engine.graphs.source import read_file

    if path.exists():
        from actum.engine.foreign.load import language_of, load_foreign

        if language_of(read_file(path)) is not None:
            if modules:
                raise BadInput(f"--modules is for a graph, and {path} is another engine's definition")
            return load_foreign(path, tasks=tasks)
    if tasks:
        raise BadInput(f"--task is for another engine's definition, and {path} is none")
    return load_graph(path, modules=modules)


def _published(store: EventStore, name: str) -> Code:
    from actum.engine.definitions import find_code
    from actum.engine.publishing import newest

    try:
        return find_code(store, name, newest(store, name, "graph").definition)
    except WorkflowDeprecated:
        raise
    except BadInput as exc:
        raise BadInput(f"there is no file {name!r}, and {exc}") from None


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
    store: EventStore,
    code: Code,
    given: Any,
    id_: str | None,
    options: dict[str, Any],
    wait: bool,
    json: bool,
    shared: Resources | None,
) -> int:
    from actum.engine import Engine

    async with Engine(store, resources=shared) as engine:
        if not wait:
            known = id_ is not None and store.stream_version(f"execution/{id_}")
            started = await engine.submit(code, given, id=id_, **options)
            if known:
                return _tell(_known(store, started), json)
            if not json:
                console().print(started, markup=False)
            return _tell(_answer(store, started, "running", None, None), json)
        if id_ is not None and given is not None and _wants_input(store, id_):
            handle = await engine.continue_(id_, given)
        else:
            handle = await engine.start(code, given, id=id_, **options)
        if not json:
            console().print(handle.id, markup=False)
            sys.stdout.flush()
        with _watched(f"running {handle.id}"):
            answer = await _see_through(store, handle)
    return _tell(answer, json)


def _wants_input(store: EventStore, id_: str) -> bool:
    """Whether an execution of this id is there and waits for more input."""
    from actum.engine.rules.folding import fold

    state = fold(id_, store.read_stream(f"execution/{id_}"))
    return any(not asked.received_at for asked in state.inputs.values()) and not state.ended


def _known(store: EventStore, id_: str) -> dict[str, Any]:
    """What there is to say of an execution that was there before its start was asked for again."""
    status = store.view("executions", {"id": id_})[0]["status"]
    say(f"{id_} is there already; nothing was started")
    return _answer(store, id_, status, None, None)


async def _see_through(store: EventStore, handle: Handle) -> dict[str, Any]:
    """Wait for the end, or until only a person can move it on."""
    if await handle.wait_asking():
        row = store.view("executions", {"id": handle.id})[0]
        answer = _answer(store, handle.id, "paused" if row["status"] == "paused" else "waiting", None, None)
        if handle.incomplete is not None:
            answer["output"] = handle.incomplete.output
            answer["wants_input"] = handle.incomplete.request
        return answer
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
    return 0 if answer["status"] in ("completed", "waiting", "running", "paused") else 1


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
    if answer["status"] == "paused":
        say(f"paused; go on with: actum executions resume {answer['id']}, then: actum resume {answer['id']}")
    if "wants_input" in answer:
        if answer["output"] is not None:
            out.print(orjson.dumps(answer["output"], option=orjson.OPT_INDENT_2).decode(), markup=False)
        say(f"waits for more input ({answer['wants_input']}): actum run … --id {answer['id']} --input JSON")
    if answer["status"] == "running":
        say(f"started; go on with: actum resume {answer['id']}")


async def _resume(store: EventStore, id_: str | None, json: bool, shared: Resources | None) -> int:
    from actum.engine import Engine

    async with Engine(store, resources=shared) as engine:
        if id_ is not None:
            with _watched(f"resuming {id_}"):
                answer = await _see_through(store, await engine.resume(id_))
            return _tell(answer, json)
        return await _resume_all(engine, store, json)


async def _resume_all(engine: Engine, store: EventStore, json: bool) -> int:
    handles, refused = await engine.recover()
    with _watched(f"resuming {how_many(len(handles), 'execution')}"):
        answers = await asyncio.gather(*[_see_through(store, handle) for handle in handles])
    failed = any(answer["status"] not in ("completed", "waiting", "paused") for answer in answers) or bool(refused)
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
