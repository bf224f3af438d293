"""What a rendered camera sees of the twin: the teacher's spin, or an episode that was stored."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import torch

from perception.cameras.recording import FrameRecorder
from perception.cameras.rendered import record_states
from perception.synthetic.mujoco_renderer import MujocoRenderer, SceneState
from perception.synthetic.pictures import PictureConfig
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.store.reader import RunReader
from sernf_isaac.deploy.actor.recorder import POSE
from tasks.cube_spin.config import CONTROL_DT_S, CommandConfig, evaluation_task
from tasks.cube_spin.eyes.marks import marked_model, marks_of
from tasks.cube_spin.held_object import HeldObject
from tasks.cube_spin.teacher.policy import load_teacher
from tasks.cube_spin.twin.environment import CubeSpinTwin
from tasks.orca.description import Hand
from tasks.rendering import choose_gl_backend

States = Iterable[tuple[float, SceneState]]
"""Times [s] and what there is to be seen."""


def record(
    hand: Hand,
    states: States,
    out: Path,
    size: tuple[int, int] = (320, 240),
    *,
    seed: int,
    held: HeldObject | None = None,
    config: PictureConfig | None = None,
    path_traced: bool = False,
) -> int:
    """Film states with a camera that was placed at random; returns the number of frames.

    Args:
        hand: Which hand.
        states: Times and states.
        out: Folder of the recording.
        size: Width and height in pixels.
        seed: Of the camera's place, light and background.
        held: What the hand holds; the paper's cube by default.
        config: What the film looks like.
        path_traced: Drawn by the path tracer: about four seconds of one core for each picture.

    Raises:
        ImportError: If the path tracer is not installed.
        ValueError: As `Rig`.
    """
    os.environ.setdefault("LP_NUM_THREADS", "0")  # software rendering without threads of its own
    choose_gl_backend()
    recorder = FrameRecorder(out)
    held = held or HeldObject()
    model, config = marked_model(hand, held), config or PictureConfig()
    if path_traced:
        from perception.synthetic.path_renderer import PathRenderer

        renderer = PathRenderer(model, size, config.room.samples, marks_of(held))
    else:
        renderer = MujocoRenderer(model, size, marks_of(held))
    try:
        return record_states(renderer, states, recorder, seed=seed, config=config)
    finally:
        renderer.close()


@torch.inference_mode()
def teacher_states(
    policy_file: Path, seconds: float, seed: int, spin_rad_s: float | None = None
) -> Iterator[tuple[float, SceneState]]:
    """One world of a teacher, a state per control step, until the cube drops.

    Args:
        policy_file: The teacher.
        seconds: At most.
        seed: Of the world.
        spin_rad_s: What it is commanded; drawn from the task's commands when None.
    """
    policy = load_teacher(policy_file)
    task = evaluation_task(policy.task)
    if spin_rad_s is not None:
        task = replace(task, command=CommandConfig.fixed(spin_rad_s))
    task = replace(task, episode=replace(task.episode, length_s=seconds + 1.0))
    twin = CubeSpinTwin(1, task, threads=1, constants=policy.constants)
    try:
        twin.seed(seed)
        twin.reset()
        for step in range(round(seconds / CONTROL_DT_S)):
            now = {name: value[0].double().numpy() for name, value in twin.world.read().items()}
            state = SceneState(now["joint_pos"], now["cube_pos"], now["cube_quat"])
            yield step * CONTROL_DT_S, state
            done = twin.step(policy(twin.get_observations()))[2]
            if done.any():
                print(f"the cube was dropped after {(step + 1) * CONTROL_DT_S:.1f} s")
                return
    finally:
        twin.close()


def longest_episode(run: Path) -> Episode:
    """The longest episode of a run.

    Raises:
        ValueError: If it has none.
    """
    reader = RunReader(run)
    if not (commits := reader.commits()):
        raise ValueError(f"{run} has no episodes")
    return reader.load(max(commits, key=lambda commit: commit.steps))


def episode_states(episode: Episode, seconds: float) -> Iterator[tuple[float, SceneState]]:
    """Hand and cube of an episode as sensors and camera saw them, a state per control step.

    Raises:
        ValueError: If the episode was not recorded by a hand.
    """
    if missing := [name for name in (POSE, "history") if name not in episode.observation]:
        raise ValueError(f"nothing to film: the episode lacks {missing}")
    for step in range(min(len(episode), round(seconds / CONTROL_DT_S))):
        joints = episode.observation["history"][step, : episode.action_dim]
        pose = episode.observation[POSE][step]
        yield step * CONTROL_DT_S, SceneState(joints, pose[:3], pose[3:])
