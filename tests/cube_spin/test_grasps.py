"""The grasp bank: reads only what fits, and its grasps really hold the cube."""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from first_hand import CUBE_ORIGIN_M, JOINT_LOWER, JOINT_NAMES, JOINT_UPPER, V1

from tasks.assets import DEFAULT_BANK
from tasks.cube_spin.config import CONTROL_DT_S, EpisodeConfig, tuned_task
from tasks.cube_spin.grasps import GraspBank, load_grasps
from tasks.cube_spin.physics import NOMINAL
from tasks.cube_spin.terms import joint_targets
from tasks.cube_spin.twin.environment import CubeSpinTwin
from tasks.cube_spin.twin.grasp_search import GraspSearch

SUPPORT_S, HOLD_S = 0.5, 2.0
TRIED = 48


@pytest.fixture
def bank_file(tmp_path: Path, tiny_bank: GraspBank) -> Path:
    tiny_bank.save(tmp_path / "bank.npz", V1)
    return tmp_path / "bank.npz"


def rewrite(path: Path, **changes: np.ndarray) -> None:
    with np.load(path) as data:
        np.savez(path, **dict(data) | changes)


def test_a_bank_round_trips_bit_for_bit(bank_file: Path, tiny_bank: GraspBank) -> None:
    loaded = load_grasps(V1, bank_file)
    for f in fields(GraspBank):
        assert torch.equal(getattr(loaded, f.name), getattr(tiny_bank, f.name))


def test_joined_banks_are_one_after_the_other(tiny_bank: GraspBank) -> None:
    joined = GraspBank.joined([tiny_bank, tiny_bank.first(2)])
    assert len(joined) == len(tiny_bank) + 2
    assert torch.equal(joined.cube_pos[-2:], tiny_bank.cube_pos[:2])


def test_a_missing_bank_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"search_grasps\.py"):
        load_grasps(V1, tmp_path / "none.npz")


@pytest.mark.parametrize(
    "names", [sorted(JOINT_NAMES), JOINT_NAMES[1:], [*JOINT_NAMES[:-1], "right_thumb_cmc"]]
)
def test_a_bank_of_other_joints_is_refused(bank_file: Path, names: list[str]) -> None:
    rewrite(bank_file, joint_names=np.array(names))
    with pytest.raises(ValueError, match=r"bank\.npz is not for the hand orca_v1_right: joint"):
        load_grasps(V1, bank_file)


def test_a_bank_with_a_bad_number_is_refused_by_name(bank_file: Path) -> None:
    for name in (f.name for f in fields(GraspBank)):
        with np.load(bank_file) as data:
            good = data[name]
        bad = good.copy()
        bad[1, 0] = np.nan
        rewrite(bank_file, **{name: bad})
        with pytest.raises(ValueError, match=f"'{name}' holds a value that is not finite"):
            load_grasps(V1, bank_file)
        rewrite(bank_file, **{name: good})
    load_grasps(V1, bank_file)


def test_an_incomplete_bank_is_refused(bank_file: Path) -> None:
    with np.load(bank_file) as data:
        arrays = dict(data)
    for name in arrays:
        np.savez(bank_file, **{k: v for k, v in arrays.items() if k != name})
        with pytest.raises(ValueError, match=f"no grasp bank: {name} missing"):
            load_grasps(V1, bank_file)


def test_shipped_grasps_are_plausible() -> None:
    bank = load_grasps(V1)
    assert DEFAULT_BANK.name == "grasps.npz" and len(bank) >= 300
    limits = torch.tensor(JOINT_LOWER).float(), torch.tensor(JOINT_UPPER).float()
    for joints in (bank.joint_pos, bank.joint_target):
        assert ((joints > limits[0] - 0.02) & (joints < limits[1] + 0.02)).all()
    assert (bank.cube_pos - torch.tensor(CUBE_ORIGIN_M)).norm(dim=1).max() < 0.007
    torch.testing.assert_close(bank.cube_quat.norm(dim=1), torch.ones(len(bank)))


def held_share(
    make_twin: Callable[..., CubeSpinTwin], bank: GraspBank, targets: torch.Tensor | None
) -> float:
    """Share of episodes still holding after `HOLD_S` in the air with these joint targets."""
    episode = EpisodeConfig(support_s=(SUPPORT_S, SUPPORT_S))
    task = replace(tuned_task(), episode=episode)
    twin = make_twin(TRIED, task, NOMINAL, bank=bank, auto_reset=False)
    wanted = twin.joint_target.clone() if targets is None else targets.expand(TRIED, -1)
    constants = twin.constants
    action = (wanted - constants.action_centre) / constants.action_scale
    reached = joint_targets(action, wanted, constants, task.action.smoothing)
    torch.testing.assert_close(reached, wanted, atol=1e-6, rtol=0)  # the action means the target
    dropped = torch.zeros(TRIED, dtype=torch.bool)
    for _ in range(round((SUPPORT_S + HOLD_S) / CONTROL_DT_S)):
        *_, extras = twin.step(action)
        dropped |= extras["terminated"]
    return 1.0 - float(dropped.float().mean())


def test_shipped_grasps_hold_after_the_platform_has_left(
    make_twin: Callable[..., CubeSpinTwin],
) -> None:
    bank = load_grasps(V1)
    chosen = torch.randperm(len(bank), generator=torch.Generator().manual_seed(1))[:TRIED]
    some = GraspBank(*(getattr(bank, f.name)[chosen] for f in fields(GraspBank)))
    assert held_share(make_twin, some, targets=None) >= 0.9


def test_negative_control_opened_fingers_hold_nothing(
    make_twin: Callable[..., CubeSpinTwin], tiny_bank: GraspBank
) -> None:
    opened = tiny_bank.mean_target.clone()
    opened[[i for i, name in enumerate(JOINT_NAMES) if name.endswith("mcp")]] -= 0.5
    assert held_share(make_twin, tiny_bank, targets=opened) <= 0.1


def test_the_search_is_reproducible_and_keeps_only_stable_grasps() -> None:
    yaws = torch.tensor([0.0])
    found = []
    for _ in range(2):
        search = GraspSearch(V1, batch=16, seed=3)
        target = search.search(0.0, generations=2, report=lambda: None)
        found.append(search.vary(target[None], yaws, spread_rad=0.02))
    for f in fields(GraspBank):
        assert torch.equal(getattr(found[0], f.name), getattr(found[1], f.name))
    height = found[0].cube_pos[:, 2] - CUBE_ORIGIN_M[2]
    assert ((height > -0.001) & (height < 0.004)).all()
    assert target.shape == (17,) and torch.isfinite(target).all()
