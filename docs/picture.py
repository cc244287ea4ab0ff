"""Makes docs/demo.svg from what `actum demo` really prints. Run it with `make picture` after the output has changed."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 120
_FORMAT = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g>
</g>
</svg>
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        known = dict(os.environ, COLUMNS=str(WIDTH), FORCE_COLOR="1")
        told = subprocess.run(
            [sys.executable, "-m", "actum", "demo", "--dir", folder],
            env=known,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    lines = told.replace(f"{folder}/", "").splitlines()  # where the demo ran is nobody's business
    begin = next(number for number, line in enumerate(lines) if "The report" in line)
    end = next(number for number, line in enumerate(lines) if "That took" in line)
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    left_out = False
    for line in lines[begin:end]:
        # The advice about keys is for readers of a terminal; it goes on to the next empty line.
        left_out = bool(line.strip()) and (left_out or "The key was read" in line)
        if not left_out:
            console.print(Text.from_ansi(line), soft_wrap=True)
    target = Path(__file__).with_name("demo.svg")
    console.save_svg(str(target), title="actum demo", code_format=_FORMAT, unique_id="actum")


if __name__ == "__main__":
    main()
