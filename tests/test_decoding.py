import pytest
import torch

from htr.alphabet import Alphabet
from htr.decoding import greedy


def logits_for(path: str, alphabet: Alphabet, sure: float = 0.9) -> torch.Tensor:
    """Columns whose best class is that of each character of the path, `_` for the blank."""
    rest = (1 - sure) / (alphabet.classes - 1)
    columns = torch.full((len(path), alphabet.classes), rest)
    for column, character in zip(columns, path, strict=True):
        column[0 if character == "_" else alphabet.encode(character)[0]] = sure
    return columns.log()


def test_repetitions_merge_unless_a_blank_parts_them():
    alphabet = Alphabet("elo")
    logits = logits_for("_ee_l_lloo_", alphabet)[None]
    [(text, confidence, _)] = greedy(logits, torch.tensor([11]), alphabet)
    assert text == "ello"
    assert confidence == pytest.approx(0.9, abs=1e-4)


def test_columns_of_padding_are_not_read():
    alphabet = Alphabet("ab")
    logits = torch.stack([logits_for("ab_a", alphabet), logits_for("ab_a", alphabet)])
    assert [reading.text for reading in greedy(logits, torch.tensor([4, 2]), alphabet)] == ["aba", "ab"]


def test_empty_line():
    alphabet = Alphabet("ab")
    [(text, confidence, _)] = greedy(logits_for("___", alphabet)[None], torch.tensor([3]), alphabet)
    assert text == ""
    assert 0 <= confidence <= 1


def test_characters_have_their_places():
    alphabet = Alphabet("ab ")
    [reading] = greedy(logits_for("_aa__b_ a__", alphabet)[None], torch.tensor([11]), alphabet)
    assert [sign.text for sign in reading.signs] == list("ab a")
    # The peaks are at 2, 5.5, 7.5 and 8.5: each column belongs to the nearest.
    assert [(sign.start, sign.end) for sign in reading.signs] == [(0, 3.75), (3.75, 6.5), (6.5, 8), (8, 11)]
    assert all(sign.confidence == pytest.approx(0.9, abs=1e-4) for sign in reading.signs)
