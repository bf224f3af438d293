"""Image backbones: the paper's sizes, published weights in every layout, and clear complaints."""

from pathlib import Path

import pytest
import torch
from torch import nn

pytest.importorskip("torchvision", reason="needs the extra 'vision'")
timm = pytest.importorskip("timm", reason="needs the extra 'vision'")

from sernf_isaac.models.vision import Dinov2Tokens, ImageNetScale, ResNet18Tokens  # noqa: E402

SMALL = "vit_small_patch14_reg4_dinov2"


@pytest.fixture(scope="module")
def published() -> nn.Module:
    """A small DINOv2 as published: LayerScale, positions of patches only, another image size."""
    torch.manual_seed(0)
    network = timm.create_model(SMALL, img_size=112, init_values=0.5, num_classes=0).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if any(part in name for part in ("gamma", "token", "bias")):  # not their zeros
                parameter.uniform_(0.1, 0.9)
    return network


@pytest.fixture(scope="module")
def weights_file(published: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "small.pth"
    torch.save(published.state_dict(), path)
    return path


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_backbones_have_the_papers_number_of_parameters() -> None:
    with torch.device("meta"):
        assert count(ResNet18Tokens()) == 11_176_512
        assert count(Dinov2Tokens()) == 303_711_744


def test_resnet_turns_images_into_a_grid() -> None:
    network = ResNet18Tokens().eval()
    images = torch.randint(256, (2, 3, 64, 96), dtype=torch.uint8)
    assert network(images).shape == (2, 2, 3, 512)
    torch.testing.assert_close(network(images), network(images / 255))


def test_resnet_reads_torchvisions_file(tmp_path: Path) -> None:
    from torchvision.models import resnet18

    network = resnet18().eval()
    state = {n: v for n, v in network.state_dict().items() if "num_batches" not in n}  # as older
    torch.save(state, tmp_path / "resnet18.pth")
    tokens = ResNet18Tokens(tmp_path / "resnet18.pth").eval()
    images = torch.rand(1, 3, 64, 64)
    expected = network.fc(tokens(images).mean(dim=(1, 2)))
    torch.testing.assert_close(expected, network(ImageNetScale()(images)))


@pytest.mark.parametrize(("tuning", "share"), [("frozen", 0.0), ("norm", 0.001), ("all", 1.0)])
def test_tuning_chooses_what_trains(tuning: str, share: float) -> None:
    network = ResNet18Tokens(tuning=tuning)
    trains = sum(p.numel() for p in network.parameters() if p.requires_grad) / count(network)
    assert trains == pytest.approx(share, abs=1e-3) and (trains > 0) == (tuning != "frozen")
    before = {name: value.clone() for name, value in network.named_buffers()}
    tokens = network.train()(torch.rand(2, 3, 32, 32))
    assert tokens.requires_grad == (tuning != "frozen")
    same = all(torch.equal(before[name], value) for name, value in network.named_buffers())
    assert same == (tuning == "frozen")


def test_published_dino_weights_give_the_published_features(published, weights_file) -> None:
    mine = Dinov2Tokens(weights_file, token_dim=8, variant=SMALL).eval()
    reference = timm.create_model(SMALL, img_size=224, init_values=0.5, num_classes=0).eval()
    filtered = timm.models.vision_transformer.checkpoint_filter_fn(
        dict(published.state_dict()), reference
    )
    reference.load_state_dict(filtered)
    images = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        penultimate = reference.get_intermediate_layers(ImageNetScale()(images), n=2)[0]
        expected = mine.projector(penultimate).unflatten(1, (16, 16))
        torch.testing.assert_close(mine(images), expected, rtol=1e-3, atol=1e-4)


def test_metas_names_are_read_too(published: nn.Module, weights_file: Path, tmp_path: Path) -> None:
    state = dict(published.state_dict())
    positions, of_class = state["pos_embed"], torch.randn(1, 1, 384)
    state["register_tokens"] = state.pop("reg_token")
    state["pos_embed"] = torch.cat([of_class, positions], dim=1)
    state["cls_token"] = state["cls_token"] - of_class
    state["mask_token"] = torch.zeros(1, 384)
    torch.save(state, tmp_path / "meta.pth")
    mine, other = (
        Dinov2Tokens(path, token_dim=8, variant=SMALL).backbone.state_dict()
        for path in (weights_file, tmp_path / "meta.pth")
    )
    assert mine.keys() == other.keys()
    for name, value in mine.items():
        torch.testing.assert_close(value, other[name])


def test_safetensors_are_read_too(published: nn.Module, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file(dict(published.state_dict()), tmp_path / "small.safetensors")
    Dinov2Tokens(tmp_path / "small.safetensors", token_dim=8, variant=SMALL)


def test_norm_tuning_of_dino_reaches_norms_and_projector() -> None:
    network = Dinov2Tokens(token_dim=8, variant=SMALL, tuning="norm")
    network(torch.rand(1, 3, 100, 120)).square().sum().backward()  # resized
    trained = {name for name, p in network.named_parameters() if p.grad is not None}
    assert "projector.weight" in trained and "backbone.blocks.0.norm1.weight" in trained
    assert all("norm" in name or "projector" in name for name in trained)


def test_missing_weights_name_file_and_content(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.pth; put the state dict of torchvision's"):
        ResNet18Tokens(tmp_path / "gone.pth")
    with pytest.raises(FileNotFoundError, match=f"state dict of timm's {SMALL}"):
        Dinov2Tokens(tmp_path / "gone.pth", variant=SMALL)


@pytest.mark.parametrize("name", ["broken.pth", "broken.safetensors"])
def test_damaged_weights_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no weights")
    with pytest.raises(ValueError, match=r"broken.* is damaged or no state dict of"):
        ResNet18Tokens(tmp_path / name)


def test_weights_that_do_not_fit_name_file_keys_and_shapes(tmp_path: Path, weights_file) -> None:
    state = ResNet18Tokens().backbone.state_dict()
    torch.save(state, tmp_path / "renamed.pth")
    with pytest.raises(ValueError, match=r"renamed\.pth does not fit: it lacks conv1\.weight"):
        ResNet18Tokens(tmp_path / "renamed.pth")
    torch.save({"conv1.weight": 3}, tmp_path / "numbers.pth")
    with pytest.raises(ValueError, match="must map names to tensors"):
        ResNet18Tokens(tmp_path / "numbers.pth")
    with pytest.raises(ValueError, match=r"has pos_embed of shape \(1, 64, 384\)|has cls_token"):
        Dinov2Tokens(weights_file, variant="vit_base_patch14_reg4_dinov2")


def test_wrong_settings_and_images_are_refused() -> None:
    with pytest.raises(ValueError, match="tuning must be one of"):
        ResNet18Tokens(tuning="some")
    with pytest.raises(ValueError, match=r"images must be \(B, 3, h, w\)"):
        ImageNetScale()(torch.rand(2, 32, 32, 3))
