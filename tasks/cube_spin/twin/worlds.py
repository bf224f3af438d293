"""N differently randomised MuJoCo worlds stepped together on all cores (`mujoco.rollout`)."""

import copy
import os

import mujoco
import numpy as np
import torch
from mujoco.rollout import Rollout
from torch import Tensor

from tasks.cube_spin.config import (
    DECIMATION,
    MAX_SPEED,
    PLATFORM_GONE_M,
    platform_height_m,
)
from tasks.cube_spin.held_object import HeldObject
from tasks.cube_spin.physics import KINDS, STARTUP_PARAMETERS, Physics
from tasks.cube_spin.rotations import rotate
from tasks.cube_spin.twin.scene import set_cone, twin_model, use_collisions
from tasks.orca.description import Hand

_CONTROL = int(
    mujoco.mjtState.mjSTATE_CTRL
    | mujoco.mjtState.mjSTATE_MOCAP_POS
    | mujoco.mjtState.mjSTATE_MOCAP_QUAT
)
SIZE_SPREAD = 0.2
"""Share of its own size by which an object may differ from it in some world."""
_XYZW = [1, 2, 3, 0]
_WXYZ = [3, 0, 1, 2]


class StateLayout:
    """Where things are in a world's state.

    Time, joint angles, cube position and wxyz rotation, joint velocities, cube velocities.
    """

    def __init__(self, num_joints: int) -> None:
        self.joint_pos = slice(1, 1 + num_joints)
        self.cube_pos = slice(self.joint_pos.stop, self.joint_pos.stop + 3)
        self.cube_quat = slice(self.cube_pos.stop, self.cube_pos.stop + 4)
        self.joint_vel = slice(self.cube_quat.stop, self.cube_quat.stop + num_joints)
        self.cube_lin_vel = slice(self.joint_vel.stop, self.joint_vel.stop + 3)
        self.cube_ang_vel = slice(self.cube_lin_vel.stop, self.cube_lin_vel.stop + 3)


class TwinPhysics:
    """N worlds that share a model's structure but not its parameters.

    Results depend on the seed of the drawn parameters only, not on the number of threads: each
    world is stepped by exactly one thread, from its own full state.
    """

    def __init__(
        self,
        hand: Hand,
        num_envs: int,
        physics: Physics,
        generator: torch.Generator,
        threads: int | None = None,
        held: HeldObject | None = None,
    ) -> None:
        self.hand, self.held = hand, held or HeldObject()
        self._at = StateLayout(hand.num_joints)
        _check_sizes(physics, self.held)
        self._off_centre = any(physics.cube_centre_offset_m)
        self._both_shapes = hand.has_two_shapes and 0.0 < physics.hull_collisions < 1.0
        self.nominal = twin_model(
            hand, self.held, collisions=_shapes(physics), off_centre=self._off_centre
        )
        self.physics = physics
        self._generator = generator
        self.models = [copy.copy(self.nominal) for _ in range(num_envs)]
        threads = threads or len(os.sched_getaffinity(0))
        self._data = [mujoco.MjData(self.nominal) for _ in range(threads)]
        self._rollout = Rollout(nthread=threads)
        size = mujoco.mj_stateSize(self.nominal, int(mujoco.mjtState.mjSTATE_FULLPHYSICS))
        if size != (expected := self._at.cube_ang_vel.stop):
            raise RuntimeError(f"MuJoCo's state has {size} numbers, expected {expected}")
        self.state = np.zeros((num_envs, size))
        self._trace = np.zeros((num_envs, DECIMATION, size))
        joints = hand.num_joints
        self._control = np.zeros((num_envs, DECIMATION, joints + 7))
        self._control[:, :, joints : joints + 2] = hand.grasp_point_m[:2]
        self._control[:, :, joints + 3] = 1.0
        self.drawn = self._nominal_draws(num_envs)
        """Parameter values (N, ...) in force, by name."""
        self.draw_startup()
        self._cube = self.nominal.body("cube").id
        self._cube_geom = self.nominal.geom("cube").id

    def step(self, joint_target: Tensor, supported: Tensor) -> None:
        """Advance one control step: servo targets (N, A) [rad], platform present (N,) bool."""
        joints, present_m = self.hand.num_joints, platform_height_m(self.hand, self.held)
        self._control[:, :, :joints] = joint_target.numpy()[:, None]
        height = np.where(supported.numpy(), present_m, PLATFORM_GONE_M)
        self._control[:, :, joints + 2] = height[:, None]
        self._rollout.rollout(
            self.models,
            self._data,
            self.state,
            self._control,
            control_spec=_CONTROL,
            skip_checks=True,
            nstep=DECIMATION,
            state=self._trace,
        )
        self.state[:] = self._trace[:, -1]

    def told(self) -> dict[str, Tensor]:
        """Parameters in force (N, ...) by name, shares as 0 or 1."""
        return {name: torch.from_numpy(values) for name, values in self.drawn.items()}

    def push_cube(self, velocity_m_s: tuple[float, float, float]) -> None:
        """Add a velocity (3,) [m/s] to every cube."""
        self.state[:, self._at.cube_lin_vel] += velocity_m_s

    def close(self) -> None:
        """Stop the threads; the worlds cannot be stepped afterwards."""
        self._rollout.close()

    def diverged(self) -> Tensor:
        """(N,) bool: worlds whose state is not finite or absurdly fast."""
        speed = np.abs(self.state[:, self._at.joint_vel.start :]).max(axis=1)
        return torch.from_numpy(~(np.isfinite(self.state).all(axis=1) & (speed < MAX_SPEED)))

    def read(self) -> dict[str, Tensor]:
        """Joint and cube state as float32, in the task's frames; angular velocity in world axes."""
        now, at = torch.from_numpy(self.state).float(), self._at
        quat = now[:, at.cube_quat][:, _XYZW]
        return {
            "joint_pos": now[:, at.joint_pos],
            "joint_vel": now[:, at.joint_vel],
            "cube_pos": now[:, at.cube_pos],
            "cube_quat": quat,
            "cube_lin_vel": now[:, at.cube_lin_vel],
            "cube_ang_vel": rotate(quat, now[:, at.cube_ang_vel]),  # MuJoCo keeps it in cube axes
        }

    def write(
        self,
        envs: np.ndarray,
        *,
        joint_pos: Tensor,
        cube_pos: Tensor,
        cube_quat: Tensor,
        cube_vel: Tensor,
    ) -> None:
        """Put worlds `envs` (K,) into a resting state; shapes (K, A), (K, 3), (K, 4), (K, 3)."""
        fresh = np.zeros((len(envs), self.state.shape[1]))
        at, ends = self._at, (self.hand.lower_rad, self.hand.upper_rad)
        fresh[:, at.joint_pos] = joint_pos.numpy().clip(*ends)
        fresh[:, at.cube_pos] = cube_pos.numpy()
        fresh[:, at.cube_quat] = cube_quat.numpy()[:, _WXYZ]
        fresh[:, at.cube_lin_vel] = cube_vel.numpy()
        self.state[envs] = fresh

    def draw_startup(self) -> None:
        """Draw what stays for the life of a world; takes effect with its next `randomize`."""
        for name in STARTUP_PARAMETERS:
            shape = (len(self.models),)
            self.drawn[name] = self.physics.sample(name, shape, self._generator).double().numpy()

    def randomize(self, envs: np.ndarray) -> None:
        """Draw the reset-time parameters of worlds `envs` (K,) and write them to their models."""
        count = len(self.models)
        self.drawn["elliptic_cone"][envs] = elliptic_worlds(count, self.physics.elliptic_cone)[envs]
        self.drawn["hull_collisions"][envs] = hull_worlds(count, self.physics.hull_collisions)[envs]
        for name, values in self.drawn.items():
            if name in KINDS and name not in STARTUP_PARAMETERS:
                shape = (len(envs), *values.shape[1:])
                values[envs] = self.physics.sample(name, shape, self._generator).double().numpy()
        self._apply(envs)

    def state_dict(self) -> dict[str, Tensor]:
        """All that makes the worlds' future: their states and drawn parameters."""
        drawn = {f"drawn.{name}": torch.from_numpy(v.copy()) for name, v in self.drawn.items()}
        return {"state": torch.from_numpy(self.state.copy()), **drawn}

    def load_state_dict(self, saved: dict[str, Tensor]) -> None:
        """Continue from `state_dict()` of a world of the same size."""
        self.state[:] = saved["state"].numpy()
        for name, values in self.drawn.items():
            values[:] = saved[f"drawn.{name}"].numpy()
        self._apply(np.arange(len(self.models)))

    def _nominal_draws(self, num_envs: int) -> dict[str, np.ndarray]:
        """Room for one value per world, or per world and joint."""
        world, joint = (num_envs,), (num_envs, self.hand.num_joints)
        shapes: dict[str, tuple[int, ...]] = {"link_friction": world, "link_mass_scale": world}
        shapes["cube_friction"] = world
        shapes |= dict.fromkeys(("cube_mass_kg", "cube_size_m", "gravity_m_s2"), world)
        shapes |= dict.fromkeys(("stiffness_scale", "damping_scale"), joint)
        shapes["joint_limit_offset_rad"] = (*joint, 2)
        # After the paper's, so that those are drawn as they were before there were others.
        shapes |= {"cube_centre_offset_m": (num_envs, 3), "joint_friction_nm": joint}
        shapes |= dict.fromkeys(("motor_strength_scale", "impratio"), world)
        shapes |= dict.fromkeys(("contact_time_constant_s", "contact_damping_ratio"), world)
        shapes |= dict.fromkeys(("torsional_friction_m", "elliptic_cone", "hull_collisions"), world)
        return {name: np.zeros(shape) for name, shape in shapes.items()}

    def _apply(self, envs: np.ndarray) -> None:
        for env in envs:
            self._edit(self.models[env], {name: v[env] for name, v in self.drawn.items()})

    def _edit(self, model: mujoco.MjModel, draw: dict[str, np.ndarray]) -> None:
        """Write one world's parameters, each from the nominal model, so none is scaled twice."""
        nominal, cube, joints = self.nominal, self._cube, slice(0, self.hand.num_joints)
        links = slice(1, cube)
        model.body_mass[links] = nominal.body_mass[links] * draw["link_mass_scale"]
        model.body_inertia[links] = nominal.body_inertia[links] * draw["link_mass_scale"]
        gain = nominal.actuator_gainprm[:, 0] * draw["stiffness_scale"]
        model.actuator_gainprm[:, 0], model.actuator_biasprm[:, 1] = gain, -gain
        model.dof_damping[joints] = nominal.dof_damping[joints] * draw["damping_scale"]
        model.jnt_range[joints] = nominal.jnt_range[joints] + draw["joint_limit_offset_rad"]
        # Links touching each other have theirs; the cube's geometry has priority over all others.
        model.geom_friction[:, 0] = draw["link_friction"]
        mean_friction = (draw["cube_friction"] + draw["link_friction"]) / 2
        model.geom_friction[self._cube_geom, 0] = mean_friction
        model.opt.gravity[2] = draw["gravity_m_s2"]
        limits = nominal.actuator_forcerange * draw["motor_strength_scale"]
        model.actuator_forcerange[:] = limits
        model.dof_frictionloss[joints] = draw["joint_friction_nm"]
        model.opt.impratio = draw["impratio"]
        set_cone(model, elliptic=bool(draw["elliptic_cone"]))
        if self._both_shapes:
            use_collisions(model, hulls=bool(draw["hull_collisions"]))
        model.geom_friction[self._cube_geom, 1] = draw["torsional_friction_m"]
        softness = draw["contact_time_constant_s"], draw["contact_damping_ratio"]
        model.geom_solref[self._cube_geom] = softness
        self._edit_cube(model, float(draw["cube_mass_kg"]), float(draw["cube_size_m"]))
        if self._off_centre:
            model.body_ipos[self._cube] = draw["cube_centre_offset_m"]
            mujoco.mj_setConst(model, self._data[0])

    def _edit_cube(self, model: mujoco.MjModel, mass: float, size: float) -> None:
        cube, dofs = self._cube, slice(self.hand.num_joints, self.hand.num_joints + 6)
        inertia = np.array(self.held.inertia(mass, size))
        model.body_mass[cube], model.body_inertia[cube] = mass, inertia
        model.body_subtreemass[cube] = mass
        # Contact softness depends on these inverse weights; for a free body they are exact.
        turning = (1.0 / inertia).mean()
        model.body_invweight0[cube] = (1.0 / mass, turning)
        model.dof_invweight0[dofs] = [1.0 / mass] * 3 + [turning] * 3
        # MuJoCo takes the inertia of a free body from here, not from its mass.
        model.dof_M0[dofs] = [mass] * 3 + inertia.tolist()
        geom, extents = self._cube_geom, np.array(self.held.half_extents_m(size))
        model.geom_size[geom] = self.held.half_sizes_m(size)
        model.geom_rbound[geom] = self.held.reach_m(size)
        model.geom_aabb[geom, 3:] = model.bvh_aabb[model.body_bvhadr[cube], 3:] = extents


def _check_sizes(physics: Physics, held: HeldObject) -> None:
    """Refuse physics of another object: their cubes would start inside fingers, or out of reach.

    The paper's cube is not looked at: a file may try any size on it.
    """
    low, high = physics.cube_size_m
    far = SIZE_SPREAD * held.size_m
    if not held.is_first and (held.size_m - low > far or high - held.size_m > far):
        raise ValueError(
            f"cube_size_m = [{low:g}, {high:g}] m is not around the size of the object "
            f"({held.label}); change the physics file, or object.size_m"
        )


def _shapes(physics: Physics) -> str:
    """The collision shapes that these worlds need, as `hand_spec` names them."""
    if physics.hull_collisions == 0.0:
        return "primitives"
    return "hulls" if physics.hull_collisions == 1.0 else "both"


def hull_worlds(num_envs: int, share: float) -> np.ndarray:
    """(N,) bool: the worlds with hulls, scattered over those with either cone.

    Fixed rather than drawn, so that all other draws are the same whatever the share.
    """
    order = np.random.default_rng(0).permutation(num_envs)
    return np.isin(np.arange(num_envs), order[: round(share * num_envs)])


def elliptic_worlds(num_envs: int, share: float) -> np.ndarray:
    """(N,) bool: the worlds with elliptic friction cones, fixed too; 0.25 is every fourth."""
    world = np.arange(num_envs)
    return np.floor((world + 1) * share) > np.floor(world * share)
