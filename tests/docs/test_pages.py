"""All pages together: links lead somewhere, and nothing on them is true on one machine only."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^()\s]+)\)")
HERE_ONLY = {
    "a path of one machine": r"(?<![\w.:/])/(?:work|home|root|Users|opt|mnt|srv|tmp)/",
    "a package registry or a mirror of one": r"pypi|pythonhosted|index-url|artifactory|nexus|devpi|localhost:\d",
    "an address of one network": r"\b(?:10|127|172|192)\.\d+\.\d+\.\d+\b",
}

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text("utf-8"))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, spelled as GitHub does."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pages
def test_every_link_leads_somewhere(page: Path) -> None:
    """What a link names exists: the file or folder, and the heading behind a #."""
    for link in LINK.findall(prose(page)):
        if link.startswith(("https://", "mailto:")):
            continue  # the tests need no network
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.relative_to(ROOT)}: {link} leads nowhere"
        assert ROOT in target.parents, f"{page.relative_to(ROOT)}: {link} leads out of the repository"
        if anchor:
            assert anchor in anchors(target), f"{page.relative_to(ROOT)}: {link} names no heading there"


@pages
@pytest.mark.parametrize("what", HERE_ONLY)
def test_nothing_is_true_on_one_machine_only(page: Path, what: str) -> None:
    """No page names a path, a registry or an address that a reader does not have."""
    found = re.search(HERE_ONLY[what], page.read_text("utf-8"), re.IGNORECASE)

    assert found is None, f"{page.relative_to(ROOT)} names {what}: {found and found[0]!r}"


def test_every_decision_has_its_number_once() -> None:
    """Decisions are numbered from 1 without a gap, and the heading bears the number of the file."""
    found = sorted((ROOT / "docs" / "decisions").glob("*.md"))

    assert [page.name[:4] for page in found] == [f"{number:04}" for number in range(1, len(found) + 1)]
    for number, page in enumerate(found, 1):
        assert page.read_text("utf-8").startswith(f"# {number}. "), page.name
