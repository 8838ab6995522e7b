import random

import pytest

from htr.corpora.transcript import match_lines

LINES = [
    "Thank you for the parcel, which came on Tuesday.", "The gloves fit well and the jam is nearly gone!",
    "It has rained here for nine days, so Father and I", 'mended the old boat in the barn. "She will float"',
    "he says; I am not quite so sure.", "Could you visit us before the 25th? The 10.40 train",
]  # fmt: skip


def misread(line, share, seed):
    """The line with that share of its letters replaced."""
    rng = random.Random(seed)
    return "".join(rng.choice("aeinrst") if c.isalpha() and rng.random() < share else c for c in line)


READINGS = [misread(line, 0.3, number) for number, line in enumerate(LINES)]


@pytest.mark.parametrize(
    "text", ["\n".join(LINES), " ".join(LINES), "\n\n".join(LINES[:3]) + " " + " ".join(LINES[3:])]
)
def test_text_is_parted_among_the_lines(text):
    matches = match_lines(READINGS, text)
    assert [match.text for match in matches] == LINES
    assert all(match.sure for match in matches)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.45])
@pytest.mark.parametrize(
    "edited",
    [
        lambda lines: "\n".join(f"{number} {line}" for number, line in enumerate(lines, 7)),
        lambda lines: "\n".join(f"[{number}] {line}" for number, line in enumerate(lines, 1)),
        lambda lines: "\n".join(
            f"{line}   {number}" * (number % 2 == 0) or line for number, line in enumerate(lines, 1)
        ),
        lambda lines: "\n".join(f"{line} /" for line in lines),
        lambda lines: " | ".join(lines),
    ],
)
def test_what_an_editor_added_is_not_learnt(edited, share):
    lines = [*LINES, *(line.replace("the", "a").replace("and", "or") for line in LINES)]
    readings = [misread(line, share, number) for number, line in enumerate(lines)]
    matches = match_lines(readings, edited(lines))
    learnt = [match.text for match in matches if match.sure]
    assert len(learnt) >= len(lines) / 2 and set(learnt) <= set(lines)


def test_numbers_and_strokes_that_somebody_wrote_are_learnt():
    rows = [f"{number} {line}" for number, line in enumerate(LINES, 1)]
    strokes = [f"{line} /" for line in LINES]
    for lines in rows, strokes:
        readings = [misread(line, 0.2, number) for number, line in enumerate(lines)]
        matches = match_lines(readings, "\n".join(lines))
        assert [match.text for match in matches] == lines
    # However they were read.
    things = [
        "oaken table with two leaves",
        "looking glass in a frame",
        "pairs of linen sheets",
        "brass candlesticks",
        "old chair",
    ]
    rows = [f"{number}. {thing}" for number, thing in enumerate(things, 1)]
    for form in ("{}.{}", "{}, {}", "{}.- {}", "l{} {}"):
        readings = [form.format(number, thing) for number, thing in enumerate(things, 1)]
        assert [match.text for match in match_lines(readings, "\n".join(rows))] == rows
    days = [f"{day} rain and wind from the north" + day * " so" for day in range(12, 17)]
    readings = [day.replace(day[:2], read, 1) for day, read in zip(days, ("iz", "i3", "l4", "is", "ib"))]
    assert [match.text for match in match_lines(readings, "\n".join(days))] == days
    money = [f"{thing} {pence} / 6" for pence, thing in enumerate(things, 2)]
    readings = [line.replace(" / ", "/") for line in money]
    assert [match.text for match in match_lines(readings, "\n".join(money))] == money
    # Also where few of them were found.
    names = "Adam", "Brown", "Clara", "Dean", "Eliza", "Frank", "Grace", "Henry"
    people = [f"{number} {name} the baker" for number, name in enumerate(names, 1)]
    assert [match.text for match in match_lines(people[:3], "\n".join(people))] == people[:3]
    # Years and sums that count nothing stay, whatever was read of them.
    sums = [f"{line} {number * 7 % 90}" for number, line in enumerate(LINES, 3)]
    assert [match.text for match in match_lines(LINES, "\n".join(sums))] == sums


def test_lines_in_another_order_find_their_text():
    matches = match_lines(READINGS[3:] + READINGS[:3], "\n".join(LINES))
    assert [match.text for match in matches] == LINES[3:] + LINES[:3]


def test_a_line_that_is_not_in_the_text_is_doubtful():
    matches = match_lines([*READINGS[:2], "qwx zzk vvub ppoq jkl", *READINGS[2:]], "\n".join(LINES))
    assert not matches[2].sure
    assert [match.text for match in matches if match.sure] == LINES


def test_text_of_a_line_that_was_not_found_goes_to_no_other():
    matches = match_lines([READINGS[0], *READINGS[2:]], "\n".join(LINES))
    assert [match.text for match in matches if match.sure] == [LINES[0], *LINES[2:]]
    flowing = match_lines([READINGS[0], *READINGS[2:]], " ".join(LINES))
    sure = [match.text for match in flowing if match.sure]
    assert len(sure) >= len(LINES) - 2 and set(sure) < set(LINES)


def test_text_of_another_page_is_not_learnt():
    other = "Nothing of this stands on the page at all, and so no line of it can be right, however long it goes on."
    assert not any(match.sure for match in match_lines(READINGS, other))
    assert not any(match.sure for match in match_lines(READINGS, ""))
    assert match_lines([], "text") == []


def test_a_word_broken_at_the_end_of_a_line_is_broken_in_its_text():
    readings = ["so we carne back to com-", "plete the work on tirne", "and left"]
    matches = match_lines(readings, "so we came back to complete the work on time and left")
    assert [match.text for match in matches] == ["so we came back to com-", "plete the work on time", "and left"]


@pytest.mark.parametrize(
    "lines",
    [
        ["The old and well-", "known garden of my father was", "closed for the winter months"],
        ["We lived in the war of 1914-", "1918 in a house by the sea and", "she is my mother-", "in-law who was fond of us"],
        ["all the children ran to the boat-", "and so did we, as far as I know"],
    ],
)  # fmt: skip
def test_a_hyphen_of_the_text_at_the_end_of_a_line_stays_one(lines):
    assert [
        match.text for match in match_lines(lines, "".join(line + " " * (line[-1] != "-") for line in lines))
    ] == lines


def test_a_word_broken_with_two_strokes_is_broken_in_its_text():
    matches = match_lines(
        ["at the old univer=", "sity with all the others"], "at the old university with all the others"
    )
    assert [match.text for match in matches] == ["at the old univer-", "sity with all the others"]


def test_punctuation_apart_at_the_ends_is_no_word_of_its_own():
    readings = [LINES[0].removesuffix(".") + " .", '" ' + LINES[1], LINES[3].replace('float"', 'float. "')]
    texts = [LINES[0], '"' + LINES[1], LINES[3]]
    assert all(match.sure for match in match_lines(readings, "\n".join(texts)))


def test_of_two_nearly_alike_lines_a_wrong_text_is_not_sure():
    """Each was read as the other, but for a character."""
    lines = ["To John Hill, 3 pounds, in May", "To John Hill, 8 pounds, in May", LINES[0]]
    matches = match_lines([lines[1], lines[0], READINGS[0]], "\n".join(lines))
    assert [match.text for match in matches] == [lines[1], lines[0], lines[2]]
    assert [match.sure for match in matches] == [False, False, True]


BADLY = [misread(line, 0.6, number) for number, line in enumerate(LINES)]


def test_of_a_hand_that_is_read_badly_the_order_tells_that_texts_are_right():
    matches = match_lines(BADLY, "\n".join(LINES))
    assert [match.text for match in matches] == LINES
    assert all(match.sure for match in matches)
    moved = [LINES[3], *LINES[:3], *LINES[4:]]
    assert not all(match.sure for match in match_lines(BADLY, "\n".join(moved)))


def test_order_alone_makes_no_text_right():
    # Lines that were found as one, a remark in place of a text, and another page of as many lines.
    merged = match_lines([BADLY[0], BADLY[1] + " " + BADLY[2], *BADLY[3:]], "\n".join(LINES))
    assert not merged[1].sure
    remarked = match_lines(BADLY, "\n".join([*LINES[:2], "[cannot be read]", *LINES[3:]]))
    assert [match.sure for match in remarked] == [True, True, False, True, True, True]
    # Broken a word later than the page is.
    words = [line.split() for line in LINES]
    later = [
        " ".join([*words[n - 1][-1:] * bool(n), *words[n][: None if n + 1 == len(words) else -1]])
        for n in range(len(words))
    ]
    assert not any(
        match.sure and match.text in later and match.text not in LINES for match in match_lines(BADLY, "\n".join(later))
    )
    others = [misread(line[::-1], 0.9, number) for number, line in enumerate(LINES)]
    assert not any(match.sure for match in match_lines(others, "\n".join(LINES)))


@pytest.mark.parametrize("numbered", ["[l. {number}] {line}", "{line} [word illegible]", "{line} {number}.25"])
def test_what_an_editor_adds_to_lines_is_not_learnt(numbered):
    """In the order of the page, though all that is written there is read well."""
    readings = [misread(line, 0.05, number) for number, line in enumerate(LINES)]
    text = "\n".join(numbered.format(number=number, line=line) for number, line in enumerate(LINES, 1))
    assert not any(match.sure for match in match_lines(readings, text))
    text = "\n".join(
        numbered.format(number=number, line=line) if number == 2 else line for number, line in enumerate(LINES)
    )
    assert [match.text for match in match_lines(readings, text) if match.sure] == [*LINES[:2], *LINES[3:]]
