"""The teacher as a file: the same actions as the trained actor, and only under its contract."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from first_hand import JOINT_NAMES
from rsl_rl.algorithms import PPO
from tensordict import TensorDict

from sernf_isaac.checkpoint import load_checkpoint, save_checkpoint
from sernf_isaac.spec import Contract
from tasks.assets import DEFAULT_TEACHER
from tasks.cube_spin.config import (
    ActionConfig,
    CommandConfig,
    EpisodeConfig,
    TaskConfig,
    paper_task,
    tuned_task,
)
from tasks.cube_spin.evaluation.metrics import run_episodes, summarise
from tasks.cube_spin.physics import NOMINAL
from tasks.cube_spin.teacher.policy import (
    TeacherPolicy,
    load_teacher,
    save_teacher,
    teacher_contract,
    teacher_from_rsl_rl,
)
from tasks.cube_spin.teacher.ppo import PpoConfig, build_ppo
from tasks.cube_spin.twin.environment import CubeSpinTwin

HIDDEN = (16, 8)


@pytest.fixture
def twin(make_twin: Callable[..., CubeSpinTwin]) -> CubeSpinTwin:
    return make_twin(3)


@pytest.fixture
def trained(twin: CubeSpinTwin) -> PPO:
    """An actor whose observation filter has seen something."""
    ppo = build_ppo(twin, PpoConfig(hidden=HIDDEN))
    ppo.train_mode()
    for _ in range(5):
        ppo.actor.update_normalization(twin.get_observations())
        twin.step(0.3 * torch.randn(3, 17))
    ppo.eval_mode()
    return ppo


@pytest.fixture
def policy(trained: PPO, twin: CubeSpinTwin) -> TeacherPolicy:
    return teacher_from_rsl_rl(trained.actor, twin.task, twin.constants)


@pytest.fixture
def policy_file(policy: TeacherPolicy, tmp_path: Path) -> Path:
    save_teacher(tmp_path / "teacher.pt", policy, notes={"seed": 4, "commit": "abc"})
    return tmp_path / "teacher.pt"


def observations(count: int = 50, size: int = 99) -> TensorDict:
    return TensorDict({"teacher": 2.0 * torch.randn(count, size)}, [count])


def rewrite(path: Path, contract: dict | None = None, config: dict | None = None) -> None:
    """Change a policy file's promises without changing the policy."""
    content = load_checkpoint(path)
    changed = Contract.from_dict(content.contract.to_dict() | (contract or {}))
    save_checkpoint(
        path, contract=changed, config=content.config | (config or {}), weights=content.weights
    )


def test_an_exported_policy_acts_like_the_trained_actor(
    trained: PPO, policy: TeacherPolicy
) -> None:
    seen = observations()
    expected = trained.actor(seen)
    assert expected.std() > 1e-3 and expected.shape == (50, 17)
    torch.testing.assert_close(policy(seen), expected, atol=1e-6, rtol=0)
    assert policy.hidden == HIDDEN


def test_the_observation_filter_is_part_of_the_policy(policy: TeacherPolicy) -> None:
    assert policy.observation_mean.abs().max() > 0.1
    seen = observations()
    filtered = policy(seen)
    policy.observation_mean.zero_()
    assert not torch.allclose(policy(seen), filtered, atol=1e-3)


def test_exporting_leaves_the_random_numbers_of_training_alone(
    trained: PPO, twin: CubeSpinTwin
) -> None:
    before = torch.get_rng_state()
    teacher_from_rsl_rl(trained.actor, twin.task, twin.constants)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_saved_policy_loads_with_everything_it_needs(
    policy: TeacherPolicy, policy_file: Path
) -> None:
    loaded, seen = load_teacher(policy_file), observations()
    assert torch.equal(loaded(seen), policy(seen))
    assert torch.equal(loaded.action_centre, policy.action_centre)
    assert torch.equal(loaded.constants.action_scale, policy.constants.action_scale)
    assert not loaded.training
    assert load_checkpoint(policy_file).config["notes"] == {"seed": 4, "commit": "abc"}


@pytest.mark.parametrize("task", [paper_task(), tuned_task()], ids=["paper", "tuned"])
def test_the_task_it_was_trained_on_is_kept(
    make_twin: Callable[..., CubeSpinTwin], tmp_path: Path, task: TaskConfig
) -> None:
    task = replace(task, command=CommandConfig(speed_rad_s=(0.2, 2.5), both_directions=True))
    twin = make_twin(2, task)
    actor = build_ppo(twin, PpoConfig(hidden=HIDDEN)).actor
    save_teacher(tmp_path / "t.pt", teacher_from_rsl_rl(actor, task, twin.constants), notes={})
    loaded = load_teacher(tmp_path / "t.pt").task
    assert loaded.action == task.action and loaded.observation == task.observation
    assert loaded.reward == task.reward
    assert tuple(loaded.command.speed_rad_s) == (0.2, 2.5) and loaded.command.both_directions


def test_the_contract_promises_what_the_file_format_needs(twin: CubeSpinTwin) -> None:
    contract = teacher_contract(twin.task, twin.constants)
    assert contract.joint_names == JOINT_NAMES and contract.control_rate_hz == pytest.approx(20.0)
    assert sum(contract.observations.values()) == twin.get_observations()["teacher"].shape[1]
    assert contract.quaternion_order == "xyzw" and contract.action["mode"] == "grasp"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("joint_names", sorted(JOINT_NAMES)),
        ("joint_lower_rad", [-0.1] * 17),
        ("joint_upper_rad", [0.1] * 17),
        ("control_rate_hz", 30.0),
        ("quaternion_order", "wxyz"),
        ("kind", "student"),
        ("task", "peg_in_hole"),
        ("observations", {"joint_pos": 17, "joint_vel": 16}),
        ("action", {"mode": "limits", "smoothing": 0.5}),
    ],
)
def test_a_policy_under_another_contract_is_refused_by_name(
    policy_file: Path, field: str, value: object
) -> None:
    rewrite(policy_file, contract={field: value})
    with pytest.raises(ValueError, match=rf"teacher\.pt does not fit this task: .*{field} is"):
        load_teacher(policy_file)


def test_every_difference_is_told_at_once(policy_file: Path) -> None:
    rewrite(policy_file, contract={"control_rate_hz": 30.0, "quaternion_order": "wxyz"})
    with pytest.raises(ValueError, match=r"control_rate_hz is 30.0.*; quaternion_order is wxyz"):
        load_teacher(policy_file)


def test_observations_that_do_not_fit_the_promise_are_refused(policy_file: Path) -> None:
    task = load_checkpoint(policy_file).config["task"]
    task["observation"]["fingertips"] = False
    rewrite(policy_file, config={"task": task})
    with pytest.raises(ValueError, match=r"observations is \{'tip_to_cube': 15\}, expected .*None"):
        load_teacher(policy_file)


def test_settings_this_version_does_not_know_are_refused(policy_file: Path) -> None:
    task = load_checkpoint(policy_file).config["task"]
    task["action"]["gripper_scale"] = 1.0
    rewrite(policy_file, config={"task": task})
    with pytest.raises(ValueError, match=r"teacher\.pt.*gripper_scale"):
        load_teacher(policy_file)


def test_a_missing_policy_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no policy file at .*gone\.pt"):
        load_teacher(tmp_path / "gone.pt")


def test_an_rsl_rl_checkpoint_is_refused_with_the_way_out(trained: PPO, tmp_path: Path) -> None:
    torch.save(trained.save(), tmp_path / "model_100.pt")
    with pytest.raises(ValueError, match="RSL-RL checkpoint must be exported first"):
        load_teacher(tmp_path / "model_100.pt")


def test_a_policy_keeps_its_own_action_centre(
    make_twin: Callable[..., CubeSpinTwin], policy_file: Path, tiny_bank
) -> None:
    """Another grasp bank must not change what a trained policy's actions mean."""
    loaded = load_teacher(policy_file)
    other = make_twin(2, bank=tiny_bank.first(1), constants=loaded.constants)
    own = make_twin(2, bank=tiny_bank.first(1))
    assert torch.equal(other.constants.action_centre, loaded.action_centre)
    assert not torch.equal(own.constants.action_centre, loaded.action_centre)
    assert loaded.task.action == ActionConfig()


@pytest.mark.parametrize("speed_rad_s", [0.5, 1.5])
def test_the_shipped_teacher_holds_and_spins_the_cube(
    make_twin: Callable[..., CubeSpinTwin], speed_rad_s: float
) -> None:
    policy = load_teacher(DEFAULT_TEACHER)
    episode = EpisodeConfig(length_s=8.0, support_s=(1.0, 1.0))
    task = replace(policy.task, episode=episode, command=CommandConfig.fixed(speed_rad_s))
    twin = make_twin(16, task, NOMINAL, constants=policy.constants)
    summary = summarise(run_episodes(twin, policy, 16))
    assert summary["drop_fraction"] == 0.0
    assert 0.8 < summary["spin_ratio"] < 1.2
    assert summary["tilt_deg"] < 15.0
