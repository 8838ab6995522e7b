"""Reading order of lines whose places are given by hand."""

import numpy as np
import pytest

from htr.pages.containers import Line
from htr.pages.order import arrange, number_rows

LETTER = 20


def line(name: str, left: float, right: float, row: float) -> Line:
    return Line(((left, row), (right, row)), ((left, row - 30), (right, row - 30), (right, row + 10)), text=name)


def order(lines: list[Line], printed=(), degrees: float = 0, size=(1000, 1400)) -> list[tuple[str, str]]:
    """Kind of each region and the names of its lines, of the page turned by some degrees about its middle."""
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    middle = np.array(size) / 2

    def at(points):
        return tuple(map(tuple, (np.array(points) - middle) @ turn + middle))

    turned = [Line(at(line.baseline), at(line.polygon), line.text) for line in lines]
    shuffled = [int(index) for index in np.random.default_rng(0).permutation(len(lines))]
    regions = arrange(
        [turned[index] for index in shuffled],
        [LETTER] * len(lines),
        [lines[index].text in printed for index in shuffled],
        size,
    )
    return [(region.kind, " ".join(line.text for line in region.lines)) for region in regions]


def column(prefix: str, left: float, right: float, top: float, count: int) -> list[Line]:
    return [line(f"{prefix}{number}", left, right, top + 60 * number) for number in range(count)]


def test_empty_page():
    assert arrange([], [], [], (1000, 1400)) == ()


def test_empty_page_has_no_rows():
    assert number_rows([]) == []


@pytest.mark.parametrize("degrees", [-3, 0, 2, 90])
def test_entries_of_a_register_are_on_their_rows(degrees):
    """Some places are empty, and no entry stands quite level with the one before it."""
    columns = ((50, 150), (220, 520), (600, 660), (720, 980))
    entries, truth = [], []
    for row in range(9):
        for number, (left, right) in enumerate(columns):
            if (row + 2 * number) % 5:
                entries.append(line(f"{row}.{number}", left, right, 100 + 60 * row + (-6, 0, 6)[(row + number) % 3]))
                truth.append(row + 1)
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    entries = [
        Line(*(tuple(map(tuple, np.array(points) @ turn)) for points in (each.baseline, each.polygon)))
        for each in entries
    ]
    shuffled = [int(index) for index in np.random.default_rng(0).permutation(len(entries))]
    assert number_rows([entries[index] for index in shuffled]) == [truth[index] for index in shuffled]


def test_each_line_of_a_column_is_a_row():
    assert number_rows(column("a", 100, 700, 100, 12)[::-1]) == [*range(12, 0, -1)]


@pytest.mark.parametrize("degrees", [-5, 0, 5])
def test_one_column_with_short_lines(degrees):
    lines = [line("a", 100, 900, 100), line("b", 100, 300, 160), line("c", 500, 900, 220), line("d", 100, 850, 280)]
    assert order(lines, degrees=degrees) == [("text", "a b c d")]


@pytest.mark.parametrize("degrees", [-5, 0, 5])
def test_two_columns(degrees):
    lines = column("a", 100, 460, 100, 5) + column("b", 520, 900, 110, 5)
    assert order(lines, degrees=degrees) == [("text", "a0 a1 a2 a3 a4"), ("text", "b0 b1 b2 b3 b4")]


@pytest.mark.parametrize(("letters", "right"), [(5, 1), (1, 5), (1, 1)])
def test_each_of_two_facing_pages_is_read_by_itself(letters, right):
    """Also with a line or two, or lower than the other; on a single page, lines that stop early are no column."""
    lines = column("a", 100, 800, 400, letters) + column("b", 1100, 1500, 430, right)
    names = [" ".join(line.text for line in lines if line.text[0] == page) for page in "ab"]
    assert " ".join(text for _, text in order(lines, size=(2000, 1400))) == " ".join(names)
    low = column("a", 100, 800, 700, 3) + column("b", 1100, 1500, 100, 12)
    assert [text.split()[0] for _, text in order(low, size=(2000, 1400))] == ["a0", "b0"]
    short = [*column("a", 100, 300, 100, 5), line("b", 600, 800, 190)]
    assert order(short) == [("text", "a0 a1 b a2 a3 a4")]


@pytest.mark.parametrize("gap", [50, 100])
def test_three_columns(gap):
    lines = [
        line
        for number, name in enumerate("abc")
        for line in column(name, number * (250 + gap), number * (250 + gap) + 250, 100, 4)
    ]
    assert [text for _, text in order(lines)] == ["a0 a1 a2 a3", "b0 b1 b2 b3", "c0 c1 c2 c3"]


def test_a_heading_across_two_columns_comes_first():
    lines = [line("head", 100, 900, 40), *column("a", 100, 460, 100, 4), *column("b", 520, 900, 100, 4)]
    lines.append(line("foot", 100, 900, 400))
    assert " ".join(text for _, text in order(lines)) == "head a0 a1 a2 a3 b0 b1 b2 b3 foot"


@pytest.mark.parametrize("above", [0, 5])
@pytest.mark.parametrize("below", [0, 9])
def test_columns_among_more_lines_across_the_page(above, below):
    head = column("h", 100, 900, 100 - 60 * above, above)
    columns = [*column("a", 100, 460, 100, 3), *column("b", 520, 900, 100, 3)]
    foot = column("t", 100, 900, 300, below)
    names = [found.text for found in [*head, *columns, *foot]]
    assert " ".join(text for _, text in order([*head, *columns, *foot])) == " ".join(names)


@pytest.mark.parametrize("top", [100, 1000])
def test_paragraphs_that_end_short_stay_whole_on_a_page_with_two_blocks(top):
    blocks = column("a", 100, 350, top, 3) + column("b", 650, 900, top + 10, 3)
    body = [line(f"c{row}", 100, 900 if row % 4 < 3 else 400, 320 + 50 * row) for row in range(11)]
    text = [("text", " ".join(f"c{row}" for row in range(11)))]
    pair = [("text", "a0 a1 a2"), ("text", "b0 b1 b2")]
    assert order(blocks + body) == (pair + text if top == 100 else text + pair)


def test_two_rows_in_pieces_among_whole_ones_are_no_columns():
    lines = column("a", 100, 900, 100, 6)
    lines[2:4] = [
        line("b", 100, 460, 220),
        line("c", 520, 900, 220),
        line("d", 100, 460, 280),
        line("e", 520, 900, 280),
    ]
    assert order(lines) == [("text", "a0 a1 b c d e a4 a5")]


def test_a_line_that_reaches_past_the_gutter_stays_in_its_column():
    left, right = column("a", 100, 480, 100, 6), column("b", 520, 900, 110, 6)
    left[3] = line("a3", 100, 530, 280)
    assert order(left + right) == [("text", "a0 a1 a2 a3 a4 a5"), ("text", "b0 b1 b2 b3 b4 b5")]


@pytest.mark.parametrize("side", ["left", "right"])
def test_notes_in_the_margin_come_after_their_block(side):
    main, note = ((300, 900), (50, 220)) if side == "left" else ((100, 700), (760, 900))
    lines = column("a", *main, 100, 8) + column("n", *note, 200, 3)
    assert order(lines) == [("text", "a0 a1 a2 a3 a4 a5 a6 a7"), ("margin", "n0 n1 n2")]


@pytest.mark.parametrize("degrees", [-5, 0, 5])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_note_lower_than_two_rows_of_text_comes_after_it(count, side, degrees):
    main, note = ((300, 900), (50, 220)) if side == "left" else ((100, 700), (760, 900))
    lines = column("a", *main, 100, 8) + [line(f"n{number}", *note, 250 + 28 * number) for number in range(count)]
    names = " ".join(f"n{number}" for number in range(count))
    assert order(lines, degrees=degrees) == [("text", "a0 a1 a2 a3 a4 a5 a6 a7"), ("margin", names)]


@pytest.mark.parametrize("degrees", [-8, -5, 0, 5, 8])
def test_a_notebook_on_a_table_may_lie_askew(degrees):
    facing = column("a", 150, 700, 200, 12) + column("b", 1120, 1850, 200, 12)
    names = [" ".join(f"{page}{row}" for row in range(12)) for page in "ab"]
    assert [text for _, text in order(facing, degrees=degrees, size=(2000, 1400))] == names
    # A list faces prose, whose rows it happens to keep.
    entries = [line(f"a{row}", 150, 330 + 90 * (row % 4), 200 + 60 * row) for row in range(12)]
    assert [text for _, text in order([*entries, *facing[12:]], degrees=degrees, size=(2000, 1400))] == names
    # A single page has its margin anywhere.
    page = column("a", 1500, 3000, 500, 30) + column("n", 1000, 1300, 900, 4)
    told = [("text", " ".join(f"a{row}" for row in range(30))), ("margin", "n0 n1 n2 n3")]
    assert order(page, degrees=degrees, size=(4000, 3000)) == told


def test_a_line_that_ends_a_little_under_a_note_leaves_it_a_note():
    lines = [*column("a", 100, 700, 100, 8), line("n", 760, 900, 250)]
    lines[6] = line("a6", 100, 790, 460)
    assert order(lines) == [("text", "a0 a1 a2 a3 a4 a5 a6 a7"), ("margin", "n")]


def test_a_page_number_above_or_below_a_note_leaves_it_a_note():
    lines = [*column("a", 300, 900, 100, 8), line("n", 50, 220, 310)]
    text = ("text", "a0 a1 a2 a3 a4 a5 a6 a7")
    assert order([*lines, line("p", 50, 110, 30)]) == [text, ("margin", "p n")]
    assert order([*lines, line("p", 50, 110, 640)]) == [text, ("margin", "n p")]


def test_what_is_no_note_stays_where_it_stands():
    text = column("a", 300, 900, 100, 5)
    number = line("n", 200, 240, 223)  # before the line of its row
    assert order([*text, number]) == [("text", "a0 a1 n a2 a3 a4")]
    date = line("d", 50, 220, 40)  # above all
    assert order([*text, date]) == [("text", "d a0 a1 a2 a3 a4")]
    whole = line("w", 50, 900, 400)  # the text reaches beneath what stands before it
    assert order([*text, line("n", 50, 220, 190), whole]) == [("text", "a0 a1 n a2 a3 a4 w")]
    inset = line("i", 50, 880, 190)  # as wide as the text
    assert order([*column("a", 950, 1800, 100, 3), inset], size=(1900, 2400)) == [("text", "a0 a1 i a2")]


@pytest.mark.parametrize(("left", "right"), [(100, 180), (1000, 1090)])
@pytest.mark.parametrize("step", [1, 3])
def test_numbers_dates_and_sums_stay_on_their_rows(left, right, step):
    """Of a list or an account on each, of a diary on the first row of each entry."""
    text = column("a", 250, 900, 100, 9)
    on = [row for row in range(9) if row % step == 0 or row == 7]
    labels = [line(f"n{row}", left, right + row % 4, 104 + 60 * row) for row in on]
    names = []
    for row in range(9):
        label = [f"n{row}"] if row in on else []
        names += [*label, f"a{row}"] if left < 250 else [f"a{row}", *label]
    assert order(text + labels) == [("text", " ".join(names))]
    far = [line(f"n{row}", 1300, 1400, 104 + 60 * row) for row in range(9)]  # on a sheet that lies, no page of its own
    assert order(text + far, size=(1500, 1000)) == [("text", " ".join(f"a{row} n{row}" for row in range(9)))]


def test_sums_beside_lines_of_any_length_and_what_stands_above_or_below_them_keep_their_rows():
    ends = [700, 800, 750, 1150, 720, 780, 1180, 760, 740, 790]
    entries = [line(f"a{row}", 200, end, 100 + 60 * row) for row, end in enumerate(ends)]
    sums = [line(f"s{row}", 1400, 1500, 104 + 60 * row) for row in range(10)]
    names = " ".join(f"a{row} s{row}" for row in range(10))
    assert order(entries + sums, size=(1700, 2400)) == [("text", names)]
    total, heading = line("total", 1390, 1510, 790), line("pounds", 1390, 1510, 20)
    assert order([*entries, *sums, total, heading], size=(1700, 2400)) == [("text", f"pounds {names} total")]
    dates = [line(f"d{row}", 50, 150, 104 + 120 * row) for row in range(5)]
    year = line("1887", 50, 160, 30)
    names = " ".join(f"d{row // 2} a{row}" if row % 2 == 0 else f"a{row}" for row in range(10))
    assert order([*entries, *dates, year], size=(1700, 2400)) == [("text", f"1887 {names}")]


def test_pounds_shillings_and_pence_stay_on_their_rows():
    entries = [line(f"a{row}", 100, 500 + 20 * (row % 3), 100 + 60 * row) for row in range(8)]
    sums = [
        line(f"{name}{row}", left, left + 60, 100 + step + 60 * row)
        for left, step, name in ((620, 3, "L"), (740, -2, "s"), (860, 4, "d"))
        for row in range(8)
    ]
    assert order(entries + sums) == [("text", " ".join(f"a{row} L{row} s{row} d{row}" for row in range(8)))]


def test_a_subtotal_or_a_year_between_rows_leaves_them_whole():
    entries = [line(f"a{row}", 200, 800, 100 + 60 * row + (40 if row > 3 else 0)) for row in range(8)]
    sums = [line(f"s{row}", 880, 960, 102 + 60 * row + (40 if row > 3 else 0)) for row in range(8)]
    rows = [f"a{row} s{row}" for row in range(8)]
    subtotal = line("subtotal", 870, 960, 329)
    assert order([*entries, *sums, subtotal]) == [("text", " ".join([*rows[:4], "subtotal", *rows[4:]]))]
    dates = [line(f"d{row}", 40, 120, entry.baseline[0][1] - 2) for row, entry in enumerate(entries)]
    year = line("1887", 40, 120, 329)
    rows = [f"d{row} a{row}" for row in range(8)]
    assert order([*entries, *dates, year]) == [("text", " ".join([*rows[:4], "1887", *rows[4:]]))]


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_list_on_the_rows_of_a_facing_page_is_read_by_itself(side):
    """An open notebook, whose rules go on across the fold."""
    ends = [350, 290, 330, 260, 310, 340, 280, 300]
    near, far = ((100, 1100), (1100, 100))[side == "right"]
    items = [line(f"a{row}", near, near + end - 100, 100 + 60 * row) for row, end in enumerate(ends)]
    prose = column("b", far, far + 780, 100, 12)
    texts = [" ".join(line.text for line in lines) for lines in ((items, prose) if side == "left" else (prose, items))]
    assert [text for _, text in order(items + prose, size=(2000, 1400))] == texts


def test_an_account_on_one_of_two_pages_keeps_to_its_page():
    account = [
        line(f"{name}{row}", left, left + width, 100 + 60 * row)
        for name, left, width in (("d", 60, 60), ("n", 160, 300), ("L", 640, 60), ("s", 760, 60))
        for row in range(10)
    ]
    prose = column("b", 1080, 1900, 102, 12)
    read = [text for _, text in order(account + prose, size=(2000, 1400))]
    assert read[-1] == " ".join(f"b{row}" for row in range(12))
    assert " ".join(read[:-1]) == " ".join(f"d{row} n{row} L{row} s{row}" for row in range(10))


def test_a_heading_over_two_of_three_columns_takes_nothing_from_the_third():
    columns = column("a", 60, 310, 160, 8), column("b", 370, 620, 160, 8), column("c", 680, 930, 100, 9)
    head = line("HEAD", 60, 620, 100)
    read = " ".join(text for _, text in order([head, *columns[0], *columns[1], *columns[2]]))
    assert read == " ".join(["HEAD", *(each.text for side in columns for each in side)])


def test_an_entry_across_two_columns_keeps_its_sum():
    names, notes = column("a", 50, 300, 100, 7), column("b", 400, 700, 102, 7)
    sums = [line(f"s{row}", 850, 920, 98 + 60 * row) for row in range(7)]
    del names[3], notes[3]
    read = " ".join(text for _, text in order([*names, *notes, *sums, line("ab3", 50, 700, 280)]))
    assert "ab3 s3" in read


def test_a_note_on_the_rows_of_ruled_paper_is_one():
    note = column("n", 50, 220, 280, 3)
    assert order(column("a", 300, 900, 100, 10) + note)[1] == ("margin", "n0 n1 n2")


def test_a_note_beside_one_of_two_columns_is_one():
    columns = column("a", 300, 700, 100, 6) + column("b", 800, 1200, 100, 6)
    lines = [*columns, *(line(f"n{number}", 50, 220, 190 + 28 * number) for number in range(2))]
    regions = [("text", "a0 a1 a2 a3 a4 a5"), ("margin", "n0 n1"), ("text", "b0 b1 b2 b3 b4 b5")]
    assert order(lines, size=(1300, 1800)) == regions


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize(("main", "note"), [((1600, 2900), (1150, 1450)), ((1200, 2400), (2500, 2900))])
def test_a_page_on_a_table_is_not_parted_at_its_margin(main, note, count):
    text = column("a", *main, 100, 24)
    notes = [line(f"n{number}", *note, 310 + 48 * number) for number in range(count)]
    names = " ".join(f"n{number}" for number in range(count))
    regions = [("text", " ".join(f"a{number}" for number in range(24))), ("margin", names)]
    assert order(text + notes, size=(4000, 3000)) == order(text + notes, size=(2950, 3000)) == regions


def test_a_margin_that_is_wider_than_the_fold_is_none():
    left, right = column("a", 200, 1750, 100, 4), column("b", 2600, 3800, 100, 4)
    notes = [line(f"n{number}", 2050, 2250, 130 + 48 * number) for number in range(2)]
    regions = [("text", "a0 a1 a2 a3"), ("text", "b0 b1 b2 b3"), ("margin", "n0 n1")]
    assert order(left + right + notes, size=(4000, 2800)) == regions


def test_notes_on_both_sides_and_lines_of_two_pages_are_regions_of_their_own():
    lines = [*column("a", 300, 900, 100, 12), line("l", 50, 200, 250), line("r", 950, 1100, 490)]
    assert sorted(order(lines, size=(1200, 1600))[1:]) == [("margin", "l"), ("margin", "r")]
    assert order([line("a", 200, 1700, 300), line("b", 2300, 3800, 900)], size=(4000, 2800)) == [
        ("text", "a"),
        ("text", "b"),
    ]


def test_the_widest_empty_middle_is_the_fold():
    lines = [*column("a", 100, 850, 100, 3), *column("b", 940, 1000, 110, 1), *column("c", 1150, 1900, 120, 3)]
    assert order(lines, size=(2000, 1400))[0] == ("text", "a0 b0 a1 a2")
    narrow = column("a", 100, 300, 100, 1) + column("b", 500, 1900, 130, 1)  # empty too far left for a fold
    assert order(narrow, size=(2000, 1400)) == [("text", "a0 b0")]


def test_pieces_of_one_row_go_from_left_to_right():
    lines = [line("a", 100, 900, 100), line("c", 600, 900, 163), line("b", 100, 400, 160), line("d", 100, 900, 220)]
    assert order(lines) == [("text", "a b c d")]
    # Lines that overlap are not of one row, however near.
    assert order([line("b", 100, 600, 110), line("a", 300, 900, 100)]) == [("text", "a b")]


def test_lines_across_after_columns_are_one_region():
    lines = [*column("a", 100, 460, 100, 3), *column("b", 520, 900, 100, 3), *column("t", 100, 900, 300, 2)]
    assert [text for _, text in order(lines)] == ["a0 a1 a2", "b0 b1 b2", "t0 t1"]


def test_print_is_a_region_of_its_own():
    lines = column("p", 100, 900, 100, 2) + column("a", 100, 900, 300, 3)
    assert order(lines, printed=("p0", "p1")) == [("print", "p0 p1"), ("text", "a0 a1 a2")]
