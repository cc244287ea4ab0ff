"""The reference pages and the picture: made from the code, and not older than it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from actum.metrics import METRICS

DOCS = Path(__file__).parents[2] / "docs"


def made_by(path: Path) -> ModuleType:
    """A script of the docs folder, which is no package."""
    spec = importlib.util.spec_from_file_location(f"docs_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGES: dict[str, str] = made_by(DOCS / "reference" / "make.py").pages()


@pytest.mark.parametrize("name", PAGES)
def test_a_reference_page_says_what_the_code_says(name: str) -> None:
    """Each committed page is, to the byte, what its generator makes of today's code."""
    page = DOCS / "reference" / name
    committed = page.read_text("utf-8") if page.exists() else ""

    assert committed == PAGES[name], f"docs/reference/{name} is not what the code says now: run `make docs`"


def test_every_reference_page_is_made() -> None:
    """No page lies among the generated ones that nothing renews."""
    assert {page.name for page in (DOCS / "reference").glob("*.md")} == set(PAGES)


def test_every_public_name_says_what_it_is() -> None:
    """No heading of the Python page stands without a word below it."""
    lines = [line for line in PAGES["python.md"].splitlines() if line]
    bare = [line for line, below in zip(lines, [*lines[1:], "## "], strict=True) if line[:2] == below[:2] == "##"]

    assert [line for line in bare if not line.startswith("## ")] == []


def test_the_picture_shows_every_metric() -> None:
    """The picture in the README is of today's report: it has the title of each metric."""
    shown = (DOCS / "demo.svg").read_text("utf-8").replace("&#160;", " ")

    missing = [metric.title for metric in METRICS.values() if metric.title not in shown]
    assert not missing, f"docs/demo.svg is older than the report: run `make picture` (it lacks {missing})"
