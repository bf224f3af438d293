"""Registration, Isaac Lab's command line, training, resuming, and what is refused."""

import copy
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from tasks import ISAAC_TASKS
from tasks.cube_spin.config import CommandConfig, tuned_task
from tasks.cube_spin.evaluation.metrics import run_episodes
from tasks.cube_spin.isaac.environment import (
    isaac_configs,
    make_isaac_env,
    open_isaac_env,
    train_isaac,
    trained_policy,
)
from tasks.cube_spin.runs.evaluate import EvaluationRequest, evaluate
from tasks.cube_spin.teacher.isaac_lab_model import export_teacher, newest_model
from tasks.cube_spin.teacher.policy import TeacherPolicy, save_teacher

pytestmark = pytest.mark.sim


def isaaclab(*arguments: str, where: Path, until: str | None = None) -> str:
    """Output of Isaac Lab's command line, until it ends or says something."""
    log = where / f"{arguments[0]}.log"
    command = [sys.executable, "-m", "isaaclab", *arguments]
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=where, stdout=output, stderr=subprocess.STDOUT)
        try:
            latest = time.monotonic() + 280.0
            while process.poll() is None and time.monotonic() < latest:
                if until and until in log.read_text():
                    break
                time.sleep(0.5)
        finally:
            process.kill()
            process.wait()
    return log.read_text()


def test_isaac_lab_lists_our_tasks(tmp_path: Path) -> None:
    listed = isaaclab("list_envs", where=tmp_path)
    for name in ISAAC_TASKS:
        assert f" {name} " in listed, name


@pytest.mark.timeout(600)
def test_what_isaac_labs_own_command_trains_plays_and_is_exported(tmp_path: Path) -> None:
    output = isaaclab(
        *("train", "--rl_library", "rsl_rl", "--task", "Sernf-Orca-CubeSpin", "--device", "cpu"),
        *("--num_envs", "16", "--max_iterations", "2", "agent.device=cpu"),
        where=tmp_path,
    )
    (model,) = list(tmp_path.glob("logs/rsl_rl/*/*/model_1.pt")) or [None]
    assert model, output[-3000:]
    teacher = tmp_path / "teacher.pt"  # what the twin, the student and the scripts take
    exported = export_teacher(newest_model(model.parent), teacher, {})
    result, records = evaluate(EvaluationRequest(teacher, episodes=2, num_envs=2, threads=1))
    assert len(records) == 2 and result["policy"] == "teacher.pt"
    assert OmegaConf.structured(exported) == OmegaConf.structured(tuned_task())
    played = isaaclab(
        *("play", "--rl_library", "rsl_rl", "--task", "Sernf-Orca-CubeSpin", "--device", "cpu"),
        *("--checkpoint", "latest", "--num_envs", "2", "env.randomization=nominal"),
        *("agent.device=cpu",),
        where=tmp_path,
        until="Policy playback is running",
    )
    assert str(model) in played and "Policy playback is running" in played, played[-3000:]


@pytest.mark.parametrize(
    ("override", "found"),
    [("env.seed=5", (5, 1)), ("agent.seed=6", (1, 6)), ("agent.max_iterations=9", (1, 1))],
)
def test_an_override_wins_over_a_flag(override: str, found: tuple[int, int]) -> None:
    env_cfg, agent_cfg = isaac_configs(num_envs=2, seed=1, iterations=3, overrides=[override])
    assert (env_cfg.seed, agent_cfg.seed) == found
    assert agent_cfg.max_iterations == (9 if "max_iterations" in override else 3)
    assert agent_cfg.device == env_cfg.sim.device == "cpu"


def test_training_saves_and_resumes(tmp_path: Path) -> None:
    env_cfg, agent_cfg = isaac_configs(num_envs=16, seed=1, overrides=["agent.max_iterations=2"])
    env = open_isaac_env(env_cfg)
    try:
        first = train_isaac(env, agent_cfg, tmp_path / "first")
        assert first.current_learning_iteration == 1
        assert list((tmp_path / "first").glob("events.out.tfevents*"))
        policy = trained_policy(first, env)
        action = policy(env.get_observations())
        with torch.inference_mode():
            expected = first.get_inference_policy("cpu")(env.get_observations())
        torch.testing.assert_close(action, expected, rtol=1e-4, atol=1e-5)

        checkpoint = tmp_path / "first/model_1.pt"
        second = train_isaac(env, agent_cfg, tmp_path / "second", resume=checkpoint)
        assert second.current_learning_iteration == 2
        before = torch.load(checkpoint, weights_only=False)["actor_state_dict"]
        after = second.alg.save()["actor_state_dict"]
        moved = (after["mlp.0.weight"] - before["mlp.0.weight"]).abs().max()
        assert 0.0 < moved < 0.1, "resumed training should go on from the checkpoint"
    finally:
        env.close()


def test_a_training_may_begin_with_a_teacher_file(tmp_path: Path) -> None:
    teacher = TeacherPolicy(tuned_task(), torch.zeros(17), torch.ones(17), (32,), 99).eval()
    save_teacher(tmp_path / "teacher.pt", teacher, {"env_steps": 10**9})
    still = ["agent.algorithm.learning_rate=0.0", "agent.algorithm.schedule=fixed"]
    sizes = ["agent.actor.hidden_dims=[32]", "agent.critic.hidden_dims=[32]"]
    overrides = ["agent.max_iterations=1", *still, *sizes]
    env_cfg, agent_cfg = isaac_configs(num_envs=8, seed=1, overrides=overrides)
    env = open_isaac_env(env_cfg)
    try:
        begun = train_isaac(env, agent_cfg, tmp_path, start_from=tmp_path / "teacher.pt")
        seen = env.get_observations()
        action = trained_policy(begun, env)(seen)
        torch.testing.assert_close(action, teacher(seen), rtol=1e-3, atol=1e-3)
        agent_cfg.actor.hidden_dims = [16]
        with pytest.raises(ValueError, match=r"needs agent.actor.hidden_dims=\[32\]"):
            train_isaac(env, agent_cfg, tmp_path, start_from=tmp_path / "teacher.pt")
        teacher.clockwise = copy.deepcopy(teacher)
        save_teacher(tmp_path / "both.pt", teacher, {"env_steps": 1})
        with pytest.raises(ValueError, match="a network per direction"):
            train_isaac(env, agent_cfg, tmp_path, start_from=tmp_path / "both.pt")
    finally:
        env.close()


def test_paper_preset_gives_the_papers_task() -> None:
    env_cfg, agent_cfg = isaac_configs(overrides=["presets=paper"])
    assert env_cfg.task.action.mode == "limits"
    assert env_cfg.task.reward.form == "alignment"
    assert agent_cfg.algorithm.learning_rate == 1e-4
    assert agent_cfg.algorithm.schedule == "adaptive"
    env = make_isaac_env(num_envs=2, overrides=["presets=paper", "env.scene.env_spacing=0.7"])
    assert env.get_observations()["teacher"].shape == (2, 83)
    assert set(env.unwrapped.reward_manager.active_terms) == {
        *("object_position", "rotation_magnitude", "rotation_direction", "angular_acceleration"),
        *(
            "reaching",
            "pose_closure",
            "joint_velocity",
            "action",
            "action_rate",
            "joint_acceleration",
        ),
    }
    env.close()


def test_settings_reach_the_managers() -> None:
    overrides = ["env.task.reward.tilt=-3.5", "env.task.episode.length_s=8.0"]
    env_cfg, _ = isaac_configs(num_envs=2, overrides=overrides)
    env_cfg.validate()
    assert env_cfg.rewards["tilt"].weight == -3.5
    assert env_cfg.episode_length_s == 8.0


def test_evaluation_goes_from_one_task_to_the_next() -> None:
    env = make_isaac_env(num_envs=4, physics="reality")  # with latency and sensor noise
    task = env.tracker.task
    brief = replace(task, episode=replace(task.episode, length_s=0.5, support_s=(0.2, 0.2)))
    records = []
    for spin in (0.5, -1.0):
        env.use_task(replace(brief, command=CommandConfig.fixed(spin)))
        records.append(run_episodes(env, lambda seen: torch.zeros(len(seen), 17), 6))
        assert (env.tracker.command == spin).all()
    env.close()
    for record in records:
        assert len(record) == 6
        torch.testing.assert_close(record.length_s, torch.full((6,), 0.5))
        torch.testing.assert_close(record.airborne_s, torch.full((6,), 0.35))
        torch.testing.assert_close(record.dropped, torch.zeros(6))
    assert records[1].commanded_rad.mean() == pytest.approx(2.0 * records[0].commanded_rad.mean())


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("env.task.reward.titl=-1", "env.task.reward.titl.*did you mean 'env.task.reward.tilt'"),
        ("agent.algorithm.learnin_rate=1", "agent.algorithm.learnin_rate.*learning_rate"),
        ("env.scene.num_env=4", "env.scene.num_env'.*num_envs"),
    ],
)
def test_misspelt_settings_are_refused_with_a_suggestion(override: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        isaac_configs(overrides=[override])


def test_wrong_values_are_refused() -> None:
    for override, message in (
        ("env.task.action.mode=joints", "action.mode"),
        ("env.randomization=nominall", "nominall"),
    ):
        env_cfg, _ = isaac_configs(overrides=[override])
        with pytest.raises(ValueError, match=message):
            env_cfg.validate()


def test_unknown_task_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Sernf-Orca-CubeSpin-Play"):
        isaac_configs("Sernf-Orca-CubeSpinn")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match=r"cuda.*no GPU.*--device cpu"):
        isaac_configs(device="cuda:0")


def test_importing_tasks_does_not_import_isaac_lab() -> None:
    code = "import sys, tasks; assert not any(m.startswith('isaaclab') for m in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)
