"""Reading lines and pages with trained weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import Tensor

from htr.decoding import Reading, Sign, beam_search, greedy, probabilities_of
from htr.errors import InputError
from htr.language import AUTO, LanguageModel, load_languages
from htr.lineimage import Prepared, batches_of_like_width, collate, prepare
from htr.machine import use_bfloat16
from htr.messages import counted
from htr.pages.containers import Character, Line, Page, Point, Word, within
from htr.pages.crop import cut_strip, looks_like_line, size_of
from htr.pages.finding import find_page
from htr.pages.images import grey, open_image
from htr.pages.lines import LineFinder
from htr.weights import Weights, load_weights

BATCH_PIXELS = 1_000_000
"""Pixels of prepared lines that are read at once: 15 lines of 1000 x 64."""

# Median height of a page's lines, in pixels, below which little can be read.
_SMALL = 16

Picture = np.ndarray | str | Path
"""A file, or an array of shape (height, width) grey or (height, width, 3 or 4) RGB(A), uint8, 0 = black."""

Place = Callable[[float, float], Point]
"""From a point of a line's picture, in its pixels, to the point of the page."""


def load(weights: str | Path | None = None, language: str | Path = AUTO) -> Reader:
    """Makes a reader: `htr.load().read_page("page.png").text`.

    Args:
        weights: a weights file, or the name of weights that ship with the package; the usual ones if None.
        language: what helps in reading: `auto` for all language models that ship with the package, the lines of a page, or of
            one call of `read_lines`, showing together which they follow; the name of one of them (`english`), the file of
            another, or `none`.

    Raises:
        InputError: a file cannot be used; see `htr.weights.load_weights` and `htr.language.load_languages`.
    """
    return Reader(load_weights(weights), load_languages(language))


class Reader:
    """Reads pictures of handwriting; on a GPU where there is one.

    Attributes:
        weights: what it reads with.
        languages: the language models that help, if any.
        device: `cpu` or `cuda`.
    """

    def __init__(self, weights: Weights, languages: Sequence[LanguageModel] = ()) -> None:
        self.weights = weights
        self.languages = languages
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self._network = weights.network.to(self.device)
        self._bfloat16 = use_bfloat16(self.device)

    @cached_property
    def _finder(self) -> LineFinder:
        # Only pages need it.
        return LineFinder()

    def read_lines(self, images: Sequence[Picture], cut_out: bool = False) -> list[Line]:
        """Reads pictures of one text line each.

        Args:
            images: a list of them, also of one. Where the reader knows several languages, most of the lines are taken to be in
                the same, so lines of one text are better given together.
            cut_out: whether they have been cleared of other lines, as `htr.pages.crop` does; else what reaches in from the lines
                above and below is not read.

        Returns:
            A line for each picture, in the same order; its polygon is the whole picture, its baseline the lower edge.

        Raises:
            InputError: a file cannot be opened (it is named), or a picture was given in place of a list.
        """
        if isinstance(images, (str, Path, np.ndarray)):
            raise InputError("read_lines takes a list of pictures; for one, give [picture]")
        lines, pictures, places = [], [], []
        for image in images:
            picture = _open(image)
            height, width = picture.shape
            corners = ((0.0, 0.0), (float(width), 0.0), (float(width), float(height)), (0.0, float(height)))
            lines.append(Line((corners[3], corners[2]), corners))
            pictures.append(picture)
            places.append(_inside(lambda x, y: (x, y), picture.shape))
        return self._read(lines, pictures, places, cut_out)

    def read_page(self, image: Picture) -> Page:
        """Finds the lines of a page and reads them.

        Lines of print are found and not read, unless there is nothing else; lines in which nothing could be read are left out.

        Raises:
            InputError: the file cannot be opened; it is named.
        """
        picture = _open(image)
        page = replace(self.find_page(picture), file=_file_of(image))
        strips = [cut_strip(picture, line) for line in page.lines]
        places = [_inside(strip.place, picture.shape) for strip in strips]
        read = iter(self._read(page.lines, [strip.picture for strip in strips], places, cut_out=True))
        regions, empty = [], 0
        for region in page.regions:
            if region.kind != "print":
                lines = [next(read) for _ in region.lines]
                region = replace(region, lines=tuple(line for line in lines if line.text))
                empty += len(lines) - len(region.lines)
            if region.lines:
                regions.append(region)
        return replace(page, regions=tuple(regions), notes=page.notes + _notes(picture, page, empty))

    def find_page(self, image: Picture, upright: bool = False) -> Page:
        """Finds the lines of a page and their order, and reads nothing.

        Args:
            image: of the page.
            upright: whether it is taken for granted that nothing stands upside down, to tell which takes about as long as to find
                the lines.

        Returns:
            The page; its lines have no text.

        Raises:
            InputError: the file cannot be opened; it is named.
        """
        return replace(find_page(_open(image), self._finder, self._sure, upright), file=_file_of(image))

    def _sure(self, pictures: Sequence[np.ndarray]) -> list[float]:
        """How surely pictures of lines are read without language models, 0 to 1; 0 where nothing is."""
        prepared = [prepare(each, self.weights.header.height, cut_out=True) for each in pictures]
        readings = self.read_prepared(prepared, greedily=True)
        # An empty reading's confidence is that of there being nothing.
        return [reading.confidence if reading.text.strip() else 0.0 for reading in readings]

    def read_prepared(
        self,
        lines: Sequence[Prepared],
        greedily: bool = False,
        batch_pixels: int = BATCH_PIXELS,
        pages: Sequence[str | None] | None = None,
    ) -> list[Reading]:
        """Reads lines that passed `htr.lineimage.prepare`, in the same order.

        Args:
            lines: as the network sees them.
            greedily: without language models.
            batch_pixels: of a batch at most, padding included.
            pages: that the lines are of, most of whose lines are taken to be in one language; all of one if None.
        """
        probabilities: dict[int, np.ndarray] = {}
        widths = [line.picture.shape[1] for line in lines]
        for batch in batches_of_like_width(widths, self.weights.header.height, batch_pixels):
            images, columns = collate([lines[index].picture for index in batch], self._network.width_stride)
            probabilities |= zip(batch, probabilities_of(self.logits(images), columns))
        together: dict[str | None, list[int]] = {}
        for index, page in enumerate(pages or [None] * len(lines)):
            together.setdefault(page, []).append(index)
        readings: dict[int, Reading] = {}
        for indices in together.values():
            readings |= zip(indices, self.decode([probabilities[index] for index in indices], greedily))
        return [readings[index] for index in range(len(lines))]

    def logits(self, images: Tensor) -> Tensor:
        """What the network says of lines that `htr.lineimage.collate` laid together; see `Recogniser.forward`."""
        images = images.to(self.device, memory_format=torch.channels_last)
        with torch.inference_mode(), torch.autocast(self.device, torch.bfloat16, enabled=self._bfloat16):
            logits, _ = self._network(images)
        return logits.cpu()

    def decode(self, lines: Sequence[np.ndarray], greedily: bool = False) -> list[Reading]:
        """What lines say, with the help of the languages if there are any.

        Args:
            lines: what `htr.decoding.probabilities_of` gives, of one page.
            greedily: without language models.
        """
        if self.languages and not greedily:
            return beam_search(lines, self.weights.alphabet, self.languages)
        return greedy(lines, self.weights.alphabet)

    def _read(
        self, lines: Sequence[Line], pictures: Sequence[np.ndarray], places: Sequence[Place], cut_out: bool
    ) -> list[Line]:
        """Fills in what lines say, from their pictures."""
        prepared = [prepare(picture, self.weights.header.height, cut_out) for picture in pictures]
        stride = self._network.width_stride
        return [
            _filled(line, reading, seen, stride, picture.shape[0], place)
            for line, reading, seen, picture, place in zip(
                lines, self.read_prepared(prepared), prepared, pictures, places
            )
        ]


def _inside(place: Place, shape: tuple[int, ...]) -> Place:
    """The same place, but for what would lie outside of a picture of this shape: that lies on its edge."""
    return lambda x, y: within([place(x, y)], shape)[0]


def _filled(line: Line, reading: Reading, seen: Prepared, stride: int, height: int, place: Place) -> Line:
    """The line with text, words and characters; `stride` is the network's, `height` that of the line's picture."""

    def polygon(start: float, end: float) -> tuple[Point, ...]:
        left, right = seen.source(start), seen.source(end)
        return place(left, 0), place(right, 0), place(right, height), place(left, height)

    words = []
    for signs in _words(reading.signs):
        # A word ends where its ink does: the columns up to its neighbours hold paper too.
        start, end = round(signs[0].start * stride), round(signs[-1].end * stride)
        inked = np.flatnonzero(seen.picture[:, start:end].max(0, initial=0) > _INK)
        if len(inked):
            start, end = start + int(inked[0]), start + int(inked[-1]) + 1
        edges = [min(max(sign.start * stride, start), end) for sign in signs] + [end]
        characters = tuple(
            Character(sign.text, sign.confidence, polygon(left, right))
            for sign, left, right in zip(signs, edges, edges[1:])
        )
        confidence = sum(sign.confidence for sign in signs) / len(signs)
        words.append(Word("".join(sign.text for sign in signs), confidence, polygon(start, end), characters))
    text = " ".join(word.text for word in words)
    return replace(line, text=text, confidence=reading.confidence, words=tuple(words))


# Darkness of a prepared line, 0 to 255, from which a column counts as inked.
_INK = 60


def _words(signs: Sequence[Sign]) -> list[list[Sign]]:
    """Parts characters at the spaces."""
    words: list[list[Sign]] = [[]]
    for sign in signs:
        if sign.text == " ":
            words.append([])
        else:
            words[-1].append(sign)
    return [word for word in words if word]


def _notes(picture: np.ndarray, page: Page, empty: int) -> tuple[str, ...]:
    """What to say of a page as it was found, in so many lines of which nothing could be read."""
    notes = []
    printed = sum(len(region.lines) for region in page.regions if region.kind == "print")
    if printed:
        notes.append(
            f"{printed} lines of print found and not read" if printed > 1 else "a line of print found, not read"
        )
    if not page.lines:
        notes.append("no lines of handwriting found")
    elif looks_like_line(picture, page):
        notes.append("looks like a single line rather than a page; read it with --line")
    elif (height := median(size_of(line)[1] for line in page.lines)) < _SMALL:
        notes.append(f"the lines are {height:.0f} pixels high, too few to read them well; scan the page larger")
    if empty:
        notes.append(f"nothing could be read in {counted(empty, 'line')}")
    if page.turn and page.lines:
        notes.append(f"lies turned; read as if turned by {page.turn} degrees clockwise")
    return tuple(notes)


def _file_of(image: Picture) -> str | None:
    return None if isinstance(image, np.ndarray) else str(image)


def _open(image: Picture) -> np.ndarray:
    if isinstance(image, np.ndarray):
        return grey(image)
    if not isinstance(image, (str, Path)):
        raise InputError(
            f"{type(image).__name__}: a picture of this type cannot be read; give the path of a file, or numpy.asarray(picture)"
        )
    return open_image(image)
