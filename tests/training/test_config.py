from pathlib import Path

import pytest

from htr.errors import InputError
from htr.training.config import FinderConfig, TrainConfig, load_config

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.yaml")), ids=lambda file: file.name)
def test_shipped_configs_are_valid(file):
    kind = FinderConfig if file.stem == "finder" else TrainConfig
    assert load_config(file, [], kind).run.startswith("runs/")


def test_values_can_be_overridden():
    words = ["learning_rate=2e-3", "epochs=3", "minutes=1", "alphabet=abc", "trainer.devices=2", "trainer.strategy=ddp"]
    config = load_config(CONFIGS / "iam.yaml", words)
    assert config.learning_rate == 2e-3
    assert (config.epochs, config.minutes, config.alphabet) == (3, 1.0, "abc")
    assert config.trainer == {"devices": 2, "strategy": "ddp"}


@pytest.mark.parametrize(
    ("word", "complaint"),
    [
        ("learning_rat=1", "no key learning_rat; did you mean learning_rate"),
        ("xyz=1", "no key xyz; the keys are"),
        ("epochs", "epochs: not of the form key=value"),
        ("epochs=many", "epochs: 'many' is not a whole number"),
        ("epochs=0", "epochs: 0 is out of range"),
        ("epochs=2.5", "epochs: 2.5 is not a whole number"),
        ("epochs=true", "epochs: True is not a whole number"),
        ("learning_rate=true", "learning_rate: True is not a number"),
        ("drawn={synthetic: 0}", "drawn: {'synthetic': 0} does not say how many lines an epoch has"),
        ("drawn={synthetic: 2.5}", "drawn: {'synthetic': 2.5} does not say how many lines an epoch has"),
        ("dropout=1.5", "dropout: 1.5 is out of range"),
        ("height=50", "height: 50 is not a multiple of 16"),
        ("minutes=-1", "minutes: -1.0 is no time"),
        ("minutes=.nan", "minutes: nan is no time"),
        ("seed=-1", "seed: -1 is out of range"),
        ("warmup=1", "warmup: 1.0 is out of range"),
        ("data=", "data: has no value; give a list"),
        ("data=[sample, sample]", "data: names sample twice"),
        ("share=2", "share: 2.0 is out of range"),
        ("passes={iam: 2}", "passes: iam is not among data"),
        ("passes={iam:data/iam: 0}", "passes: iam:data/iam: 0 is no number of passes"),
    ],
)
def test_wrong_keys_and_values_are_refused_by_name(word, complaint):
    with pytest.raises(InputError, match=complaint):
        load_config(CONFIGS / "iam.yaml", [word])


@pytest.mark.parametrize("text", ["0123", "abc #def", "#abc", "12:30", "2024-01-01", "[ab]"])
def test_text_stays_as_it_was_typed(text):
    assert load_config(CONFIGS / "iam.yaml", [f"alphabet={text}", f"run={text}"]).alphabet == text


def test_a_corpus_stays_as_it_was_typed():
    assert load_config(CONFIGS / "iam.yaml", ["data=lines:scans #2"]).data == ["lines:scans #2"]
    assert load_config(CONFIGS / "iam.yaml", ["data=[sample, lines:scans]"]).data == ["sample", "lines:scans"]


def test_broken_files_are_named(tmp_path):
    with pytest.raises(InputError, match="no such config"):
        load_config(tmp_path / "none.yaml", [])
    for text in ("a: [", "just words"):
        (tmp_path / "bad.yaml").write_text(text)
        with pytest.raises(InputError, match=r"bad\.yaml"):
            load_config(tmp_path / "bad.yaml", [])
    (tmp_path / "bad.yaml").write_text("data: sample")
    with pytest.raises(InputError, match="has no value for run"):
        load_config(tmp_path / "bad.yaml", [])


@pytest.mark.parametrize("word", ["seed=2026-13-01", "minutes=2026-02-30", "seed=0b_"])
def test_what_looks_like_a_date_or_number_and_is_none_is_refused_by_name(word):
    with pytest.raises(InputError, match=f"^{word.partition('=')[0]}: "):
        load_config(CONFIGS / "sample.yaml", [word])


def test_dates_in_a_file_are_named(tmp_path):
    (tmp_path / "config.yaml").write_text("run: 2024-11-12\ndata: sample\n")
    with pytest.raises(InputError, match=r"config\.yaml: run: 2024-11-12 is taken for a date .* put it in quotes"):
        load_config(tmp_path / "config.yaml", [])
    (tmp_path / "config.yaml").write_text("run: 2024-13-45\ndata: sample\n")
    with pytest.raises(InputError, match=r"config\.yaml: not a YAML file \(month"):
        load_config(tmp_path / "config.yaml", [])
