"""Writes the reference pages from the code they are about: `make docs`.

Each page is a function of something that the program itself uses (the catalogue of metrics, the commands, the
docstrings), so a page cannot say what the code does not. `tests/docs/test_reference.py` holds the pages to it.
"""

from __future__ import annotations

import inspect
import re
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
_MADE = "<!-- made by `make docs`; change the code it is made from, not this page -->"


def pages() -> dict[str, str]:
    """Every reference page by its file name, as it should be now."""
    return {
        "metrics.md": metrics_page(),
        "cli.md": cli_page(),
        "python.md": python_page(),
        "testing.md": testing_page(),
    }


def main() -> None:
    for name, text in pages().items():
        (HERE / name).write_text(text, "utf-8")


def _page(*blocks: str) -> str:
    return "\n\n".join([blocks[0], _MADE, *blocks[1:]]) + "\n"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


# -- metrics -----------------------------------------------------------------------------------------------------------

_METRICS_INTRO = """\
`actum metrics` computes these from the log, in this order; `actum metrics --explain KEY` opens one. How to read them
is in [How to read the metrics](../howto/metrics.md), why they are counted so in
[decision 7](../decisions/0007-what-the-metrics-count.md).

- An execution counts in the window in which it **ended**; a tool attempt, a retried operation and a compensation in the
  window of their own end. One past its declared deadline counts at that deadline.
- **No data** is `null` in JSON, the words "no data" in the table, no series in Prometheus. It is never 0 or 1.
- Every rate has its counts and the exact 95 % interval (Clopper and Pearson 1934). Counts add up; ratios do not.
- `cancelled by the system` is a cancellation that no user asked for. It is a failure. What a user cancelled is in no
  rate but those over all executions that ended.
- Durations are in seconds. In the log they are whole microseconds, cost is in nano-dollars."""

_ENDINGS = {"histogram": "`_bucket`, `_sum`, `_count`"}


def metrics_page() -> str:
    from actum.metrics import METRICS, OURS, SERIES, compute

    empty = compute([]).to_json()["metrics"]
    blocks = ["# Metrics", _METRICS_INTRO]
    overview = [(f"[`{m.name}`](#{_anchor(_heading(m))})", m.letters, m.title, m.unit) for m in METRICS.values()]
    blocks.append(_table(("key", "letters", "name", "unit"), overview))
    for metric in METRICS.values():
        series = [one for one in SERIES.values() if metric.name in one.of]
        value = empty[metric.name]
        keys = "one number for each k" if value is None else ", ".join(f"`{key}`" for key in value)
        rows = [
            ("key", f"`{metric.name}`"),
            ("unit", metric.unit),
            ("formula", metric.formula),
            ("source", "a definition of actum" if metric.source == OURS else metric.source),
            ("good", metric.good or "–"),
            ("valid", metric.valid),
            ("no data when", metric.no_data),
            ("split by", ", ".join(f"`{label}`" for label in metric.labels)),
            ("in JSON", keys),
            ("Prometheus", _series_names(series) or "–"),
        ]
        blocks += [f"## {_heading(metric)}", _table(("", ""), rows)]
    blocks.append("## Prometheus series")
    blocks.append(
        "`actum export prometheus` writes them. Times are in seconds. Counters come from the whole log and never go\n"
        "down: they count what was first recorded, and a later correction changes the ratio, not the count. The label\n"
        "`window` says what a gauge is about; `all` is the whole log."
    )
    blocks.append(_table(("series", "kind", "labels", "what it says"), _series_rows()))
    return _page(*blocks)


def _heading(metric: Any) -> str:
    return f"{metric.title} ({metric.letters})" if metric.letters else str(metric.title)


def _anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _series_names(series: list[Any]) -> str:
    from actum.exporters.prometheus import prometheus_name

    return ", ".join(f"`{prometheus_name(one)}`" for one in series)


def _series_rows() -> list[tuple[str, ...]]:
    from actum.exporters.prometheus import SnapshotCollector, prometheus_name
    from actum.metrics import SERIES, compute, snapshot

    rows = [
        (
            f"`{prometheus_name(one)}`",
            f"{one.kind}: {_ENDINGS[one.kind]}" if one.kind in _ENDINGS else one.kind,
            ", ".join(f"`{label}`" for label in one.labels) or "–",
            one.help,
        )
        for one in SERIES.values()
    ]
    known = {prometheus_name(one) for one in SERIES.values()}
    for family in SnapshotCollector(lambda: snapshot(compute([]))).collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        if name not in known:  # what the exporter says of itself
            rows.append((f"`{name}`", family.type, "`exporter`, `family`", family.documentation))
    return rows


# -- commands ----------------------------------------------------------------------------------------------------------

_CLI_INTRO = """\
`actum [OPTIONS] COMMAND …`. Options of `actum` itself stand before the command, as in
`actum --store sqlite:///shop.db metrics`.

`--json` prints one JSON document on stdout and nothing else there. Keys may be added to these documents; none is
renamed. Messages and progress go to stderr."""


def cli_page() -> str:
    import typer.main

    from actum.cli.exits import MEANING
    from actum.cli.main import app

    root: Any = typer.main.get_command(app)
    blocks = ["# Commands", _CLI_INTRO, "## Exit codes"]
    blocks.append(_table(("code", "meaning"), [(str(code), text) for code, text in MEANING.items()]))
    blocks += ["## Options of every command", _options(root), "Every command also has `--help`, or `-h`."]
    blocks.append("## Environment")
    blocks.append(_table(("variable", "what it says"), _environment()))
    for words, command in _commands(root, ()):
        blocks.append(f"## actum {' '.join(words)}")
        usage = [f"actum {' '.join(words)}", *(_shown(p) for p in command.params if _is_argument(p))]
        if any(not _is_argument(p) for p in command.params):
            usage.append("[OPTIONS]")
        blocks.append(f"    {' '.join(usage)}")
        blocks.append(inspect.cleandoc(command.help))
        blocks += [table for table in (_arguments(command), _options(command)) if table]
    return _page(*blocks)


def _environment() -> list[tuple[str, ...]]:
    from actum.settings import Settings

    plain = Settings()
    return [
        (
            "`ACTUM_STORE`",
            f"Which log, as `--store`. Without either: `{plain.store}`, a file in the working directory.",
        ),
        ("`ACTUM_TENANT`", f"Whose log, as `--tenant`. Without either: `{plain.tenant}`."),
        ("`ACTUM_PERSON`", "Who decides at this terminal, as `--by` of `actum approvals`. Without it: the login name."),
    ]


def _commands(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, found in command.commands.items():
        if hasattr(found, "commands"):
            yield from _commands(found, (*words, name))
        else:
            yield (*words, name), found


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _shown(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    return name if argument.required or name.startswith("[") else f"[{name}]"


def _arguments(command: Any) -> str:
    given = [p for p in command.params if _is_argument(p)]
    rows = [(f"`{_shown(p)}`", p.help or _ARGUMENTS[p.metavar]) for p in given]
    return _table(("argument", "what it says"), rows) if rows else ""


_ARGUMENTS = {"ID": "The execution's id.", "EXECUTION": "The execution's id.", "NAME": "The signal's name."}
"""What an argument says that needs no help text on the screen."""


def _options(command: Any) -> str:
    hints = typing.get_type_hints(command.callback)
    rows = []
    for option in command.params:
        if _is_argument(option) or option.name == "help":
            continue
        hint = str(hints[option.name])
        kind = next((name for word, name in _KINDS.items() if word in hint), "")
        kind = f"`{option.metavar}`" if option.metavar else kind
        names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
        default = "–" if option.default in (None, False, "", ()) or not kind else f"`{option.default}`"
        if option.secondary_opts:
            default = f"`{option.opts[0] if option.default else option.secondary_opts[0]}`"
        text = option.help or ""
        least = "" if getattr(option, "min", None) is None else f" From {option.min}"
        most = "" if getattr(option, "max", None) is None else f" to {option.max}"
        rows.append((names, kind or "–", default, f"{text}{least}{most}{'.' if least else ''}"))
    return _table(("option", "value", "default", "what it says"), rows) if rows else ""


_KINDS = {"Path": "file or folder", "int": "whole number", "float": "number", "str": "text"}


# -- Python ------------------------------------------------------------------------------------------------------------

_PYTHON_INTRO = """\
`from actum import …`. These names are public; what lies in the modules behind them may change. Every error raised on
purpose is an `actum.errors.ActumError`, and says what is true and what to do."""

_TESTING_INTRO = """\
`from actum.testing import …`; how to use it is in [How to test your workflows](../howto/test-your-workflows.md). The
pytest plugin `actum.testing.pytest_plugin` gives the fixtures `actum_harness` (a `Harness`), `actum_simulate`
(`simulate` under the seeds of `--actum-seed` and `--actum-seeds`) and `actum_seeds` (the seeds themselves)."""

_FOR_THE_ENGINE = {
    "Engine": ("loop", "planner_again", "post", "forget", "has_any", "run", "check_services"),
    "Retry": ("allows", "delay_us", "of"),
}
"""Methods that parts of the engine call on each other."""
_MADE_BY_THE_ENGINE = (
    "ChildHandle",
    "Context",
    "Ended",
    "EventStore",
    "Flow",
    "Handle",
    "PromiseBroken",
    "Savepoint",
    "SimulationFailed",
    "StepInfo",
    "Won",
)
"""Classes of which users get objects and make none."""
_WIDTH = 120


def python_page() -> str:
    import actum

    return _page("# Python", _PYTHON_INTRO, *_names_of(actum))


def testing_page() -> str:
    import actum.testing

    return _page("# Testing", _TESTING_INTRO, *_names_of(actum.testing))


def _names_of(module: Any) -> list[str]:
    blocks = []
    for name in module.__all__:
        value = getattr(module, name)
        if not callable(value):
            blocks += [f"## {name}", f"For `Annotated[…, {name}]`. {inspect.getdoc(type(value)) or ''}"]
            continue
        blocks += [f"## {name}", *(_of_class(name, value) if inspect.isclass(value) else _of_function(name, value))]
    return blocks


def _of_function(name: str, value: Any, *, owner: str = "") -> list[str]:
    shapes = typing.get_overloads(value) or [value]
    lines = [_signature(owner + name, inspect.signature(shape), value) for shape in shapes]
    return ["```python\n" + "\n".join(lines) + "\n```", inspect.getdoc(value) or ""]


def _of_class(name: str, value: Any) -> list[str]:
    blocks = []
    if name not in _MADE_BY_THE_ENGINE:
        blocks.append(f"```python\n{_signature(name, inspect.signature(value), None)}\n```")
    blocks.append(inspect.getdoc(value) or "")
    if fields := getattr(value, "_fields", ()):
        kinds = [(f"`{field}`", f"`{_hint(value.__annotations__[field])}`") for field in fields]
        blocks.append(_table(("field", "type"), kinds))
    bases = [base for base in value.__mro__ if base.__module__.startswith("actum.")]
    for member, found in {name: found for base in reversed(bases) for name, found in vars(base).items()}.items():
        if member.startswith("_") or member in _FOR_THE_ENGINE.get(name, ()) or not inspect.getdoc(found):
            continue
        if isinstance(found, property):
            blocks += [f"### {name}.{member}", inspect.getdoc(found) or ""]
        elif isinstance(found, (classmethod, staticmethod)):
            blocks += [f"### {name}.{member}", *_of_function(member, found.__func__, owner=f"{name}.")]
        elif inspect.isfunction(found):
            blocks += [f"### {name}.{member}", *_of_function(member, found, owner=f"{name}.")]
    return blocks


def _signature(name: str, signature: inspect.Signature, function: Any) -> str:
    """One line, or one parameter a line when that is too long. `self` is left out."""
    given = [p for p in signature.parameters.values() if p.name not in ("self", "cls")]
    shown: list[str] = []
    for place, parameter in enumerate(given):
        before = given[place - 1].kind if place else None
        if parameter.kind is parameter.KEYWORD_ONLY and before not in (
            parameter.KEYWORD_ONLY,
            parameter.VAR_POSITIONAL,
        ):
            shown.append("*")
        shown.append(_parameter(parameter))
        behind = given[place + 1].kind if place + 1 < len(given) else None
        if parameter.kind is parameter.POSITIONAL_ONLY and behind is not parameter.POSITIONAL_ONLY:
            shown.append("/")
    answer = signature.return_annotation
    end = "" if answer is signature.empty or function is None else f" -> {_hint(answer)}"
    start = "await " if inspect.iscoroutinefunction(function) else ""
    line = f"{start}{name}({', '.join(shown)}){end}"
    if len(line) <= _WIDTH:
        return line
    return f"{start}{name}(\n" + "".join(f"    {one},\n" for one in shown) + f"){end}"


def _parameter(parameter: inspect.Parameter) -> str:
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    text = f"{stars}{parameter.name}"
    if parameter.annotation is not parameter.empty:
        text += f": {_hint(parameter.annotation)}"
    if parameter.default is not parameter.empty:
        plain = re.fullmatch(r"[\w.'\"()\[\], -]*", repr(parameter.default))
        default = repr(parameter.default) if plain else "…"  # an object or a factory: its repr says nothing
        text += f" = {default}" if parameter.annotation is not parameter.empty else f"={default}"
    return text


def _hint(annotation: Any) -> str:
    if isinstance(annotation, typing.ForwardRef):
        return annotation.__forward_arg__
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


if __name__ == "__main__":
    sys.exit(main())
