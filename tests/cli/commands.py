"""Running the command as a person or a script does: a process of its own, in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple


class Ended(NamedTuple):
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


class Shell:
    """A folder with a store, and the `actum` command in it."""

    def __init__(self, folder: Path, command: Path) -> None:
        self.folder = folder
        self._command = command

    def __call__(
        self,
        *words: str,
        store: str = "sqlite:///actum.db",
        input_: str | None = None,
        columns: int = 200,
        environment: Mapping[str, str] | None = None,
    ) -> Ended:
        known = {name: value for name, value in os.environ.items() if not name.startswith("ACTUM_")}
        known |= {
            "COLUMNS": str(columns),
            "PYTHONPATH": str(self.folder),
            "ACTUM_STORE": store,
            "ACTUM_PERSON": "tester",
            **(environment or {}),
        }
        ended = subprocess.run(
            [self._command, *words],
            cwd=self.folder,
            env=known,
            input=input_,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)
