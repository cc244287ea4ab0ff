"""Which formats there are. A new one is one file and one line here."""

from __future__ import annotations

from typing import Final

from actum.errors import BadInput, near_miss
from actum.evidence.importers.protocol import Importer
from actum.evidence.importers.tau2_bench import IMPORTER as TAU2_BENCH
from actum.evidence.importers.tau_bench import IMPORTER as TAU_BENCH
from actum.evidence.importers.xes import IMPORTER as XES

__all__ = ["IMPORTERS", "find_importer"]

IMPORTERS: Final[dict[str, Importer]] = {
    "tau-bench": TAU_BENCH,
    "tau2-bench": TAU2_BENCH,
    "xes": XES,
}
"""The name a user gives → how to read it. `mappings/<name>.yaml` holds its defaults."""


def find_importer(format: str) -> Importer:
    """The importer of a format; `BadInput` with the nearest known name when there is none."""
    importer = IMPORTERS.get(format)
    if importer is None:
        raise BadInput(
            f"unknown import format {format!r}{near_miss(format, IMPORTERS)}; known: {', '.join(IMPORTERS)}; "
            "nothing was imported"
        )
    return importer
