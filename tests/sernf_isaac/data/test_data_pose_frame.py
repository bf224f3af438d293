"""Poses relative to where the hand was seen: inverses, invariance, and anchoring prefixes anew."""

import numpy as np
import pytest
import torch
from torch import Tensor

from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.pose_frame import absolute_from, pose_in, relative_to
from sernf_isaac.data.windows import make_batch

SPEC = ChunkSpec(history=1, prefix=3, horizon=10, history_keys=(), pose_frame="pose")


def poses(*shape: int, seed: int = 0) -> Tensor:
    """Poses (..., 7) anywhere within a metre."""
    generator = torch.Generator().manual_seed(seed)
    turn = torch.randn(*shape, 4, generator=generator)
    position = 2 * torch.rand(*shape, 3, generator=generator) - 1
    return torch.cat([position, turn / turn.norm(dim=-1, keepdim=True)], dim=-1)


def same_pose(one: Tensor, other: Tensor) -> None:
    """Equal up to the sign of the quaternion, to a millionth."""
    sign = (one[..., 3:7] * other[..., 3:7]).sum(dim=-1, keepdim=True).sign()
    assert (one[..., :3] - other[..., :3]).abs().max() <= 1e-6
    assert (one[..., 3:7] - sign * other[..., 3:7]).abs().max() <= 1e-6
    assert torch.equal(one[..., 7:], other[..., 7:])


def episode(steps: int = 40, seed: int = 0) -> Episode:
    """A hand that wanders about, with commands near where it is."""
    rng = np.random.default_rng(seed)
    path = np.cumsum(rng.normal(0, 0.02, (steps + 1, 3)), axis=0)
    turn = np.cumsum(rng.normal(0, 0.05, (steps + 1, 4)), axis=0)
    turn[:, 3] += 2
    pose = np.concatenate([path, turn / np.linalg.norm(turn, axis=1, keepdims=True)], axis=1)
    action = np.concatenate([pose[1:], rng.normal(size=(steps, 2))], axis=1)
    return Episode(
        {"pose": pose[:-1]}, action, np.ones(steps), final_observation={"pose": pose[-1]}
    )


def test_there_and_back_is_within_a_millionth() -> None:
    frame, there = poses(200), torch.cat([poses(200, 13, seed=1), torch.randn(200, 13, 17)], dim=-1)
    same_pose(absolute_from(frame, relative_to(frame, there)), there)


def test_relative_rotations_have_one_sign_and_survive_the_way_out_and_back() -> None:
    frame, relative = poses(200), poses(200, 5, seed=1)
    relative[..., 3:] *= torch.where(relative[..., 6:] < 0, -1.0, 1.0)
    back = relative_to(frame, absolute_from(frame, relative))
    assert (back - relative).abs().max() <= 2e-6 and (back[..., 6] >= 0).all()


def test_the_pose_itself_is_the_origin() -> None:
    frame = poses(50)
    origin = torch.tensor([0.0, 0, 0, 0, 0, 0, 1]).expand(50, 1, 7)
    torch.testing.assert_close(relative_to(frame, frame[:, None]), origin, atol=1e-6, rtol=0)


def test_carrying_robot_and_commands_elsewhere_changes_nothing() -> None:
    frame, there = poses(100), poses(100, 4, seed=1)
    moved = poses(100, seed=2)
    carried = absolute_from(moved, torch.cat([frame[:, None], there], dim=1))
    torch.testing.assert_close(
        relative_to(carried[:, 0], carried[:, 1:]), relative_to(frame, there), atol=3e-6, rtol=0
    )


def test_long_quaternions_count_as_unit_ones() -> None:
    frame, there = poses(20), poses(20, 3, seed=1)
    stretched = torch.cat([there[..., :3], 3 * there[..., 3:]], dim=-1)
    torch.testing.assert_close(relative_to(frame, stretched), relative_to(frame, there))


def test_windows_hold_each_prefix_in_the_frame_of_its_own_decision() -> None:
    shown = episode()
    batch = make_batch(shown, SPEC)
    stored = torch.from_numpy(shown.action)
    here, there = (o["pose"] for o in (batch.observation, batch.next_observation))
    for index in range(len(batch)):
        row = slice(index, index + 1)
        same_pose(absolute_from(here[row], batch.prefix[row])[0], stored[index : index + 3])
        wanted = stored[index + 10 : index + 13]
        if len(wanted) == 3:
            same_pose(absolute_from(here[row], batch.chunk[row])[0], stored[index + 3 : index + 13])
            same_pose(absolute_from(there[row], batch.next_prefix[row])[0], wanted)


def test_a_prefix_is_not_the_end_of_the_chunk_any_more_but_the_same_pose() -> None:
    batch = make_batch(episode(), SPEC)
    end = batch.chunk[:, -3:]
    assert (batch.next_prefix - end)[..., :3].norm(dim=-1).min() > 1e-3  # without anchoring: 0
    here, there = (o["pose"] for o in (batch.observation, batch.next_observation))
    same_pose(relative_to(there, absolute_from(here, end)), batch.next_prefix)


def test_without_a_pose_frame_actions_stay_as_they_are() -> None:
    shown = episode()
    batch = make_batch(shown, ChunkSpec(history=1, prefix=3, horizon=10, history_keys=()))
    assert torch.equal(batch.prefix[0], torch.from_numpy(shown.action[:3]))
    assert torch.equal(batch.next_prefix, batch.chunk[:, -3:])


def test_a_history_of_poses_counts_from_its_newest() -> None:
    spec = ChunkSpec(history=4, prefix=3, horizon=10, history_keys=("pose",), pose_frame="pose")
    one, several = make_batch(episode(), SPEC), make_batch(episode(), spec)
    assert torch.equal(one.chunk, several.chunk) and several.observation["pose"].shape[1] == 4


def test_what_is_no_pose_is_refused() -> None:
    shown = episode()
    with pytest.raises(ValueError, match="lacks 'grip'; it has"):
        make_batch(shown, ChunkSpec(1, 3, 10, history_keys=(), pose_frame="grip"))
    with pytest.raises(ValueError, match="holds no poses of 7 numbers"):
        pose_in({"pose": torch.zeros(2, 6)}, "pose")
    with pytest.raises(ValueError, match="A >= 7"):
        relative_to(poses(2), torch.zeros(2, 3, 6))
    with pytest.raises(ValueError, match=r"poses must be \(2, 7\)"):
        relative_to(poses(3), torch.zeros(2, 3, 7))
    shown.action[5, 3:7] = 0
    with pytest.raises(ValueError, match=r"the rotation of an action is .* at index \(5, 0\)"):
        make_batch(shown, SPEC)
    with pytest.raises(ValueError, match="the rotation of an observed pose"):
        relative_to(torch.full((2, 7), torch.nan), poses(2, 3))
