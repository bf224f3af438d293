"""Pictures and videos of the twin: hand and cube from below and from the side."""

import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import imageio.v3 as iio
import mujoco
import mujoco.viewer
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from tensordict import TensorDict
from torch import Tensor
from tqdm import tqdm

from tasks.cube_spin.config import CONTROL_DT_S, CommandConfig, evaluation_task
from tasks.cube_spin.evaluation.figures import episode_figure
from tasks.cube_spin.grasps import task_constants
from tasks.cube_spin.physics_file import load_physics
from tasks.cube_spin.runs.outside import outside_training
from tasks.cube_spin.student.environment import StudentEnv, radian_constants
from tasks.cube_spin.student.policy import Student
from tasks.cube_spin.teacher.policy import TeacherPolicy
from tasks.cube_spin.twin.camera import Camera, show
from tasks.cube_spin.twin.environment import CubeSpinTwin
from tasks.cube_spin.twin.scene import twin_model
from tasks.cube_spin.view.keys import HELP, Keys
from tasks.cube_spin.view.scene import open_server
from tasks.cube_spin.view.twin_page import TwinPage

CANDIDATES = 24
"""Of a student with critics, as on the hand."""


def film_policy(
    policy: TeacherPolicy | Student,
    video: Path,
    *,
    seconds: float = 20.0,
    seed: int = 7,
    physics: str = "nominal",
    spin_rad_s: float | None = None,
    support_s: float = 2.0,
) -> None:
    """A video of one episode and a plot of its spin beside it.

    Args:
        policy: A loaded teacher or student; a student sees through its camera.
        video: Target (.mp4); the plot gets the same name.
        seconds: Length.
        seed: Seed of the episode.
        physics: Preset or YAML file.
        spin_rad_s: Fixed command; drawn as the task does when None.
        support_s: Time on the platform.
    """
    twin, env = _stage(policy, seed, physics, spin_rad_s, support_s)
    trace = film(twin, policy, video, seconds, acting=env)
    episode_figure(video.with_suffix(".png"), trace, video.stem)


def view_policy(
    policy: TeacherPolicy | Student,
    *,
    seed: int,
    physics: str,
    spin_rad_s: float | None,
    support_s: float,
) -> None:
    """Run a policy in MuJoCo's interactive viewer, in real time, until the window is closed.

    Raises:
        ValueError: Where there is no display.
    """
    if platform.system() == "Linux" and not os.environ.get("DISPLAY"):
        raise ValueError("--view needs a display; without --view a video is written instead")
    twin, env = _stage(policy, seed, physics, spin_rad_s, support_s)
    model, keys = twin_model(twin.hand, twin.held, visual=True), Keys(twin)
    data = mujoco.MjData(model)
    print(HELP)
    with mujoco.viewer.launch_passive(model, data, key_callback=keys.press) as window:
        while window.is_running():
            started = time.monotonic()
            if said := keys.do():
                print(said)
            env.step(policy(env.get_observations()))
            show(twin, 0, model, data)
            window.sync()
            time.sleep(max(0.0, CONTROL_DT_S - (time.monotonic() - started)))


def browse_policy(
    policy: TeacherPolicy | Student,
    *,
    port: int,
    candidates: int | None,
    seed: int,
    physics: str,
    spin_rad_s: float | None,
    support_s: float,
) -> NoReturn:
    """Run a policy in real time on a page for browsers, until interrupted.

    Args:
        policy: A loaded teacher or student.
        port: Of the page; 0: any free one.
        candidates: K chunks that a student's decision chooses from, by value if it has critics;
            None: 24 with critics, 1 without.
        seed: Seed of the episodes.
        physics: Preset or YAML file.
        spin_rad_s: Command to begin with; drawn as the task does when None.
        support_s: Time on the platform.

    Raises:
        ImportError: If the extra `viewer` is not installed.
    """
    if isinstance(policy, Student):
        policy = choosing(policy, candidates)
    twin, env = _stage(policy, seed, physics, spin_rad_s, support_s)
    server = open_server(port, "cube spin, twin")
    page = TwinPage(server, policy, twin, env)
    print(f"page -> http://127.0.0.1:{server.get_port()} (Ctrl-C ends it)", flush=True)
    page.run()


def choosing(student: Student, candidates: int | None) -> Student:
    """The same student with so many candidates, see `browse_policy`."""
    has_critics = student.policy.critics is not None
    count = candidates or (CANDIDATES if has_critics else 1)
    rank = "value" if has_critics else "likelihood"
    parts = student.policy, student.task, student.observation
    return Student(*parts, candidates=count, rank=rank)


def _stage(
    policy: TeacherPolicy | Student,
    seed: int,
    physics: str,
    spin_rad_s: float | None,
    support_s: float,
) -> tuple[CubeSpinTwin, CubeSpinTwin | StudentEnv]:
    """One world under the evaluation's task, and the environment the policy acts in."""
    task = evaluation_task(policy.task)
    task = replace(task, episode=replace(task.episode, support_s=(support_s, support_s)))
    if spin_rad_s is not None:
        task = replace(task, command=CommandConfig.fixed(spin_rad_s))
    world = load_physics(physics, task.object)
    for warning in outside_training(policy.task, world, spin_rad_s):
        print(f"warning: {warning}", file=sys.stderr)
    if isinstance(policy, TeacherPolicy):
        twin = CubeSpinTwin(1, task, world, seed=seed, threads=1, constants=policy.constants)
        return twin, twin
    constants = radian_constants(task_constants(task))
    twin = CubeSpinTwin(1, task, world, seed=seed, threads=1, student=True, constants=constants)
    shape, steps = task.object.shape, policy.history
    return twin, StudentEnv(twin, policy.observation, seed=seed, shape=shape, history=steps)


def captioned(picture: np.ndarray, views: tuple[str, ...], row: tuple[float, ...]) -> np.ndarray:
    """A frame with the name of each view, time, turns, commanded and achieved spin.

    Args:
        picture: (H, W, 3) uint8, views side by side.
        views: Their names.
        row: time [s], commanded and mean spin [rad/s], turns, whether the platform has left.
    """
    image = Image.fromarray(picture)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size=max(10, len(picture) // 24))
    style = {"font": font, "fill": "white", "stroke_width": 2, "stroke_fill": "black"}
    width, edge = picture.shape[1] // len(views), max(4, len(picture) // 64)
    for number, view in enumerate(views):
        draw.text((number * width + edge, edge), f"{view} view", **style)
    time_s, commanded, achieved, turns, aloft = row
    text = (
        f"{time_s:5.1f} s   {turns:+.2f} turns   spin {achieved:+.2f} of {commanded:+.2f} rad/s"
        f"{'' if aloft else '   on the platform'}"
    )
    draw.text((edge, len(picture) - edge), text, anchor="ls", **style)
    return np.asarray(image)


@torch.inference_mode()
def film(
    twin: CubeSpinTwin,
    policy: Callable[[TensorDict], Tensor],
    path: Path,
    seconds: float,
    env: int = 0,
    every: int = 2,
    acting: StudentEnv | CubeSpinTwin | None = None,
) -> dict[str, np.ndarray]:
    """Run a policy and write a real-time video of environment `env`, a frame every `every` steps.

    A policy that does not act in the twin itself acts in `acting`, an environment around it.

    Returns:
        What happened, one entry per step: time_s, command_rad_s, mean_spin_rad_s, turns, aloft.
    """
    camera, frames = Camera(twin.hand, held=twin.held), []
    trace: dict[str, list[float]] = {
        name: [] for name in ("time_s", "command_rad_s", "mean_spin_rad_s", "turns", "aloft")
    }
    turned = 0.0
    acting = acting or twin
    observations = acting.get_observations()
    for step in tqdm(
        range(round(seconds / CONTROL_DT_S)), desc="filming", unit="frame", leave=False
    ):
        observations, *_ = acting.step(policy(observations))
        turned += float(twin.state.spin[env, 2]) * CONTROL_DT_S / (2 * np.pi)
        row = (
            (step + 1) * CONTROL_DT_S,
            float(twin.command[env]),
            float(twin.state.mean_spin[env]),
            turned,
            float(twin.support_left_s[env] <= 0.0),
        )
        for name, value in zip(trace, row, strict=True):
            trace[name].append(value)
        if step % every == 0:
            frames.append(captioned(camera.picture(twin, env), camera.views, row))
    camera.close()
    path.parent.mkdir(parents=True, exist_ok=True)
    iio.imwrite(path, np.stack(frames), fps=round(1 / (CONTROL_DT_S * every)), codec="libx264")
    return {name: np.array(values) for name, values in trace.items()}
