"""Measuring how well and how fast labelled lines are read."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from tqdm import tqdm

from htr.alphabet import named, normalise
from htr.benchmark.details import details
from htr.benchmark.provenance import labels_sha256, provenance
from htr.corpora import load_corpus
from htr.corpora.iam import FULL_SPLIT_LINES
from htr.corpora.sample import Sample
from htr.decoding import Reading
from htr.errors import InputError
from htr.language import AUTO
from htr.lineimage import prepare
from htr.messages import counted, printable
from htr.metrics import FEWEST, RESAMPLES, SEED, Scores, score
from htr.reader import BATCH_PIXELS, Reader, load

log = logging.getLogger(__name__)

# Lines that are prepared and read before the progress bar moves on.
_CHUNK = 128


def load_lines(data: str, split: str) -> list[Sample]:
    """The labelled lines of one split of a corpus.

    Raises:
        InputError: the corpus cannot be used, or there are none.
    """
    samples = [sample for sample in load_corpus(data) if sample.split == split and sample.text]
    if not samples:
        raise InputError(f"{data}: has no {split} lines; give another split, or another corpus")
    return samples


def check_opens(pictures: Iterable[Callable[[], object]]) -> None:
    """Opens each of some pictures, so that a broken one is found before long work and not in its midst.

    Raises:
        InputError: one or more cannot be opened; the first is named.
    """
    broken: list[str] = []
    for opened in tqdm(pictures, desc="opening", unit=" pictures", leave=False, disable=None):
        try:
            opened()
        except InputError as error:
            if str(error) not in broken:  # many lines may be of one page
                broken.append(str(error))
    if broken:
        others = f"; {counted(len(broken) - 1, 'other picture')} cannot be opened either" if len(broken) > 1 else ""
        raise InputError(f"{broken[0]}{others}")


def tell_unknown(source: str, reader: Reader, texts: Iterable[str]) -> None:
    """Says which characters of texts a reader cannot write."""
    if unknown := reader.weights.alphabet.missing(map(normalise, texts)):
        log.warning("%s: characters that these weights cannot write, which count as errors: %s", source, named(unknown))


def evaluate_lines(data: str, split: str, weights: str | None = None, language: str = AUTO) -> dict[str, Any]:
    """Reads the lines of one split, greedily and with the help of a language, and scores the readings.

    Args:
        data: a corpus, as `htr.corpora.load_corpus` takes it.
        split: `train`, `val` or `test`.
        weights: a weights file; those that ship with the package if None.
        language: as `htr.load` takes it; only greedily if `none`.

    Returns:
        Scores in percent with 95 % intervals, speed, every line's reading, and what is needed to repeat it all. With language,
        lines of a page are read together, as on pages; where pages are not known, 128 in a row (at which pages are parted, too).
        The details are of the readings with language, if that is not `none`.

    Raises:
        InputError: data, weights or language model cannot be used, or the split has no lines.
    """
    reader = load(weights, language)
    samples = load_lines(data, split)
    check_opens(sample.image for sample in samples)
    tell_unknown(data, reader, [sample.text for sample in samples])
    # The first reading takes longer, whatever is read.
    reader.read_prepared([samples[0].prepared(reader.weights.header.height)], greedily=True)
    greedily: list[Reading] = []
    helped: list[Reading] = []
    seconds = helped_seconds = 0.0
    pages = [sample.form for sample in samples]
    progress = tqdm(total=len(samples), unit=" lines", leave=False, disable=None)
    for start in range(0, len(samples), _CHUNK):
        chunk = samples[start : start + _CHUNK]
        pictures = [sample.image() for sample in chunk]
        began = time.perf_counter()
        prepared = [
            prepare(picture, reader.weights.header.height, sample.cut_out) for picture, sample in zip(pictures, chunk)
        ]
        preparing = time.perf_counter() - began
        greedily += reader.read_prepared(prepared, greedily=True)
        seconds += time.perf_counter() - began
        if reader.languages:
            began = time.perf_counter()
            helped += reader.read_prepared(prepared, pages=pages[start : start + _CHUNK])
            helped_seconds += preparing + time.perf_counter() - began
        progress.update(len(pictures))
    progress.close()
    truths, texts = [sample.text for sample in samples], [reading.text for reading in greedily]
    scores = score(truths, texts)
    writers = [sample.writer or sample.form for sample in samples]
    known = all(writers) and len(set(writers)) >= FEWEST
    helped_texts = [reading.text for reading in helped]
    listed = [
        {
            "id": printable(sample.id),
            "writer": sample.writer,
            "truth": sample.text,
            "greedily": plain.text,
            "reading": reading.text,
            "confidence": round(reading.confidence, 4),
        }
        for sample, plain, reading in zip(samples, greedily, helped or greedily)
    ]
    return {
        "kind": "lines",
        "data": data,
        "split": split,
        "lines": scores.lines,
        "characters": scores.cer.total,
        "labels_sha256": labels_sha256((sample.id, sample.text) for sample in samples),
        "complete_aachen": data.startswith("iam:") and len(samples) == FULL_SPLIT_LINES[split],
        "scores": named_rates(scores),
        "scores_with_language": named_rates(score(truths, helped_texts)) if helped else {},
        "scores_over_writers": named_rates(score(truths, texts, writers)) if known else {},
        "scores_with_language_over_writers": named_rates(score(truths, helped_texts, writers))
        if known and helped
        else {},
        "intervals": "95 % percentile bootstrap over lines (and over writers, or pages, where they are known), "
        f"{RESAMPLES} resamples, seed {SEED}",
        "speed": {
            "lines_per_second": round(len(samples) / seconds, 1),
            **({"lines_per_second_with_language": round(len(samples) / helped_seconds, 1)} if helped else {}),
            "batch": f"batches of up to {BATCH_PIXELS:,} pixels, preparation included, opening of files not",
        },
        **provenance(reader, language),
        "details": details(listed),
        "readings": listed,
    }


def named_rates(scores: Scores) -> dict[str, Any]:
    """The rates as result files have them, under the names by which reports call them."""
    return {
        "CER": asdict(scores.cer),
        "WER": asdict(scores.wer),
        "WER, punctuation apart": asdict(scores.wer_marks_apart),
        "CER, any case": asdict(scores.cer_any_case),
        "WER, any case": asdict(scores.wer_any_case),
    }
