"""Film the twin: the shipped teacher spins the cube before a rendered camera; true poses included.

    python scripts/record_camera.py --out runs/recordings/spin --seconds 20
    python scripts/evaluate_pose.py --detector FILE --sequence runs/recordings/spin --video pose.mp4

The recording is a folder of pictures with camera.json, as a real camera's would be.
"""

import argparse
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from _cli import run_main

from perception.cameras.recording import FrameRecorder
from perception.cameras.rendered import record_states
from perception.synthetic.mujoco_renderer import MujocoRenderer, SceneState
from tasks.cube_spin.config import CONTROL_DT_S, evaluation_task
from tasks.cube_spin.physics import RANDOMIZED
from tasks.cube_spin.pictures.scene import picture_model
from tasks.cube_spin.teacher import DEFAULT_TEACHER, load_teacher
from tasks.cube_spin.twin import CubeSpinTwin
from tasks.rendering import choose_gl_backend


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the recording")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--height", type=int, default=240)
    parser.add_argument("--policy", type=Path, default=DEFAULT_TEACHER, help="teacher file")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    args = parse()
    torch.set_num_threads(1)
    os.environ.setdefault("LP_NUM_THREADS", "0")  # software rendering without threads of its own
    choose_gl_backend()
    recorder = FrameRecorder(args.out)
    renderer = MujocoRenderer(picture_model(), (args.width, args.height))
    try:
        states = rollout(args.policy, args.seconds, args.seed)
        frames = record_states(renderer, states, recorder, seed=args.seed)
    finally:
        renderer.close()
    print(f"{frames} frames -> {args.out}")


@torch.inference_mode()
def rollout(policy_file: Path, seconds: float, seed: int) -> Iterator[tuple[float, SceneState]]:
    """Times and states of one world, a frame per control step, while the cube is in view."""
    policy = load_teacher(policy_file)
    task = evaluation_task(policy.task)
    task = replace(task, episode=replace(task.episode, length_s=seconds + 1.0))
    twin = CubeSpinTwin(1, task, RANDOMIZED, threads=1, constants=policy.constants)
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


if __name__ == "__main__":
    run_main(main)
