import pytest

from htr.finetuning.mixing import mix
from htr.network import Recogniser
from htr.weights import Header, load_weights, save_weights

NETWORK = {
    "encoder": "lcnet_035",
    "width_stride": 8,
    "lstm_layers": 1,
    "lstm_units": 8,
    "neck_channels": 8,
    "dropout": 0.0,
}


def weights(file, value, alphabet):
    """Weights that are all of one value."""
    network = Recogniser(classes=len(alphabet) + 1, **NETWORK).eval()
    for tensor in network.state_dict().values():
        tensor.fill_(value)
    save_weights(file, network, Header(alphabet, 32, NETWORK, {}))
    return file


def test_known_classes_lie_between_and_new_ones_are_as_learnt_but_raised(tmp_path):
    parent, tuned = weights(tmp_path / "a.safetensors", 0.0, "ab"), weights(tmp_path / "b.safetensors", 1.0, "abé")
    mix(load_weights(parent), [tuned], tmp_path / "mixed.safetensors", 0.25)
    mixed = load_weights(tmp_path / "mixed.safetensors")
    assert mixed.alphabet.characters == "abé"
    assert mixed.network.head.bias.tolist() == pytest.approx([0.25, 0.25, 0.25, 1 + 0.7 * 0.75 + 3 * 0.75])
    assert mixed.network.head.weight[-1].tolist() == pytest.approx(16 * [1 + 0.7 * 0.75], rel=1e-3)
    assert next(mixed.network.encoder.parameters()).unique().tolist() == [0.25]


def test_several_trainings_are_averaged(tmp_path):
    parent = weights(tmp_path / "parent.safetensors", 0.0, "ab")
    tuned = [weights(tmp_path / f"{value}.safetensors", value, "abé") for value in (1.0, 2.0, 6.0)]
    mix(load_weights(parent), tuned, tmp_path / "mixed.safetensors", 0.5)
    assert load_weights(tmp_path / "mixed.safetensors").network.head.bias.tolist() == pytest.approx(
        [1.5, 1.5, 1.5, 3 * (1 + 0.7 * 0.5) + 3 * 0.5], rel=1e-3
    )


def test_all_that_was_learnt_alone_is_as_learnt(tmp_path):
    parent, tuned = weights(tmp_path / "a.safetensors", 0.0, "ab"), weights(tmp_path / "b.safetensors", 1.0, "abé")
    mix(load_weights(parent), [tuned], tmp_path / "mixed.safetensors", 1.0)
    for value in load_weights(tmp_path / "mixed.safetensors").network.state_dict().values():
        assert (value == 1).all()
