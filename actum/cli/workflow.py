"""`actum workflow`: definitions, drawn, checked, formatted, published."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from actum.cli import workflow_files
from actum.cli.options import Json, log_of
from actum.cli.output import console, how_many, print_json, say, table
from actum.errors import BadInput

if TYPE_CHECKING:
    from actum.engine.graphs.graph import Graph
    from actum.engine.graphs.picture import Overlay
    from actum.engine.publishing import Published
    from actum.eventstore import EventStore

__all__ = ["graph_called", "names_a_file", "register"]

Modules = Annotated[
    list[str] | None,
    typer.Option(metavar="OLD=NEW", help="Where the file says module OLD…, its code is in NEW… here. Repeatable."),
]


def register(app: typer.Typer) -> None:
    workflow = typer.Typer(help="Definitions: drawn, checked, formatted, published.", no_args_is_help=True)
    workflow.command("show")(show)
    workflow.command("list")(list_)
    workflow.command("publish")(publish)
    workflow.command("deprecate")(deprecate)
    workflow_files.register(workflow)
    app.add_typer(workflow, name="workflow")


def names_a_file(what: str) -> bool:
    """Whether what a command was given is a file, and not the name of a published workflow."""
    return Path(what).exists() or what.endswith((".json", ".yaml", ".yml"))


def graph_called(store: EventStore, name: str, definition: str | None = None) -> Published:
    """The published graph of this name: the newest, or the one whose digest begins with `definition`."""
    from actum.engine.publishing import newest, published_as

    if definition is None:
        return newest(store, name, "graph")
    wanted = definition.removeprefix("sha256:")
    fit = [one for one in published_as(store, name) if one.definition.removeprefix("sha256:").startswith(wanted)]
    if len(fit) != 1:
        raise BadInput(f"{how_many(len(fit), 'definition')} of workflow {name!r} begin with {definition!r}, not one")
    return fit[0]


# -- show ----------------------------------------------------------------------------------------------------------


def show(
    what: Annotated[
        str | None, typer.Argument(metavar="FILE|NAME", help="A file, or a published workflow: its newest definition.")
    ] = None,
    format_: Annotated[
        Literal["text", "mermaid", "dot"], typer.Option("--format", help="Text, a Mermaid chart, or Graphviz DOT.")
    ] = "text",
    execution: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Show what became of the steps in this execution, of the definition it runs."),
    ] = None,
    definition: Annotated[str | None, typer.Option(help="The definition whose digest begins so.")] = None,
    json: Json = False,
) -> None:
    """Draw a workflow: its steps, their conditions, loops and approvals; with an execution, what became of them."""
    from actum.engine.graphs import picture
    from actum.engine.graphs.load import read_graph

    overlay: Overlay | None = None
    if execution is not None:
        with log_of() as store:
            graph, overlay = _executed(store, execution, what)
    elif what is None:
        raise BadInput("say what to show: a file, the name of a published workflow, or --execution ID")
    elif names_a_file(what):
        graph = read_graph(what)
    else:
        with log_of() as store:
            graph = _read(graph_called(store, what, definition))
    if json:
        print_json(
            {
                "name": graph.name,
                "definition": graph.digest,
                "graph": graph.to_json(),
                "steps": picture.as_json(graph, overlay or picture.Overlay()),
            }
        )
        return
    drawn = {"text": picture.text, "mermaid": picture.mermaid, "dot": picture.dot}[format_](graph, overlay)
    typer.echo(drawn, nl=False)


def _executed(store: EventStore, id_: str, what: str | None) -> tuple[Graph, Overlay]:
    from actum.cli.executions import load
    from actum.engine.graphs.picture import overlay_of
    from actum.engine.publishing import published_as
    from actum.engine.rules.folding import fold

    state = fold(id_, load(store, id_))
    if state.kind != "graph":
        raise BadInput(f"execution {id_!r} runs a {state.kind or 'workflow'}, which has no picture; only graphs have")
    if what is not None and not names_a_file(what) and what != state.workflow:
        raise BadInput(f"execution {id_!r} runs {state.workflow!r}, not {what!r}")
    found = next((one for one in published_as(store, state.workflow) if one.definition == state.definition), None)
    if found is None:
        raise BadInput(f"the definition {state.definition} that execution {id_!r} runs is not in this log")
    return _read(found), overlay_of(state)


def _read(one: Published) -> Graph:
    from actum.engine.graphs.load import read_graph

    if one.kind != "graph":
        raise BadInput(f"workflow {one.workflow!r} is a Python function, which has no picture; only graphs have")
    content = one.content
    return read_graph(content["graph"], base=content["base"], modules=content.get("modules") or None)


# -- publishing ----------------------------------------------------------------------------------------------------


def list_(
    all_: Annotated[
        bool, typer.Option("--all", help="Every definition, not only the newest of each workflow.")
    ] = False,
    json: Json = False,
) -> None:
    """List what was published: one line for each workflow, or for each of its definitions."""
    from actum.engine.publishing import published

    with log_of() as store:
        found = published(store)
        versions = {one.workflow: sum(1 for other in found if other.workflow == one.workflow) for one in found}
        last = {one.workflow: one for one in found}
        shown = found if all_ else list(last.values())
        if json:
            print_json({"workflows": [_as_json(one, last[one.workflow] is one) for one in shown]})
            return
        if not shown:
            say("nothing was published yet")
            return
        rows = [
            (
                one.workflow,
                one.kind,
                one.version,
                one.definition[:19],
                one.at[:19].replace("T", " "),
                "deprecated" + (f": {one.reason}" if one.reason else "") if one.deprecated_at else "",
                *(() if all_ else (str(versions[one.workflow]),)),
            )
            for one in shown
        ]
        columns = ("workflow", "kind", "version", "definition", "published (UTC)", "state")
        console().print(table(None, columns if all_ else (*columns, "definitions"), rows, "definitions"))


def _as_json(one: Published, newest: bool) -> dict[str, Any]:
    return {
        "workflow": one.workflow,
        "kind": one.kind,
        "version": one.version,
        "definition": one.definition,
        "published_at": one.at,
        "by": one.by.ref,
        "newest": newest,
        "deprecated_at": one.deprecated_at,
        "reason": one.reason or None,
    }


def publish(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A definition: JSON or YAML.")],
    deprecate_: Annotated[
        bool, typer.Option("--deprecate", help="And deprecate every other definition of this workflow.")
    ] = False,
    modules: Modules = None,
    json: Json = False,
) -> None:
    """Publish a definition, so that `actum run NAME` runs it. One that was deprecated may be started again."""
    from actum.cli.run import renamed
    from actum.engine import publishing
    from actum.engine.graphs.load import load_graph

    graph = load_graph(file, modules=renamed(modules or []))
    with log_of(writes=True) as store:
        new = publishing.publish(store, graph, _now(), _person(), again=True)
        gone: list[str] = []
        if deprecate_:
            for one in publishing.published_as(store, graph.name):
                if one.definition != graph.digest and one.deprecated_at is None:
                    publishing.deprecate(store, one, _now(), _person(), f"replaced by {graph.digest}")
                    gone.append(one.definition)
    if json:
        print_json({"workflow": graph.name, "definition": graph.digest, "published": new, "deprecated": gone})
        return
    typer.echo(graph.digest)
    say(f"{graph.name} {'is published' if new else 'is the newest already; nothing was written'}")
    for one_ in gone:
        say(f"deprecated {one_}")


def deprecate(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A published workflow.")],
    definition: Annotated[
        str | None, typer.Option(help="The definition whose digest begins so; without it, all of them.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for whoever tries to start it.")] = "",
    json: Json = False,
) -> None:
    """Let nobody start a published workflow any more. What runs it goes on with it."""
    from actum.engine import publishing

    with log_of(writes=True, must_exist=True) as store:
        if definition is not None:
            wanted = [graph_called(store, name, definition)]
        else:
            wanted = publishing.published_as(store, name) or [publishing.newest(store, name)]
        gone = [one for one in wanted if one.deprecated_at is None]
        for one in gone:
            publishing.deprecate(store, one, _now(), _person(), reason)
    if json:
        print_json({"workflow": name, "deprecated": [one.definition for one in gone]})
        return
    for one in gone:
        say(f"deprecated {one.definition}")
    if not gone:
        say(f"{name} is deprecated already; nothing was written")


def _now() -> str:
    from actum.engine.runtime.ports import World
    from actum.events import to_text

    return to_text(World().now_us())


def _person() -> Any:
    from actum.cli.erase import person

    return person()
