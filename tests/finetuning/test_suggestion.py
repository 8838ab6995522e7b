import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import pytest
from PIL import Image

from htr import suggest
from htr.batch import Task
from htr.corpora.source import load_source
from htr.finetuning import suggestion
from htr.finetuning.suggestion import Candidate, choose
from htr.pages.containers import Character, Line, Page, Region, Word
from htr.weights import load_weights, save_weights, start_of, taught_from
from htr.writers.pagexml import write

SAMPLE = Path(__file__).parents[2] / "data" / "sample" / "page.png"


def candidate(text, confidence):
    characters = tuple(Character(c, confidence, ()) for c in text)
    line = Line((), (), text, confidence, (Word(text, confidence, (), characters),))
    return Candidate.of(Task(Path("p.png"), 1, "p.png", Path("p")), 0, line)


def chosen(candidates, count):
    return [candidate.line.text for candidate in choose(candidates, count)]


def test_the_least_sure_lines_come_first():
    candidates = [candidate("abcd", 0.9), candidate("efgh", 0.3), candidate("ijkl", 0.6)]
    assert chosen(candidates, 2) == ["efgh", "ijkl"]
    assert chosen(candidates, 10) == ["efgh", "ijkl", "abcd"]


def test_what_was_chosen_already_is_worth_less():
    candidates = [candidate("aaaa", 0.40), candidate("aaaa", 0.41), candidate("bbbb", 0.50)]
    assert chosen(candidates, 2) == ["aaaa", "bbbb"]


@pytest.fixture
def run(command_line):
    return partial(command_line, suggest.main)


def test_what_is_written_is_a_source(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "my.run").mkdir(parents=True)  # of an earlier fine-tuning
    code, out, _ = run(SAMPLE, "--out", tmp_path / "lines", "--count", 5, "--weights", "small")
    assert code == 0
    assert out.startswith("5 of 13 lines")
    assert f'transcribed before:\npython -m htr.finetune "{tmp_path / "lines"}" --out ' in out
    # The lines are those that these weights do not know.
    assert out.endswith('--out runs/my2.safetensors --weights "small"\n')
    source = load_source(tmp_path / "lines", None)
    assert [sample.form for sample in source.samples] == 5 * ["page"]
    texts = SAMPLE.with_suffix(".txt").read_text().splitlines()
    assert sum(sample.text in texts for sample in source.samples) >= 2
    # Each picture is as wide as its text is long.
    shapes = [(len(sample.text), *sample.image().shape) for sample in source.samples]
    assert all(0.3 < width / height / length < 0.7 for length, height, width in shapes)


def test_lines_that_were_corrected_are_not_suggested_again(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pages").mkdir()
    shutil.copy(SAMPLE, "pages/letter.png")
    assert run("pages", "--out", "lines/more", "--count", 8, "--weights", "small")[0] == 0
    code, out, _ = run(
        "pages", "lines", "--out", "lines/again", "--count", 8, "--weights", "small", "--language", "none"
    )
    assert code == 0 and out.endswith(' --weights "small" --language "none"\n')
    # What was corrected before is learnt again.
    assert 'with all else in lines:\npython -m htr.finetune "lines" --out ' in out
    more, again = ({file.name for file in (tmp_path / "lines" / name).rglob("*.png")} for name in ("more", "again"))
    assert (len(more), len(again), more & again) == (8, 5, set())


def test_lines_that_the_weights_have_learnt_elsewhere_are_not_forgotten(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    weights = load_weights("small")
    for name, folder in (("my", "letters"), ("my2", "box1")):
        facts = {"data": [folder], "train_lines": 24, "averaged": "0.65 of what was learnt, the rest of parent"}
        facts["parent"] = weights.ancestry()
        save_weights(tmp_path / f"{name}.safetensors", weights.network, replace(weights.header, training=facts))
        weights = load_weights(tmp_path / f"{name}.safetensors")
    for place in ("box1", "box2"):
        (tmp_path / "all" / place).mkdir(parents=True)
        shutil.copy(SAMPLE, tmp_path / "all" / place / f"{place}.png")
    (tmp_path / "all" / "box1" / "box1.txt").write_text("Dear Margaret,")
    cv2.imwrite("all/box2/box2.png", cv2.imread(str(SAMPLE))[:, :-2])
    _, out, _ = run("all", "--out", "all/more", "--count", 2, "--weights", "my2.safetensors")
    assert "with all else in all, and with what these weights have learnt from letters; copy it there:\n" in out
    assert out.endswith('python -m htr.finetune "all" --out runs/my.safetensors --weights "small"\n')


def test_of_a_document_the_lines_of_the_right_page_are_cut_out(run, tmp_path):
    page = Image.open(SAMPLE).convert("L")
    blank = Image.new("L", page.size, 245)
    blank.save(tmp_path / "two.tif", save_all=True, append_images=[page])
    assert run(tmp_path / "two.tif", "--out", tmp_path / "lines", "--count", 2, "--weights", "small")[0] == 0
    pictures = sorted((tmp_path / "lines").rglob("*.png"))
    assert len(pictures) == 2
    assert all(cv2.imread(str(picture), cv2.IMREAD_GRAYSCALE).min() < 150 for picture in pictures)


def test_what_is_transcribed_is_passed_over_in_folders(run, tmp_path, caplog):
    pages = tmp_path / "pages"
    pages.mkdir()
    shutil.copy(SAMPLE, pages / "known.png")
    (pages / "known.txt").write_text("Dear Margaret,")
    code, _, err = run(pages, "--out", tmp_path / "lines")
    assert (code, (tmp_path / "lines").exists()) == (2, False)
    assert "pages: all pictures there have a text; give pages that nobody transcribed" in err
    # A copy of what is transcribed is not unknown.
    shutil.copy(SAMPLE, pages / "copy.png")
    code, _, err = run(pages, "--out", tmp_path / "lines", "--count", 3, "--weights", "small")
    assert code == 2 and "no lines of handwriting were found that nobody has transcribed" in err
    (pages / "copy.png").unlink()
    picture = cv2.imread(str(SAMPLE))
    cv2.imwrite(str(pages / "unknown.png"), picture[:, :-2])
    code, out, err = run(pages, "--out", tmp_path / "lines", "--count", 3, "--weights", "small")
    assert (code, out[:31]) == (0, "3 of 13 lines, of 1 page, are i")
    assert "pages: 1 picture with a text passed over" in caplog.text
    assert [folder.name for folder in (tmp_path / "lines").iterdir()] == ["unknown"]


@pytest.mark.parametrize("marked", ["folder", "table"])
def test_lines_that_would_not_be_learnt_are_not_suggested(run, tmp_path, marked):
    letters = tmp_path / "letters"
    known = letters / ("train" if marked == "folder" else "") / "known.png"
    known.parent.mkdir(parents=True)
    cv2.imwrite(str(known), cv2.imread(str(SAMPLE))[:, :-2])
    if marked == "folder":
        known.with_suffix(".txt").write_text("Dear Margaret,")
    else:
        (letters / "lines.tsv").write_text("file\ttext\tsplit\nknown.png\tDear Margaret,\ttrain\n")
    shutil.copy(SAMPLE, letters / "unknown.png")
    for place in ("more", "test/more"):
        code, _, err = run(letters, "--out", letters / place, "--count", 2, "--weights", "small")
        assert (
            code == 2
            and f"{place}: lines there would not be learnt, as of {letters} only what is marked train is" in err
        )
        assert not (letters / place).exists()
    place = letters / "train" / "more"
    code, out, err = run(letters, "--out", place, "--count", 2, "--weights", "small")
    assert code == 0 and f'python -m htr.finetune "{letters}"' in out, err
    source = load_source(letters, None)
    assert [sample.split for sample in source.samples if sample.id.startswith("train/more/")] == ["train", "train"]


def test_a_page_in_two_forms_is_suggested_once(run, tmp_path):
    (tmp_path / "pages").mkdir()
    for ending in ("png", "tif"):
        Image.open(SAMPLE).save(tmp_path / "pages" / f"page.{ending}")
    assert run(tmp_path / "pages", "--out", tmp_path / "lines", "--count", 20, "--weights", "small")[0] == 0
    assert [folder.name for folder in (tmp_path / "lines").iterdir()] == ["page"]
    assert len(list((tmp_path / "lines" / "page").glob("*.txt"))) == 13


def test_what_has_a_text_in_xml_or_a_table_or_is_of_a_run_is_passed_over_too(run, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    for name in ("xml", "read", "row", "my.run/lines/pictures/00000", "new"):
        file = tmp_path / "pages" / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SAMPLE, file)
    # Other pages, not copies of those with a text.
    for name, narrower in (("new", 2), ("read", 4)):
        cv2.imwrite(str(tmp_path / "pages" / f"{name}.png"), cv2.imread(str(SAMPLE))[:, :-narrower])
    line = Line(((0, 90), (200, 90)), ((0, 0), (200, 0), (200, 100), (0, 100)), "a text")
    # What htr itself has read is no text that anybody gave.
    for name, creator in (("xml", b"eScriptorium"), ("read", b"htr")):
        picture = Image.open(tmp_path / "pages" / f"{name}.png")
        content = write(Page(*picture.size, (Region("text", (line,)),), file=f"{name}.png"), picture)
        (tmp_path / "pages" / f"{name}.xml").write_bytes(content.replace(b"<Creator>htr", b"<Creator>" + creator))
    (tmp_path / "pages" / "lines.tsv").write_text("file\ttext\nrow.png\ta text\n")
    assert run("pages", "--out", "lines", "--count", 20, "--weights", "small")[0] == 0
    assert "pages: 2 pictures with a text passed over" in caplog.text
    assert {folder.name for folder in (tmp_path / "lines").iterdir()} == {"new", "read"}
    # A page that is named is wanted, however it is written.
    assert run("./pages/xml.png", "--out", "more", "--count", 2, "--weights", "small")[0] == 0


def test_a_folder_that_is_not_there_is_said_once(run, tmp_path):
    code, _, err = run(tmp_path / "none", "--out", tmp_path / "lines")
    assert (code, err.count("error:"), (tmp_path / "lines").exists()) == (2, 1, False)
    assert "none: no such file; check the path" in err


def test_lines_of_a_copy_are_not_suggested_again(run, tmp_path):
    for name in ("page.png", "page (1).png"):
        (tmp_path / name).write_bytes(SAMPLE.read_bytes())
    _, out, _ = run(tmp_path / "page.png", tmp_path / "page (1).png", "--out", tmp_path / "lines", "--weights", "small")
    assert out.startswith("13 of 13 lines")


def test_pages_of_one_name_do_not_write_over_each_other(run, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "page.png").write_bytes(SAMPLE.read_bytes())
    code, _, err = run(tmp_path / "a" / "page.png", tmp_path / "b" / "page.png", "--out", tmp_path / "lines")
    assert (code, "would both be written to" in err) == (2, True)
    assert not (tmp_path / "lines").exists()


def test_weights_that_have_learnt_are_not_what_the_next_ones_start_from(run, tmp_path):
    """They know lines that would be held out."""
    weights = load_weights("small")
    for name in ("my", "my2"):  # taught by what taught `my`
        facts = {"data": ["letters"], "train_lines": 24, "averaged": "0.65 of what was learnt, the rest of parent"}
        facts["parent"] = weights.ancestry()
        save_weights(tmp_path / f"{name}.safetensors", weights.network, replace(weights.header, training=facts))
        weights = load_weights(tmp_path / f"{name}.safetensors")
    assert taught_from(weights.header.training) == ["letters", "letters"]
    averaged = replace(weights.header, training={"data": ["letters"], "averaged": [weights.ancestry()]})
    save_weights(tmp_path / "both.safetensors", weights.network, averaged)
    assert taught_from(load_weights(tmp_path / "both.safetensors").header.training) == ["letters", "letters"]
    # Also where those have been averaged, or read beside others, and learnt on since.
    taught = {"data": ["others"], "train_lines": 8, "averaged": "0.65 of what was learnt, the rest of parent"}
    taught["parent"] = load_weights(tmp_path / "both.safetensors").ancestry()
    assert taught_from(taught) == ["others", "letters", "letters"]
    _, out, _ = run(SAMPLE, "--out", tmp_path / "lines", "--count", 2, "--weights", weights.file)
    assert out.endswith('.safetensors --weights "small"\n')
    beside = replace(weights.header, training={**averaged.training, "shares": [0.5, 0.5]})
    save_weights(tmp_path / "beside.safetensors", weights.network, beside)
    assert taught_from(beside.training) == ["letters", "letters"]
    assert start_of(load_weights(tmp_path / "beside.safetensors")) == str(tmp_path / "beside.safetensors")
    _, out, _ = run(SAMPLE, "--out", tmp_path / "more", "--count", 2)
    assert out.endswith(".safetensors\n")


def test_corrected_texts_are_not_written_over(run, tmp_path):
    (tmp_path / "001.txt").write_text("corrected")
    code, _, err = run(SAMPLE, "--out", tmp_path)
    assert code == 2
    assert "is not empty" in err
    assert (tmp_path / "001.txt").read_text() == "corrected"


def test_a_broken_page_is_named_and_the_others_serve(run, tmp_path):
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    cv2.imwrite(str(tmp_path / "pages" / "page.png"), cv2.imread(str(SAMPLE)))
    code, out, err = run(tmp_path / "pages", "--out", tmp_path / "lines", "--count", 3)
    assert code == 2
    assert "broken.png" in err
    assert out.startswith("3 of 13 lines")


def test_a_page_that_is_gone_when_its_lines_are_written_is_named_and_the_others_serve(run, tmp_path, monkeypatch):
    (tmp_path / "pages").mkdir()
    page = cv2.imread(str(SAMPLE), cv2.IMREAD_GRAYSCALE)
    for name in "ab":
        cv2.imwrite(str(tmp_path / "pages" / f"{name}.png"), page[: 400 if name == "a" else 500])
    choose = suggestion.choose

    def after_a_while(candidates, count):
        (tmp_path / "pages" / "a.png").unlink()
        return choose(candidates, count)

    monkeypatch.setattr(suggestion, "choose", after_a_while)
    code, out, err = run(tmp_path / "pages", "--out", tmp_path / "lines", "--count", 99)
    assert (code, "a.png" in err) == (2, True)
    assert [folder.name for folder in (tmp_path / "lines").iterdir()] == ["b"]
    assert out.split()[0] == str(len(list((tmp_path / "lines").glob("b/*.txt"))))
    shutil.rmtree(tmp_path / "lines")
    cv2.imwrite(str(tmp_path / "pages" / "a.png"), page[:400])
    (tmp_path / "pages" / "b.png").unlink()
    code, out, _ = run(tmp_path / "pages", "--out", tmp_path / "lines", "--count", 99)
    assert (code, out, [*(tmp_path / "lines").iterdir()]) == (2, "", [])


def test_no_number_of_lines(run, tmp_path):
    code, _, err = run(SAMPLE, "--out", tmp_path / "lines", "--count", 0)
    assert (code, "--count: 0 is no number of lines" in err) == (2, True)


def test_a_full_disk_leaves_nothing_and_the_same_command_may_be_given_again(run, tmp_path, monkeypatch):
    write, written = suggestion.write_whole, []

    def fail(path, content):
        written.append(path)
        if len(written) > 3:
            raise OSError(28, "No space left on device")
        write(path, content)

    monkeypatch.setattr(suggestion, "write_whole", fail)
    code, _, err = run(SAMPLE, "--out", tmp_path / "lines", "--count", 5)
    assert (code, "cannot be written (No space left on device); make room" in err) == (2, True)
    assert not any((tmp_path / "lines").iterdir())


def test_hidden_files_do_not_count_and_names_of_dots_stay_in_the_folder(run, tmp_path):
    (tmp_path / "work" / "lines").mkdir(parents=True)
    (tmp_path / "work" / "lines" / ".DS_Store").touch()
    page = tmp_path / "...png"
    page.write_bytes(SAMPLE.read_bytes())
    code, _, _ = run(page, "--out", tmp_path / "work" / "lines", "--count", 2)
    assert code == 0
    assert [entry.name for entry in (tmp_path / "work").iterdir()] == ["lines"]
    assert len(list((tmp_path / "work" / "lines").glob("*/*.txt"))) == 2


def test_killed_while_it_writes_it_leaves_no_lines(run, tmp_path, monkeypatch):
    def killed(path, content):
        raise KeyboardInterrupt

    monkeypatch.setattr(suggestion, "write_whole", killed)
    assert run(SAMPLE, "--out", tmp_path / "lines", "--count", 5)[0] == 130
    monkeypatch.undo()
    assert run(SAMPLE, "--out", tmp_path / "lines", "--count", 5)[0] == 0
