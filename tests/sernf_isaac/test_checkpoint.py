"""Policy files: what was written is read bit for bit, and whatever is damaged is refused."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sernf_isaac import checkpoint
from sernf_isaac.checkpoint import FORMAT, load_checkpoint, save_checkpoint
from sernf_isaac.spec import Contract

CONTRACT = Contract(
    kind="teacher",
    task="cube_spin",
    joint_names=("wrist", "thumb"),
    joint_lower_rad=(-0.5, 0.0),
    joint_upper_rad=(0.5, 1.5),
    control_rate_hz=20.0,
    quaternion_order="xyzw",
    observations={"joint_pos": 2, "command": 1},
    action={"mode": "grasp", "centre_rad": [0.1, 0.2]},
)
CONFIG = {"hidden": [8, 4], "notes": {"seed": 3, "commit": "abc", "done": True}}


@pytest.fixture
def weights() -> dict[str, torch.Tensor]:
    return {"w": torch.randn(7, 3), "double": torch.randn(2).double(), "count": torch.tensor(3)}


@pytest.fixture
def policy_file(tmp_path: Path, weights: dict[str, torch.Tensor]) -> Path:
    path = tmp_path / "folder" / "policy.pt"
    save_checkpoint(path, contract=CONTRACT, config=CONFIG, weights=weights)
    return path


def rewrite(path: Path, **changes: object) -> None:
    """Replace entries of a policy file behind the module's back."""
    torch.save(torch.load(path, weights_only=True) | changes, path)


def test_a_file_round_trips_bit_for_bit(policy_file: Path, weights: dict) -> None:
    content = load_checkpoint(policy_file)
    assert replace(content.contract, versions={}) == CONTRACT
    assert content.config == CONFIG
    assert content.weights.keys() == weights.keys()
    for name, value in weights.items():
        assert content.weights[name].dtype == value.dtype
        assert torch.equal(content.weights[name], value)


def test_a_file_tells_the_versions_it_was_made_with(policy_file: Path) -> None:
    assert load_checkpoint(policy_file).contract.versions["torch"] in torch.__version__


def test_gradients_and_views_are_not_kept(tmp_path: Path) -> None:
    big = torch.randn(100_000, requires_grad=True)
    save_checkpoint(tmp_path / "p.pt", contract=CONTRACT, config={}, weights={"w": big[:2]})
    assert (tmp_path / "p.pt").stat().st_size < 20_000
    assert not load_checkpoint(tmp_path / "p.pt").weights["w"].requires_grad


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    message = r"no policy file at .*nothing\.pt; .*scripts/train_teacher\.py"
    with pytest.raises(FileNotFoundError, match=message):
        load_checkpoint(tmp_path / "nothing.pt")


def test_a_file_cut_off_anywhere_is_refused(policy_file: Path) -> None:
    whole = policy_file.read_bytes()
    for length in range(0, len(whole), 29):
        policy_file.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"policy\.pt is damaged or of another kind"):
            load_checkpoint(policy_file)


def test_a_flipped_bit_is_refused_or_harmless(policy_file: Path, weights: dict) -> None:
    whole, refused = policy_file.read_bytes(), 0
    rng = np.random.default_rng(0)
    for place in rng.integers(len(whole), size=300):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        policy_file.write_bytes(damaged)
        try:
            content = load_checkpoint(policy_file)
        except ValueError:
            refused += 1
            continue
        assert all(torch.equal(content.weights[name], weights[name]) for name in weights)
        assert content.config == CONFIG and content.contract.joint_names == CONTRACT.joint_names
    assert refused > 100


@pytest.mark.parametrize(
    "content",
    [b"", b"hello world, this is text", pickle.dumps({"format": FORMAT}), bytes(range(256)) * 9],
    ids=["empty", "text", "pickle", "noise"],
)
def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "foreign").write_bytes(content)
    with pytest.raises(ValueError, match="foreign is damaged or of another kind"):
        load_checkpoint(tmp_path / "foreign")


@pytest.mark.parametrize("content", [{"model": torch.ones(2)}, torch.ones(2), {"format": "x/2"}])
def test_another_checkpoint_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "rsl_rl.pt")
    with pytest.raises(ValueError, match=r"rsl_rl\.pt is no policy file of this project"):
        load_checkpoint(tmp_path / "rsl_rl.pt")


def test_code_in_a_file_is_not_run(tmp_path: Path, policy_file: Path) -> None:
    rewrite(policy_file, config={"path": tmp_path})  # a class, where plain values belong
    with pytest.raises(ValueError, match="damaged or of another kind"):
        load_checkpoint(policy_file)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_by_name(policy_file: Path, bad: float) -> None:
    broken = {"fine": torch.ones(2), "layer": torch.tensor([1.0, bad])}
    before = policy_file.read_bytes()
    with pytest.raises(ValueError, match=r"not finite: layer$"):
        save_checkpoint(policy_file, contract=CONTRACT, config={}, weights=broken)
    assert policy_file.read_bytes() == before
    rewrite(policy_file, weights=broken)
    with pytest.raises(ValueError, match=r"not finite: layer$"):
        load_checkpoint(policy_file)


def test_an_unknown_contract_field_in_a_file_is_refused(policy_file: Path) -> None:
    rewrite(policy_file, contract=CONTRACT.to_dict() | {"gripper": 1})
    with pytest.raises(ValueError, match="gripper"):
        load_checkpoint(policy_file)


@pytest.mark.parametrize("entry", ["contract", "config", "weights"])
@pytest.mark.parametrize("value", [None, [3]], ids=["missing", "list"])
def test_an_incomplete_file_is_refused_by_entry(
    policy_file: Path, entry: str, value: object
) -> None:
    rewrite(policy_file, **{entry: value})
    with pytest.raises(ValueError, match=rf"policy\.pt is incomplete: {entry} missing"):
        load_checkpoint(policy_file)


def test_a_weight_that_is_no_tensor_is_refused_by_name(policy_file: Path) -> None:
    rewrite(policy_file, weights={"fine": torch.ones(2), "odd": 3})
    with pytest.raises(ValueError, match=r"incomplete: weights\.odd missing or of the wrong type"):
        load_checkpoint(policy_file)


def test_an_interrupted_write_leaves_the_old_file(
    policy_file: Path, weights: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = policy_file.read_bytes()

    def half_a_save(_: object, file: object) -> None:
        file.write(b"half of it")
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.torch, "save", half_a_save)
        with pytest.raises(OSError, match="no space"):
            save_checkpoint(policy_file, contract=CONTRACT, config={}, weights={})
    assert policy_file.read_bytes() == before
    save_checkpoint(policy_file, contract=CONTRACT, config={"new": 1}, weights=weights)
    assert load_checkpoint(policy_file).config == {"new": 1}
    assert [path.name for path in policy_file.parent.iterdir()] == ["policy.pt"]
