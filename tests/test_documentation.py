"""What the documents name exists: files and headings behind links, modules and make targets in commands."""

import importlib.util
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from htr.benchmark.study_page import write_page
from htr.weights import MODELS, sha256

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
    for module in re.findall(r"python`?\s+`?-m (htr[\w.]*\w)", text):
        assert importlib.util.find_spec(module), f"{document} names {module}"
    for command in re.findall(r"python`?\s+`?-m (htr[^`\n]*(?:\n[^`\n#|]*)*?)(?:`|\n\n|\n```|\|)", text):
        module = ROOT / re.match(r"htr[\w.]*\w", command)[0].replace(".", "/")
        code = _read(module.with_suffix(".py") if module.with_suffix(".py").exists() else module / "__main__.py")
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", command.split("python")[0]):
            assert f'"{option}"' in code + _read(Path("htr/cli.py")), f"{document} gives {module.name} {option}"
    for target in re.findall(r"(?:`|^)make ([a-z-]+)", text, flags=re.MULTILINE):
        assert target in targets, f"{document} names make {target}"


@pytest.mark.parametrize(
    ("document", "columns"),
    [
        ("README.md", [("default", "CER"), ("default", "WER"), ("iam", "CER"), ("iam", "WER")]),
        *(
            (f"htr/models/{weights}.md", [(weights, rate) for rate in ("CER", "WER", "WER, punctuation apart")])
            for weights in ("default", "small", "iam")
        ),
    ],
)
def test_figures_of_the_weights_that_come_along_are_those_of_their_results(document, columns):
    checked, collection = set(), None
    for row in _read(Path(document)).splitlines():
        first, *cells = [cell.strip() for cell in row.strip("|").split("|")]
        if named := re.match(r"(IAM|Copiste|Hooker|Testaments|Peraire)\b.*\d", first):
            collection = named[1].lower()
        elif re.match(r"\d+ (test|validation) lines", first):
            collection = (
                "iam" if "test" in first else None
            )  # of the lines to choose by, one machine's figures stand there
        elif "with language" not in first:
            collection = None
        if not collection or len(cells) != len(columns):
            continue
        kind = "scores_with_language" if "with language" in first else "scores"
        for (weights, rate), cell in zip(columns, cells):
            told = _result(collection, weights)[kind][rate]
            whole = f"{told['value']:.2f} % [{told['low']:.2f}, {told['high']:.2f}]"
            assert cell in (whole, whole.partition(" [")[0]), f"{document}: {collection}, {kind}, {weights}"
        checked.add((collection, kind))
    assert len(checked) == 10


@pytest.mark.parametrize(
    ("reader", "row"),
    [("htr", "| htr `default` |"), ("rapidocr", "| RapidOCR"), ("tesseract", "| Tesseract 5")],
    ids=["htr", "rapidocr", "tesseract"],
)
def test_figures_of_other_readers_are_those_of_their_results(reader, row):
    checksum, told = sha256(MODELS / "default.safetensors")[:8], []
    for collection in ("iam", "copiste", "hooker", "testaments", "peraire", "sample"):
        file = max(ROOT.glob(f"reports/{collection}-test-*-peers_{checksum}_*.json"))
        told += [one for one in json.loads(file.read_text())["readers"] if one["name"] == reader]
    [shown] = [line for line in _read(Path("README.md")).splitlines() if line.startswith(row)]
    rates = [f"{one['scores']['CER']['value']:.1f} %" for one in told]
    assert shown.strip("| ").split(" | ")[1:] == [*rates, f"{told[0]['lines_per_second']:.0f}"]


@pytest.mark.parametrize("table", sorted(ROOT.glob("data/splits/*.tsv")), ids=lambda table: table.stem)
def test_no_page_of_a_collection_is_in_two_parts(table):
    rows = [row.split("\t") for row in table.read_text(encoding="utf-8").splitlines()[1:]]
    assert len({page for page, _ in rows}) == len(rows)
    assert {split for _, split in rows} == {"train", "val", "test"}


@pytest.mark.parametrize("study", ["pretraining", "recipe", "transfer-hooker", "transfer-iam"])
def test_pages_of_studies_are_drawn_from_their_results(study, tmp_path):
    study = ROOT / "reports" / f"{study}.md"
    shutil.copy(study.with_suffix(".json"), tmp_path)
    page = write_page(tmp_path / f"{study.stem}.json")
    assert page.read_text(encoding="utf-8") == study.read_text(encoding="utf-8")
    named = re.findall(r"\]\(plots/([^)]+)\)", _read(study.with_suffix(".md")))
    assert named and {plot.name for plot in tmp_path.glob("plots/*")} == set(named)
    for name in named:
        assert _texts(tmp_path / "plots" / name) == _texts(ROOT / "reports" / "plots" / name)


def _texts(plot: Path) -> list[str]:
    """What is written in a plot; how its lines are drawn differs between releases of Matplotlib."""
    return sorted(re.findall(r"<text[^>]*>(.*?)</text>", plot.read_text(encoding="utf-8"), re.DOTALL))


def _result(collection: str, weights: str) -> dict[str, Any]:
    """Of the test lines of a collection."""
    checksum = sha256(MODELS / f"{weights}.safetensors")[:8]
    files = ROOT.glob(f"reports/{collection}-test-*_{checksum}_*.json")
    results = [json.loads(file.read_text()) for file in files if "-peers_" not in file.name]
    return max(results, key=lambda result: result["date"])


def _read(document: Path) -> str:
    return ROOT.joinpath(document).read_text(encoding="utf-8")


def _anchors(text: str) -> set[str]:
    """As GitHub makes them of headings."""
    without_code = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", without_code, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
