"""One file's executions on disk, between the pass that reads and checks them and the pass that appends them."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO

from actum.evidence.importers.mapping import Mapping
from actum.evidence.importers.protocol import ForeignExecution, Importer, LeftOut, Tally
from actum.evidence.importers.source import open_source

__all__ = ["SpooledFile", "spooled"]

_IN_MEMORY = 32 * 1024 * 1024


@dataclass
class SpooledFile:
    """A foreign file that was read to its end and found good."""

    name: str
    digest: str
    left_out: list[LeftOut]
    noticed: list[LeftOut]
    count: int
    _content: IO[bytes]

    def __iter__(self) -> Iterator[ForeignExecution]:
        """Its executions, in its order; as often as wanted."""
        self._content.seek(0)
        for _ in range(self.count):
            # Only this process wrote the file, and it has no name that another one could open.
            yield pickle.load(self._content)


@contextmanager
def spooled(
    path: str | Path, importer: Importer, mapping: Mapping, read: Callable[[int], None]
) -> Iterator[SpooledFile]:
    """Read and convert a file to its end; `read` hears how many executions there are so far.

    Raises `ImportRefused` when anything in it is not as it should be.
    """
    with SpooledTemporaryFile(max_size=_IN_MEMORY) as content:
        count = 0
        with open_source(path) as source:
            tally = Tally(source.name)
            for execution in importer.read(source, mapping, tally):
                pickle.dump(execution, content, pickle.HIGHEST_PROTOCOL)
                count += 1
                read(count)
            digest = source.digest
        yield SpooledFile(str(path), digest, tally.left_out, tally.noticed, count, content)
