from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from htr.corpora import load_corpus
from htr.corpora.embedded import embedded_lines
from htr.corpora.source import Doubt, Source, load_source
from htr.errors import InputError
from htr.files import BEGUN
from htr.finetuning.lines import choose_lines, hold_out, read_doubts, write_lines, written_lines
from htr.lineimage import prepare


def lines(count, pages=None):
    samples = embedded_lines("train", count)
    forms = [f"p{i * pages // count}" if pages else None for i in range(count)]
    return [replace(s, split="test", told=False, form=form) for s, form in zip(samples, forms)]


def kept(tmp_path, samples, doubts=()):
    samples = choose_lines(Source(Path("letters"), samples, list(doubts)), tmp_path / "set-aside.tsv", 64, 8)
    write_lines(tmp_path, samples)
    return samples, read_doubts(tmp_path / "set-aside.tsv")


def refuse():
    raise InputError("x.png: damaged")


def test_what_was_kept_is_a_corpus(tmp_path):
    samples, doubts = kept(tmp_path, lines(12, pages=3), [Doubt("q-01", "a\ttext", 'was read as "x"')])
    there = load_corpus(f"lines:{tmp_path}")
    assert [(s.text, s.form, s.split) for s in there] == [(s.text, s.form, s.split) for s in samples]
    assert np.array_equal(there[3].image(), samples[3].image())
    assert doubts == [Doubt("q-01", "a\ttext", 'was read as "x"')]


def test_lines_cut_out_of_pages_are_prepared_alike_once_they_are_written(tmp_path):
    """What reaches their edge is their own."""
    samples = [replace(s, cut_out=i % 2 == 0) for i, s in enumerate(lines(2))]
    for i, sample in enumerate(samples):
        picture = cv2.copyMakeBorder(sample.image(), 20, 0, 0, 0, cv2.BORDER_REPLICATE)
        picture[:6, 100:-100] = np.where(np.arange(picture.shape[1] - 200) % 16 < 5, 0, 255)  # as of a line above
        samples[i] = replace(sample, image=partial(np.asarray, picture))
    write_lines(tmp_path, samples)
    for written, sample in zip(written_lines(tmp_path), samples):
        as_reading_does = prepare(sample.image(), 64, sample.cut_out).picture
        assert np.array_equal(written.prepared(64).picture, as_reading_does)
        assert not np.array_equal(as_reading_does, prepare(sample.image(), 64, not sample.cut_out).picture)


def test_lines_that_nothing_can_be_learnt_from_are_set_aside(tmp_path):
    good = lines(14)
    odd = [
        replace(good[0], id="again"),
        replace(lines(16)[15], id="first copy", text=200 * "x"),
        replace(lines(16)[15], id="right copy"),
        replace(good[1], id="long", image=good[2].image, text=200 * "x"),
        replace(good[1], id="short", image=lines(15)[14].image, text="x"),
        replace(good[1], id="broken", image=refuse),
        replace(good[1], id="blank", image=lambda: np.full((64, 400), 250, np.uint8)),
    ]
    samples, doubts = kept(tmp_path, [*good[:2], *good[3:], *odd])
    assert len(samples) == 14
    reasons = {doubt.line: doubt.reason for doubt in doubts}
    assert reasons["again"] == f"is the same picture as {good[0].id}"
    assert "first copy" in reasons and "right copy" not in reasons
    assert reasons["long"] == "has a text too long for its picture"
    assert "too long or too short" in reasons["short"]
    assert reasons["blank"] == "shows no writing"
    assert reasons["broken"] == "cannot be opened: x.png: damaged"


@pytest.mark.parametrize("samples", [lines(2), 100 * lines(1)], ids=["two", "identical"])
def test_too_few_different_lines_are_refused(tmp_path, samples):
    with pytest.raises(InputError, match=r"^letters: has (1 line|2 lines) to learn from .* too few"):
        kept(tmp_path, samples)


def test_what_was_set_aside_is_listed_also_where_too_little_is_left(tmp_path):
    doubt = Doubt("page-01", "another text", "was read as 'x', too unlike the text")
    with pytest.raises(InputError, match=r"1 is set aside \(.*set-aside\.tsv\), page-01: was read as 'x', too unlike"):
        kept(tmp_path, [], [doubt])
    assert read_doubts(tmp_path / "set-aside.tsv") == [doubt]


def test_splits_of_the_source_are_kept_and_its_test_lines_not_touched(tmp_path):
    samples = [replace(s, split=("train", "val", "test")[i % 3]) for i, s in enumerate(lines(30))]
    assert [s.split for s in kept(tmp_path, samples)[0]] == 10 * ["train", "val"]


def test_a_copy_of_a_line_of_the_split_test_is_not_learnt(tmp_path):
    good = lines(24)
    tests = [replace(s, id=f"test/{s.id}", split="test", told=True) for s in good[:4]]
    train = [replace(s, id=f"train/{s.id}", split="train", told=True) for s in good]
    samples, doubts = kept(tmp_path, [*train, *tests])
    assert {s.text for s in samples} == {s.text for s in good[4:]}
    assert [(doubt.line, doubt.reason) for doubt in doubts] == [
        (f"train/{s.id}", f"is the same picture as test/{s.id}, which is of the split test") for s in good[:4]
    ]
    # Those that no folder or table says to be of test may be the originals of the others.
    beside = [replace(s, told=False) for s in tests]
    assert len(kept(tmp_path, [*train, *beside])[0]) == 24


def test_train_lines_that_are_all_set_aside_are_refused(tmp_path):
    marked = [
        replace(s, split="val" if i else "train", text=s.text if i else 200 * "x") for i, s in enumerate(lines(12))
    ]
    with pytest.raises(
        InputError, match=r"^letters: all lines of the split train are set aside, .*set-aside\.tsv tells"
    ):
        kept(tmp_path, marked)


@pytest.mark.parametrize("form", ["text", "no text", "table", "XML"])
def test_test_lines_are_not_learnt_where_nothing_of_train_can_be_used(tmp_path, form, caplog):
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        for number, sample in enumerate(embedded_lines(split, 9)):
            cv2.imwrite(str(tmp_path / split / f"{number}.png"), sample.image())
            if split == "test":
                (tmp_path / split / f"{number}.txt").write_text(sample.text)
            elif form == "text":
                (tmp_path / split / f"{number}.txt").write_bytes("caf\u00e9".encode("cp1252"))
            elif form == "XML":
                (tmp_path / split / f"{number}.xml").write_text("<PcGts><Page>")
    if form == "table":
        rows = [f"{number}.png\tone\ttrain\ntest/{number}.png\tone\ttest\n" for number in range(9)]
        (tmp_path / "lines.tsv").write_text("file\ttext\tsplit\n" + "".join(rows))
    source = load_source(tmp_path, lambda _: None)
    assert len(source.samples) == 9
    with pytest.raises(InputError, match=r"has 0 lines to learn from and to check by, too few"):
        choose_lines(source, tmp_path / "set-aside.tsv", 64, 8)
    assert "9 lines of the split test (or of none) left alone" in caplog.text


def test_whole_pages_are_held_out():
    samples = lines(60, pages=6)
    held = hold_out(samples)
    assert {s.id for s in samples if s.form in {t.form for t in samples if t.id in held}} == held
    assert len(held) == 10


def test_lines_cut_out_of_a_page_are_held_out_with_it():
    """`htr.suggest` puts them into a folder of the page's name."""
    samples = [replace(s, form=f"{'more/' if i % 2 else ''}{s.form}") for i, s in enumerate(lines(60, pages=6))]
    held = [s.form.removeprefix("more/") for s in samples if s.id in hold_out(samples)]
    assert (len(held), len(set(held))) == (10, 1)


def test_of_one_page_a_line_that_comes_again_alone_is_held_out_with_itself():
    page = [replace(s, id=f"page1-{i:02d}", form="page1") for i, s in enumerate(lines(30))]
    suggested = (3, 9, 14, 20, 25, 27, 28, 29)
    alone = [replace(page[i], id=f"lines/page1/{i:03d}", form="lines/page1") for i in suggested]
    held = hold_out([*page, *alone])
    assert held == {*(f"page1-{i}" for i in range(25, 30)), *(f"lines/page1/{i:03d}" for i in (25, 27, 28, 29))}


def test_a_long_line_that_was_chosen_is_not_taken_for_a_page_afterwards(tmp_path):
    folder = tmp_path / "my.run" / "lines"
    picture = np.full((126, 1768), 255, np.uint8)
    picture[40:90, 20:1748:9] = 0
    long = replace(lines(1)[0], id="long", text="a line, of two rows " * 11, image=lambda: picture)
    write_lines(folder, [*lines(8), long])
    with pytest.raises(InputError, match="is the text of a page"):
        written_lines(folder)
    (folder.parent / BEGUN).write_text("{}")
    assert len(written_lines(folder)) == len(load_corpus(f"lines:{folder}")) == 9
    (folder / "pictures" / "00003.png").unlink()
    with pytest.raises(InputError, match=r"lines\.tsv: line 5: names .*00003\.png, which is not there"):
        written_lines(folder)


def test_a_figure_that_stands_alone_is_learnt(tmp_path):
    figure = np.full((60, 60), 255, np.uint8)
    cv2.putText(figure, "4", (8, 54), cv2.FONT_HERSHEY_SIMPLEX, 2.2, 0, 5)
    four = replace(lines(1)[0], id="four", text="4", image=lambda: figure)
    samples, doubts = kept(tmp_path, [*lines(14), four])
    assert (len(samples), doubts) == (15, [])


def test_of_few_pages_the_last_lines_are_held_out():
    samples = lines(20, pages=2)
    assert [i for i, s in enumerate(samples) if s.id in hold_out(samples)] == [8, 9, 18, 19]


def test_without_pages_lines_are_held_out_at_random_but_always_the_same():
    samples = lines(20)
    assert hold_out(samples) == hold_out(samples)
    held = [i for i, s in enumerate(samples) if s.id in hold_out(samples)]
    assert len(held) == 3 and held not in ([0, 1, 2], [17, 18, 19])


def test_the_page_nearest_to_a_seventh_of_the_lines_is_held_out():
    samples = [replace(s, form="long" if i < 26 else "near" if i < 41 else "rest") for i, s in enumerate(lines(99))]
    assert {s.form for s in samples if s.id in hold_out(samples)} == {"near"}


def test_odd_names_and_long_texts_are_kept_as_they_can_be(tmp_path):
    samples = [replace(s, form="a\tb \udce9") for s in lines(12)]
    _, doubts = kept(tmp_path, samples, [Doubt("book\udce9", 200_000 * "x", "shows no lines of handwriting")])
    assert {s.form for s in load_corpus(f"lines:{tmp_path}")} == {"a b ?"}
    assert doubts == [Doubt("book?", 1000 * "x", "shows no lines of handwriting")]


@pytest.mark.parametrize(
    "content", [None, b"line,text,reason\r\nq-01,a text,was read as x\r\n", b"line\ttext\treason\nq-01\t\xe9\tx\n"]
)
def test_a_list_of_lines_set_aside_that_a_spreadsheet_changed_ends_no_run(tmp_path, content, caplog):
    file = tmp_path / "set-aside.tsv"
    if content is not None:
        file.write_bytes(content)
    assert read_doubts(file) == []
    assert "set-aside.tsv: is gone, or another program has changed it" in caplog.text


def test_lines_of_no_split_beside_train_lines_are_left_alone_and_counted(tmp_path, caplog):
    samples = lines(12)
    with caplog.at_level("WARNING"):
        written, _ = kept(tmp_path, [replace(s, split="train") for s in samples[:10]] + samples[10:])
    assert len(written) == 10 and "2 lines of the split test (or of none) left alone" in caplog.text


@pytest.mark.parametrize("marked", ["by folder", "by table"])
def test_lines_of_the_split_test_are_left_alone(tmp_path, caplog, marked):
    letters = tmp_path / "letters"
    (letters / "Test").mkdir(parents=True)
    rows = ["file\ttext\tsplit"]
    for number, sample in enumerate(lines(12)):
        name = f"{'Test/' if marked == 'by folder' and number > 9 else ''}{number}.png"
        cv2.imwrite(str(letters / name), sample.image())
        rows.append(f"{name}\t{sample.text}\t{'test' if marked == 'by table' and number > 9 else ''}")
    (letters / "lines.tsv").write_text("\n".join(rows))
    samples = load_source(letters, None).samples
    with caplog.at_level("WARNING"):
        written, _ = kept(tmp_path, samples)
    assert {s.id for s in written} == {str(number) for number in range(10)}
    assert "2 lines of the split test left alone" in caplog.text
    # Where all are, all are meant.
    assert len(kept(tmp_path, [replace(s, told=True) for s in samples])[0]) == 12


def test_lines_of_no_page_among_pages_are_not_all_held_out():
    samples = [replace(s, form=f"p{i // 40}" if i < 120 else None) for i, s in enumerate(lines(128))]
    held = [sample.form for sample in samples if sample.id in hold_out(samples)]
    assert (len(held), held.count(None)) == (19, 1)


@pytest.mark.parametrize("lengths", [[30, 2], [25, 25, 3], [40, 2, 2], [100, 1, 1, 1]])
def test_a_few_lines_of_last_pages_are_not_all_that_is_held_out(lengths):
    forms = [f"p{page}" for page, length in enumerate(lengths) for _ in range(length)]
    samples = [replace(s, form=form) for s, form in zip(lines(sum(lengths)), forms)]
    assert 0.1 < len(hold_out(samples)) / len(samples) < 0.25


def test_lines_marked_val_are_held_out_also_where_no_others_are_marked(tmp_path):
    samples = [replace(s, split="val" if i < 3 else "test") for i, s in enumerate(lines(12))]
    assert [s.split for s in kept(tmp_path / "some", samples)[0]] == 3 * ["val"] + 9 * ["train"]
    written, _ = kept(tmp_path / "all", [replace(s, split="val") for s in samples])
    assert sorted({s.split for s in written}) == ["train", "val"]


def test_crops_too_small_to_hold_writing_are_set_aside(tmp_path):
    samples = lines(12)
    samples[5] = replace(samples[5], image=lambda: np.full((54, 5), 255, np.uint8))
    good, doubts = kept(tmp_path, samples)
    assert len(good) == 11
    assert doubts == [Doubt(samples[5].id, samples[5].text, "is only 5 x 54 pixels, too few to hold writing")]


def test_of_two_lines_of_one_name_the_good_one_is_kept(tmp_path):
    samples = lines(12)
    samples[5] = replace(samples[5], id=samples[4].id, text="x")
    good, doubts = kept(tmp_path, samples)
    assert [len(good), len(doubts)] == [11, 1]
    assert samples[4].text in [sample.text for sample in good]
