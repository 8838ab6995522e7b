"""What a report is made of, and how it is written: as one HTML page that stands alone, and as Markdown."""

from __future__ import annotations

import base64
import html
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from htr.files import write_whole
from htr.metrics import align


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the report's title."""

    level: int
    text: str


@dataclass(frozen=True)
class Text:
    """A paragraph; `code`, **strong** and [links](to) as in Markdown."""

    text: str


@dataclass(frozen=True)
class Table:
    """A table; texts as in `Text`. The first column names the row, the others are set flush right if they hold figures."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Plot:
    """An SVG picture. `name` is that of its file beside the Markdown page."""

    svg: str
    alt: str
    name: str


@dataclass(frozen=True)
class Line:
    """A line as picture (PNG), truth and reading."""

    png: bytes
    truth: str
    reading: str
    about: str


@dataclass(frozen=True)
class Lines:
    """Lines to be looked at, folded up under a title; only the HTML page shows them."""

    title: str
    lines: Sequence[Line]


_FLUSH = ' class="figure"'

Block = Heading | Text | Table | Plot | Lines


def write_report(blocks: Sequence[Block], folder: Path) -> list[Path]:
    """Writes `report.html`, `report.md` and the plots that the latter shows; plots of writers of results that are gone go too.

    Returns:
        The two pages.
    """
    drawn = write_plots(blocks, folder)
    for plot in set((folder / "plots").glob("writers-*.svg")).difference(drawn):
        plot.unlink()
    page, text = folder / "report.html", folder / "report.md"
    write_whole(page, as_html(blocks))
    write_whole(text, as_markdown(blocks))
    return [page, text]


def write_plots(blocks: Iterable[Block], folder: Path) -> list[Path]:
    """Writes the plots that a page in Markdown shows, into `plots/` of its folder.

    Returns:
        The plots.
    """
    plots = folder / "plots"
    plots.mkdir(parents=True, exist_ok=True)
    written = {plots / f"{block.name}.svg": block.svg for block in blocks if isinstance(block, Plot)}
    for file, svg in written.items():
        write_whole(file, svg)
    return list(written)


def linked(file: str) -> str:
    """A link, as in Markdown, to a file beside the page."""
    return f"[{file}]({quote(file)})"


def as_markdown(blocks: Iterable[Block]) -> str:
    """The report in Markdown, without pictures of lines."""
    parts = []
    for block in blocks:
        match block:
            case Heading(level, text):
                parts.append(f"{'#' * level} {text}")
            case Text(text):
                parts.append(text)
            case Table(header, rows):
                parts.append(markdown_table(header, rows))
            case Plot(_, alt, name):
                parts.append(f"![{alt}](plots/{quote(name)}.svg)")
    return "\n\n".join(parts) + "\n"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown, each row of it on one line."""
    lines = [header, ["---"] * len(header), *rows]
    cells = [[" ".join(str(cell).split()).replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def as_html(blocks: Sequence[Block]) -> str:
    """The report as one page of HTML with all pictures inside."""
    title = next((block.text for block in blocks if isinstance(block, Heading)), "")
    contents = [block for block in blocks if isinstance(block, Heading) and block.level == 2]
    parts = []
    for number, block in enumerate(blocks):
        parts.append(_html(block))
        if number == 0 and contents:
            links = "".join(f'<a href="#{_anchor(block.text)}">{html.escape(block.text)}</a>' for block in contents)
            parts.append(f'<nav aria-label="Contents">{links}</nav>')
    style = (Path(__file__).parent / "report.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        + _with_own_ids("\n".join(parts))
        + "\n</main>\n</body>\n</html>\n"
    )


def _html(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f'<h{level} id="{_anchor(text)}">{_marked(text)}</h{level}>'
        case Text(text):
            return f"<p>{_marked(text)}</p>"
        case Table(header, rows):
            flush = [any(_is_figure(column, row[column]) for row in rows) for column in range(len(header))]
            head = "".join(
                f'<th scope="col"{_FLUSH if figure else ""}>{_marked(cell)}</th>' for cell, figure in zip(header, flush)
            )
            body = "".join(f"<tr>{''.join(_html_cell(i, cell) for i, cell in enumerate(row))}</tr>\n" for row in rows)
            label = html.escape(", ".join(header).replace("`", ""), quote=True)
            # Reached by the keyboard, since wide tables are scrolled on a telephone.
            return (
                f'<div class="table" tabindex="0" role="region" aria-label="{label}">'
                f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table></div>"
            )
        case Plot(svg, alt, _):
            return f'<img class="plot" src="{_data(svg.encode(), "svg+xml")}" alt="{html.escape(alt, quote=True)}">'
        case Lines(title, lines):
            figures = "\n".join(_figure(line) for line in lines)
            return f"<details><summary>{html.escape(title)}</summary>\n{figures}\n</details>"


def _figure(line: Line) -> str:
    true, read = _differences(line.truth, line.reading)
    return (
        f'<figure><img src="{_data(line.png, "png")}" alt="{html.escape("A line that says: " + line.truth, quote=True)}">'
        f"<figcaption><span>{_marked(line.about)}</span><br>{true}<br>{read}</figcaption></figure>"
    )


def _html_cell(column: int, text: str) -> str:
    if column == 0:
        return f'<th scope="row">{_marked(text)}</th>'
    if not _is_figure(column, text):
        return f"<td>{_marked(text)}</td>"
    # The interval, with the mark of a note, below its figure, or wide tables would not fit.
    figure = re.sub(r" (\[.*\][¹²]?)$", r"<small>\1</small>", _marked(text))
    return f"<td{_FLUSH}>{figure}</td>"


def _is_figure(column: int, text: str) -> bool:
    words = re.findall(r"[^\W\d]{2,}", text)
    return column > 0 and bool(re.match(r"[-+−[]?[\d.]", text)) and len(words) <= 2


def _marked(text: str) -> str:
    text = html.escape(text)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    text = re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", text)
    return re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", r'<a href="\2">\1</a>', text)


def _anchor(text: str) -> str:
    return re.sub(r"\W+", "-", text.lower()).strip("-")


def _with_own_ids(page: str) -> str:
    """Headings that say the same, told apart by a number."""
    seen: Counter[str] = Counter()

    def told_apart(match: re.Match[str]) -> str:
        seen[match[1]] += 1
        return f'id="{match[1]}-{seen[match[1]]}"' if seen[match[1]] > 1 else match[0]

    return re.sub(r'id="([^"]+)"', told_apart, page)


def _data(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _differences(truth: str, reading: str) -> tuple[str, str]:
    """Truth and reading with what differs marked."""
    true, read = [], []
    for edit in align(truth, reading):
        wrong = edit.true != edit.read
        for text, side, name in ((edit.true, true, "del"), (edit.read, read, "ins")):
            escaped = html.escape(text)
            side.append(f"<{name}>{escaped}</{name}>" if wrong and text else escaped)
    return "".join(true) or "&nbsp;", "".join(read) or "&nbsp;"
