import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import cv2
import pytest
import torch
from filelock import FileLock

from htr import finetune
from htr.benchmark.lines import evaluate_lines
from htr.corpora import load_corpus
from htr.corpora.embedded import embedded_lines
from htr.errors import InputError
from htr.finetuning import run as finetuning
from htr.finetuning.claim import claim, tell_taught
from htr.finetuning.lines import write_lines
from htr.finetuning.recipe import Read, pace, recipe
from htr.finetuning.report import language_harms, more_lines
from htr.finetuning.run import _mended, _passes
from htr.network import Recogniser
from htr.reader import Reader
from htr.weights import Header, load_weights, save_weights, sha256

NETWORK = {
    "encoder": "lcnet_035",
    "width_stride": 8,
    "lstm_layers": 1,
    "lstm_units": 16,
    "neck_channels": 16,
    "dropout": 0.0,
}
ACUTE = "é"
KNOWN = " abcdefghijklmnopqrstuvwxyz"

QUICK = ["batch_pixels=100000", "workers=0", "trainer.enable_progress_bar=false"]
STAYS = [*QUICK, "epochs=1", "learning_rate=0", "encoder_learning_rate=0", "average=0"]


@pytest.fixture
def parent(tmp_path):
    """Weights that know small letters and have learnt nothing."""
    torch.manual_seed(1)
    file = tmp_path / "parent.safetensors"
    network = Recogniser(classes=len(KNOWN) + 1, **NETWORK).eval()
    with torch.no_grad():
        network.head.weight *= 100  # sure of itself, or the search with language would go through everything for long
    save_weights(file, network, Header(KNOWN, 32, NETWORK, {"data": ["nothing"]}))
    return file


@pytest.fixture
def source(letters):
    """Two dozen pictures of lines with their texts, on three pages."""
    for number, sample in enumerate(embedded_lines("train", 24)):
        (letters / f"page{number // 8}" / f"{number}.txt").write_text(sample.text, encoding="utf-8")
    return letters


@pytest.fixture
def run(command_line, source, parent, tmp_path):
    return partial(command_line, finetune.main, source, "--weights", parent, "--out", tmp_path / "my.safetensors")


@pytest.mark.parametrize("with_unread", [False, True], ids=["", "unread"])
def test_it_learns_and_tells_what_it_did(command_line, source, tmp_path, caplog, with_unread):
    for file in source.rglob("*.txt"):
        file.write_text(file.read_text(encoding="utf-8").replace("e", ACUTE), encoding="utf-8")
    parent = load_weights("iam")
    words = [
        *QUICK,
        "batch_pixels=300000",
        "drawn={}",
        "epochs=9",
        "learning_rate=2e-3",
        "encoder_learning_rate=1e-3",
        "average=0",
        *("--language", "none"),  # a model would take each new letter for a misread one
    ]
    if with_unread:
        (tmp_path / "unread").mkdir()
        for number, sample in enumerate(embedded_lines("train", 44)[24:]):
            cv2.imwrite(str(tmp_path / "unread" / f"{number}.png"), sample.image())
        shutil.copy(
            source / "page0" / "0.png", tmp_path / "unread" / "copy.png"
        )  # which is labelled, and maybe held out
        words += ["--unread", tmp_path / "unread"]
    code, out, _ = command_line(finetune.main, source, "--weights", "iam", "--out", tmp_path / "my.safetensors", *words)
    assert code == 0
    weights = load_weights(tmp_path / "my.safetensors")
    assert sha256(parent.file) == parent.sha256 == weights.header.training["parent"]["sha256"]
    assert weights.header.training["parent"]["training"] == parent.header.training
    assert (weights.header.training["data"], weights.header.training["train_lines"]) == (["letters"], 24)
    assert "of what was learnt" in weights.header.training["averaged"] and "val_cer" not in weights.header.training
    # What was known keeps its place, what is new comes after it and is named.
    known = parent.alphabet.characters
    assert weights.alphabet.characters.startswith(known)
    new = weights.alphabet.characters[len(known) :]
    assert ACUTE in new
    assert f"{len(new)} characters are new to the weights and are learnt: " in caplog.text
    assert "16 lines of 2 pages to learn from, 8 held out" in caplog.text
    # Once the weights had passed, the lines held out were learnt too.
    learnt = [sample for sample in load_corpus(f"lines:{tmp_path / 'my.run' / 'all-lines'}") if sample.split == "train"]
    assert len({sample.text for sample in learnt}) == 24
    held_out = [sample for sample in load_corpus(f"lines:{tmp_path / 'my.run' / 'lines'}") if sample.split == "val"]
    readings = [line.text for line in Reader(weights).read_lines([sample.image() for sample in held_out])]
    assert sum(reading.count(ACUTE) for reading in readings) > 8
    report = (tmp_path / "my.md").read_text(encoding="utf-8")
    half = "Of labelled lines alone: with" if "unread lines were read and learnt as " in report else "With"
    assert "of the held-out lines" in out and f" before. {half} 8 lines it was " in out
    for part in (
        "| 8 held-out lines, CER | ",
        "Then all lines were learnt",
        "200 lines in fonts",
        "| 16 |",
        "| 8 |",
        f"({len(new)})",
        "| `é` | `e` |",
    ):
        assert part in report
    if not with_unread:
        # They are judged by weights that have not learnt them.
        held, passed = (tmp_path / "my.run" / part for part in ("lines", "all/mixed.safetensors"))
        rate = evaluate_lines(f"lines:{held}", "val", str(passed))["scores"]["CER"]["value"]
        [row] = [row for row in report.splitlines() if row.startswith("| 8 held-out lines, CER |")]
        assert row.endswith(f"| {rate:.1f} % |")
    assert ("20 lines without a text will be read and learnt from" in caplog.text) is with_unread
    # With so few, either may be.
    learnt, tried = (
        "18 of 20 unread lines were read and learnt as ",
        "18 of 20 unread lines were read and tried, and left out",
    )
    assert (learnt in report or tried in report) is (learnt in out or tried in out) is with_unread
    assert weights.header.training.get("unread_lines") == (18 if learnt in report else None)


def test_without_a_language_none_is_told_of(run, tmp_path):
    code, out, _ = run(*STAYS, "--language", "none")
    assert code == 0
    assert out.endswith(
        f'python -m htr.recognize page.png --weights "{tmp_path / "my.safetensors"}" --language "none"\n'
    )
    assert 'my.safetensors" LANGUAGE="none"\n' in out
    report = (tmp_path / "my.md").read_text(encoding="utf-8")
    assert "held-out lines, CER" in report and "anguage model" not in report


def test_weights_that_are_no_better_are_those_of_the_start(run, parent, tmp_path):
    code, out, _ = run(*STAYS)
    assert code == 0
    assert out.startswith("No weights read the 8 held-out lines better")
    # Make's Python may be the only one with htr.
    assert f'make recognize PAGE=page.png WEIGHTS="{tmp_path / "my.safetensors"}"\n' in out
    # With its header: else they would count as taught.
    assert (tmp_path / "my.safetensors").read_bytes() == parent.read_bytes()
    report = (tmp_path / "my.md").read_text(encoding="utf-8")
    assert "in the folder `letters`" in report and "8 lines were held out of page" in report


@pytest.fixture
def begun(source, parent, tmp_path):
    """The words of a command line and its process, which has just saved a state to go on from."""
    words = [
        *(sys.executable, "-m", "htr.finetune", str(source), "--weights", str(parent)),
        *("--out", str(tmp_path / "my.safetensors"), *QUICK, "workers=1", "epochs=12"),
    ]
    # A test run in the background ignores Ctrl-C, and so would its children.
    heeds = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, preexec_fn=heeds, start_new_session=True)
    state = tmp_path / "my.run" / "all" / "last.ckpt"
    while not state.exists() and process.poll() is None:
        time.sleep(0.02)
    assert state.exists()
    yield words, process
    process.kill()


def test_killed_and_started_again_it_goes_on(begun, tmp_path):
    words, process = begun
    process.kill()
    process.communicate()
    out, logs = tmp_path / "my.safetensors", tmp_path / "my.run" / "all" / "logs"
    assert not out.exists()
    began = logs.joinpath("version_0").stat().st_mtime_ns
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert out.exists()
    # The first start's log is there still, and the second went on in another.
    assert logs.joinpath("version_0").stat().st_mtime_ns == began
    assert logs.joinpath("version_1").is_dir()


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_ended_it_leaves_the_parent_and_nothing_half_written(begun, parent, tmp_path, sign):
    before = sha256(parent)
    _, process = begun
    os.killpg(process.pid, sign)  # as a terminal, timeout and batch systems do: also to the processes that load lines
    _, said = process.communicate()
    assert (process.returncode, "Traceback" in said) == (130, False), said
    assert sha256(parent) == before
    assert not (tmp_path / "my.safetensors").exists()
    assert not list(tmp_path.rglob("*.partial"))


def test_a_folder_that_cannot_be_written_is_named_first(command_line, source, parent):
    code, _, err = command_line(finetune.main, source, "--weights", parent, "--out", "/proc/none/my.safetensors")
    assert (code, "/proc/none/my.run: cannot be written to" in err) == (2, True), err


def test_a_full_disk_leaves_the_parent_and_nothing_half_written(source, parent, tmp_path):
    before = sha256(parent)
    out = tmp_path / "my.safetensors"
    # Files of more than 60 kB cannot be written: the pictures of lines can, the state of the run cannot.
    words = [
        "bash",
        "-c",
        'trap "" XFSZ; ulimit -f 60; exec "$@"',
        "bash",
        sys.executable,
        "-m",
        "htr.finetune",
        str(source),
    ]
    done = subprocess.run(
        [*words, "--weights", str(parent), "--out", str(out), *QUICK, "epochs=2"], capture_output=True, text=True
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"error: {tmp_path / 'my.run'}")
    assert "Traceback" not in done.stderr
    assert sha256(parent) == before
    assert not out.exists()
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--out", "my.pt"], "my.pt: must end in .safetensors"),
        (["--out", "."], ".: must end in .safetensors"),
        (["--out", "{parent}"], "these are the weights to go on from"),
        (["--weights", "none.safetensors"], "none.safetensors: no such weights file"),
        (["epoch=3"], "there is no key epoch; did you mean epochs?"),
        (["--unread", "none"], "none: is no folder; give --unread one with pages that nobody transcribed"),
        (["alphabet=abc"], "alphabet: the lines and the weights to go on from decide this; leave it out"),
        (["trainer.max_steps=300"], "trainer: max_steps: training ends by epochs or minutes; give one of these"),
    ],
)
def test_wrong_words_are_named(run, parent, words, complaint, tmp_path):
    code, _, err = run(*[word.format(parent=parent) for word in words])
    assert (code, complaint in err) == (2, True), err
    assert not (tmp_path / "my.run").exists()


def test_a_folder_of_unread_pages_that_all_have_a_text_is_refused_before_pages_are_read(run, source, monkeypatch):
    monkeypatch.setattr("htr.finetuning.run.load_source", lambda *_: pytest.fail("pages are read"))
    code, _, err = run(*STAYS, "--unread", source)
    assert (code, "has no lines without a text, too few to learn from" in err) == (2, True), err


def test_a_run_of_other_lines_keeps_its_folder(run, source, tmp_path):
    assert run(*STAYS)[0] == 0
    (source / "page0" / "0.txt").write_text("another text")
    code, _, err = run(*STAYS)
    assert (code, "holds a run with other lines, unread pages, language, weights or values" in err) == (2, True)
    # All that is in the way is named at once.
    assert f"or delete this folder and {tmp_path / 'my.safetensors'} and {tmp_path / 'my.md'}" in err


def test_a_run_whose_lines_were_changed_says_what_to_do(run, tmp_path):
    assert run(*STAYS)[0] == 0
    table = tmp_path / "my.run" / "lines" / "lines.tsv"
    rows = table.read_text(encoding="utf-8").splitlines()
    fields = rows[1].split("\t")
    table.write_text(
        "\n".join([rows[0], "\t".join([fields[0], "mended", *fields[2:]]), *rows[2:], ""]), encoding="utf-8"
    )
    code, _, err = run(*STAYS)
    assert code == 2 and "my.run: was begun with other values" in err and "its lines were changed since" in err
    # Not that of a single training, which is no run of its own.
    assert (
        f"or delete this folder and {tmp_path / 'my.safetensors'} and {tmp_path / 'my.md'}" in err and "run=" not in err
    )


def test_notes_in_the_report_stay_where_the_command_is_repeated(run, tmp_path):
    assert run(*STAYS)[0] == 0
    page = tmp_path / "my.md"
    page.write_text(page.read_text(encoding="utf-8") + "Box 7, the letters of 1911.", encoding="utf-8")
    assert run(*STAYS)[0] == 0
    assert page.read_text(encoding="utf-8").endswith("Box 7, the letters of 1911.")


def test_a_damaged_note_of_a_run_is_named(run, tmp_path):
    (tmp_path / "my.run").mkdir()
    (tmp_path / "my.run" / "begun.json").touch()
    code, _, err = run(*STAYS)
    assert (code, "begun.json: damaged or cut short; delete " in err) == (2, True), err


def test_weights_that_are_there_are_not_written_over(run, tmp_path):
    (tmp_path / "my.safetensors").write_text("precious")
    code, _, err = run(*STAYS)
    assert (code, "is there already; choose another --out" in err) == (2, True)
    assert (tmp_path / "my.safetensors").read_text() == "precious"


def test_a_page_that_is_there_is_not_written_over_by_the_report(run, tmp_path):
    (tmp_path / "my.md").write_text("precious")
    code, _, err = run(*STAYS)
    assert (code, "my.md: is there already, where the report goes; choose another --out" in err) == (2, True)
    assert (tmp_path / "my.md").read_text() == "precious"


def test_two_at_a_time_do_not_mix_their_lines(source, parent, tmp_path, monkeypatch):
    monkeypatch.setattr("htr.finetuning.claim._WAIT", 0.1)
    claimed = partial(claim, source, tmp_path / "my.safetensors", load_weights(parent), [])
    (tmp_path / "my.run").mkdir()
    with (
        FileLock(tmp_path / "my.run" / "lock"),
        pytest.raises(InputError, match=r"my\.run: another fine-tuning is at work"),
    ):
        claimed()
    assert not (tmp_path / "my.run" / "begun.json").exists()
    assert claimed() == claimed() == tmp_path / "my.run"


def test_from_another_folder_the_same_run_goes_on(command_line, source, parent, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["--weights", parent.name, *STAYS]
    assert command_line(finetune.main, source.name, "--out", "my.safetensors", *words)[0] == 0
    began = (tmp_path / "my.run" / "all" / "summary.json").stat().st_mtime_ns
    monkeypatch.chdir(source)
    words = [source, "--out", tmp_path / "my.safetensors", "--weights", parent, *STAYS]
    assert command_line(finetune.main, *words)[0] == 0
    assert (tmp_path / "my.run" / "all" / "summary.json").stat().st_mtime_ns == began
    # All of it on another disk, or another machine.
    moved = tmp_path / "moved"
    moved.mkdir()
    monkeypatch.chdir(moved)
    for file in (source, parent, tmp_path / "my.run"):
        file.rename(moved / file.name)
    assert command_line(finetune.main, source.name, "--out", "my.safetensors", "--weights", parent.name, *STAYS)[0] == 0
    assert (moved / "my.run" / "all" / "summary.json").stat().st_mtime_ns == began


def test_an_alphabet_of_which_nothing_is_known_is_learnt(run, source, tmp_path, caplog):
    for number, file in enumerate(sorted(source.rglob("*.txt"))):
        file.write_text(f"ΑΒΓ ΔΕ ΖΗΘ ΙΚ ΛΜΝ {number}"[: 8 + number % 10], encoding="utf-8")
    assert run(*QUICK, "epochs=1", "drawn={}")[0] == 0
    assert "characters are new to the weights and are learnt: " in caplog.text
    learnt = load_weights(tmp_path / "my.run" / "all" / "model.safetensors")
    assert set("ΑΒΓΔΕΖΗΘΙΚΛΜΝ") <= set(learnt.alphabet.characters)


def test_lines_of_which_a_run_tells_nothing_are_not_taken_for_its_own(source, parent, tmp_path):
    write_lines(tmp_path / "my.run" / "lines", embedded_lines("train", 8))
    with pytest.raises(InputError, match="my.run/lines: holds lines of which nothing says where they are from"):
        claim(source, tmp_path / "my.safetensors", load_weights(parent), [])


def test_a_run_may_lie_among_its_lines_and_these_be_mended_until_it_begins(source, parent):
    weights, text = load_weights(parent), source / "page0" / "0.txt"
    claimed = partial(claim, source, source / "my.safetensors", weights, [])
    folder = claimed()
    text.write_text("a mended text")
    assert claimed() == folder
    (folder / "lines").mkdir()
    (folder / "lines" / "lines.tsv").write_text("file\ttext\n")
    (source / "my.safetensors").write_bytes(b"")
    assert claimed() == folder
    text.write_text("another text")
    with pytest.raises(InputError, match="holds a run with other lines, unread pages, language, weights or values"):
        claimed()


def test_a_training_with_unread_lines_takes_fewer_epochs_or_those_given(source, parent, tmp_path):
    def configs(lines, *words):
        read = Read(f"lines:{tmp_path}", lines, parent)
        return recipe(load_weights(parent), source, tmp_path, 100, 1.0, list(words), read)

    many, few = configs(900), configs(900, "epochs=20")
    assert [config.epochs for config in (many, few)] == [3, 20]
    assert many.passes == {f"lines:{source}": 3} and many.start == str(parent)
    assert many.trainer["check_val_every_n_epoch"] == 1
    assert configs(10).epochs == 18
    with pytest.raises(InputError, match="when the lines held out are read is decided here"):
        configs(900, "trainer.check_val_every_n_epoch=5")


@pytest.mark.parametrize("encoder", ["ppocrv6_small", "ppocrv6_small+tf_efficientnet_lite0"])
def test_an_encoder_that_has_learnt_to_read_changes_less_of_itself(source, parent, tmp_path, encoder):
    usual = load_weights(parent)
    network = {**usual.header.network, "encoder": encoder}
    reader = replace(usual, header=replace(usual.header, network=network))
    slower, usually = (recipe(weights, source, tmp_path, 100, 1.0, []) for weights in (reader, usual))
    assert slower.encoder_learning_rate < usually.encoder_learning_rate
    assert slower.epochs < usually.epochs and slower.learning_rate == usually.learning_rate
    assert pace(usual).share < pace(reader).share < 1


def test_what_htr_made_since_does_not_make_it_another_run(source, parent, tmp_path):
    claimed = partial(claim, source, tmp_path / "my.safetensors", load_weights(parent), [])
    (claimed() / "lines").mkdir()
    (tmp_path / "my.run" / "lines" / "lines.tsv").write_text("file\ttext\n")
    (source / "other.run" / "lines").mkdir(parents=True)
    (source / "other.run" / "lines" / "00000.png").write_bytes(b"")
    (source / "other.run" / "begun.json").write_bytes(b"")
    (source / "page.overlay.jpg").write_bytes(b"")
    assert claimed() == tmp_path / "my.run"


def test_unread_lines_of_a_run_that_came_to_nothing_are_not_those_of_the_next(source, parent, tmp_path):
    for name in ("some", "others"):
        (tmp_path / name).mkdir()
    claimed = partial(claim, out=tmp_path / "my.safetensors", parent=load_weights(parent), overrides=[])
    table = claimed(source, unread=tmp_path / "some") / "unread" / "lines.tsv"
    table.parent.mkdir()
    table.write_text("file\ttext\n")
    claimed(None, unread=tmp_path / "others")
    assert not table.exists()


def test_a_copy_of_the_folder_is_the_same_run(source, parent, tmp_path):
    claimed = partial(claim, out=tmp_path / "my.safetensors", parent=load_weights(parent), overrides=[])
    (claimed(source) / "lines").mkdir()
    (tmp_path / "my.run" / "lines" / "lines.tsv").write_text("file\ttext\n")
    copy = tmp_path / "copy"
    shutil.copytree(source, copy, copy_function=shutil.copyfile)  # with the times of today
    assert claimed(copy)
    next(copy.rglob("*.txt")).write_text("another text")
    with pytest.raises(InputError, match="holds a run with other lines"):
        claimed(copy)


def test_weights_that_know_the_folder_are_told_of(source, parent, tmp_path, caplog):
    weights = load_weights(parent)
    taught = replace(
        weights.header,
        training={
            "data": [source.name],
            "train_lines": 24,
            "averaged": "0.65 of what was learnt, the rest of parent",
            "parent": weights.ancestry(),
        },
    )
    save_weights(tmp_path / "taught.safetensors", weights.network, taught)
    # The folder itself, the folder above it, and one within it: it is natural to add to what was learnt.
    within = source / "more" / "new"
    within.mkdir(parents=True)
    for folder in (source, source.parent, within):
        caplog.clear()
        assert tell_taught(folder, load_weights(tmp_path / "taught.safetensors")) == [source.name]
        assert f"has learnt from {source.name}, and may know lines that are held out" in caplog.text
        assert f"to learn all together, go on from {parent} (--weights)" in caplog.text
    # Where the first weights are elsewhere, they are told by name and checksum.
    (tmp_path / "elsewhere").mkdir()
    moved = tmp_path / "elsewhere" / "taught.safetensors"
    (tmp_path / "taught.safetensors").rename(moved)
    caplog.clear()
    tell_taught(source, load_weights(moved))
    assert f"came (parent.safetensors, {sha256(parent)[:12]}…)" in caplog.text
    caplog.clear()
    assert tell_taught(tmp_path / "elsewhere", load_weights(moved)) == []
    assert not caplog.text


def test_other_unread_pages_are_another_run(source, parent, tmp_path):
    pages = tmp_path / "pages"
    pages.mkdir()
    claimed = partial(claim, source, tmp_path / "my.safetensors", load_weights(parent), [])
    (claimed(pages) / "lines").mkdir()
    (tmp_path / "my.run" / "lines" / "lines.tsv").write_text("file\ttext\n")
    assert claimed(pages)
    (pages / "new.png").write_bytes(b"")
    for given in ([pages], [None], [None, "none"]):
        with pytest.raises(InputError, match="holds a run with other lines, unread pages, language, weights or values"):
            claimed(*given)


@pytest.mark.parametrize(
    ("words", "epochs", "every"), [([], 60, 5), (["minutes=3"], 60, 1), (["epochs=31"], 31, 1), (["epochs=55"], 55, 1)]
)
def test_the_end_comes_after_a_look_at_the_held_out_lines(source, parent, tmp_path, words, epochs, every):
    """Else the last weights would not be compared."""
    config = recipe(load_weights(parent), source, tmp_path, 10, 1.0, words)
    assert (config.epochs, config.trainer["check_val_every_n_epoch"]) == (epochs, every)


@pytest.mark.parametrize(
    ("held_out", "whole", "word"),
    [
        (7, 40.0, "too few held-out lines to say whether more lines would help"),
        (8, 40.0, "more lines will help."),
        (8, 46.0, "more lines will help a little"),
        (8, 49.0, "more lines of this kind would hardly help"),
        (8, 60.0, "which says nothing of more lines"),
    ],
)
def test_whether_more_lines_would_help(held_out, whole, word):
    curve = [{"lines": 0, "CER": 60.0}, {"lines": 20, "CER": 50.0}, {"lines": 40, "CER": whole}]
    assert word in more_lines(SimpleNamespace(curve=curve, lines={"held out": held_out}, unread=None))


@pytest.mark.parametrize(
    ("held_out", "helped", "harms"),
    [(3, 12.0, False), (3, 40.0, True), (20, 12.0, True), (20, 10.5, False), (20, 9.0, False)],
)
def test_a_few_characters_in_a_few_lines_do_not_speak_against_a_language(held_out, helped, harms):
    scores = {name: {"CER": {"value": value}} for name, value in (("scores", 10.0), ("scores_with_language", helped))}
    after = {**scores, "characters": 50 * held_out}
    outcome = SimpleNamespace(language=["english"], after=after, lines={"held out": held_out})
    assert language_harms(outcome) is harms


@pytest.mark.parametrize(
    ("after", "before", "passes"),
    [(4.0, 5.0, True), (5.0, 5.0, False), (0.0, 0.0, True), (89.0, 95.0, True), (90.0, 95.0, False)],
)
def test_weights_pass_that_read_better_or_without_an_error(after, before, passes):
    figures = [{"scores": {"CER": {"value": value}}} for value in (after, before)]
    assert _passes(*figures) is passes


def test_the_first_mixture_that_passes_is_taken(monkeypatch):
    """If what all lines taught failed, what passed without those held out is there, and else what was learnt alone."""
    rates = {"both at 0.8": 41.0, "both at 1": 39.0, "one at 0.8": 40.0, "one at 1": 12.0}
    made = []
    monkeypatch.setattr(
        finetuning, "mix", lambda _, tuned, out, share: made.append(f"{'both' if tuned[1:] else 'one'} at {share:g}")
    )
    monkeypatch.setattr(finetuning, "_read", lambda out, checks: [{"scores": {"CER": {"value": rates[made[-1]]}}}])
    before = {"scores": {"CER": {"value": 40.0}}}

    def taken(*choices):
        made.clear()
        mixture = finetuning._mixed(None, choices, "mixed", [("lines", "val", "none")], before)
        assert (["one", "two"][: len(mixture.tuned)], mixture.share) == choices[len(made) - 1]
        return made[-1]

    assert taken((["one", "two"], 1), (["one"], 1)) == "both at 1"
    assert taken((["one", "two"], 0.8), (["one"], 1)) == "one at 1"
    assert taken((["one"], 0.8), (["one"], 1.0)) == "one at 1"  # no better than before is not enough
    assert taken((["one", "two"], 0.8), (["one"], 0.8)) == "one at 0.8"  # the last, whatever it is


def test_mistakes_are_counted_all_not_the_commonest_alone():
    def readings(rare):
        common = [{"truth": chr(0x100 + number), "reading": "x"} for number in range(60) for _ in range(3)]
        return {"readings": common + rare * [{"truth": "i", "reading": "l"}]}

    assert _mended(readings(5), readings(2)) == [{"true": "i", "read": "l", "before": 5, "after": 2}]


def test_a_file_in_place_of_a_folder_begins_nothing(tmp_path, command_line):
    (tmp_path / "page.png").touch()
    code, _, err = command_line(finetune.main, tmp_path / "page.png", "--out", tmp_path / "my.safetensors")
    assert (code, err.count("error:")) == (2, 1)
    assert "page.png: is a file; unpack it if it is packed, and give the folder that it lies in" in err
    assert not (tmp_path / "my.run").exists()


@pytest.mark.parametrize("name", ["page0/0.txt", "lines.csv"])
def test_lines_whose_texts_were_corrected_are_others(source, parent, tmp_path, name):
    """Also where the new text is as long as the old one."""
    file = source / name
    file.write_text("file,text\npage0/0.png,a small word\n")
    os.utime(file, (1_000_000_000, 1_000_000_000))
    claimed = partial(claim, source, tmp_path / "my.safetensors", load_weights(parent), [])
    (claimed() / "lines").mkdir()
    (tmp_path / "my.run" / "lines" / "lines.tsv").write_text("file\ttext\n")
    assert claimed() == tmp_path / "my.run"
    file.write_text(file.read_text().replace("small", "tall "))
    with pytest.raises(InputError, match="holds a run with other lines, unread pages, language, weights or values"):
        claimed()


def test_of_mended_mistakes_those_come_first_of_which_most_are_gone():
    def readings(**counts):
        return {"readings": [{"truth": true, "reading": "x"} for true, count in counts.items() for _ in range(count)]}

    mended = _mended(readings(a=9, b=5, c=4, d=3), readings(a=8, b=1, c=4, d=1))
    assert [(row["true"], row["before"], row["after"]) for row in mended] == [("b", 5, 1), ("d", 3, 1), ("a", 9, 8)]


def test_a_stop_while_lines_are_read_is_told(run, monkeypatch, caplog):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(finetuning, "evaluate_lines", stop)
    assert run(*QUICK)[0] == 130
    assert [record.getMessage() for record in caplog.records][-1] == "stopped; the same command goes on"


def test_a_stop_before_there_are_lines_to_learn_is_told(run, monkeypatch, caplog):
    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(finetuning, "_gather", stop)
        code, _, _ = run(*QUICK)
    assert code == 130 and "stopped before there were lines to learn; the same command begins again" in caplog.text
    assert "goes on" not in caplog.text
