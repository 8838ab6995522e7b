"""What the documents name exists: files and headings behind links, modules and make targets in commands."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    path.relative_to(ROOT)
    for folder in (".", "docs", "data", "htr", "reports")
    for path in ROOT.joinpath(folder).glob("**/*.md" if folder == "htr" else "*.md")
)


def test_there_are_documents():
    assert {Path("README.md"), Path("data/README.md"), Path("htr/models/default.md")} <= set(DOCUMENTS)


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links_lead_somewhere(document):
    text = _read(document)
    for target in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text):
        if re.match(r"https?:|data:|mailto:", target):
            continue
        file, _, anchor = target.partition("#")
        linked = (document.parent / file) if file else document
        assert ROOT.joinpath(linked).exists(), f"{document} links to {target}"
        if anchor:
            assert anchor in _anchors(_read(linked)), f"{linked} has no heading {anchor}, to which {document} links"


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_commands_exist(document):
    text = _read(document)
    targets = set(re.findall(r"^([a-z-]+):", _read(Path("Makefile")), flags=re.MULTILINE))
    for module in re.findall(r"python -m (htr[\w.]*\w)", text):
        assert importlib.util.find_spec(module), f"{document} names {module}"
    for target in re.findall(r"(?:`|^)make ([a-z-]+)", text, flags=re.MULTILINE):
        assert target in targets, f"{document} names make {target}"


def _read(document: Path) -> str:
    return ROOT.joinpath(document).read_text(encoding="utf-8")


def _anchors(text: str) -> set[str]:
    """As GitHub makes them of headings."""
    without_code = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", without_code, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
