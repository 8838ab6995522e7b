import math

import numpy as np
import pytest

from htr.metrics import Edit, align, score, words_and_marks


def test_rates_worked_out_by_hand():
    # Line 1: one substitution in 5 characters. Line 2: "world" for "word" is one edit in 10 characters.
    scores = score(["hello", "a new word"], ["hallo", "a new world"])
    assert (scores.cer.edits, scores.cer.total) == (2, 15)
    assert scores.cer.value == pytest.approx(100 * 2 / 15)
    assert (scores.wer.edits, scores.wer.total) == (2, 4)


def test_average_is_over_characters_not_over_lines():
    # One of 2 and none of 18 characters wrong: 5 %, where the mean of the lines' rates would be 25 %.
    assert score(["ab", "c" * 18], ["ax", "c" * 18]).cer.value == pytest.approx(5.0)


def test_punctuation_counts_as_part_of_the_word_or_apart():
    scores = score(["Stop, he said."], ["Stop he said."])
    assert (scores.wer.edits, scores.wer.total) == (1, 3)
    assert (scores.wer_marks_apart.edits, scores.wer_marks_apart.total) == (1, 5)
    assert words_and_marks("don't go, week-end (1961)!") == ["don't", "go", ",", "week-end", "(", "1961", ")", "!"]
    assert words_and_marks("\u0434\u043e\u043c\u0430\u0301, \u0438") == [
        "\u0434\u043e\u043c\u0430\u0301",
        ",",
        "\u0438",
    ]  # stressed, which is no letter of its own


def test_both_sides_are_normalised_but_case_counts():
    assert score(["“yes” – no"], ['"yes"  - no']).cer.value == 0
    assert score(["Yes"], ["yes"]).cer.edits == 1


def test_interval_holds_the_rate_and_narrows_with_more_lines():
    truths, readings = ["abcde", "fghij"] * 10, ["abcde", "fghix"] * 10
    few, many = score(truths, readings), score(truths * 20, readings * 20)
    assert few.cer.low <= few.cer.value <= few.cer.high
    assert many.cer.high - many.cer.low < (few.cer.high - few.cer.low) / 3
    assert score(truths, readings) == few


def test_the_interval_is_that_of_so_many_resamples_and_percentiles():
    truths = ["abcde", "fghij", "a line of some length", "x"] * 5
    cer = score(truths, ["abcde", "fghix", "a lime of same length", "y"] * 5).cer
    # As they were when the published figures were measured: other bounds would not compare with these.
    assert (cer.low, cer.value, cer.high) == pytest.approx((9.574468, 12.5, 18.274457), abs=1e-6)


def test_of_few_lines_or_writers_there_is_no_interval():
    for lines, writers, known in [(10, None, True), (9, None, False), (20, 10, True), (20, 9, False)]:
        cer = score(
            ["abcde"] * lines, ["abcdx"] * lines, [number % writers for number in range(lines)] if writers else None
        ).cer
        assert (cer.value, cer.low is not None, cer.high is not None) == (20, known, known)


def test_nothing_to_score_is_not_a_rate():
    assert math.isnan(score([], []).cer.value)
    assert math.isnan(score([""], ["x"]).cer.value)


def test_texts_must_pair():
    with pytest.raises(ValueError, match="zip"):
        score(["a"], [])


def test_in_any_case_only_other_letters_count():
    scores = score(["The End."], ["the enD,"])
    assert (scores.cer.edits, scores.cer_any_case.edits) == (4, 1)
    assert (scores.wer.edits, scores.wer_any_case.edits) == (2, 1)


def test_an_interval_over_writers_is_that_of_whole_writers():
    # Five writers are read well and five badly. Of ten drawn anew, a binomial distribution has fewer than two badly read ones in 1.1 %
    # of the draws, two at most in 5.5 %.
    truths, readings = ["ab"] * 40, ["ab"] * 20 + ["xy"] * 20
    writers = [number // 4 for number in range(40)]
    by_line, by_writer = score(truths, readings).cer, score(truths, readings, writers).cer
    assert by_line.value == by_writer.value == 50
    assert (by_writer.low, by_writer.high) == (20, 80)
    assert 30 < by_line.low < by_line.high < 70
    assert score(truths, readings, np.array(writers)).cer == by_writer
    with pytest.raises(ValueError, match="zip"):
        score(truths, readings, writers[:-1])


def test_a_reading_is_laid_beside_the_truth():
    assert align("the  cat sat", "the bat sit!") == [
        Edit("the ", "the "), Edit("c", "b"), Edit("at s", "at s"), Edit("a", "i"), Edit("t", "t"), Edit("", "!"),
    ]  # fmt: skip
    assert align("", "a") == [Edit("", "a")]
    assert align("a", "") == [Edit("a", "")]
