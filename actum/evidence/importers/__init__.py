"""Records of other systems become executions in the log. Each format is one file; `registry.py` lists them."""

from actum.evidence.importers.protocol import ForeignExecution, Importer, LeftOut, Tally
from actum.evidence.importers.registry import IMPORTERS
from actum.evidence.importers.report import FileReport, ImportReport
from actum.evidence.importers.run import ForeignFiles, Progress, import_files, read_files

__all__ = [
    "IMPORTERS",
    "FileReport",
    "ForeignExecution",
    "ForeignFiles",
    "ImportReport",
    "Importer",
    "LeftOut",
    "Progress",
    "Tally",
    "import_files",
    "read_files",
]
