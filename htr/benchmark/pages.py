"""Measuring how well and how fast whole pages are read, and what finding the lines costs.

Stated once, for every figure of pages:

- A found line is right if its IoU (the part shared, of the area of both together) with a true line is at least 0.5, or
  0.75. Each line pairs once. IoU is that of the polygons, filled in the page's pixels, and beside it that of the upright
  boxes around them. Precision, recall and F1 are micro averages over the lines of all pages.
- Shares of the true lines: missed, if no found line covers half of it; parted, if two or more of the found lines that
  belong to it each cover a fifth of it or more; merged, if a found line covers half of it or more and half of another
  true line, too.
- The truth speaks of the area of its lines only: the upright box around them, with half of their median height (area of
  the polygon by length of the baseline) more on each side. Found lines whose boxes' centre lies elsewhere are counted as
  outside; they are not held against the finder, nor is their text against the reader. Lines of printed regions are not
  counted at all, of the truth's where it has no text of them.
- A found line belongs to the true line with which it shares most pixels. If that is to be left out, so is the found line;
  if that has no text, the found line's text is left out.
- CER and WER of a page are those of `htr.metrics` between two texts: the true lines in their order, joined by spaces, and
  the found lines in reading order, joined by spaces. CER of the true lines is the same with the readings of the true
  lines, cut out by their true polygons and baselines, as the second text. So their difference is what finding and ordering
  the lines costs. Intervals are over pages. Marks of transcribers, such as `>...<` for crossed-out words, stay in the truth.
- Where a plain text is all that is known of a page, its rows, joined by spaces, are the first text (without numbers of lines and marks
  for their ends that nobody wrote, as `htr.corpora.transcript.as_written` finds them), and there are no other figures.
"""

from __future__ import annotations

import logging
import math
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment
from tqdm import tqdm

from htr.alphabet import normalise
from htr.benchmark.distort import DISTORTIONS, distort
from htr.benchmark.lines import check_opens, named_rates, tell_unknown
from htr.benchmark.provenance import labels_sha256, provenance
from htr.corpora.folder import has_text, is_page, pictures_with_texts
from htr.corpora.pages import PageTruth, load_pages, pages_with_xml, stem_of
from htr.corpora.sample import as_seen, told_split
from htr.corpora.transcript import as_written
from htr.errors import InputError
from htr.files import in_run, read_text
from htr.language import AUTO
from htr.messages import counted, printable
from htr.metrics import RESAMPLES, SEED, count_edits, score
from htr.pages.containers import Line, Page, around
from htr.pages.crop import LONGEST_SIDE, crop_line
from htr.pages.images import can_hold_writing, count_pages, open_image
from htr.pages.segmenter import DEFAULT as FINDER
from htr.reader import Reader, load
from htr.weights import sha256

THRESHOLDS = 0.5, 0.75
"""The IoU from which on a found line counts as right."""

Counts = dict[str, int]
"""How many lines are true, found, outside, missed, parted, merged, and right by each measure; see `compare`."""

log = logging.getLogger(__name__)

_INTERVALS = f"95 % percentile bootstrap over pages, {RESAMPLES} resamples, seed {SEED}"


def evaluate_pages(
    source: str,
    weights: str | None = None,
    split: str | None = None,
    leave_out: str | None = None,
    distortions: Sequence[str] = (),
    language: str = AUTO,
) -> dict[str, Any]:
    """Finds and reads the lines of pages, and compares them with the true ones; the module's text says how.

    Args:
        source: pages with their truth, as `htr.corpora.pages.load_pages` takes them.
        weights: a weights file; those that ship with the package if None.
        split: `train`, `val` or `test`; pages of all splits if None.
        leave_out: regular expression; true lines in whose text it is found are left out, with what is found there.
        language: as `htr.load` takes it.
        distortions: names of `htr.benchmark.distort.DISTORTIONS`; the lines of each page are found in each, too.

    Returns:
        Scores in percent, seconds, the counts of each page, and what is needed to repeat it all.

    Raises:
        InputError: pages, weights or language model cannot be used, or no lines are left to be found.
    """
    truths = load_truths(source, split, leave_out)
    for truth in truths if distortions else ():
        width, height = truth.page.page.width, truth.page.page.height
        if (corners := math.ceil(math.hypot(width, height))) > LONGEST_SIDE:
            raise InputError(
                f"{truth.page.image}: {width} x {height} pixels are too many to distort it (from corner to corner {corners:,}, at "
                f"most {LONGEST_SIDE:,}); scale it down"
            )
    reader = load(weights, language)
    check_opens(partial(open_image, truth.page.image) for truth in truths)
    tell_unknown(source, reader, [truth.text for truth in truths])
    reader.read_page(open_image(truths[0].page.image))  # the first page of a process is slow: not timed
    seconds, total, distorted = Counter(), Counter(), {name: Counter() for name in distortions}
    rows, readings = [], []
    for truth in tqdm(truths, unit=" pages", leave=False, disable=None):
        picture, found, page, times = _read(reader, truth)
        seconds.update(times)
        counts, _ = compare(_polygons(found), truth.polygons, truth.ignored, truth.area)
        total.update(counts)
        for name in distortions:
            changed, (*moved, area) = distort(DISTORTIONS[name], picture, [*truth.polygons, truth.area])
            distorted[name].update(compare(_polygons(reader.find_page(changed)), moved, truth.ignored, area)[0])
        # Found lines of which nothing could be read are no part of the page that was read.
        _, kept = compare(_polygons(page), truth.polygons, truth.ignored, truth.area)
        lines = truth.page.page.lines
        read = [page.lines[index].text for index, partner in kept.items() if partner is None or lines[partner].text]
        crops = [crop_line(picture, line) for line in truth.read]
        # What is too small to be read is read as nothing.
        cut = reader.read_lines([crop for crop in crops if can_hold_writing(crop)], cut_out=True)
        about = {"id": printable(truth.page.id), "split": truth.page.split, "writer": truth.page.writer}
        reading, reading_of_true = " ".join(read), " ".join(line.text for line in cut)
        edits, characters = count_edits(truth.text, reading)
        true_edits, _ = count_edits(truth.text, reading_of_true)
        rows.append(
            {**counts, **about, "characters": characters, "edits": edits, "edits of the true lines": true_edits}
        )
        readings.append({**about, "truth": truth.text, "reading": reading, "reading of true lines": reading_of_true})
    lines = rates(total)
    plain = lines["polygons"]["0.5"]["F1"]
    losses = {name: rates(counts)["polygons"]["0.5"]["F1"] for name, counts in distorted.items()}
    return {
        "kind": "pages",
        "pages": source,
        "split": split,
        "leave_out": leave_out,
        "count": len(truths),
        "characters": sum(row["characters"] for row in rows),
        "labels_sha256": labels_sha256((truth.page.id, truth.text) for truth in truths),
        "counts": dict(total),
        "lines": lines,
        "distortions": {name: {"F1": f1, "lost": plain - f1} for name, f1 in losses.items()},
        "scores": _scores(readings),
        "intervals": _INTERVALS,
        "seconds_a_page": {name: round(value / len(truths), 3) for name, value in seconds.items()},
        **provenance(reader, language, pages=True),
        "finder": finder_facts(),
        "per_page": rows,
        "readings": readings,
    }


class PageText(NamedTuple):
    """A picture of a page, and its plain text.

    Attributes:
        id: name of the page, unique in its folder.
        split: `train`, `val` or `test`.
        image: the picture's file.
        text: in rows, as it is.
    """

    id: str
    split: str
    image: Path
    text: str


def load_texts(folder: Path, split: str | None = None) -> list[PageText]:
    """The pages of a folder, and of those below it, that have a plain text beside them (`page1.txt` of `page1.jpg`).

    Pages below folders named train, val and test are of that split, all others of test. Where another program has written ALTO or PAGE
    XML with texts of pages of the split, or of any if None, that counts, and there are none.

    Raises:
        InputError: a text cannot be read, a picture has several pages, or the pictures are of lines.
    """
    if not folder.is_dir():
        return []
    pictures = [
        (image, file, told_split(image.relative_to(folder)) or "test")
        for image, file in pictures_with_texts(folder)
        if not in_run(image, folder)
    ]
    given = [(stem_of(image), its_split) for image, file, its_split in pictures if has_text(file)]
    if not given:
        return []
    pages, doubts = pages_with_xml(folder)
    pages = [page for page in pages if split in (None, page.split)]
    if any(not page.by_htr and page.has_texts for page in pages):
        known = {page.stem for page in pages if not page.by_htr}
        if alone := sum(picture not in known and split in (None, its_split) for picture, its_split in given):
            log.warning(
                "%s: %s with a plain text alone left out, since others have XML", folder, counted(alone, "page")
            )
        return []
    if pages or doubts:
        log.warning(
            "%s: ALTO or PAGE XML is passed over, which htr wrote, or which has no texts or is broken, since there are plain texts",
            folder,
        )
    texts, without = [], 0
    for image, file, its_split in pictures:
        text = as_seen(read_text(file)) if file else ""
        if not normalise(text):
            without += split in (None, its_split)
            continue
        texts.append(PageText(image.relative_to(folder).with_suffix("").as_posix(), its_split, image, text))
    for text in texts:
        if (count := count_pages(text.image)) > 1:
            raise InputError(f"{text.image}: has {count} pages; save each of them as a picture with a text of its own")
    if texts and not any(is_page(text.image, text.text) for text in texts):
        raise InputError(f"{texts[0].image}: is of a line by its text, not of a page; give --data lines:{folder}")
    if texts and without:
        log.warning("%s: %s without a text left out", folder, counted(without, "picture"))
    return texts


def evaluate_texts(
    source: str, texts: Sequence[PageText], weights: str | None = None, split: str | None = None, language: str = AUTO
) -> dict[str, Any]:
    """Reads pages and compares what is read with their plain texts; the module's text says how.

    Args:
        source: the folder of the pages.
        texts: what `load_texts` finds there.
        weights, split, language: as `evaluate_pages` takes them.

    Returns:
        Scores in percent, and what is needed to repeat it all.

    Raises:
        InputError: a page, the weights or the language model cannot be used, or there is no page of the split.
    """
    texts = [text for text in texts if split in (None, text.split)]
    if not texts:
        raise InputError(f"{source}: has no pages of the split {split}; choose another one")
    reader = load(weights, language)
    check_opens(partial(open_image, text.image) for text in texts)
    tell_unknown(source, reader, [text.text for text in texts])
    readings, lightened = [], []
    for text in tqdm(texts, unit=" pages", leave=False, disable=None):
        lines = [line.text for line in reader.read_page(text.image).lines if line.text]
        # As they would be learnt.
        truth = " ".join(as_written(lines, text.text))
        if truth != normalise(text.text):
            lightened.append(text.id)
        readings.append({"id": printable(text.id), "split": text.split, "truth": truth, "reading": " ".join(lines)})
    if lightened:
        log.warning(
            "%s: of the texts of %s, what an edition adds (numbers, marks) counts as not written, as the readings go (such as %s); "
            "other weights may be scored by more of it",
            source, counted(len(lightened), "page"), lightened[0],
        )  # fmt: skip
    scores = score([row["truth"] for row in readings], [row["reading"] for row in readings])
    return {
        "kind": "texts",
        "pages": source,
        "split": split,
        "count": len(texts),
        "characters": scores.cer.total,
        "labels_sha256": labels_sha256((text.id, text.text) for text in texts),
        "scores": named_rates(scores),
        "intervals": _INTERVALS,
        **provenance(reader, language, pages=True),
        "finder": finder_facts(),
        "readings": readings,
    }


def finder_facts() -> dict[str, str]:
    """With what lines are found."""
    return {"file": FINDER.name, "sha256": sha256(FINDER)}


def compare(
    found: list[np.ndarray], true: list[np.ndarray], ignored: np.ndarray, area: np.ndarray
) -> tuple[Counts, dict[int, int | None]]:
    """Compares the lines found on a page with the true ones; the module's text says how.

    Args:
        found, true: polygons, each of shape (corners, 2), x and y in pixels; at least one is true.
        ignored: shape (true lines), bool: which are to be left out.
        area: polygon of which the truth speaks.

    Returns:
        The counts, and the found lines that count: their indices, in order, each with that of the true line to which it
        belongs, or None where it shares no pixel with any.
    """
    shared, found_sizes, true_sizes = _overlaps(found, true)
    partners = shared.argmax(1)
    alone = shared.max(1, initial=0) == 0
    left_out = ~alone & ignored[partners]
    inside = np.array([_middle_within(polygon, area) for polygon in found], bool)
    kept = np.flatnonzero(inside & ~left_out)
    belongs = (partners[kept, None] == np.flatnonzero(~ignored)) & ~alone[kept, None]
    shared, true_sizes = shared[np.ix_(kept, ~ignored)], true_sizes[~ignored]
    covered = shared / true_sizes
    halves = covered >= 0.5
    counts = {
        "true": len(true_sizes),
        "found": len(kept),
        "outside": int((~inside & ~left_out).sum()),
        "missed": int((~halves.any(0)).sum()),
        "parted": int((((covered >= 0.2) & belongs).sum(0) >= 2).sum()),
        "merged": int(halves[halves.sum(1) >= 2].any(0).sum()),
    }
    overlaps = {
        "polygons": shared / (found_sizes[kept, None] + true_sizes - shared),
        "boxes": box_overlaps(
            [found[index] for index in kept], [polygon for polygon, skip in zip(true, ignored) if not skip]
        ),
    }
    for shape, overlap in overlaps.items():
        for threshold in THRESHOLDS:
            right = overlap >= threshold
            counts[f"right {shape} {threshold}"] = int(right[linear_sum_assignment(right, maximize=True)].sum())
    return counts, {int(index): None if alone[index] else int(partners[index]) for index in kept}


def rates(counts: Counts) -> dict[str, Any]:
    """Turns counts into percent: F1, precision and recall by shape and IoU, and the shares of the true lines."""
    true, found = counts["true"], counts["found"]
    result: dict[str, Any] = {name: 100 * counts[name] / true for name in ("missed", "parted", "merged")}
    for shape in ("polygons", "boxes"):
        result[shape] = {}
        for threshold in THRESHOLDS:
            right = counts[f"right {shape} {threshold}"]
            result[shape][str(threshold)] = {
                "F1": 200 * right / (true + found),
                "precision": 100 * right / max(found, 1),
                "recall": 100 * right / true,
            }
    return result


class Truth(NamedTuple):
    """A page's truth, made ready for comparing: see `compare` for polygons, ignored and area."""

    page: PageTruth
    polygons: list[np.ndarray]
    ignored: np.ndarray
    area: np.ndarray

    @property
    def read(self) -> list[Line]:
        """The lines that are to be read."""
        return [line for line, skip in zip(self.page.page.lines, self.ignored) if line.text and not skip]

    @property
    def text(self) -> str:
        return " ".join(line.text for line in self.read)


def load_truths(source: str, split: str | None = None, leave_out: str | None = None) -> list[Truth]:
    """Opens the truth of pages; the arguments and errors are those of `evaluate_pages`."""
    try:
        pattern = re.compile(leave_out) if leave_out else None
    except re.error as error:
        raise InputError(f"{leave_out}: not a regular expression ({error}); correct it") from None
    truths = [_with_area(page, pattern) for page in load_pages(source) if split in (None, page.split)]
    truths = [truth for truth in truths if not truth.ignored.all()]
    if not truths:
        raise InputError(f"{source}: has no lines to be found; choose another split, or leave out fewer lines")
    return truths


def _with_area(page: PageTruth, leave_out: re.Pattern[str] | None) -> Truth:
    lines = page.page.lines
    ignored = np.array([bool(leave_out and leave_out.search(line.text)) for line in lines])
    polygons = _polygons(page.page)
    kept = [index for index in range(len(lines)) if not ignored[index]] or range(len(lines))
    heights = [
        cv2.contourArea(polygons[index].astype(np.float32))
        / cv2.arcLength(np.array(lines[index].baseline, np.float32), False)
        for index in kept
    ]
    margin = float(np.median(heights)) / 2
    left, top, right, bottom = around(point for index in kept for point in lines[index].polygon)
    left, top, right, bottom = left - margin, top - margin, right + margin, bottom + margin
    return Truth(page, polygons, ignored, np.array([[left, top], [right, top], [right, bottom], [left, bottom]]))


def _read(reader: Reader, truth: Truth) -> tuple[np.ndarray, Page, Page, dict[str, float]]:
    """A page's picture, the page as it is found and as it is read, and the seconds that each step took."""
    times = [time.perf_counter()]
    picture = open_image(truth.page.image)
    times.append(time.perf_counter())
    found = reader.find_page(picture)
    times.append(time.perf_counter())
    page = reader.read_page(picture)
    times.append(time.perf_counter())
    opening, finding, both = np.diff(times).tolist()
    return picture, found, page, {"opening": opening, "finding": finding, "reading": max(both - finding, 0.0)}


def _scores(readings: list[dict[str, str]]) -> dict[str, Any]:
    """Scores of the pages and of their true lines; none if nothing is transcribed."""
    texts, found, true = ([row[name] for row in readings] for name in ("truth", "reading", "reading of true lines"))
    if not any(texts):
        return {}
    pages, lines = score(texts, found), score(texts, true)
    return {
        **named_rates(pages),
        "CER of the true lines": asdict(lines.cer),
        "WER of the true lines": asdict(lines.wer),
        "CER minus CER of the true lines": pages.cer.value - lines.cer.value,
    }


def _polygons(page: Page) -> list[np.ndarray]:
    return [np.array(line.polygon, float) for line in page.lines]


def _middle_within(polygon: np.ndarray, area: np.ndarray) -> bool:
    left, top, right, bottom = around(polygon)
    return cv2.pointPolygonTest(area.astype(np.float32), ((left + right) / 2, (top + bottom) / 2), False) >= 0


def _overlaps(found: list[np.ndarray], true: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels that each found line shares with each true one, shape (found, true), and the pixels of each."""
    found_filled, true_filled = [[_filled(polygon) for polygon in polygons] for polygons in (found, true)]
    shared = np.zeros((len(found), len(true)))
    for row, (found_left, found_top, first) in enumerate(found_filled):
        for column, (true_left, true_top, second) in enumerate(true_filled):
            left, top = max(found_left, true_left), max(found_top, true_top)
            right = min(found_left + first.shape[1], true_left + second.shape[1])
            bottom = min(found_top + first.shape[0], true_top + second.shape[0])
            if left < right and top < bottom:
                shared[row, column] = np.count_nonzero(
                    first[top - found_top : bottom - found_top, left - found_left : right - found_left]
                    & second[top - true_top : bottom - true_top, left - true_left : right - true_left]
                )
    sizes = [np.array([np.count_nonzero(mask) for *_, mask in filled]) for filled in (found_filled, true_filled)]
    return shared, *sizes


def _filled(polygon: np.ndarray) -> tuple[int, int, np.ndarray]:
    """A polygon in pixels: left, top, and the mask of its box."""
    points = np.rint(polygon).astype(np.int32)
    left, top = points.min(0).tolist()
    width, height = (np.ptp(points, axis=0) + 1).tolist()
    return left, top, cv2.fillPoly(np.zeros((height, width), np.uint8), [points - (left, top)], 1)


def box_overlaps(found: list[np.ndarray], true: list[np.ndarray]) -> np.ndarray:
    """IoU of the upright boxes around polygons, shape (found, true)."""
    first = np.array([around(polygon) for polygon in found], float).reshape(-1, 1, 4)
    second = np.array([around(polygon) for polygon in true], float).reshape(1, -1, 4)
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    shared = sides.clip(0).prod(-1)
    sizes = [(boxes[..., 2:] - boxes[..., :2]).prod(-1) for boxes in (first, second)]
    return shared / (sizes[0] + sizes[1] - shared)
