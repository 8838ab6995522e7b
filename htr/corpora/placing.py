"""Where the words of labelled lines stand in their pictures, told by a recogniser that is given the text."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from htr.alphabet import Alphabet
from htr.corpora.iam_words import PlacedWord, WordLine
from htr.corpora.sample import Sample
from htr.decoding import Peak, align, columns_needed
from htr.lineimage import STROKE, Prepared, batches_of_like_width, collate, ink_of, without_rules
from htr.reader import BATCH_PIXELS, Reader

log = logging.getLogger(__name__)

# Mean probability of a word's characters below which its place is not trusted.
_SURE = 0.15

# The share of a word's ink that tails of other lines may have.
_TAILS = 0.01


def place_words(samples: Sequence[Sample], reader: Reader) -> list[WordLine]:
    """Places the words of lines by the most likely CTC path that writes their text (`htr.decoding.align`).

    Args:
        samples: lines with their texts. Those whose text the recogniser cannot write, or not in so narrow a picture, are
            left out, and counted in a log line; an accented letter that it does not know is looked for as the plain one.
        reader: the recogniser; the better it knows the hand, the more words it is sure of.

    Returns:
        The lines with at least one word whose place is sure; punctuation belongs to its word.
    """
    alphabet = reader.weights.alphabet
    texts = [(sample, _plain(sample.text, alphabet)) for sample in samples if sample.text]
    known = [(sample, text) for sample, text in texts if not alphabet.missing([text])]
    height, stride = reader.weights.header.height, reader.weights.network.width_stride
    prepared = [sample.prepared(height) for sample, _ in known]
    peaks: dict[int, Sequence[Peak]] = {}
    batches = batches_of_like_width([line.picture.shape[1] for line in prepared], height, BATCH_PIXELS)
    for batch in tqdm(batches, desc="placing words", leave=False, disable=None):
        images, columns = collate([prepared[index].picture for index in batch], stride)
        probabilities = reader.logits(images).float().softmax(-1).numpy()
        for index, scores, count in zip(batch, probabilities, columns.tolist()):
            classes = alphabet.encode(known[index][1])
            if columns_needed(classes) <= count:
                peaks[index] = align(scores[:count], classes)
    # In the order of the pages, which else would be opened anew for each of their lines.
    placed = (_word_line(known[index][0], prepared[index], peaks[index], stride) for index in sorted(peaks))
    found = [line for line in placed if any(word.box for word in line.words)]
    if len(found) < len(texts):
        log.warning("words of %d of %d lines could be placed", len(found), len(texts))
    return found


def _plain(text: str, alphabet: Alphabet) -> str:
    """The text with letters that the alphabet lacks without their accents, if it has them so."""
    characters = alphabet.characters
    return "".join(c if c in characters else unicodedata.normalize("NFD", c)[0] for c in text)


def _word_line(sample: Sample, seen: Prepared, peaks: Sequence[Peak], stride: int) -> WordLine:
    strokes = without_rules(ink_of(sample.image()))
    spaces = [index for index, character in enumerate(sample.text) if character == " "]
    edges = [0.0, *(seen.source(stride * (peaks[at].start + peaks[at].end) / 2) for at in spaces), strokes.shape[1]]
    words = []
    for first, last, left, right in zip([0, *(at + 1 for at in spaces)], [*spaces, len(peaks)], edges, edges[1:]):
        sure = np.mean([peak.confidence for peak in peaks[first:last]]) >= _SURE
        box = _box(strokes, round(left), round(right)) if sure else None
        words.append(PlacedWord(sample.text[first:last], "", box))
    page = sample.form or sample.writer or "all"
    return WordLine(sample.id, page, sample.writer or page, sample.image, 1.0, words, marks_apart=False)


def _box(ink: np.ndarray, left: int, right: int) -> tuple[int, int, int, int] | None:
    """The rectangle of the ink between two columns; None where there is none."""
    piece = np.where(ink[:, max(left, 0) : right] > STROKE, ink[:, max(left, 0) : right], 0)
    columns = np.flatnonzero(piece.any(0))
    if not len(columns):
        return None
    mass = np.cumsum(piece.sum(1), dtype=np.float64)
    top, bottom = np.searchsorted(mass, [_TAILS * mass[-1], (1 - _TAILS) * mass[-1]])
    return max(left, 0) + int(columns[0]), int(top), max(left, 0) + int(columns[-1]) + 1, int(bottom) + 1
