import numpy as np
import pytest
import torch

from htr.alphabet import Alphabet
from htr.decoding import TEMPERATURE, align, beam_search, choose_languages, greedy, probabilities_of
from htr.errors import InputError
from htr.language import LanguageModel, train


def logits_for(path: str, alphabet: Alphabet, sure: float = 0.9) -> torch.Tensor:
    """Columns whose best class is that of each character of the path, `_` for the blank, and `sure` once it is tempered."""
    rest = (1 - sure) / (alphabet.classes - 1)
    columns = torch.full((len(path), alphabet.classes), rest)
    for column, character in zip(columns, path, strict=True):
        column[0 if character == "_" else alphabet.encode(character)[0]] = sure
    return TEMPERATURE * columns.log()


def test_repetitions_merge_unless_a_blank_parts_them():
    alphabet = Alphabet("elo")
    logits = logits_for("_ee_l_lloo_", alphabet)[None]
    [(text, confidence, _)] = greedy(probabilities_of(logits, torch.tensor([11])), alphabet)
    assert text == "ello"
    assert confidence == pytest.approx(0.9, abs=1e-4)


def test_networks_are_taken_for_less_sure_than_they_are():
    logits = torch.tensor([[[0.1, 0.9]]]).log()
    [reading] = greedy(probabilities_of(logits, torch.tensor([1])), Alphabet("a"))
    assert reading.text == "a"
    assert reading.confidence == pytest.approx(0.9 ** (1 / 1.3) / (0.9 ** (1 / 1.3) + 0.1 ** (1 / 1.3)))  # 0.844


def test_columns_of_padding_are_not_read():
    alphabet = Alphabet("ab")
    logits = torch.stack([logits_for("ab_a", alphabet), logits_for("ab_a", alphabet)])
    lines = probabilities_of(logits, torch.tensor([4, 2]))
    assert [reading.text for reading in greedy(lines, alphabet)] == ["aba", "ab"]


def test_empty_line():
    alphabet = Alphabet("ab")
    [(text, confidence, _)] = greedy(probabilities_of(logits_for("___", alphabet)[None], torch.tensor([3])), alphabet)
    assert text == ""
    assert 0 <= confidence <= 1
    # A picture may be narrower than a column.
    assert greedy([np.zeros((0, 3))], alphabet) == [("", 0.0, [])]


def test_characters_have_their_places():
    alphabet = Alphabet("ab ")
    [reading] = greedy(probabilities_of(logits_for("_aa__b_ a__", alphabet)[None], torch.tensor([11])), alphabet)
    assert [sign.text for sign in reading.signs] == list("ab a")
    # The peaks are at 2, 5.5, 7.5 and 8.5: each column belongs to the nearest.
    assert [(sign.start, sign.end) for sign in reading.signs] == [(0, 3.75), (3.75, 6.5), (6.5, 8), (8, 11)]
    assert all(sign.confidence == pytest.approx(0.9, abs=1e-4) for sign in reading.signs)


def read(probabilities: list[list[float]], characters: str, texts: tuple[str, ...] = (), **options) -> str:
    """What the beam search reads; rows are columns of a line, the blank first. Without texts, without language."""
    model = train([(text, 30.0) for text in texts or [characters]], order=4)
    options |= {} if texts else {"weight": 0.0, "bonus": 0.0}
    [reading] = beam_search([np.array(probabilities)], Alphabet(characters), [model], **options)
    assert "".join(sign.text for sign in reading.signs) == reading.text
    return reading.text


def test_beam_search_adds_up_the_paths_of_a_text():
    # The best path is two blanks, 0.36, but "a" has three: 0.16 + 0.24 + 0.24 = 0.64.
    columns = [[0.6, 0.4], [0.6, 0.4]]
    assert greedy([np.array(columns)], Alphabet("a"))[0].text == ""
    assert read(columns, "a") == "a"


def test_beam_search_doubles_a_character_only_over_a_blank():
    doubled, single = [[0.05, 0.95], [0.9, 0.1], [0.05, 0.95]], [[0.05, 0.95], [0.1, 0.9], [0.05, 0.95]]
    assert read(doubled, "a") == "aa"
    assert read(single, "a") == "a"


def test_the_language_decides_between_like_letters():
    #            _    b    c    a    t     space
    ambiguous = [
        [0.02, 0.5, 0.42, 0.02, 0.02, 0.02],
        [0.02, 0.02, 0.02, 0.9, 0.02, 0.02],
        [0.02, 0.02, 0.02, 0.02, 0.9, 0.02],
    ]
    assert read(ambiguous, "bcat ") == "bat"
    assert read(ambiguous, "bcat ", ("a cat", "the cat")) == "cat"
    assert read(ambiguous, "bcat ", ("a bat", "the bat")) == "bat"


def test_the_language_does_not_overrule_a_sure_network():
    sure = [[0.005, 0.98, 0.005, 0.005, 0.005], [0.005, 0.005, 0.005, 0.98, 0.005], [0.005, 0.005, 0.005, 0.005, 0.98]]
    assert read(sure, "bcat", ("cat",) * 9 + ("bat",)) == "bat"


def test_beam_search_reads_like_greedy_where_nothing_is_in_doubt():
    alphabet = Alphabet("ab ")
    logits = torch.stack([logits_for("_aa__b_ a__", alphabet, 0.99), logits_for("bb_b__a_a  ", alphabet, 0.99)])
    lines = probabilities_of(logits, torch.tensor([11, 7]))
    model = train([("ab a", 30.0)])
    for plain, searched in zip(greedy(lines, alphabet), beam_search(lines, alphabet, [model]), strict=True):
        assert searched.text == plain.text
        assert searched.confidence == pytest.approx(plain.confidence)
        assert [sign[2:] for sign in searched.signs] == [sign[2:] for sign in plain.signs]


def test_beam_search_of_nothing():
    alphabet, model = Alphabet("ab"), train([("ab", 30.0)])
    lines = probabilities_of(logits_for("___", alphabet, 0.99)[None], torch.tensor([3]))
    [(text, confidence, signs)] = beam_search(lines, alphabet, [model])
    assert (text, signs) == ("", []) and confidence == pytest.approx(0.99, abs=1e-4)
    assert beam_search([np.zeros((0, 3))], alphabet, [model]) == [("", 0.0, [])]
    assert beam_search([], alphabet, [model]) == beam_search([], alphabet, [model, model]) == []


def test_a_line_of_thousands_of_columns_does_not_vanish():
    alphabet = Alphabet("ab")
    logits = logits_for("a_b_" * 1000, alphabet, 0.5)[None]
    [reading] = beam_search(probabilities_of(logits, torch.tensor([4000])), alphabet, [train([("abababab", 30.0)])] * 2)
    assert reading.text.startswith("abab")
    assert len(reading.text) > 1000


def test_a_character_that_the_model_does_not_know_can_be_read():
    alphabet = Alphabet("abé")
    logits = logits_for("_a_é_b", alphabet, 0.99)[None]
    lines = probabilities_of(logits, torch.tensor([6]))
    assert beam_search(lines, alphabet, [train([("ab", 30.0)])])[0].text == "aéb"


def test_each_line_is_read_in_its_language():
    bat, cat = (
        train([(text, 30.0) for text in texts], order=4) for texts in (("a bat", "the bat"), ("a cat", "the cat"))
    )
    #        _     b     c     a     t
    first = {
        "b": [0.02, 0.6, 0.34, 0.02, 0.02],
        "c": [0.02, 0.34, 0.6, 0.02, 0.02],
        "?": [0.02, 0.47, 0.47, 0.02, 0.02],
    }
    rest = [[0.02, 0.02, 0.02, 0.92, 0.02], [0.02, 0.02, 0.02, 0.02, 0.92]]

    def read_together(starts: str, *languages: LanguageModel) -> list[str]:
        lines = [np.array([first[start], *rest]) for start in starts]
        return [reading.text for reading in beam_search(lines, Alphabet("bcat"), languages)]

    assert read_together("b", bat, cat) == ["bat"] and read_together("c", bat, cat) == ["cat"]
    # What could be either is what the others are.
    assert read_together("bb?", bat, cat)[2] == "bat" and read_together("cc?", bat, cat)[2] == "cat"
    assert read_together("?", cat) == ["cat"]


def test_a_page_in_two_languages():
    #        _     b     c     a     t     space
    rows = {sign: [0.9 if sign == each else 0.02 for each in "_bcat "] for sign in "bcat "}
    rows["?"] = [0.02, 0.46, 0.46, 0.02, 0.02, 0.02]
    bat, cat = (train([(text, 30.0)], order=4) for text in ("bat ta bat ta", "cat at cat at"))
    lines = [np.array([rows[sign] for sign in text]) for text in ("bat ta ?at", "cat at ?at at cat", "bat ta bat ta")]
    readings = beam_search(lines, Alphabet("bcat "), [bat, cat])
    assert [reading.text for reading in readings] == ["bat ta bat", "cat at cat at cat", "bat ta bat ta"]


def chosen(*scores: tuple[float, ...]) -> str:
    """Of lines with these scores in English, French and perhaps German, the languages chosen."""
    return "".join("EFG"[index] for index in choose_languages(scores))


def test_lines_tell_together_in_which_language_they_are():
    assert chosen((-10, -11)) == "E" and chosen((-11, -10)) == "F"
    # Alone, the second would be taken for French.
    assert chosen((-10, -14), (-11, -10), (-10, -14), (-10, -14)) == "EEEE"
    assert chosen((-14, -10), (-10, -11), (-14, -10), (-14, -10)) == "FFFF"


def test_a_line_that_is_clearly_in_another_language_stays_so():
    assert chosen((-10, -50), (-50, -10), (-10, -50)) == "EFE"
    # One line tells no more than that it is in another, however clearly.
    assert chosen((-500, -10), *3 * [(-10, -20)], (-14, -10)) == "FEEEE"
    # Half and half: where little is to be learnt from the others, each goes by itself.
    assert chosen((-10, -50), (-50, -10), (-10, -14), (-14, -10)) == "EFEF"


def test_a_line_does_not_tell_itself_in_which_language_it_is():
    # The second is surer to be French than the first to be English.
    assert chosen((-10, -14), (-15, -10)) == "FF"


def test_of_three_languages():
    assert chosen((-10, -20, -20), (-11, -10, -30), (-10, -19, -12)) == "EEE"
    assert chosen() == ""


def test_places_of_a_known_text():
    alphabet = Alphabet("ab ")
    probabilities = (logits_for("_aa__b_ a_a", alphabet) / TEMPERATURE).exp().numpy()
    peaks = align(probabilities, alphabet.encode("ab aa"))
    assert [(peak.start, peak.end) for peak in peaks] == [(1, 3), (5, 6), (7, 8), (8, 9), (10, 11)]
    assert all(peak.confidence == pytest.approx(0.9) for peak in peaks)


def test_a_known_text_is_placed_also_where_the_network_read_another():
    #                        _    a    b
    probabilities = np.array([[0.1, 0.8, 0.1], [0.6, 0.1, 0.3], [0.1, 0.8, 0.1]])
    peaks = align(probabilities, [1, 2, 1])
    assert peaks == [(0, 1, 0.8), (1, 2, 0.3), (2, 3, 0.8)]
    assert align(probabilities, []) == []
    # Doubled: a blank must stand between.
    assert align(probabilities, [1, 1]) == [(0, 1, 0.8), (2, 3, 0.8)]
    assert align(np.array([[0.1, 0.8, 0.1]] * 3), [1, 1]) == [(0, 1, 0.8), (2, 3, 0.8)]


def test_a_text_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match="3 columns .* has 2"):
        align(np.full((2, 3), 1 / 3), [1, 1])
