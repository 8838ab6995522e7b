import math
import shutil
from functools import partial
from types import SimpleNamespace

import cv2
import pytest
import torch

from htr import finetune
from htr.benchmark.finetuning import evaluate_finetuning
from htr.corpora import load_corpus
from htr.corpora.embedded import embedded_lines
from htr.corpora.folder import lines_of_table
from htr.errors import InputError
from htr.finetuning import selftraining
from htr.finetuning.claim import claim
from htr.finetuning.lines import write_lines
from htr.finetuning.recipe import recipe_of_unread
from htr.finetuning.report import verdict_alone
from htr.finetuning.selftraining import _bits
from htr.finetuning.unread import read_unread
from htr.language import load_languages
from htr.weights import load_weights, sha256

QUICK = ["batch_pixels=100000", "workers=0", "trainer.enable_progress_bar=false", "epochs=2", "drawn={synthetic: 2}"]


@pytest.fixture
def letters(letters):
    """Two dozen pictures of lines on three pages, of which one has a text."""
    (letters / "page0" / "0.txt").write_text("a text")
    return letters


def same_networks(one, other):
    states = one.network.state_dict().values(), other.network.state_dict().values()
    return all(torch.equal(*pair) for pair in zip(*states))


@pytest.fixture
def run(command_line, letters, tmp_path):
    out = tmp_path / "my.safetensors"
    return partial(command_line, finetune.main, "--unread", letters, "--out", out, "--weights", "iam")


def test_a_stop_before_there_are_lines_to_learn_is_told(run, monkeypatch, caplog):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(selftraining, "keep_unread", stop)
    assert run(*QUICK)[0] == 130
    assert "stopped before there were lines to learn; the same command begins again" in caplog.text
    assert "goes on" not in caplog.text


def test_it_learns_from_what_it_reads_and_goes_on_where_it_was_stopped(run, tmp_path, monkeypatch):
    readers = []

    def read(lines, out, reader, *others):
        readers.append(reader.weights.file)
        read_unread(lines, out, reader, *others)

    monkeypatch.setattr(selftraining, "read_unread", read)
    parent, file, page = load_weights("iam"), tmp_path / "my.safetensors", tmp_path / "my.md"
    code, out, err = run(*QUICK)
    assert code == 0, err
    assert "in the 3 held-out lines is more like english or french (" in out and f"weights: {file}" in out
    # Each time by what was learnt before.
    mixtures = [str(tmp_path / "my.run" / f"round-{number}" / "mixed.safetensors") for number in (1, 2)]
    assert readers == [parent.file, *mixtures]
    # Of 23 lines without a text 3 are held out, and of the others a tenth is not sure.
    read = load_corpus(f"lines:{tmp_path / 'my.run' / 'read-3'}")
    assert sorted(sample.split for sample in read) == [*18 * ["train"], *3 * ["val"]]
    training = load_weights(file).header.training
    assert (training["data"], training["train_lines"], training["unread_lines"]) == (["letters"], 0, 18)
    assert training["parent"]["sha256"] == parent.sha256 == sha256(parent.file)
    assert training["averaged"].startswith("0.65 of what was learnt") and "val_cer" not in training
    report = page.read_text(encoding="utf-8")
    for part in (
        "18 of 23 lines that nobody transcribed on ",
        "| 200 lines in fonts | before | after |",
        "- epochs: 2",
        "more like english or french",
    ):
        assert part in report
    pictures = [row.split("`")[1] for row in report.splitlines() if row.startswith("| `")]
    assert len(pictures) == 3 and all((tmp_path / picture).is_file() for picture in pictures)
    # As if it had been killed after the last training.
    first = load_weights(file)
    assert first.alphabet.characters == parent.alphabet.characters
    states = [path for name in ("round-*/last.ckpt", "*/lines.tsv") for path in tmp_path.glob(f"my.run/{name}")]
    began = [state.stat().st_mtime_ns for state in states]
    file.unlink()
    page.unlink()
    code, again, _ = run(*QUICK)
    assert (code, again) == (0, out)
    assert same_networks(load_weights(file), first)
    assert len(states) == 7 and [state.stat().st_mtime_ns for state in states] == began


@pytest.mark.parametrize("fault", ["far less text", "less like language"])
def test_weights_that_read_worse_are_those_of_the_start(run, tmp_path, monkeypatch, fault):
    if fault == "far less text":
        monkeypatch.setattr(selftraining, "_LEAST", 100)
    else:
        bits = iter([2.0, 2.5])
        monkeypatch.setattr(selftraining, "_bits", lambda *_: next(bits))
    monkeypatch.setattr(selftraining, "ROUNDS", 1)
    code, out, _ = run(*QUICK)
    assert (code, "holds the weights from which it came unchanged" in out) == (0, True)
    assert "Held-out lines, before and after" not in (tmp_path / "my.md").read_text(encoding="utf-8")
    mine, before = load_weights(tmp_path / "my.safetensors"), load_weights("iam")
    assert mine.header.training["data"] == before.header.training["data"]
    assert same_networks(mine, before)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--language", "none"], "language: without labelled lines, it is all that tells what is right"),
        (["height=32"], "height: the lines and the weights to go on from decide this"),
        (["--out", "my.txt"], "my.txt: must end in .safetensors"),
    ],
)
def test_what_will_not_do_is_said_before_anything_is_written(run, tmp_path, words, said, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(*words)
    assert (code, said in err) == (2, True), err
    assert not list(tmp_path.glob("my*"))


def test_a_source_or_unread_pages_must_be_given(command_line, tmp_path):
    for words in ([], [""], ["--unread", ""], [tmp_path, "--unread", ""]):
        code, _, err = command_line(finetune.main, *words, "--out", tmp_path / "my.safetensors")
        assert (code, "give SOURCE, or --unread FOLDER, or both" in err) == (2, True), err


def test_of_a_few_lines_nothing_is_learnt(run, letters):
    for number in range(3):
        for file in sorted((letters / f"page{number}").glob("*.png"))[:6]:
            file.unlink()
    for _ in range(2):  # and more may be given
        code, _, err = run(*QUICK)
        assert (code, "has 6 lines without a text, too few to learn from" in err) == (2, True), err
        cv2.imwrite(str(letters / "new.png"), embedded_lines("train", 25)[24].image())
        (letters / "new.txt").write_text("a text")


def test_where_nothing_can_be_read_nothing_is_learnt_and_other_pages_may_be_given(run, letters, monkeypatch):
    monkeypatch.setattr(selftraining, "read_unread", lambda lines, out, *_: write_lines(out, []))
    for _ in range(2):
        code, _, err = run(*QUICK)
        assert (code, "letters: nothing could be read there; are these pages of handwriting?" in err) == (2, True), err
        (letters / "page1" / "9.png").unlink(missing_ok=True)


def test_a_folder_in_which_another_run_lies_is_refused(letters, tmp_path):
    out, weights = tmp_path / "my.safetensors", load_weights("iam")
    for source, other, corpus in ((None, letters, "unread"), (letters, None, "lines")):
        claimed = [partial(claim, given, out, weights, [], letters) for given in (source, other)]
        assert claimed[1]() == claimed[0]() == tmp_path / "my.run"
        write_lines(tmp_path / "my.run" / corpus, [])
        assert claimed[0]() == tmp_path / "my.run"
        with pytest.raises(InputError, match="my.run: holds a run with other lines"):
            claimed[1]()
        shutil.rmtree(tmp_path / "my.run")


def test_held_out_lines_are_read_and_not_learnt(tmp_path):
    write_lines(tmp_path / "unread", embedded_lines("train", 12))
    samples, _ = lines_of_table(tmp_path / "unread" / "lines.tsv")
    held = {samples[0].id, samples[5].id}
    sure = iter([0.0, 0.9, 0.1, *9 * [0.5]])
    reader = SimpleNamespace(
        read_lines=lambda pictures, _: [SimpleNamespace(text="text", confidence=next(sure)) for _ in pictures]
    )
    read_unread(tmp_path / "unread", tmp_path / "read", reader, held)
    read = load_corpus(f"lines:{tmp_path / 'read'}")
    # The first is least sure, but held out; of those to learn, it is the third.
    assert [sample.split for sample in read] == ["val", *3 * ["train"], "val", *6 * ["train"]]
    assert (read[2].image() == samples[3].image()).all()


def test_bits_of_a_character():
    """Three characters each, the space after them counted: at three and at nine bits, where another language has more."""
    one = SimpleNamespace(score={"ab ": -3 * math.log(2), "cd ": -20 * math.log(2)}.get)
    other = SimpleNamespace(score={"ab ": -12 * math.log(2), "cd ": -9 * math.log(2)}.get)
    assert _bits(["ab"], [one]) == pytest.approx(1)
    assert _bits(["ab", "cd"], [one, other]) == pytest.approx(2)  # of languages, the likeliest for each text
    models = load_languages("english")
    assert _bits(["He said that she was here"], models) + 1 < _bits(["Hc smid thot shc wos hcre"], models)


def test_few_lines_are_learnt_more_often(tmp_path):
    def epochs(lines, *words):
        return recipe_of_unread(load_weights("iam"), tmp_path, tmp_path, lines, list(words)).epochs

    assert [epochs(800), epochs(100), epochs(10)] == [4, 18, 60]
    assert [epochs(100, "epochs=3"), epochs(800, "epochs=20")] == [3, 20]
    config = recipe_of_unread(load_weights("iam"), tmp_path, tmp_path, 800, [])
    assert config.trainer["check_val_every_n_epoch"] == 4


def test_without_any_lines_there_is_nothing_to_measure():
    with pytest.raises(InputError, match="--lines 0: without labelled lines"):
        next(evaluate_finetuning("sample", [0], "iam", "sample"))


@pytest.mark.parametrize(
    ("kept", "after", "said"),
    [
        (False, (1.5, 90), "is more like english (1.50 bits a character, 2.00 before), which is no proof"),
        (
            True,
            (2.5, 100),
            "What was learnt reads the 9 held-out lines no more like english (2.50 bits a character, 2.00 before)",
        ),
        (
            True,
            (1.5, 70),
            "What was learnt reads only 70 characters in the 9 held-out lines, 100 before, so my.safetensors holds",
        ),
    ],
)
def test_why_weights_are_kept_or_not_is_told(kept, after, said):
    outcome = SimpleNamespace(
        kept=kept, held_out=9, language=["english"], bits_before=2.0, characters_before=100, weights="my.safetensors"
    )
    outcome.bits_after, outcome.characters_after = after
    assert said in verdict_alone(outcome)
