import pytest
import torch

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


def test_known_classes_lie_between_and_new_ones_are_as_learnt(tmp_path):
    files = {}
    for value, alphabet in ((0.0, "ab"), (1.0, "abé")):
        network = Recogniser(classes=len(alphabet) + 1, **NETWORK).eval()
        for tensor in network.state_dict().values():
            tensor.fill_(value)
        files[alphabet] = tmp_path / f"{len(alphabet)}.safetensors"
        save_weights(files[alphabet], network, Header(alphabet, 32, NETWORK, {}))
    mix(load_weights(files["ab"]), files["abé"], tmp_path / "mixed.safetensors", 0.25)
    mixed = load_weights(tmp_path / "mixed.safetensors")
    assert mixed.alphabet.characters == "abé"
    assert mixed.network.head.bias.tolist() == pytest.approx([0.25, 0.25, 0.25, 1.0])
    assert torch.equal(mixed.network.head.weight[-1], torch.ones(16))
    assert next(mixed.network.encoder.parameters()).unique().tolist() == [0.25]
