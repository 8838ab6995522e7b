import csv
import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import lightning as L
import numpy as np
import pytest
import torch
import yaml

from htr.benchmark.lines import evaluate_lines
from htr.corpora import load_corpus
from htr.corpora.sample import Sample
from htr.errors import InputError
from htr.finetuning.lines import write_lines
from htr.training import run as run_module
from htr.training.config import TrainConfig, load_config
from htr.training.data import WidthBatches
from htr.training.folder import OtherRun, claim
from htr.training.loop import WholeStates, make_trainer
from htr.training.module import Training, schedule
from htr.training.run import BestWeights, Spelt, train
from htr.weights import load_weights, sha256

CONFIG = Path(__file__).parents[2] / "configs" / "iam.yaml"


def command(words: list[str]) -> list[str]:
    return [sys.executable, "-m", "htr.train", "--config", str(CONFIG), *words]


def epochs_logged(folder: Path) -> list[int]:
    """Epochs with a validation, in the order of the logs of all starts."""
    epochs = []
    for log in sorted((folder / "logs").glob("version_*/metrics.csv")):
        with log.open() as file:
            epochs += [int(row["epoch"]) for row in csv.DictReader(file) if row.get("val_cer")]
    return epochs


def test_learning_rate_rises_then_falls_to_zero():
    assert schedule(0.025, 0.05) == pytest.approx(0.5)
    assert schedule(0.05, 0.05) == pytest.approx(1.0)
    assert schedule(0.525, 0.05) == pytest.approx(0.5)
    assert schedule(1.0, 0.05) == pytest.approx(0.0)


def test_learning_rates_follow_the_time_where_it_ends_a_run(tiny_config, monkeypatch):
    config = load_config(CONFIG, [*tiny_config, "minutes=1"])
    module = Training(load_weights("small").network, load_weights("small").alphabet, config)
    groups = [{"peak": 1.0}, {"peak": 0.2}]
    clock = SimpleNamespace(global_step=2, estimated_stepping_batches=100)
    clock.strategy = SimpleNamespace(broadcast=lambda value: value)
    monkeypatch.setattr(Training, "trainer", clock)
    monkeypatch.setattr(Training, "global_step", 2)
    monkeypatch.setattr(module, "optimizers", lambda: SimpleNamespace(param_groups=groups))
    monkeypatch.setattr(module, "seconds", lambda: 45.0)
    module.on_train_batch_start(None, 0)
    share = schedule(0.75, config.warmup)
    assert [group["lr"] for group in groups] == pytest.approx([share, 0.2 * share])


def test_steps_are_no_longer_than_asked_for(tmp_path):
    """The largest norm of the gradient; 0 is none."""
    for clip, largest in ((0.5, 0.5), (0.0, None)):
        config = TrainConfig(run="run", data=["sample"], clip=clip, trainer={"accelerator": "cpu"})
        assert make_trainer(config, tmp_path).gradient_clip_val == largest


def test_a_run_leaves_weights_config_log_and_summary(tiny_config):
    config = load_config(CONFIG, tiny_config)
    summary = train(config)
    folder = Path(config.run)
    weights = load_weights(folder / "model.safetensors")
    assert summary["weights_sha256"] == weights.sha256 == sha256(folder / "model.safetensors")
    assert json.loads((folder / "summary.json").read_text()) == summary
    assert yaml.safe_load((folder / "config.yaml").read_text())["encoder"] == "lcnet_035"
    assert (summary["epochs"], summary["train_lines"], summary["val_lines"]) == (2, 24, 12)
    assert weights.header.training["seed"] == 1
    assert weights.header.training["val_cer"] == round(summary["val_cer"], 3)
    assert epochs_logged(folder) == [0, 1]
    assert list((folder / "logs").glob("version_0/events.out.tfevents.*"))


def test_norms_are_measured_anew_in_the_end_and_kept_where_the_validation_lines_are_read_better(
    tiny_config, tmp_path, monkeypatch
):
    def means(folder):
        weights = load_weights(folder / "model.safetensors")
        return weights, torch.cat(
            [tensor for name, tensor in weights.network.state_dict().items() if name.endswith("running_mean")]
        )

    plain = train(load_config(CONFIG, [*tiny_config, f"run={tmp_path / 'plain'}"]))
    before = means(tmp_path / "plain")[1]
    rates = [{"val_cer": plain["val_cer"] + 0.01, "val_wer": 0.0}]
    late = []
    monkeypatch.setattr("htr.training.module.time", SimpleNamespace(monotonic=lambda: time.monotonic() + sum(late)))

    def validate(*_, **__):
        late.append(6000)
        return rates

    monkeypatch.setattr(L.Trainer, "validate", validate)
    summary = train(load_config(CONFIG, [*tiny_config, f"run={tmp_path / 'alike'}"]), settle=True)
    assert "norms" not in summary and torch.equal(means(tmp_path / "alike")[1], before)
    rates[0] = {"val_cer": 1.5, "val_wer": 2.5}
    summary = train(load_config(CONFIG, [*tiny_config, f"run={tmp_path / 'better'}"]), settle=True)
    weights, measured = means(tmp_path / "better")
    assert (summary["val_cer"], summary["val_wer"], summary["norms"]["lines"]) == (1.5, 2.5, 24)
    assert summary["minutes"] < 60  # of training alone
    assert summary["weights_sha256"] == weights.sha256
    assert {name: weights.header.training[name] for name in ("val_cer", "norms", "curve")} == {
        name: summary[name] for name in ("val_cer", "norms", "curve")
    }
    assert not torch.allclose(measured, before)
    # Of the lines that it learnt, each once.
    half = [*tiny_config, f"run={tmp_path / 'half'}", "share=0.5", f"passes={{{plain['config']['data'][0]}: 2}}"]
    assert train(load_config(CONFIG, half), settle=True)["norms"]["lines"] == 12


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_a_stop_in_the_last_look_is_no_end(tiny_config, monkeypatch, caplog, error):
    def stop(*_, **__):
        raise error(0)

    with monkeypatch.context() as context:
        context.setattr(L.Trainer, "validate", stop)
        with pytest.raises(KeyboardInterrupt):
            train(load_config(CONFIG, tiny_config), settle=True)
    assert "stopped; the same command goes on" in caplog.text
    assert not (Path(load_config(CONFIG, tiny_config).run) / "summary.json").exists()
    assert train(load_config(CONFIG, tiny_config), settle=True)["weights_sha256"]


def test_only_an_epoch_that_reads_better_changes_the_weights(tmp_path):
    weights = load_weights("small")
    best = BestWeights(tmp_path / "best.safetensors", weights.header)
    module = SimpleNamespace(network=weights.network, seconds=lambda: 60.0)
    written = []
    for epoch, cer in enumerate((10.0, 5.0, 7.0, 5.0)):
        with torch.no_grad():
            weights.network.head.bias += 1
        metrics = {"val_cer": torch.tensor(cer), "val_wer": torch.tensor(2 * cer)}
        best.on_validation_end(
            SimpleNamespace(callback_metrics=metrics, current_epoch=epoch, is_global_zero=True), module
        )
        written.append((tmp_path / "best.safetensors").read_bytes())
    assert (best.epoch, best.cer, best.wer) == (2, 5, 10)
    assert written[0] != written[1] == written[2] == written[3]
    assert [row["val_cer"] for row in best.curve] == [10, 5, 7, 5]


def test_a_run_whose_weights_are_gone_is_told_before_it_trains_on(tiny_config):
    config = load_config(CONFIG, [*tiny_config, "epochs=1"])
    weights = Path(train(config)["weights"])
    best = BestWeights(weights, load_weights(weights).header)
    state = {"cer": 50.0, "wer": 90.0, "epoch": 1, "lines_per_second": 1.0, "curve": []}
    best.load_state_dict(state)
    weights.unlink()
    with pytest.raises(InputError, match=r"model\.safetensors: is gone, though the run goes on from it; put it back"):
        best.load_state_dict(state)
    best.load_state_dict({**state, "epoch": 0})  # before the first look there are none


def test_a_finished_run_is_not_run_again_and_another_may_not_take_its_folder(tiny_config):
    config = load_config(CONFIG, tiny_config)
    summary = train(config)
    assert train(config) == summary
    with pytest.raises(InputError, match=r"holds a run with other settings \(seed: 1, not 2\)"):
        train(load_config(CONFIG, [*tiny_config, "seed=2"]))


def test_a_run_is_known_again_however_its_folder_is_written(tiny_config, monkeypatch):
    config = load_config(CONFIG, tiny_config)
    summary = train(config)
    monkeypatch.chdir(Path(config.run).parent)
    name = Path(config.run).name
    assert train(replace(config, run=f"./{name}/")) == {**summary, "weights": f"{name}/model.safetensors"}


def test_weights_of_a_finished_run_that_are_gone_are_missed(tiny_config):
    config = load_config(CONFIG, tiny_config)
    Path(train(config)["weights"]).unlink()
    with pytest.raises(InputError, match=r"model\.safetensors: is gone, though the run came to its end"):
        train(config)


def test_other_weights_in_the_place_of_a_finished_run_are_not_taken_for_its_own(tiny_config):
    config = load_config(CONFIG, tiny_config)
    summary = train(config)
    moved = Path(config.run).rename(Path(config.run).with_name("moved"))
    assert train(replace(config, run=str(moved))) == {**summary, "weights": str(moved / "model.safetensors")}
    (moved / "model.safetensors").write_bytes(b"another")
    with pytest.raises(InputError, match=r"moved/model\.safetensors: is not what the run came to; put that back"):
        train(replace(config, run=str(moved)))


def test_a_state_that_cannot_be_written_leaves_the_one_before(tmp_path):
    state = tmp_path / "last.ckpt"
    WholeStates().save_checkpoint({"steps": 1}, state)

    trainer = make_trainer(TrainConfig(run="run", data=["sample"], trainer={"accelerator": "cpu"}), tmp_path)
    assert isinstance(trainer.strategy.checkpoint_io, WholeStates)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            WholeStates().save_checkpoint({"steps": torch.zeros(100_000)}, state)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert torch.load(state) == {"steps": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]


def test_weights_of_an_epoch_whose_state_was_not_written_keep_their_figures(tiny_config):
    summary = train(load_config(CONFIG, tiny_config))
    best = BestWeights(Path(summary["weights"]), load_weights(summary["weights"]).header)
    best.load_state_dict({"cer": 99.5, "wer": 99.9, "epoch": 0, "lines_per_second": 1.0, "curve": []})
    assert (best.epoch, best.cer, best.wer) == (summary["best_epoch"], summary["val_cer"], summary["val_wer"])


def test_lines_without_any_to_choose_by_are_refused_before_anything_is_made_ready(tiny_config, tmp_path, letters):
    (letters / "lines.csv").write_text("file,text,split\n" + "".join(f"page0/{n}.png,a text,train\n" for n in range(3)))
    with pytest.raises(InputError, match=r"lines:.*: has no val lines, by which the best weights are chosen; say in"):
        train(load_config(CONFIG, [*tiny_config, f"data=lines:{letters}", "drawn={recombined: 5}"]))
    assert not (tmp_path / "run").exists()


def test_a_training_without_a_validation_is_refused(tiny_config, tmp_path):
    for name in ("limit_train_batches", "check_val_every_n_epoch"):
        for value in (0, -1):
            with pytest.raises(InputError, match=f"^trainer: {name}: {value} is too few; give more, or leave it out"):
                train(load_config(CONFIG, [*tiny_config, f"trainer.{name}={value}"]))
    assert not (tmp_path / "run").exists()


def test_an_end_that_would_not_be_looked_at_is_refused(tiny_config, tmp_path):
    config = load_config(CONFIG, [*tiny_config, "epochs=12", "trainer.check_val_every_n_epoch=5"])
    with pytest.raises(InputError, match="check_val_every_n_epoch: 12 epochs are no multiple of 5"):
        train(config)
    with pytest.raises(InputError, match="check_val_every_n_epoch: with minutes, the end may come in any epoch"):
        train(replace(config, epochs=10, minutes=1.0))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: not enough memory: you tried to allocate"
        ),
        RuntimeError("DataLoader worker (pid 12) is killed by signal: Killed."),
        RuntimeError("DataLoader worker (pid 12) is killed by signal: Bus error."),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
)
def test_short_memory_is_said_in_a_sentence(tiny_config, monkeypatch, error):
    def fails(*_):
        raise error

    monkeypatch.setattr(Training, "training_step", fails)
    with pytest.raises(InputError, match="memory is short; give batch_pixels=50000 or fewer workers"):
        train(load_config(CONFIG, tiny_config))


def test_an_alphabet_that_no_drawn_line_can_be_written_with_is_refused_before_training(tiny_config, monkeypatch):
    monkeypatch.setattr(Spelt, "_TRIES", 3)
    monkeypatch.setattr(Training, "training_step", None)
    config = replace(load_config(CONFIG, tiny_config), drawn={"synthetic": 4}, alphabet="0123456789")
    with pytest.raises(InputError, match="alphabet: no drawn line can be written with these characters"):
        train(config)


@pytest.mark.parametrize("change", ["lines", "start", "length"])
def test_a_run_is_not_taken_for_one_with_other_lines_or_start(tiny_config, iam_folder, tmp_path, change):
    start = tmp_path / "start.safetensors"
    train(load_config(CONFIG, [*tiny_config, f"run={tmp_path / 'first'}"]))
    shutil.copy(tmp_path / "first" / "model.safetensors", start)
    words = [*tiny_config, f"start={start}", "data=lines:" + str(tmp_path / "lines")]
    write_lines(tmp_path / "lines", load_corpus(f"iam:{iam_folder}"))
    config = load_config(CONFIG, words)
    summary = train(config)
    assert train(config) == summary
    # The weights count, not their name.
    renamed = start.rename(tmp_path / "renamed.safetensors")
    assert train(load_config(CONFIG, [*words, f"start={renamed}"])) == summary
    renamed.rename(start)
    # Lines of the split test are not learnt from.
    table = tmp_path / "lines" / "lines.tsv"
    rows = table.read_text(encoding="utf-8").splitlines(keepends=True)
    tests = [row.replace(".png\t", ".png\té") if "\ttest\t" in row else row for row in rows]
    assert tests != rows
    table.write_text("".join(tests), encoding="utf-8")
    assert train(config) == summary
    if change == "lines":
        table.write_text("".join(tests).replace(".png\t", ".png\té"), encoding="utf-8")
    elif change == "start":
        shutil.copy(Path(config.run) / "model.safetensors", start)
    else:
        config = load_config(CONFIG, [*words, "trainer.limit_train_batches=1"])
    said = (
        "with other lines, or weights to start from"
        if change in ("lines", "start")
        else "trainer: {}, not {'limit_train"
    )
    with pytest.raises(InputError, match=said):
        train(config)


def test_with_other_workers_or_folders_a_run_goes_on_but_not_with_another_order_of_what_draws(tmp_path):
    drawn = {"synthetic": 8, "recombined": 4}
    config = TrainConfig(run="run", data=["iam:data/iam"], drawn=drawn, workers=1)
    with claim(tmp_path, config, "learnt") as state:
        assert state is None
    WholeStates().save_checkpoint({"pytorch-lightning_version": "2", "state_dict": {}}, tmp_path / "last.ckpt")
    moved = replace(config, data=["iam:/elsewhere/iam"])
    for same in (config, replace(config, workers=3), replace(config, drawn=dict(drawn)), moved):
        with claim(tmp_path, same, "learnt") as state:
            assert state == tmp_path / "last.ckpt"
    other = replace(config, drawn=dict(reversed(drawn.items())))
    assert other == config
    with pytest.raises(OtherRun, match="holds a run with other settings"), claim(tmp_path, other, "learnt"):
        pass


def test_weights_that_lie_in_the_folder_are_not_written_over(tiny_config, tmp_path):
    folder = tmp_path / "kept"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    with pytest.raises(InputError, match="holds weights of which it is not known .*; choose another"):
        train(load_config(CONFIG, [*tiny_config, f"run={folder}"]))
    assert (folder / "model.safetensors").read_bytes() == b"weights"


def test_a_config_that_somebody_wrote_is_not_written_over(tmp_path):
    (tmp_path / "config.yaml").write_text("epochs: 5  # my own\n")
    with (
        pytest.raises(InputError, match=r"config.yaml: is of no run, and would be written over; choose another folder"),
        claim(tmp_path, TrainConfig(run=str(tmp_path), data=["sample"]), "learnt"),
    ):
        pass
    assert (tmp_path / "config.yaml").read_text() == "epochs: 5  # my own\n"


def test_what_a_killed_run_left_half_written_is_removed(tmp_path):
    (tmp_path / ".4f1c.partial").write_text("a large state")
    (tmp_path / "notes.partial").write_text("mine")
    for _ in range(2):  # begun, and gone on with
        with claim(tmp_path, TrainConfig(run=str(tmp_path), data=["sample"]), "learnt") as state:
            assert state is None
    assert not (tmp_path / ".4f1c.partial").exists() and (tmp_path / "notes.partial").exists()


def test_a_run_of_an_earlier_release_goes_on(tiny_config):
    """Its config lacks values that have come since."""
    config = load_config(CONFIG, tiny_config)
    summary = train(config)
    file = Path(config.run) / "config.yaml"
    values = yaml.safe_load(file.read_text())
    del values["passes"], values["curriculum"]
    file.write_text(yaml.safe_dump(values))
    assert train(config) == summary


def test_training_learns(tiny_config):
    """A few lines learnt by heart: the loss must fall far below that of a network that writes nothing, which is about 3."""
    words = [
        "trainer.log_every_n_steps=1",
        "epochs=40",
        "learning_rate=1e-2",
        "encoder_learning_rate=1e-2",
        "augmentation=0",
        "average=0.5",
        "dropout=0",
    ]
    config = load_config(CONFIG, [*tiny_config, *words])
    summary = train(config)
    read = evaluate_lines(config.data[0], "val", summary["weights"], "none")
    assert summary["val_cer"] == pytest.approx(read["scores"]["CER"]["value"], abs=0.5)
    with (Path(config.run) / "logs" / "version_0" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    rates, losses = ([float(row[name]) for row in rows if row[name]] for name in ("val_cer", "loss"))
    assert losses[-1] < 2 < 5 < losses[0]
    assert min(rates) < 90 < 95 <= rates[0]  # 92 by chance


def test_going_on_from_weights(tiny_config, tmp_path):
    config = load_config(CONFIG, tiny_config)
    train(config)
    start = Path(config.run) / "model.safetensors"
    second = load_config(CONFIG, [*tiny_config, f"run={tmp_path / 'second'}", f"start={start}", "epochs=1"])
    summary = train(second)
    assert sha256(start) in summary["encoder_weights"]
    parent = load_weights(start)
    assert load_weights(summary["weights"]).header.training["parent"] == {
        "file": "model.safetensors", "sha256": parent.sha256, "training": parent.header.training,
    }  # fmt: skip
    with pytest.raises(InputError, match=r"model\.safetensors: its lstm_units is 16, not 8; set lstm_units=16"):
        train(load_config(CONFIG, [*tiny_config, f"run={tmp_path / 'third'}", f"start={start}", "lstm_units=8"]))


def test_going_on_with_larger_pictures(tiny_config, tmp_path):
    config = load_config(CONFIG, tiny_config)
    train(config)
    start = Path(config.run) / "model.safetensors"
    height = config.height + 16
    train(
        load_config(
            CONFIG, [*tiny_config, f"run={tmp_path / 'second'}", f"start={start}", f"height={height}", "epochs=1"]
        )
    )
    assert load_weights(tmp_path / "second" / "model.safetensors").header.height == height


def test_classes_of_known_characters_are_kept_and_new_ones_added(tiny_config, tmp_path):
    config = load_config(CONFIG, [*tiny_config, "alphabet=null"])
    train(config)
    start = load_weights(Path(config.run) / "model.safetensors")
    known = start.alphabet.characters
    wider = [*tiny_config, f"run={tmp_path / 'wider'}", f"start={start.file}", f"alphabet=é{known}", "learning_rate=0"]
    train(load_config(CONFIG, [*wider, "encoder_learning_rate=0", "epochs=1", "average=0"]))
    after = load_weights(tmp_path / "wider" / "model.safetensors")
    assert after.alphabet.characters == "é" + known
    for character in known:
        (old,), (new,) = start.alphabet.encode(character), after.alphabet.encode(character)
        assert torch.equal(after.network.head.weight[new], start.network.head.weight[old])
    assert torch.equal(after.network.head.bias[0], start.network.head.bias[0])


def test_networks_side_by_side_learn_on_together_and_get_new_classes(tiny_config, tmp_path):
    """Of two encoders, each with pretrained weights of its own or none."""
    encoder = "lcnet_035+tf_efficientnet_lite0"
    words = [*tiny_config, f"encoder={encoder}", "pretrained=none+imagenet", "epochs=1"]
    summary = train(load_config(CONFIG, words))
    assert summary["encoder_weights"] == "none+efficientnet-lite0-57934424.pth"
    start = load_weights(summary["weights"])
    known = start.alphabet.characters
    wider = [*words, f"run={tmp_path / 'wider'}", f"start={start.file}", f"alphabet=é{known}", "learning_rate=0"]
    after = load_weights(train(load_config(CONFIG, wider))["weights"])
    assert after.header.network["encoder"] == encoder
    for old, new in zip(start.network.parts, after.network.parts, strict=True):
        for character in known:
            (was,), (now,) = start.alphabet.encode(character), after.alphabet.encode(character)
            assert torch.equal(old.head.weight[was], new.head.weight[now])
    # All encoders learn at the encoder's learning rate, which is not 0.
    for old, new in zip(start.network.parts, after.network.parts):
        assert not torch.equal(next(old.encoder.parameters()), next(new.encoder.parameters()))
        assert torch.equal(old.lstm.weight_hh_l0, new.lstm.weight_hh_l0)


def test_drawn_lines_bring_new_characters_which_come_after_the_known_ones(tiny_config, tmp_path):
    config = load_config(CONFIG, tiny_config)
    train(config)
    start = Path(config.run) / "model.safetensors"
    words = [*tiny_config, f"run={tmp_path / 'second'}", f"start={start}", "drawn={synthetic: 8}", "epochs=1"]
    summary = train(load_config(CONFIG, words))
    assert summary["drawn_lines"] == {"synthetic": 8}
    known = load_weights(start).alphabet.characters
    characters = load_weights(tmp_path / "second" / "model.safetensors").alphabet.characters
    assert characters.startswith(known)
    assert "é" in characters[len(known) :]


def test_with_a_given_alphabet_lines_are_drawn_anew_until_it_has_their_characters():
    class Drawer:
        characters = "abc1"

        def draw(self, rng, aspect):
            return None, "".join(rng.choice(list(self.characters), 3))

    rng = np.random.default_rng(1)
    spelt = Spelt(Drawer(), "abé")
    assert spelt.characters == "ab"
    assert {spelt.draw(rng, 10)[1] for _ in range(200)} == {a + b + c for a in "ab" for b in "ab" for c in "ab"}
    with pytest.raises(InputError, match="alphabet: no drawn line can be written with these characters"):
        Spelt(Drawer(), "xyz").draw(rng, 10)


@pytest.mark.parametrize("written", ["iam:{}", "iam:{}/", "iam:{}/../{name}", "pages:iam:{}"])
def test_words_are_lent_by_the_lines_of_the_share_alone_however_the_folder_is_written(
    tiny_config, iam_folder, monkeypatch, written
):
    asked = []
    monkeypatch.setattr(run_module, "load_drawer", lambda name, start, lines, data: asked.append(lines))
    data = written.format(iam_folder, name=iam_folder.name)
    config = load_config(CONFIG, [*tiny_config, "share=0.25", f"data={data}", f"drawn={{recombined:{iam_folder}: 5}}"])
    samples = [(data, Sample("a-01", "some words", "train", None)), (data, Sample("b-01", "others", "val", None))]
    run_module.drawer(config, f"recombined:{iam_folder}", samples)
    run_module.drawer(config, "recombined", samples)
    run_module.drawer(config, "recombined:elsewhere", samples)
    run_module.drawer(config, "synthetic", samples)
    assert asked == [{(iam_folder, "a-01")}, {(iam_folder, "a-01")}, None, None]


def test_a_share_of_the_train_lines_is_the_same_each_time(tiny_config):
    config = load_config(CONFIG, [*tiny_config, "share=0.25", "epochs=1"])
    assert train(config)["train_lines"] == 6


def test_lines_of_more_passes_come_more_often_and_count_once(tiny_config, iam_folder):
    once, thrice = (
        train(load_config(CONFIG, [*tiny_config, f"run={iam_folder.parent / name}", f"passes={passes}"]))
        for name, passes in (("once", "{}"), ("thrice", f"{{iam:{iam_folder}: 3}}"))
    )
    assert once["train_lines"] == thrice["train_lines"] == 24
    assert thrice["steps"] > 2 * once["steps"]
    assert thrice["val_lines"] == once["val_lines"]


def test_time_ends_a_run_with_a_validation(tiny_config):
    config = load_config(CONFIG, [*tiny_config, "epochs=100000", "minutes=0.03"])
    summary = train(config)
    assert summary["epochs"] < 1000
    assert summary["val_cer"] < float("inf")


def test_killed_at_any_moment_and_started_again_it_goes_on(tiny_config):
    words = [*tiny_config, "epochs=12", "average=0.9"]
    folder = Path(words[0].removeprefix("run="))
    process = subprocess.Popen(command(words), stderr=subprocess.DEVNULL)
    while not (folder / "last.ckpt").exists() and process.poll() is None:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert (folder / "last.ckpt").exists()
    assert not (folder / "summary.json").exists()
    done = subprocess.run(command(words), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "validation: CER" in done.stdout
    # No epoch is missing, and at most the one that was cut off was done again.
    epochs = epochs_logged(folder)
    assert sorted(set(epochs)) == list(range(12))
    assert len(epochs) <= 13
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["epochs"] == 12
    assert [point["epoch"] for point in summary["curve"]] == list(range(1, 13))
    again = subprocess.run(command(words), capture_output=True, text=True)
    assert f"{folder}: this run came to its end on {summary['date']}; to train anew, give another run=" in again.stdout
    assert again.stdout.endswith(done.stdout)


def test_a_run_goes_on_without_the_hub_from_which_its_encoder_came(tiny_config, monkeypatch):
    config = load_config(CONFIG, [*tiny_config, "encoder=tf_efficientnet_lite0", "pretrained=imagenet"])
    begin = Training.on_train_epoch_start

    def cut_off(module):
        if module.current_epoch == 1:
            raise ZeroDivisionError
        begin(module)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "on_train_epoch_start", cut_off)
        with pytest.raises(ZeroDivisionError):
            train(config)
    monkeypatch.setattr("htr.training.run.load_all_pretrained", lambda *arguments: pytest.fail("it asked the hub"))
    summary = train(config)
    assert (summary["epochs"], summary["encoder_weights"]) == (2, "efficientnet-lite0-57934424.pth")


def test_a_resumed_run_takes_the_lines_of_the_epoch_that_it_goes_on_with(tiny_config, monkeypatch):
    config = load_config(CONFIG, [*tiny_config, "epochs=3"])
    epochs = []
    walk, begin = WidthBatches.__iter__, Training.on_train_epoch_start

    def noted(batches):
        if batches.strength is not None:
            epochs.append(batches.epoch)
        return walk(batches)

    def cut_off(module):
        if module.current_epoch == 1:
            raise ZeroDivisionError
        begin(module)

    monkeypatch.setattr(WidthBatches, "__iter__", noted)
    with monkeypatch.context() as patch:
        patch.setattr(Training, "on_train_epoch_start", cut_off)
        with pytest.raises(ZeroDivisionError):
            train(config)
    epochs.clear()
    train(config)
    assert epochs == [1, 2]


@pytest.mark.parametrize("words", [[], ["epochs=50", "minutes=0.02"]])
def test_killed_just_before_the_end_it_is_brought_to_its_end(tiny_config, words):
    config = load_config(CONFIG, [*tiny_config, *words])
    summary = train(config)
    (Path(config.run) / "summary.json").unlink()
    again = train(config)
    for name in ("val_cer", "epochs", "steps", "curve", "best_epoch"):
        assert again[name] == summary[name], name
    assert again["minutes"] >= summary["minutes"]
    assert again["lines_per_second"] > 0


def test_a_damaged_state_is_named(tiny_config):
    config = load_config(CONFIG, tiny_config)
    train(config)
    folder = Path(config.run)
    (folder / "summary.json").unlink()
    state = (folder / "last.ckpt").read_bytes()
    torch.save({"a": 1}, folder / "other")
    start = state.index(b"data.pkl") + 200
    for damaged in (state[:1000], state[:start] + bytes(80) + state[start + 80 :], (folder / "other").read_bytes()):
        (folder / "last.ckpt").write_bytes(damaged)
        with pytest.raises(InputError, match=r"last\.ckpt: damaged; delete it to begin the run again"):
            train(config)


@pytest.mark.parametrize("content", ["{", "{}", "[]"])
def test_a_damaged_summary_is_named_and_written_anew_once_it_is_gone(tiny_config, content):
    config = load_config(CONFIG, tiny_config)
    train(config)
    file = Path(config.run) / "summary.json"
    file.write_text(content)
    with pytest.raises(InputError, match=r"summary\.json: damaged; delete it"):
        train(config)
    file.unlink()
    assert train(config)["epochs"] == 2


@pytest.mark.parametrize("words", [["share=0.01"], ["data=lines:{}"]])
def test_data_without_train_lines_are_named(tiny_config, tmp_path, words):
    (tmp_path / "lines").mkdir()
    cv2.imwrite(str(tmp_path / "lines" / "a.png"), np.full((60, 400), 200, np.uint8))
    (tmp_path / "lines" / "a.txt").write_text("of no split")
    config = load_config(CONFIG, [*tiny_config, *(word.format(tmp_path / "lines") for word in words)])
    with pytest.raises(InputError, match=r"^(iam|lines):.*: has no train lines; "):
        train(config)


@pytest.mark.parametrize(
    "option",
    [
        "val_check_interval=10",
        "limit_val_batches=1",
        "overfit_batches=2",
        "fast_dev_run=true",
        "callbacks=[]",
        "barebones=true",
        "max_epochs=-1",
        "max_steps=30",
        "sync_batchnorm=true",
        "precision=bf16-true",
        "accumulate_grad_batches=0",
        "accumulate_grad_batches=0.5",
        "limit_train_batches=x",
        "limit_train_batches=true",
        "benchmark=1",
        "deterministic=x",
        "accelerator=tpu",
        "log_every_n_steps=x",
        "strategy=ddp_spawn",
        "no_such_option=1",
    ],
)
def test_options_that_lightning_refuses_or_that_would_spoil_the_weights_or_their_figures_are_named(tiny_config, option):
    told = {"accelerator=tpu": "xla"}
    with pytest.raises(InputError, match="^trainer: .*" + told.get(option, option.partition("=")[0])):
        train(load_config(CONFIG, [*tiny_config, f"trainer.{option}"]))


@pytest.mark.parametrize("start", [False, True])
def test_untrained_weights_do_not_count_in_the_average_of_a_short_run(tiny_config, tmp_path, start):
    """With a decay of 0.9999, ten steps would leave the average where it began; from weights that read, they do."""
    words = [*tiny_config, "epochs=1"]

    def learnt(name, rate, average):
        more = [f"run={tmp_path}/{name}", f"learning_rate={rate}", f"average={average}"]
        file = train(load_config(CONFIG, [*words, *more]))["weights"]
        return file, load_weights(file).network.head.bias

    begun, bias = learnt("begun", 0, 0)
    if start:
        words.append(f"start={begun}")
    averaged, last = ((learnt(f"at-{decay}", 0.01, decay)[1] - bias).abs().max() for decay in (0.9999, 0))
    assert averaged < 0.02 * last if start else averaged > 0.2 * last


def test_two_processes_train_together(tiny_config):
    words = [*tiny_config, "epochs=1", "trainer.devices=2", "trainer.accelerator=cpu", "trainer.strategy=ddp"]
    done = subprocess.run(command(words), capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    summary = json.loads((Path(words[0].removeprefix("run=")) / "summary.json").read_text())
    alone = train(load_config(CONFIG, [*tiny_config, f"run={words[0].removeprefix('run=')}-alone", "epochs=1"]))
    assert summary["steps"] == -(-alone["steps"] // 2)
    # What each has read of the validation lines is counted together.
    read = evaluate_lines(f"iam:{words[1].partition(':')[2]}", "val", summary["weights"], "none")
    assert summary["val_cer"] == pytest.approx(read["scores"]["CER"]["value"], abs=0.5)
    assert summary["machine"]["processes"] == 2 and summary["speed_of"].startswith("2 x ")
