import pytest

from htr.alphabet import Alphabet, normalise
from htr.errors import InputError


def test_normalise_folds_what_hands_do_not_tell_apart():
    assert normalise("  “Don’t” –  he\u00a0said…\n") == '"Don\'t" - he said...'
    assert normalise("e\u0301te\u0301") == "été"
    assert normalise("― ‹Oui›, l´an `là` ‟non‟") == "- 'Oui', l'an 'là' \"non\""
    assert normalise("\u200eIt＇s\u200b a half\u2060－inch\ufeff ﹣") == "It's a half-inch -"


@pytest.mark.parametrize(("folded", "marks"), [('"', "„“”‟″«»＂"), ("'", "‘’‚‛′‹›´`＇"), ("-", "‐‑‒–—―−－﹣")])
def test_every_quote_and_dash_is_folded(folded, marks):
    assert {normalise(mark) for mark in marks} == {folded}


def test_normalise_keeps_case_and_accents():
    assert normalise("Été, Straße") == "Été, Straße"


def test_alphabet_round_trip_leaves_class_0_to_the_blank():
    alphabet = Alphabet.of(["cab", "bad"])
    assert alphabet.characters == "abcd"
    assert alphabet.classes == 5
    assert alphabet.encode("dab") == [4, 1, 2]
    assert alphabet.decode([4, 1, 2]) == "dab"


def test_missing_characters_are_named():
    with pytest.raises(InputError, match="lacks é ü"):
        Alphabet("abc").encode("büé")


@pytest.mark.parametrize("characters", ["", "aba"])
def test_useless_alphabets_are_refused(characters):
    with pytest.raises(InputError, match="alphabet"):
        Alphabet(characters)
