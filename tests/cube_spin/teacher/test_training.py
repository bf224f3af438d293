"""Training on the twin: what is interrupted ends as if it had not been."""

import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest
import torch
from omegaconf import OmegaConf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sernf_isaac.run_folder import save_settings
from tasks.cube_spin.config import EpisodeConfig, training_task
from tasks.cube_spin.runs import train_teacher as runs
from tasks.cube_spin.teacher.policy import load_teacher, save_teacher, teacher_from_rsl_rl
from tasks.cube_spin.teacher.ppo import STATE_FILE, PpoConfig, TeacherTraining, build_ppo, paper_ppo
from tasks.cube_spin.twin.environment import CubeSpinTwin

MakeTwin = Callable[..., CubeSpinTwin]
ITERATIONS = 3
PPO = PpoConfig(rollout_steps=4, hidden=(16,), epochs=2, minibatches=2)
KILLED_RUN = """
import os, signal, sys, torch
sys.path.insert(0, {tests!r})
from pathlib import Path
import test_training
torch.set_num_threads(1)
training = test_training.tiny_training(Path(sys.argv[1]))
step, calls = training.env.step, []
def step_until_killed(actions):
    calls.append(1)
    if len(calls) == 2 * test_training.PPO.rollout_steps + 3:  # in the middle of iteration 3
        os.kill(os.getpid(), signal.SIGKILL)
    return step(actions)
training.env.step = step_until_killed
training.run(test_training.ITERATIONS)
"""


def tiny_run() -> runs.TwinRun:
    """Short episodes, so that resets happen within the few steps that are trained."""
    task = replace(training_task(), episode=EpisodeConfig(length_s=0.5, support_s=(0.0, 0.1)))
    return runs.TwinRun(seed=5, num_envs=8, iterations=ITERATIONS, task=task, ppo=PPO)


def tiny_training(run_dir: Path, env: CubeSpinTwin | None = None) -> TeacherTraining:
    """A run that saves and exports after every iteration."""
    run = tiny_run()
    torch.manual_seed(run.seed)
    env = env or CubeSpinTwin(run.num_envs, run.task, seed=run.seed, threads=1)

    def export(actor: torch.nn.Module, _: int) -> None:
        policy = teacher_from_rsl_rl(actor, run.task, env.constants)
        save_teacher(run_dir / runs.POLICY_FILE, policy, notes={"env_steps": 100})

    return TeacherTraining(env, run.ppo, run_dir, export, save_every=1)


def weights(training: TeacherTraining) -> dict[str, torch.Tensor]:
    """Everything PPO has learnt: networks, filters, optimiser moments."""
    found = {}
    for part in ("actor", "critic"):
        found |= {f"{part}.{k}": v for k, v in getattr(training.ppo, part).state_dict().items()}
    for index, state in training.ppo.optimizer.state_dict()["state"].items():
        found |= {f"adam.{index}.{k}": torch.as_tensor(v) for k, v in state.items()}
    return found


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> TeacherTraining:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    training = tiny_training(tmp_path_factory.mktemp("uninterrupted"))
    training.run(ITERATIONS)
    torch.set_num_threads(threads)
    return training


def assert_same_end(one: TeacherTraining, other: TeacherTraining) -> None:
    expected, found = weights(one), weights(other)
    assert expected.keys() == found.keys() and len(expected) > 20
    for name, value in expected.items():
        assert torch.equal(value, found[name]), name


def test_a_killed_run_resumes_to_bit_identical_weights(
    uninterrupted: TeacherTraining, tmp_path: Path
) -> None:
    program = KILLED_RUN.format(tests=str(Path(__file__).parent))
    killed = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed = tiny_training(tmp_path)
    torch.manual_seed(99)  # whatever happened before must not matter
    resumed.resume(tmp_path)
    assert resumed.progress.iteration == ITERATIONS - 1
    resumed.run(ITERATIONS)
    assert_same_end(uninterrupted, resumed)
    assert resumed.progress.iteration == ITERATIONS == len(resumed.progress.history)
    kept = ("env_steps", "reward")
    for one, other in zip(uninterrupted.progress.history, resumed.progress.history, strict=True):
        assert {name: one[name] for name in kept} == {name: other[name] for name in kept}


def test_exporting_and_evaluating_do_not_change_what_is_learnt(
    uninterrupted: TeacherTraining, tmp_path: Path
) -> None:
    training = tiny_training(tmp_path)
    training.export = lambda *_: None
    training.run(ITERATIONS)
    assert_same_end(uninterrupted, training)


def test_negative_control_another_seed_learns_other_weights(
    uninterrupted: TeacherTraining, tmp_path: Path
) -> None:
    training = tiny_training(tmp_path)
    torch.manual_seed(6)
    training.run(ITERATIONS)
    with pytest.raises(AssertionError):
        assert_same_end(uninterrupted, training)


def test_training_changes_the_policy_and_writes_curves(uninterrupted: TeacherTraining) -> None:
    fresh = build_ppo(uninterrupted.env, PPO)
    for name, value in uninterrupted.ppo.actor.state_dict().items():
        assert torch.isfinite(value).all(), name
    assert uninterrupted.ppo.actor.obs_normalizer.count > fresh.actor.obs_normalizer.count
    curves = EventAccumulator(str(uninterrupted.run_dir)).Reload()
    tags = set(curves.Tags()["scalars"])
    assert {"Train/reward", "Reward/rotation_direction", "Reward/fall"} <= tags
    assert "Spin/counterclockwise" in tags and "Spin/clockwise" not in tags  # none is commanded
    assert {"Episode/rpm", "Episode/turns", "Episode/dropped", "Loss/value"} <= tags
    assert [event.step for event in curves.Scalars("Train/reward")] == [1, 2, 3]


def test_the_exported_policy_is_the_actor(uninterrupted: TeacherTraining) -> None:
    policy = load_teacher(uninterrupted.run_dir / runs.POLICY_FILE)
    seen = uninterrupted.env.get_observations()
    uninterrupted.ppo.eval_mode()
    torch.testing.assert_close(policy(seen), uninterrupted.ppo.actor(seen), atol=1e-6, rtol=0)


def test_a_run_with_another_number_of_environments_is_not_resumed(
    uninterrupted: TeacherTraining, make_twin: MakeTwin, tmp_path: Path
) -> None:
    other = tiny_training(tmp_path, make_twin(4, tiny_run().task))
    with pytest.raises(ValueError, match="trained with 8 environments, not 4"):
        other.resume(uninterrupted.run_dir)


def test_a_run_with_another_network_is_not_resumed(
    uninterrupted: TeacherTraining, make_twin: MakeTwin, tmp_path: Path
) -> None:
    env = make_twin(8, tiny_run().task)
    other = TeacherTraining(env, replace(PPO, hidden=(32,)), tmp_path, lambda *_: None)
    with pytest.raises(ValueError, match="does not fit this network"):
        other.resume(uninterrupted.run_dir)


def test_nothing_to_resume_is_said(make_twin: MakeTwin, tmp_path: Path) -> None:
    training = tiny_training(tmp_path, make_twin(2, tiny_run().task))
    with pytest.raises(FileNotFoundError, match="nothing to resume"):
        training.resume(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"is no run: it has no config\.yaml"):
        runs.load_run(tmp_path)


def test_a_damaged_resume_point_is_refused(
    uninterrupted: TeacherTraining, make_twin: MakeTwin, tmp_path: Path
) -> None:
    training = tiny_training(tmp_path, make_twin(2, tiny_run().task))
    path = tmp_path / STATE_FILE
    whole = (uninterrupted.run_dir / STATE_FILE).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    for read, where in ((training.resume, tmp_path), (training.start_from, path)):
        with pytest.raises(ValueError, match="damaged or of another kind"):
            read(where)
    torch.save({"ppo": {}}, path)
    with pytest.raises(ValueError, match="no resume point of a training run"):
        training.resume(tmp_path)


def test_a_run_starts_from_the_networks_of_another(
    uninterrupted: TeacherTraining, make_twin: MakeTwin, tmp_path: Path
) -> None:
    training = tiny_training(tmp_path, make_twin(4, tiny_run().task))
    training.start_from(uninterrupted.run_dir / STATE_FILE)
    theirs = uninterrupted.ppo.actor.state_dict()
    assert all(torch.equal(v, theirs[k]) for k, v in training.ppo.actor.state_dict().items())
    assert training.progress.iteration == 0 and not training.ppo.optimizer.state
    with pytest.raises(FileNotFoundError, match="nothing to start from"):
        training.start_from(tmp_path / "none.pt")


def test_a_run_starts_from_the_actor_of_a_teacher_file(
    uninterrupted: TeacherTraining, make_twin: MakeTwin, tmp_path: Path
) -> None:
    training = tiny_training(tmp_path, make_twin(4, tiny_run().task))
    seen = training.env.get_observations()
    teacher = load_teacher(uninterrupted.run_dir / runs.POLICY_FILE)
    with torch.inference_mode():
        assert not torch.allclose(training.ppo.actor(seen), teacher(seen))
        training.start_from(uninterrupted.run_dir / runs.POLICY_FILE)
        torch.testing.assert_close(training.ppo.actor(seen), teacher(seen))


def test_an_interrupted_save_leaves_the_old_resume_point(
    uninterrupted: TeacherTraining, make_twin: MakeTwin, tmp_path: Path, monkeypatch
) -> None:
    training = tiny_training(tmp_path, make_twin(2, tiny_run().task))
    training.save()
    before = (tmp_path / STATE_FILE).read_bytes()

    def half_a_save(_: object, file: IO[bytes]) -> None:
        file.write(b"half of it")
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", half_a_save)
    with pytest.raises(OSError, match="no space"):
        training.save()
    assert (tmp_path / STATE_FILE).read_bytes() == before


def test_an_unknown_schedule_is_refused(make_twin: MakeTwin) -> None:
    with pytest.raises(ValueError, match=r"ppo\.schedule .*not 'cosine'"):
        build_ppo(make_twin(2), PpoConfig(schedule="cosine"))


def test_the_paper_preset_is_table_four() -> None:
    ppo = paper_ppo()
    table = (ppo.rollout_steps, ppo.epochs, ppo.minibatches, ppo.learning_rate, ppo.schedule)
    assert table == (24, 5, 4, 1e-4, "adaptive")
    rest = (ppo.desired_kl, ppo.gamma, ppo.gae_lambda, ppo.clip, ppo.entropy_coefficient)
    assert rest == (0.01, 0.99, 0.95, 0.2, 1e-4)
    assert (ppo.value_coefficient, ppo.max_grad_norm, ppo.initial_std) == (1.0, 1.0, 1.0)
    assert ppo.hidden == (512, 512, 256, 128)


# Whole runs ---------------------------------------------------------------------------------------


def test_a_whole_run_leaves_policy_settings_and_figure_and_goes_on(tmp_path: Path) -> None:
    run = replace(tiny_run(), iterations=1, eval_every=1, eval_episodes=2)
    policy_file = runs.train(run, tmp_path, threads=1)
    assert load_teacher(policy_file).hidden == PPO.hidden
    assert (tmp_path / "training.png").stat().st_size > 1000
    assert runs.load_run(tmp_path).seed == 5 and runs.load_run(tmp_path).ppo.rollout_steps == 4
    runs.train(replace(runs.load_run(tmp_path), iterations=2), tmp_path, threads=1, resume=True)
    first, last = runs.first_and_last(tmp_path)
    assert first["reward"] != last["reward"]
    scalars = EventAccumulator(str(tmp_path)).Reload()
    assert [event.step for event in scalars.Scalars("Eval/drop_fraction")] == [1, 2]


def test_settings_survive_the_file(tmp_path: Path) -> None:
    run = replace(runs.preset("paper"), seed=3, max_minutes=1.5)
    save_settings(tmp_path, run)
    loaded = runs.load_run(tmp_path)
    assert OmegaConf.structured(loaded) == OmegaConf.structured(run)
    with pytest.raises(ValueError, match="'fast' or 'paper', not 'slow'"):
        runs.preset("slow")
