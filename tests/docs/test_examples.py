"""Every code block of the README, the tutorial and the how-to pages runs as written, in order, in an empty folder.

The README runs the installed `actum`; the other pages one whose imports are done already.

Before a block, `<!-- file: NAME -->` says where a reader would save it, `<!-- exits: N -->` which exit code it ends
with, and `<!-- not run: REASON -->` that it is for the reader only. After one, `<!-- prints: TEXT -->` says what its
output must hold.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from actum.testing.warm import Warm

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "docs" / "tutorial.md", *sorted((ROOT / "docs" / "howto").glob("*.md"))]
PIECE = re.compile(
    r"<!-- (?P<order>file|exits|not run|prints): (?P<what>.*?) -->"
    r"|^```(?P<language>\w+)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


def environment(folder: Path, commands: list[Path]) -> dict[str, str]:
    known = {name: value for name, value in os.environ.items() if not name.startswith("ACTUM_")}
    known["PATH"] = ":".join([*map(str, commands), known["PATH"]])
    known["PYTHONPATH"] = str(folder)
    known["COLUMNS"] = "160"
    known["ACTUM_EXAMPLES"] = str(ROOT / "examples")
    return known


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_code_block_runs_as_written(
    page: Path, tmp_path: Path, warm: Warm, request: pytest.FixtureRequest
) -> None:
    """What a reader copies from a page works, in the order in which it stands there."""
    installed = Path(sys.executable).parent
    known = environment(tmp_path, [installed] if page.stem == "README" else [warm.actum.parent, installed])
    if page.stem == "mysql":  # what the page says to set, for a database of its own
        known["ACTUM_STORE"] = request.getfixturevalue("mysql")
        known["ACTUM_KEY_FILE"], known["ACTUM_CHECKPOINTS"] = str(tmp_path / "key"), str(tmp_path / "last")
    orders: dict[str, str] = {}
    said = ""
    ran = 0
    for piece in PIECE.finditer(page.read_text()):
        order, what = piece["order"], piece["what"]
        if order == "prints":
            assert what in said, f"{page.name}: expected {what!r} in:\n{said}"
        elif order is not None:
            orders[order] = what
        elif piece["language"] in ("python", "sh", "json", "yaml", "xml") and "not run" not in orders:
            code, name = piece["code"], orders.get("file")
            if name is not None:
                (tmp_path / name).write_text(code)
            if piece["language"] == "python":
                command = [sys.executable, name] if name is not None else [sys.executable, "-c", code]
            elif piece["language"] == "sh":
                command = ["bash", "-euo", "pipefail", "-c", f"{code}\nexport -p > .exported"]
            else:
                orders = {}
                continue
            ended = subprocess.run(
                command, cwd=tmp_path, env=known, capture_output=True, text=True, timeout=120, check=False
            )
            said = ended.stdout + ended.stderr
            assert ended.returncode == int(orders.get("exits", "0")), f"{page.name}:\n{code}\n{said}"
            known |= exported(tmp_path)
            ran += 1
            orders = {}
        else:
            orders = {}
    assert ran, f"{page.name} has no code block that runs"


def exported(folder: Path) -> dict[str, str]:
    """The ACTUM_ variables that a shell block has exported: the next block sees them, as in a reader's shell."""
    file = folder / ".exported"
    if not file.exists():
        return {}
    found = re.findall(r'^declare -x (ACTUM_\w+)="(.*)"$', file.read_text(), re.MULTILINE)
    file.unlink()
    return dict(found)
