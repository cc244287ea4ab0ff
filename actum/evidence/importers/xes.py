"""XES event logs: every trace becomes an execution, every event of it a step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from actum.evidence.importers.history import History, content_digest, fill, instant_us
from actum.evidence.importers.mapping import Mapping
from actum.evidence.importers.protocol import ForeignExecution, Importer, Tally
from actum.evidence.importers.source import Source
from actum.evidence.importers.xes_case import Case, Resources
from actum.evidence.importers.xes_reader import Trace, XesDate, read_traces

__all__ = ["IMPORTER"]

FORMAT: Final = "xes"


def read(source: Source, mapping: Mapping, tally: Tally) -> Iterator[ForeignExecution]:
    """Every trace that has events, known by its case and its own content.

    So a log that has grown since brings its new and its changed cases, and two logs may use the same case numbers.
    """
    resources = Resources(mapping)
    for trace in read_traces(source, tally):
        name = trace.attributes.get(mapping.attributes.case)
        if name is None or name == "":
            raise source.refusal(
                f"trace {trace.number} (line {trace.line})",
                f"has no {mapping.attributes.case!r}; name the attribute that holds the case in a mapping file "
                "(attributes: case)",
            )
        case = str(name)
        where = f"trace {trace.number} (case {case!r})"
        if not trace.events:
            tally.leave_out("a case without events", where)
            continue
        yield _execution(source, mapping, tally, resources, trace, case, where)


def _execution(
    source: Source, mapping: Mapping, tally: Tally, resources: Resources, trace: Trace, case: str, where: str
) -> ForeignExecution:
    content = content_digest([trace.attributes, trace.events])
    history = History(source, tally, where)
    started = {
        "workflow": fill(mapping.workflow, log=trace.log_name),
        "kind": "import",
        "source": source.digest,
        "foreign": case,
    }
    steps = Case(history, mapping, resources, _deadline_us(source, mapping, trace, where))
    steps.tell(trace, started)
    return history.finish(
        format=FORMAT,
        label=case,
        foreign=case,
        identity=(case, content),
        content=content,
        records=steps.records,
    )


def _deadline_us(source: Source, mapping: Mapping, trace: Trace, where: str) -> int | None:
    name = mapping.attributes.deadline
    deadline = trace.attributes.get(name) if name is not None else None
    if not isinstance(deadline, XesDate):
        return None
    return instant_us(source, f"{where}, {name}", deadline, mapping.assume_zone)


IMPORTER: Final[Importer] = Importer(
    read,
    frozenset(
        {
            "workflow",
            "attributes",
            "lifecycle",
            "assume_zone",
            "compensates",
            "interventions",
            "people",
            "resource_key",
            "outcome",
        }
    ),
)
