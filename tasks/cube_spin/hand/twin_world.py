"""One world of the twin, drawn from physics, for the twin to stand in for a hand."""

import tempfile
from functools import partial
from pathlib import Path

import mujoco
import numpy as np
import roma
import torch

from sernf_isaac.deploy.protocols import Array
from tasks.cube_spin.config import CONTROL_DT_S, platform_height_m
from tasks.cube_spin.grasps import GraspBank, load_grasps
from tasks.cube_spin.hand.twin_driver import TwinHand, TwinHandSettings
from tasks.cube_spin.hand.twin_encoders import EncoderErrors
from tasks.cube_spin.held_object import HeldObject
from tasks.cube_spin.physics import Physics
from tasks.cube_spin.rotations import random_symmetry
from tasks.cube_spin.twin.worlds import TwinPhysics
from tasks.orca.description import Hand


def twin_settings(
    hand: Hand,
    physics: Physics,
    *,
    seed: int,
    support_s: float = 6.0,
    backlash_rad: float = 0.0,
    rate_hz: float = 40.0,
    bank: GraspBank | None = None,
    encoders: EncoderErrors | None = None,
    held: HeldObject | None = None,
) -> TwinHandSettings:
    """A simulated hand with parameters drawn once from `physics`.

    Args:
        hand: Which hand.
        physics: What is drawn; latency and sensor noise of the joints are taken from here too.
        seed: Of these draws and of all later noise.
        support_s: How long the platform supports a placed cube.
        backlash_rad: Play between servo and joint, which training never has.
        rate_hz: Ticks per second.
        bank: Grasps to start from; the shipped ones by default.
        encoders: Of its joint encoders, if it has them.
        held: The object; the paper's cube by default.
    """
    generator = torch.Generator().manual_seed(seed)
    held = held or HeldObject()
    world = TwinPhysics(hand, 1, physics, generator, threads=1, held=held)
    world.randomize(np.zeros(1, np.int64))
    delay_s = CONTROL_DT_S * float(physics.sample("action_delay_steps", (1,), generator))
    drawn = {
        name: float(physics.sample(name, (1,), generator))
        for name in ("joint_noise_rad", "joint_velocity_noise_rad_s", "joint_bias_rad")
    }
    settings = TwinHandSettings(
        model=_compiled(world.models[0]),
        start_qpos=_starts(hand, bank or load_grasps(hand, held=held), generator, held.shape),
        origin_m=hand.grasp_point_m,
        platform_m=platform_height_m(hand, held),
        seed=seed,
        delay_ticks=round(delay_s * rate_hz),
        backlash_rad=backlash_rad,
        support_s=support_s,
        rate_hz=rate_hz,
        encoders=encoders,
        **drawn,
    )
    world.close()
    return settings


def twin_driver(settings: TwinHandSettings) -> partial[TwinHand]:
    """What makes the driver in the hand's process."""
    return partial(TwinHand, settings)


def _compiled(model: mujoco.MjModel) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hand.mjb"
        mujoco.mj_saveModel(model, str(path), None)
        return path.read_bytes()


def _starts(hand: Hand, bank: GraspBank, generator: torch.Generator, shape: str) -> Array:
    """(M, 24) states: every grasp of the bank, each with the cube on a random face."""
    turned = random_symmetry(len(bank), generator, shape)
    quat_wxyz = roma.quat_product(bank.cube_quat, turned)[:, [3, 0, 1, 2]]
    ends = torch.tensor(hand.lower_rad), torch.tensor(hand.upper_rad)
    joints = bank.joint_pos.double().clamp(*ends)
    return torch.cat([joints, bank.cube_pos.double(), quat_wxyz.double()], dim=1).numpy()
