from dataclasses import replace

import cv2
import pytest
import torch

from htr import average, join
from htr.corpora.embedded import embedded_lines
from htr.lineimage import collate, prepare
from htr.network import Recogniser
from htr.training import averaging, norms
from htr.weights import Header, load_weights, save_weights

NETWORK = {"encoder": "lcnet_035", "width_stride": 8, "lstm_layers": 1, "lstm_units": 8, "neck_channels": 8}


@pytest.fixture
def weights(tmp_path):
    """Makes weights files of small networks, each drawn by its seed."""

    def write(name, seed, alphabet="ab", **network):
        torch.manual_seed(seed)
        arguments = {**NETWORK, **network}
        header = Header(
            alphabet, 32, arguments, {"data": ["sample", f"lines:{seed}"], "seed": seed, "val_cer": 10.0, "steps": 7}
        )
        save_weights(tmp_path / name, Recogniser(classes=len(alphabet) + 1, **arguments).eval(), header)
        return tmp_path / name

    return write


@pytest.fixture
def corpus(tmp_path):
    """A train line and one to validate by."""
    folder = tmp_path / "letters"
    folder.mkdir()
    rows = ["file\ttext\tsplit"]
    for split in ("train", "val"):
        [line] = embedded_lines(split, 1)
        cv2.imwrite(str(folder / f"{split}.png"), line.image())
        rows.append(f"{split}.png\t{line.text}\t{split}")
    (folder / "lines.tsv").write_text("\n".join(rows) + "\n")
    return folder


def test_weights_are_averaged_and_the_norms_are_those_of_the_train_lines(weights, corpus, tmp_path, command_line):
    files = [weights("one.safetensors", 1), weights("two.safetensors", 2, dropout=0.5)]
    out = tmp_path / "new" / "average.safetensors"
    code, printed, err = command_line(average.main, *files, "--data", f"lines:{corpus}", "--out", out)
    assert code == 0, err
    assert "1 line" in printed
    one, two, both = (load_weights(file) for file in (*files, out))
    middle = (one.network.head.weight + two.network.head.weight) / 2
    assert torch.allclose(both.network.head.weight, middle, atol=1e-3)
    # The first norm's, worked out from what the first convolution makes of the line.
    images, _ = collate([prepare(cv2.imread(str(corpus / "train.png"), cv2.IMREAD_GRAYSCALE), 32).picture], 8)
    with torch.no_grad():
        seen = both.network.encoder.conv_stem(images)
    norm = both.network.encoder.bn1
    assert norm.running_mean.abs().max() > 0.01
    assert torch.allclose(norm.running_mean, seen.mean((0, 2, 3)), rtol=0.02, atol=1e-3)
    assert torch.allclose(norm.running_var, seen.var((0, 2, 3)), rtol=0.05, atol=1e-4)
    # It says whence it is, and nothing that was true of one training alone.
    training = both.header.training
    assert [entry["sha256"] for entry in training["averaged"]] == [one.sha256, two.sha256]
    assert training["norms"] == {"data": ["lines:letters"], "lines": 1}
    assert training["data"] == ["sample", "lines:1", "lines:2"]
    assert {"val_cer", "steps", "seed", "config"}.isdisjoint(training)
    assert [entry["training"] for entry in training["averaged"]] == [one.header.training, two.header.training]


def test_headers_stay_small_however_many_averages_come_of_each_other(weights, corpus, tmp_path, command_line):
    start, sizes = weights("start.safetensors", 0), []
    for stage in range(4):
        parent, files = load_weights(start), []
        for seed in (1, 2):
            files.append(tmp_path / f"{stage}-{seed}.safetensors")
            training = {"data": [f"lines:{stage}{seed}"], "parent": parent.ancestry()}
            save_weights(files[-1], parent.network, replace(parent.header, training=training))
        start = tmp_path / f"stage{stage}.safetensors"
        assert command_line(average.main, *files, "--data", f"lines:{corpus}", "--out", start)[0] == 0
        training = load_weights(start).header.training
        sizes.append(len(str(training)))
    assert sizes[3] - sizes[2] < 500
    # What was learnt on the way is all told.
    assert {"sample", *(f"lines:{stage}{seed}" for stage in range(4) for seed in (1, 2))} <= set(training["data"])


def test_files_that_do_not_belong_together_are_named(weights, corpus, tmp_path, command_line):
    first = weights("first.safetensors", 1)
    others = {
        "alphabet": weights("letters.safetensors", 2, alphabet="abc"),
        "lstm_units": weights("larger.safetensors", 3, lstm_units=16),
    }
    for name, other in others.items():
        out = tmp_path / "out.safetensors"
        code, _, err = command_line(average.main, first, other, "--data", f"lines:{corpus}", "--out", out)
        assert code == 2 and f"{other}: its {name} is another than that of {first}" in err
        assert not out.exists()


def test_what_is_there_is_not_written_over(weights, corpus, command_line):
    file = weights("one.safetensors", 1)
    before = file.read_bytes()
    code, _, err = command_line(average.main, file, "--data", f"lines:{corpus}", "--out", file)
    assert code == 2 and "is there already" in err and file.read_bytes() == before


def test_of_large_corpora_so_many_lines_are_taken_that_small_ones_count_too(weights, corpus, tmp_path, monkeypatch):
    large = tmp_path / "large"
    large.mkdir()
    for number in range(5):
        (large / f"{number}.png").write_bytes((corpus / "train.png").read_bytes())
    rows = [f"{number}.png\tsome words\ttrain\n" for number in range(5)]
    (large / "lines.tsv").write_text("file\ttext\tsplit\n" + "".join(rows))
    monkeypatch.setattr(norms, "LINES", 3)
    out = tmp_path / "out.safetensors"
    count = averaging.average([weights("one.safetensors", 1)], [f"lines:{large}", f"lines:{corpus}"], out)
    assert count == load_weights(out).header.training["norms"]["lines"] == 3 + 1


def test_weights_that_did_not_go_on_from_one_file_are_warned_of(weights, corpus, tmp_path, caplog):
    one, two = weights("one.safetensors", 1), weights("two.safetensors", 2)
    start = load_weights(one)
    header = replace(start.header, training={"parent": start.ancestry()})
    save_weights(tmp_path / "on.safetensors", start.network, header)
    averaging.average([one, tmp_path / "on.safetensors"], [f"lines:{corpus}"], tmp_path / "both.safetensors")
    averaging.average(
        [tmp_path / "both.safetensors", tmp_path / "on.safetensors"], [f"lines:{corpus}"], tmp_path / "all.safetensors"
    )
    assert "did not go on from one file" not in caplog.text
    averaging.average([one, two], [f"lines:{corpus}"], tmp_path / "apart.safetensors")
    assert "apart.safetensors: by what they tell, these weights did not go on from one file" in caplog.text


def logits(file, alphabet):
    """What weights say of some columns, the blank first, and then the characters of an alphabet in its order."""
    weights = load_weights(file)
    torch.manual_seed(0)
    with torch.no_grad():
        said, _ = weights.network(torch.rand(2, 1, 32, 64))
    return said[:, :, [0, *weights.alphabet.encode(alphabet)]]


def test_recognisers_side_by_side_say_the_mean_of_what_they_say(weights, corpus, tmp_path, command_line):
    files = [
        weights("one.safetensors", 1),
        weights("two.safetensors", 2, alphabet="ba", encoder="mobilenetv3_small_050", dropout=0.5),
    ]
    out, uneven, three = (tmp_path / f"{name}.safetensors" for name in ("out", "uneven", "three"))
    assert command_line(join.main, *files, "--out", out)[0] == 0
    one, two = (logits(file, "ab") for file in files)
    assert torch.allclose(logits(out, "ab"), (one + two) / 2, atol=0.02)
    assert command_line(join.main, *files, "--shares", 0.7, 0.3, "--out", uneven)[0] == 0
    assert torch.allclose(logits(uneven, "ab"), 0.7 * one + 0.3 * two, atol=0.02)
    # Each of three counts a third, also where two of them come in one file.
    last = weights("last.safetensors", 3)
    assert command_line(join.main, last, out, "--shares", 1 / 3, 2 / 3, "--out", three)[0] == 0
    assert torch.allclose(logits(three, "ab"), (one + two + logits(last, "ab")) / 3, atol=0.02)
    header = load_weights(three).header
    assert header.network["encoder"] == "lcnet_035+lcnet_035+mobilenetv3_small_050"
    assert header.training["data"] == ["sample", "lines:3", "lines:1", "lines:2"]
    assert [entry["file"] for entry in header.training["averaged"]] == ["last.safetensors", "out.safetensors"]
    # Such recognisers can be averaged in their turn, which is no matter of shares any more.
    mean = tmp_path / "mean.safetensors"
    assert command_line(average.main, out, uneven, "--data", f"lines:{corpus}", "--out", mean)[0] == 0
    assert {"shares", "norms"} & set(load_weights(mean).header.training) == {"norms"}


def test_the_first_of_recognisers_side_by_side_says_which_characters_are_read(weights, tmp_path, command_line, caplog):
    first, more, fewer = (weights(f"{a}.safetensors", 1, alphabet=a) for a in ("ab", "xbya", "a"))
    out = tmp_path / "out.safetensors"
    assert command_line(join.main, first, more, "--out", out)[0] == 0
    assert load_weights(out).alphabet.characters == "ab"
    assert torch.allclose(logits(out, "ab"), (logits(first, "ab") + logits(more, "ab")) / 2, atol=0.02)
    assert "new to these weights" not in caplog.text
    assert command_line(join.main, first, fewer, "--out", tmp_path / "other.safetensors")[0] == 0
    assert f"{fewer}: 1 characters are new to these weights: b" in caplog.text


def test_recognisers_that_cannot_be_side_by_side_are_named(weights, tmp_path, command_line):
    first = weights("first.safetensors", 1)
    larger, out = weights("larger.safetensors", 3, lstm_units=16), tmp_path / "out.safetensors"
    code, _, err = command_line(join.main, first, "--out", out)
    assert code == 2 and "is one recogniser alone; give two or more" in err
    code, _, err = command_line(join.main, first, larger, "--out", out)
    assert code == 2 and f"{larger}: its lstm_units is another" in err and "differ in their encoder alone" in err
    for shares in ([1], [0.5, 0.4], [1.5, -0.5], ["nan", "nan"]):
        code, _, err = command_line(join.main, first, first, "--out", out, "--shares", *shares)
        assert code == 2 and "--shares" in err
    assert not out.exists()
