import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from htr.errors import InputError
from htr.files import write_whole, written_whole
from htr.network import Recogniser
from htr.weights import Header, load_weights, save_weights

NETWORK = {"encoder": "lcnet_035", "width_stride": 8, "lstm_layers": 1, "lstm_units": 8, "neck_channels": 8}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.safetensors"
    save_weights(path, Recogniser(classes=5, **NETWORK), Header("aéß ", 32, NETWORK, {"seed": 3}))
    return path


def test_round_trip(file):
    network = Recogniser(classes=5, **NETWORK).eval()
    save_weights(file, network, Header("aéß ", 32, NETWORK, {"seed": 3}))
    weights = load_weights(file)
    assert weights.alphabet.characters == "aéß "
    assert weights.header.training == {"seed": 3}
    images = torch.rand(1, 1, 32, 128)
    # Matrices are kept in half precision.
    assert torch.allclose(weights.network(images)[0], network(images)[0], atol=0.02)
    assert not list(file.parent.glob("*.partial"))


def test_two_that_write_one_file_at_once_leave_a_whole_one(tmp_path):
    file = tmp_path / "page.txt"
    with written_whole(file) as first:
        first.write_text("the first")
        with written_whole(file) as second:
            second.write_text("the second")
            assert not file.exists()
        assert file.read_text() == "the second"
    assert file.read_text() == "the first"
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_is_written_anew_is_another_put_in_its_place(tmp_path):
    file = tmp_path / "page.txt"
    file.write_text("the first")
    with file.open() as reader:
        before = file.stat().st_ino
        write_whole(file, "the second")
        # Who has it open reads the whole of the old one.
        assert reader.read() == "the first"
    assert file.stat().st_ino != before and file.read_text() == "the second"
    assert list(tmp_path.iterdir()) == [file]


def test_weights_of_the_first_release_still_load_and_score_the_same():
    weights = load_weights(Path(__file__).parent / "files" / "weights-0.1.0.safetensors")
    assert (weights.alphabet.characters, weights.header.height) == ("abé .", 32)
    images = torch.arange(32 * 64).reshape(1, 1, 32, 64) % 97 / 96
    with torch.inference_mode():
        logits, _ = weights.network(images)
    first = torch.tensor([-0.25649, 0.04137, -0.25101, -0.08967, -0.11005, 0.20268])
    assert torch.allclose(logits[0, 3], first, atol=1e-3)


def test_missing_file_is_named():
    with pytest.raises(InputError, match=r"nowhere\.safetensors: no such weights file"):
        load_weights("nowhere.safetensors")


@pytest.mark.parametrize("keep", [0, 5, 1000, 50_000])
def test_truncated_file(file, keep):
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"model\.safetensors: not a weights file, or cut short"):
        load_weights(file)


def test_other_version(file):
    save_file(load_file(file), file, {"format": "htr-recogniser", "version": "2", "header": "{}"})
    with pytest.raises(InputError, match="version 2, this program reads version 1"):
        load_weights(file)


def test_foreign_safetensors(file):
    save_file({"a": torch.zeros(1)}, file)
    with pytest.raises(InputError, match="safetensors, but of another kind"):
        load_weights(file)


@pytest.mark.parametrize(
    "header",
    [
        *("{}", "no json", json.dumps({"alphabet": "abcdef", "height": 32, "network": NETWORK})),
        *(json.dumps({"alphabet": "aéß ", "height": height, "network": NETWORK}) for height in ("32", None, 0)),
    ],
)
def test_header_that_does_not_fit_the_tensors(file, header):
    save_file(load_file(file), file, {"format": "htr-recogniser", "version": "1", "header": header})
    with pytest.raises(InputError, match="damaged weights file"):
        load_weights(file)


def test_an_encoder_that_this_timm_does_not_know_is_no_damage(file):
    header = json.dumps(
        {"alphabet": "aéß ", "height": 32, "network": NETWORK | {"encoder": "of_next_year"}, "training": {}}
    )
    save_file(load_file(file), file, {"format": "htr-recogniser", "version": "1", "header": header})
    with pytest.raises(
        InputError, match="cannot be built here .*of_next_year.*; install the timm that it was trained with"
    ):
        load_weights(file)


def test_names_that_are_no_utf_8_are_kept_with_question_marks(file):
    save_weights(file, Recogniser(classes=5, **NETWORK), Header("aéß ", 32, NETWORK, {"data": ["t\udcfcr"]}))
    assert load_weights(file).header.training == {"data": ["t?r"]}
