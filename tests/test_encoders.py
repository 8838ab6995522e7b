import importlib.machinery
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from htr import encoders
from htr.errors import InputError
from htr.network import build_encoder
from htr.reader import load
from htr.training.config import load_config
from htr.training.run import train

CONFIG = Path(__file__).parents[1] / "configs" / "reader.yaml"

INK = torch.rand(1, 1, 48, 160, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Stands for the package rapidocr: a folder whose file of weights a test writes."""
    (tmp_path / "models").mkdir()
    found = importlib.util.find_spec

    def find_spec(name):
        if name != "rapidocr":
            return found(name)
        return importlib.machinery.ModuleSpec(name, None, origin=str(tmp_path / "__init__.py"))

    monkeypatch.setattr("importlib.util.find_spec", find_spec)
    return tmp_path / "models/PP-OCRv6_rec_small.onnx"


def write_onnx(encoder: nn.Module, file: Path) -> None:
    """Writes weights as PP-OCRv6 has them: constants of the layers in the order in which a line passes them."""
    onnx = pytest.importorskip("onnx")
    nodes, constants = [], []

    def node(kind: str, *tensors: torch.Tensor) -> None:
        names = [f"{len(constants) + index}" for index in range(len(tensors))]
        constants.extend(
            onnx.numpy_helper.from_array(tensor.detach().numpy().copy(), name) for tensor, name in zip(tensors, names)
        )
        nodes.append(onnx.helper.make_node(kind, ["x", *names], ["x"]))

    for module in encoder.modules():
        if isinstance(module, nn.Conv2d):
            node("Conv", module.weight)
            if module.bias is not None:
                node("Add", module.bias[None, :, None, None])
        elif isinstance(module, nn.BatchNorm2d):
            node("BatchNormalization", module.weight, module.bias, module.running_mean, module.running_var)
        elif isinstance(module, nn.LayerNorm):
            node("Add", torch.tensor(1e-5))
            node("Mul", module.weight)
            node("Add", module.bias)
        elif isinstance(module, nn.Linear):
            node("MatMul", module.weight.T)
            node("Add", module.bias)
    node("MatMul", torch.rand(120, 7))
    node("Add", torch.rand(7))
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph(nodes, "reader", [], [], constants)), file)


def trained() -> nn.Module:
    """One that sees three colours, whose features stay in bounds and depend on the picture."""
    torch.manual_seed(1)
    encoder = encoders.TextEncoder(in_chans=3).eval()
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 1.5)
        elif isinstance(module, nn.LayerNorm):
            nn.init.uniform_(module.bias)
    return encoder


def test_weights_of_a_reader_of_colour_pictures_read_ink(package):
    whole = trained()
    write_onnx(whole, package)
    encoder = build_encoder("ppocrv6_small", 8).eval()
    assert encoders.load_ppocr(encoder, "ppocrv6_small") == package.name
    with torch.inference_mode():
        # Beyond the edges one sees grey and the other paper.
        expected = whole.stem.first((1 - 2 * INK).expand(-1, 3, -1, -1))[..., 1:-1, 1:-1]
        seen = encoder.stem.first(INK)[..., 1:-1, 1:-1]
    assert torch.allclose(seen, expected, atol=1e-4)
    assert not torch.allclose(seen, seen.mean())
    # All layers after the first are as they were.
    weights = list(zip(encoder.state_dict().values(), whole.state_dict().values(), strict=True))[2:]
    assert all(torch.equal(loaded, original) for loaded, original in weights)


def test_its_features_are_a_column_for_eight_pixels():
    [features] = build_encoder("ppocrv6_small", 8)(torch.rand(2, 1, 64, 256))
    assert features.shape == (2, 120, 4, 32)
    assert torch.equal(features[:, :, 0], features[:, :, 3])
    with pytest.raises(InputError, match="width stride of 4"):
        build_encoder("ppocrv6_small", 4)


def test_what_is_missing_is_named(package, monkeypatch):
    encoder = build_encoder("ppocrv6_small", 8)
    with pytest.raises(InputError, match=r"PP-OCRv6_rec_small.onnx: cannot be used .*No such file.*rapidocr==3"):
        encoders.load_ppocr(encoder, "ppocrv6_small")
    package.write_bytes(b"no ONNX")
    with pytest.raises(InputError, match=r"PP-OCRv6_rec_small.onnx: cannot be used"):
        encoders.load_ppocr(encoder, "ppocrv6_small")
    write_onnx(nn.Sequential(nn.Conv2d(3, 48, 3)), package)
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    with pytest.raises(InputError, match="another network"):
        encoders.load_ppocr(encoder, "ppocrv6_small")
    assert all(torch.equal(before[name], tensor) for name, tensor in encoder.state_dict().items())
    with pytest.raises(InputError, match="no weights of resnet18"):
        encoders.load_ppocr(encoder, "resnet18")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="needs the weights in the package rapidocr.*pip install"):
        encoders.load_ppocr(encoder, "ppocrv6_small")


def test_training_goes_on_from_them_and_its_weights_read(package, tiny_config):
    whole = encoders.TextEncoder(in_chans=3)
    write_onnx(whole, package)
    words = [*tiny_config, "passes={}", "encoder=ppocrv6_small", "epochs=1", "minutes=null"]
    with pytest.raises(InputError, match="no ImageNet weights of ppocrv6_small; set it to ppocrv6"):
        train(load_config(CONFIG, [*words, "pretrained=imagenet"]))
    pair = "encoder=ppocrv6_small+lcnet_035"
    with pytest.raises(InputError, match=r"or give one for each of ppocrv6_small\+lcnet_035, joined by \+"):
        train(load_config(CONFIG, [*words, pair, "pretrained=ppocrv6"]))
    summary = train(load_config(CONFIG, [*words, "pretrained=ppocrv6"]))
    assert summary["encoder_weights"] == package.name
    reader = load(summary["weights"], "none")
    learnt = reader.weights.network.encoder.mixer.far[0].qkv.weight
    assert torch.allclose(learnt, whole.mixer.far[0].qkv.weight, atol=0.01)
    assert len(reader.read_lines([np.full((40, 300), 255, np.uint8)])) == 1


def test_the_weights_of_the_package_fit():
    if importlib.util.find_spec("rapidocr") is None:
        pytest.skip("the package rapidocr is not installed: the weights of PP-OCRv6 are needed")
    encoder = build_encoder("ppocrv6_small", 8)
    assert encoders.load_ppocr(encoder, "ppocrv6_small") == "PP-OCRv6_rec_small.onnx"
    assert encoder.mixer.past[1].running_var.sub(1).abs().max() > 0.5
