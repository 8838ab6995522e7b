import pytest

from htr.benchmark.details import details


def line(truth, reading, confidence=0.5, writer=None):
    return {"truth": truth, "reading": reading, "confidence": confidence, "writer": writer}


def test_confusions_insertions_and_deletions_are_counted():
    found = details([line("abc", "abx"), line("abc", "abx"), line("abc", "bc"), line("abc", "abc!")])
    assert found["confusions"] == [{"true": "c", "read": "x", "count": 2}]
    assert found["insertions"] == [{"character": "!", "count": 1}]
    assert found["deletions"] == [{"character": "a", "count": 1}]
    assert {"character": "c", "count": 4, "wrong": 2} in found["characters"]
    assert {"character": "b", "count": 4, "wrong": 0} in found["characters"]


def test_rates_by_writer_and_length():
    found = details(
        [line("a" * 10, "a" * 9 + "b", writer="x"), line("a" * 15, "a" * 15, writer="y"), line("abcd", "abcd")]
    )
    assert found["writers"] == [
        {"lines": 1, "characters": 15, "CER": 0.0}, {"lines": 1, "characters": 10, "CER": 10.0},
    ]  # fmt: skip
    assert [(step["from"], step["to"], step["lines"], step["CER"]) for step in found["lengths"]] == [
        (0, 9, 1, 0.0), (10, 19, 2, 4.0),
    ]  # fmt: skip


def test_how_much_can_be_accepted_unseen():
    # 240 characters in 30 lines are surer and right; with the next 60, 15 of them wrong, there are 5 %.
    sure, unsure = [line("a" * 8, "a" * 8, 0.9)] * 30, line("b" * 60, "b" * 45 + "c" * 15, 0.6)
    accepted = details([unsure, *sure])["accepted"]
    assert (accepted["share"], accepted["confidence"]) == (80.0, 0.9)
    assert accepted["curve"][-1] == {"share": 100.0, "CER": 5.0}
    assert details([unsure])["accepted"]["share"] == 0.0
    # A few lines may be right by chance.
    assert details([unsure, *sure[1:]])["accepted"]["share"] == 0.0


def test_confidence_is_compared_with_what_was_right():
    surest, *_, least = details([line("ab", "ab", 0.9)] * 10 + [line("ab", "ax", 0.2)] * 10)["confidence"]
    assert (surest["confidence"], surest["CER"]) == (90.0, 0.0)
    assert (least["confidence"], least["CER"]) == (pytest.approx(20.0), 50.0)


def test_no_text_of_a_line_is_kept():
    assert "secret" not in str(details([line("the secret word", "the secret ward", writer="Ann")]))
    assert "Ann" not in str(details([line("a", "a", writer="Ann")]))


def test_equally_sure_lines_are_taken_unseen_together_or_not_at_all():
    lines = [line("ab", "ab", 0.9)] * 30 + [line("ab", "xy", 0.9)] * 20
    assert details(lines)["accepted"]["share"] == 0.0
    # Were the right ones surer, they could be taken.
    assert details([line("ab", "ab", 0.91)] * 30 + lines[30:])["accepted"]["share"] == 60.0
