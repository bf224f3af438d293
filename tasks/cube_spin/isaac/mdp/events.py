"""Event terms: the start state of an episode, and what is randomised with it.

Every range comes from the `Physics` table (`env_cfg.randomization`), so both simulators draw from
the same distributions and no event has parameters of its own. Values are always set from the
asset's defaults, never scaled twice.
"""

# pyright: reportAttributeAccessIssue=false
# Isaac Lab adds attributes to its configurations and managers that type checkers do not see.

import isaaclab.envs.mdp as lab
import roma
import torch
from isaaclab.assets import Articulation, RigidObject
from isaaclab.envs import ManagerBasedRLEnv
from isaaclab.managers import EventTermCfg, ManagerTermBase
from torch import Tensor

from tasks.cube_spin import rotations
from tasks.cube_spin.isaac.mdp.contacts import resize_cube
from tasks.cube_spin.isaac.mdp.state import EnvIds, TaskTracker, selected, tracker
from tasks.cube_spin.physics import NOMINAL
from tasks.cube_spin.physics_file import load_physics


def reset_to_grasp(env: ManagerBasedRLEnv, env_ids: EnvIds) -> None:
    """Put hand and cube into a random grasp of the bank, a random face of the cube on top."""
    shared, envs = tracker(env), selected(env, env_ids)
    bank, count, generator = shared.bank, len(envs), shared.generator
    pick = torch.randint(len(bank), (count,), generator=generator, device=env.device)
    turned = rotations.random_symmetry(count, generator, shared.task.object.shape)
    quat = roma.quat_product(bank.cube_quat[pick], turned)
    wobble = roma.rotvec_to_unitquat(_draw(shared, "reset_rotation_rad", count, 3))
    nudge = _draw(shared, "reset_joint_rad", count, shared.hand.num_joints)
    joint_pos = bank.joint_pos[pick] + nudge
    write_state(
        env,
        envs,
        joint_pos=joint_pos.clamp(shared.constants.joint_lower, shared.constants.joint_upper),
        cube_pos=bank.cube_pos[pick] + _draw(shared, "reset_position_m", count, 3),
        cube_quat=roma.quat_product(wobble, quat),
        cube_vel=_draw(shared, "reset_velocity_m_s", count, 3),
    )
    shared.joint_target = shared.joint_target.clone()
    shared.joint_target[envs] = bank.joint_target[pick]


def write_state(
    env: ManagerBasedRLEnv,
    envs: Tensor,
    *,
    joint_pos: Tensor,
    cube_pos: Tensor,
    cube_quat: Tensor,
    cube_vel: Tensor,
) -> None:
    """Put environments `envs` (K,) into a state: (K, A), (K, 3), (K, 4), (K, 3), task frames."""
    hand, cube, joint_ids = env.scene["robot"], env.scene["cube"], tracker(env).joint_ids
    still = torch.zeros_like(joint_pos)
    hand.write_joint_position_to_sim_index(position=joint_pos, joint_ids=joint_ids, env_ids=envs)
    hand.write_joint_velocity_to_sim_index(velocity=still, joint_ids=joint_ids, env_ids=envs)
    pose = torch.cat([cube_pos + hand.data.root_pos_w.torch[envs], cube_quat], dim=1)
    velocity = torch.cat([cube_vel, torch.zeros_like(cube_vel)], dim=1)
    cube.write_root_pose_to_sim_index(root_pose=pose, env_ids=envs)
    cube.write_root_velocity_to_sim_index(root_velocity=velocity, env_ids=envs)


def randomize_link_mass(env: ManagerBasedRLEnv, env_ids: EnvIds) -> None:
    """One factor per environment on all masses of the hand (startup)."""
    shared, envs = tracker(env), selected(env, env_ids)
    factor = shared.draw("link_mass_scale", envs)[:, None]
    data = env.scene["robot"].data
    _set_masses(env.scene["robot"], envs, data.body_mass.torch[envs] * factor, factor)


def randomize_cube(env: ManagerBasedRLEnv, env_ids: EnvIds) -> None:
    """The cube's mass, its edge (on Newton), the inertia of both, and its centre of mass."""
    shared, envs = tracker(env), selected(env, env_ids)
    cube = env.scene["cube"]
    mass = shared.draw("cube_mass_kg", envs)[:, None]
    grown = resize_cube(env, envs)[:, None] if shared.physics.sizes_differ else 1.0
    _set_masses(cube, envs, mass, mass / cube.data.body_mass.torch[envs] * grown**2)
    if any(shared.physics.cube_centre_offset_m):
        centre = shared.draw("cube_centre_offset_m", envs, 3)
        upright = torch.tensor([0.0, 0.0, 0.0, 1.0], device=env.device).expand(len(envs), 4)
        coms = torch.cat([centre, upright], dim=1)[:, None]
        cube.set_coms_index(coms=coms, env_ids=envs)


def randomize_gains(env: ManagerBasedRLEnv, env_ids: EnvIds) -> None:
    """Stiffness and damping of every servo, each by its own factor."""
    shared, envs = tracker(env), selected(env, env_ids)
    hand = env.scene["robot"]
    nominal = torch.tensor(
        [(row.stiffness, row.damping) for row in shared.hand.joints], device=env.device
    )
    stiffness = nominal[:, 0] * shared.draw("stiffness_scale", envs, shared.hand.num_joints)
    damping = nominal[:, 1] * shared.draw("damping_scale", envs, shared.hand.num_joints)
    which = {"joint_ids": shared.joint_ids, "env_ids": envs}
    hand.write_joint_stiffness_to_sim_index(stiffness=stiffness, **which)
    hand.write_joint_damping_to_sim_index(damping=damping, **which)


def randomize_motors(env: ManagerBasedRLEnv, env_ids: EnvIds) -> None:
    """Torque limits and dry friction of the servos, where they differ from the hand's own."""
    shared, envs = tracker(env), selected(env, env_ids)
    hand, physics = env.scene["robot"], shared.physics
    which = {"joint_ids": shared.joint_ids, "env_ids": envs}
    if physics.motor_strength_scale != NOMINAL.motor_strength_scale:
        nominal = torch.tensor([row.effort_limit for row in shared.hand.joints], device=env.device)
        strength = nominal * shared.draw("motor_strength_scale", envs)[:, None]
        hand.write_joint_effort_limit_to_sim_index(limits=strength, **which)
    if physics.joint_friction_nm != NOMINAL.joint_friction_nm:
        friction = shared.draw("joint_friction_nm", envs, shared.hand.num_joints)
        hand.write_joint_friction_coefficient_to_sim_index(joint_friction_coeff=friction, **which)


def randomize_joint_limits(env: ManagerBasedRLEnv, env_ids: EnvIds) -> None:
    """Small shifts of the physical stops; actions and observations keep the nominal limits."""
    shared, envs = tracker(env), selected(env, env_ids)
    nominal = torch.tensor([row.limits_rad for row in shared.hand.joints], device=env.device)
    limits = nominal + _draw(shared, "joint_limit_offset_rad", len(envs), shared.hand.num_joints, 2)
    env.scene["robot"].write_joint_position_limit_to_sim_index(
        limits=limits, joint_ids=shared.joint_ids, env_ids=envs, warn_limit_violation=False
    )


class RandomizeGravity(ManagerTermBase):
    """Vertical gravity: per environment on Newton, one draw for all on PhysX."""

    def __init__(self, cfg: EventTermCfg, env: ManagerBasedRLEnv) -> None:
        super().__init__(cfg, env)
        # Isaac Lab builds event classes before the commands, so there is no tracker yet.
        mean, std = load_physics(env.cfg.randomization).gravity_m_s2
        self._settings = {
            "gravity_distribution_params": ([0.0, 0.0, mean], [0.0, 0.0, std]),
            "operation": "abs",  # "add" would let it drift from reset to reset
            "distribution": "gaussian",
        }
        inner = EventTermCfg(params=self._settings)
        self._set = lab.randomize_physics_scene_gravity(inner, env)

    def __call__(self, env: ManagerBasedRLEnv, env_ids: EnvIds) -> None:
        """Draw gravity anew."""
        self._set(env, env_ids, **self._settings)


def _set_masses(
    asset: Articulation | RigidObject, envs: Tensor, masses: Tensor, factor: Tensor
) -> None:
    """Masses (K, bodies), and the present inertias times `factor` (K, 1)."""
    inertia = asset.data.body_inertia.torch[envs] * factor[..., None]
    asset.set_masses_index(masses=masses, env_ids=envs)
    asset.set_inertias_index(inertias=inertia, env_ids=envs)


def _draw(shared: TaskTracker, name: str, *shape: int) -> Tensor:
    return shared.physics.sample(name, shape, shared.generator)
