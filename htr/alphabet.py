"""Characters and CTC classes, and the one normalisation of text.

An alphabet travels inside the weights file. Class 0 is the CTC blank; character i of the alphabet is class i + 1.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from htr.errors import InputError

BLANK = 0

# Typographic forms that hands do not tell apart.
_FOLD = str.maketrans(
    {
        "‘": "'", "’": "'", "‚": "'", "‛": "'", "ʼ": "'", "ʻ": "'", "′": "'", "`": "'", "´": "'", "‹": "'", "›": "'", "＇": "'",
        "“": '"', "”": '"', "„": '"', "‟": '"', "″": '"', "«": '"', "»": '"', "＂": '"',
        "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "―": "-", "−": "-", "﹣": "-", "－": "-",
        "…": "...", **dict.fromkeys("\u00ad\u200b\u200e\u200f\u2060\ufeff"),  # the latter are not seen
    }
)  # fmt: skip


def normalise(text: str) -> str:
    """The form in which text is learnt, written and scored.

    Unicode NFC; typographic quotes, dashes and the ellipsis folded to ASCII; runs of white space become one space and
    none at the ends. Case and punctuation stay.
    """
    return " ".join(unicodedata.normalize("NFC", text).translate(_FOLD).split())


class Alphabet:
    """The characters that a recogniser can write.

    Args:
        characters: each once, in the order of the CTC classes 1, 2, ...
    """

    def __init__(self, characters: str) -> None:
        if len(set(characters)) != len(characters) or not characters:
            raise InputError(f"alphabet: {characters!r} must name at least one character, and each only once")
        self.characters = characters
        self._classes = {character: index + 1 for index, character in enumerate(characters)}

    @classmethod
    def of(cls, texts: Iterable[str]) -> Alphabet:
        """The sorted characters of some texts."""
        return cls("".join(sorted(set().union(*texts))))

    @property
    def classes(self) -> int:
        """Number of CTC classes, the blank included."""
        return len(self.characters) + 1

    def missing(self, texts: Iterable[str]) -> str:
        """The characters of some texts that are not in the alphabet, sorted."""
        return "".join(sorted(set().union(*texts) - set(self.characters)))

    def encode(self, text: str) -> list[int]:
        """Classes of a normalised text.

        Raises:
            InputError: the text has characters that are not in the alphabet; it names them.
        """
        if missing := self.missing([text]):
            raise InputError(f"{text!r}: the alphabet lacks {named(missing)}; use an alphabet that has all characters")
        return [self._classes[character] for character in text]

    def decode(self, classes: Iterable[int]) -> str:
        """Text of classes that hold neither blanks nor CTC repetitions."""
        return "".join(self.characters[index - 1] for index in classes)


def named(characters: str) -> str:
    """Characters as a message lists them."""
    return " ".join({" ": "space"}.get(character, character) for character in characters)
