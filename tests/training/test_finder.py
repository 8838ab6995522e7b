import csv
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import timm
import torch
import yaml
from safetensors.torch import load_file, save_file
from torch.utils.data import default_collate

from htr import train_finder as command
from htr.corpora.composed import Composed, Composer
from htr.corpora.embedded import embedded_lines
from htr.corpora.iam import load_iam
from htr.corpora.sample import Sample
from htr.errors import InputError
from htr.pages.lines import LineFinder
from htr.pages.segmenter import Segmenter, SegmenterHeader, load_segmenter, save_segmenter
from htr.training.config import FinderConfig, load_config
from htr.training.finder import ComposedPages, FinderTraining, Numbers, Pieces, split, train_finder
from htr.weights import MODELS, load_weights, sha256

CONFIG = Path(__file__).parents[2] / "configs" / "finder.yaml"


@pytest.fixture
def tiny(iam_folder, tmp_path) -> list[str]:
    """Values of a run of a few seconds."""
    return [
        f"run={tmp_path / 'run'}", f"data=iam:{iam_folder}", "encoder=lcnet_035", "pretrained=none", "channels=8",
        "side=64", "batch=2", "epochs=2", "epoch_steps=4", "workers=0", "trainer.enable_progress_bar=false",
    ]  # fmt: skip


def config_of(words: list[str], *more: str) -> FinderConfig:
    return load_config(CONFIG, [*words, *more], FinderConfig)


def figures(folder: Path, name: str) -> list[float]:
    """A figure of each validation, in the order of the logs of all starts."""
    found = []
    for log in sorted((folder / "logs").glob("version_*/metrics.csv")):
        with log.open() as file:
            found += [float(row[name]) for row in csv.DictReader(file) if row.get("val_cores")]
    return found


# -- what is learnt from


def test_the_class_of_a_turn_is_the_quarters_clockwise():
    upright = np.zeros((64, 64), np.uint8)
    upright[:16, :16] = 255  # white in the upper left
    pieces = Pieces(lambda seed: Composed(upright, np.zeros((2, 16, 16), np.uint8)), seed=1, turned=0.9)
    corners = {0: (0, 0), 1: (0, -1), 2: (-1, -1), 3: (-1, 0)}
    seen = set()
    for index in range(40):
        picture, cores, quarters = pieces[index]
        assert (picture.shape, cores.shape) == ((1, 64, 64), (2, 16, 16))
        assert picture[0][corners[quarters]] == 1
        assert picture.sum() == 16 * 16
        # What the line finder does to see the page upright.
        assert np.array_equal(np.rot90(picture[0], quarters) * 255, upright)
        seen.add(quarters)
    assert seen == {0, 1, 2, 3}


def test_pieces_are_numbered_and_the_same_each_time():
    composer = Composer(embedded_lines("train", 7), 64)
    first, again, other = Pieces(composer, 1, 0.3), Pieces(composer, 1, 0.3), Pieces(composer, 2, 0.3)
    again[4]
    assert torch.equal(first[5][0], again[5][0])
    assert not torch.equal(first[5][0], first[6][0])
    assert not torch.equal(first[5][0], other[5][0])


def test_no_piece_comes_twice_in_a_run():
    shares = [Numbers(count=5, rank=rank, ranks=2) for rank in (0, 1)]
    numbers = []
    for epoch in range(3):
        for share in shares:
            share.set_epoch(epoch)
            numbers += list(share)
            assert len(share) == 5
    assert sorted(numbers) == list(range(30))


def test_no_hand_is_in_training_and_validation(iam_folder):
    train, val = split(load_iam(iam_folder), seed=1)
    assert len(train) == len(val) == 12  # of the two forms of the train split one is held out
    assert not {sample.form for sample in train} & {sample.form for sample in val}
    assert {sample.split for sample in train + val} == {"train"}
    many = [Sample(str(i), "a", "train", np.array, form=str(i // 2)) for i in range(200)]
    assert len(split(many, seed=1)[1]) == 10
    assert split(many, seed=1) != split(many, seed=2)


def test_the_embedded_sample_can_be_learnt_from():
    train, val = split(embedded_lines("train", 21), seed=1)
    config = FinderConfig(run="run", data=["sample"], side=64)
    picture, _, _ = ComposedPages(train, val, config).train[0]
    assert picture.shape == (1, 64, 64)


# -- a run


def test_a_run_leaves_weights_config_log_and_summary(tiny):
    config = config_of(tiny)
    summary = train_finder(config)
    folder = Path(config.run)
    assert json.loads((folder / "summary.json").read_text()) == summary
    assert yaml.safe_load((folder / "config.yaml").read_text())["encoder"] == "lcnet_035"
    assert summary["weights_sha256"] == sha256(folder / "finder.safetensors")
    assert (summary["epochs"], summary["steps"], summary["train_lines"], summary["val_lines"]) == (2, 8, 12, 12)
    assert figures(folder, "epoch") == [0, 1]
    assert summary["val_cores"] == pytest.approx(figures(folder, "val_cores")[-1], abs=1e-4)
    page = LineFinder(load_segmenter(folder / "finder.safetensors")).find(np.full((300, 200), 255, np.uint8)).page
    assert (page.width, page.height) == (200, 300)


def test_a_finished_run_is_not_run_again_and_another_may_not_take_its_folder(tiny):
    summary = train_finder(config_of(tiny))
    assert train_finder(config_of(tiny, "workers=1")) == summary
    with pytest.raises(InputError, match="holds a run with other settings"):
        train_finder(config_of(tiny, "turned=0.1"))


def test_stopped_and_started_again_it_comes_to_the_same_end(tiny, tmp_path, monkeypatch):
    """A process of its own that puts pages together begins with them before the epoch is told."""
    whole = train_finder(config_of(tiny, f"run={tmp_path / 'whole'}", "workers=1"))
    config = config_of(tiny, "workers=1")
    step = FinderTraining.training_step

    def cut_off(training, batch, index):
        if training.current_epoch == 1:
            raise ZeroDivisionError
        return step(training, batch, index)

    with monkeypatch.context() as patch:
        patch.setattr(FinderTraining, "training_step", cut_off)
        with pytest.raises(ZeroDivisionError):
            train_finder(config)
    summary = train_finder(config)
    assert figures(Path(config.run), "epoch") == [0, 1]
    assert summary["steps"] == whole["steps"]
    once, twice = load_file(whole["weights"]), load_file(summary["weights"])
    assert all(torch.equal(once[name], twice[name]) for name in once)


def test_a_training_without_a_validation_is_refused(tiny):
    with pytest.raises(InputError, match="check_val_every_n_epoch: 0 is too few; give more"):
        train_finder(config_of(tiny, "trainer.check_val_every_n_epoch=0"))


def test_lightning_may_be_asked_for_fewer_steps(tiny):
    short = config_of(tiny, "epochs=1", "trainer.limit_train_batches=1")
    assert train_finder(short)["steps"] == 1


def test_killed_just_before_the_end_it_is_brought_to_its_end(tiny):
    summary = train_finder(config_of(tiny))
    (Path(summary["config"]["run"]) / "summary.json").unlink()
    assert train_finder(config_of(tiny)) == summary


def test_a_few_pieces_are_learnt_by_heart():
    """Both maps and the turns of the pieces, by the losses and rates of a run."""
    torch.manual_seed(1)
    pieces = Pieces(Composer(embedded_lines("train", 7), 128), seed=1, turned=0.3)
    pictures, cores, quarters = default_collate([pieces[index] for index in range(8)])
    upright = quarters == 0
    assert 0 < upright.sum() < 8
    config = FinderConfig(
        run="run", data=["sample"], epochs=1, epoch_steps=60, learning_rate=1e-2, encoder_learning_rate=1e-2
    )
    training = FinderTraining(Segmenter("lcnet_035", 16), config)
    training.log_dict = lambda *_, **__: None
    training.trainer = SimpleNamespace(estimated_stepping_batches=60)
    learning = training.configure_optimizers()
    for _ in range(config.epoch_steps):
        learning["optimizer"].zero_grad()
        training.training_step((pictures, cores, quarters), 0).backward()
        learning["optimizer"].step()
        learning["lr_scheduler"]["scheduler"].step()
    with torch.no_grad():
        logits, turns = training.network(pictures)
    truth, found = cores[upright] > 0.5, logits[upright] > 0
    assert (truth & found).sum() > 0.5 * (truth | found).sum()
    assert torch.equal(turns.argmax(1), quarters)


def test_the_first_layers_of_pretrained_encoders_stay(tiny, tmp_path):
    weights = timm.create_model("lcnet_035", in_chans=1).state_dict()
    torch.save(weights, tmp_path / "encoder.pth")
    summary = train_finder(config_of(tiny, f"pretrained={tmp_path / 'encoder.pth'}", "epochs=1"))
    learnt = load_file(summary["weights"])
    assert summary["encoder_weights"] == "encoder.pth"
    for name, stays in (
        ("conv_stem.weight", True),
        ("blocks.0.0.conv_dw.weight", True),
        ("blocks.2.0.conv_dw.weight", False),
    ):
        assert torch.equal(learnt[f"encoder.{name}"], weights[name].half()) == stays, name


def test_the_command_says_what_came_of_it(tiny, command_line):
    code, out, _ = command_line(command.main, "--config", CONFIG, *tiny, "epochs=1")
    assert code == 0
    assert "validation: cores of writing found with an overlap (IoU) of" in out
    assert "finder.safetensors" in out and "came to its end" not in out
    code, again, _ = command_line(command.main, "--config", CONFIG, *tiny, "epochs=1")
    assert code == 0 and "run: this run came to its end on 20" in again and again.endswith(out)


# -- what cannot be used


@pytest.mark.parametrize(
    ("word", "complaint"),
    [
        ("epoch=1", "no key epoch; did you mean epochs"),
        ("epochs=0", "epochs: 0 is out of range"),
        ("side=100", "side: 100 is not a multiple of 32"),
        ("batch=two", "batch: 'two' is not a whole number"),
        ("turned=1.0", "turned: 1.0 is out of range"),
        ("data=[]", r"data: \[\] names no corpora"),
        ("data=[7]", r"data: \[7\] names no corpora"),
        ("data=[sample, lines:a, sample]", "data: names sample twice"),
        ("data=[lines:a/, sample, lines:./a]", "data: names lines:a/ twice"),
        ("data=", "data: has no value; give a list"),
        ("data=nowhere", "nowhere: no such corpus"),
        ("data=lines:nowhere", "nowhere: no such folder"),
        ("encoder=no_such_net", "encoder: no_such_net cannot be used"),
        ("encoder=vit_tiny_patch16_224", r"encoder: vit_tiny_patch16_224 cannot be used \(its strides are"),
        ("pretrained=nowhere.pth", r"nowhere\.pth: no such file of encoder weights"),
        ("trainer.no_such=1", "trainer: .*no_such"),
    ],
)
def test_wrong_values_exit_with_2_and_one_sentence(tiny, command_line, word, complaint):
    code, _, err = command_line(command.main, "--config", CONFIG, *tiny, word)
    assert code == 2
    assert len([line for line in err.splitlines() if line.startswith("error: ")]) == 1
    with pytest.raises(InputError, match=complaint):
        raise InputError(err)


def test_too_little_data_is_named():
    sample = Sample("a", "a", "train", np.array, form="p1")
    with pytest.raises(InputError, match="has 1 train lines of 1 pages or writers"):
        split([sample], seed=1)
    with pytest.raises(InputError, match="has 0 train lines"):
        split([Sample("a", "a", "test", np.array)], seed=1)


# -- weights files


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "finder.safetensors"
    save_segmenter(path, Segmenter("lcnet_035", 8), SegmenterHeader("lcnet_035", 8, {"seed": 3}))
    return path


def test_weights_round_trip(file):
    network = Segmenter("lcnet_035", 8).eval()
    save_segmenter(file, network, SegmenterHeader("lcnet_035", 8))
    loaded = load_segmenter(file)
    assert not loaded.training
    pages = torch.rand(1, 1, 64, 96)
    for once, again in zip(network(pages), loaded(pages), strict=True):
        assert torch.allclose(once, again, atol=0.02)  # matrices are kept in half precision


def test_unusable_weights_are_named(file, tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.safetensors: no such weights file"):
        load_segmenter("nowhere.safetensors")
    with pytest.raises(InputError, match=r"iam\.safetensors: .* give a file that htr\.train_finder wrote"):
        load_segmenter(MODELS / "iam.safetensors")
    with pytest.raises(InputError, match=r"finder\.safetensors: .* give a file that htr\.train wrote"):
        load_weights(file)
    save_file(load_file(file), tmp_path / "new.safetensors", {"format": "htr-finder", "version": "2", "header": "{}"})
    with pytest.raises(InputError, match="version 2, this program reads version 1"):
        load_segmenter(tmp_path / "new.safetensors")
    save_file(load_file(file), tmp_path / "bad.safetensors", {"format": "htr-finder", "version": "1", "header": "{}"})
    with pytest.raises(InputError, match=r"bad\.safetensors: damaged weights file"):
        load_segmenter(tmp_path / "bad.safetensors")
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(InputError, match="not a weights file, or cut short"):
        load_segmenter(file)
