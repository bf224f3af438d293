"""Contact events: friction, softness, and the cube's size.

A contact's friction is the mean of hand and cube, on every backend. PhysX averages by itself.
MuJoCo's solver takes the larger value unless one geometry has priority; so on Newton the cube has
it (`CUBE_PRIORITY`) and carries the mean.
"""

# pyright: reportAttributeAccessIssue=false
# Isaac Lab adds attributes to its configurations and managers that type checkers do not see.

import isaaclab.envs.mdp as lab
import torch
from isaaclab.envs import ManagerBasedRLEnv
from isaaclab.managers import EventTermCfg, SceneEntityCfg
from torch import Tensor

from tasks.cube_spin.isaac.mdp.state import EnvIds, selected, tracker
from tasks.cube_spin.isaac.platform import is_newton
from tasks.cube_spin.physics import NOMINAL, Physics, Range

_CONTACT_LAW = ("contact_time_constant_s", "contact_damping_ratio", "torsional_friction_m")
CUBE_PRIORITY = 1
"""`mjc:priority` of the cube's collision shape; everything else has 0."""


def randomize_link_friction(env: ManagerBasedRLEnv, env_ids: EnvIds) -> None:
    """Friction of the hand's surface, one value per environment (startup)."""
    shared, envs = tracker(env), selected(env, env_ids)
    if is_newton():
        _write_newton(env, "robot", "mu", envs, shared.draw("link_friction", envs))
    else:
        _randomize_physx(env, "robot", envs, shared.physics.link_friction)


def randomize_cube_friction(env: ManagerBasedRLEnv, env_ids: EnvIds) -> None:
    """Friction of the cube; on Newton its mean with the hand's."""
    shared, envs = tracker(env), selected(env, env_ids)
    if not is_newton():
        _randomize_physx(env, "cube", envs, shared.physics.cube_friction)
        return
    friction = shared.draw("cube_friction", envs) + newton_material(env, "robot", "mu")[envs, 0]
    _write_newton(env, "cube", "mu", envs, friction / 2)


def randomize_contact_law(env: ManagerBasedRLEnv, env_ids: EnvIds) -> None:
    """Softness, damping and torsional friction of the cube's contacts, where they are not usual.

    Raises:
        ValueError: On PhysX, whose contacts have no such parameters.
    """
    shared, envs = tracker(env), selected(env, env_ids)
    wanted = shared.physics
    if not any(_differs(wanted, name) for name in _CONTACT_LAW):
        return
    if not is_newton():
        raise ValueError(f"PhysX has no {', '.join(_CONTACT_LAW)}: use physics=newton_mjwarp")
    # Newton keeps stiffness and damping per mass, and makes MuJoCo's two numbers of them.
    damping = 2.0 / shared.draw("contact_time_constant_s", envs)
    ratio = shared.draw("contact_damping_ratio", envs)
    _write_newton(env, "cube", "kd", envs, damping)
    _write_newton(env, "cube", "ke", envs, (damping / (2.0 * ratio)).square())
    torsion = shared.draw("torsional_friction_m", envs)
    _write_newton(env, "cube", "mu_torsional", envs, torsion)


def resize_cube(env: ManagerBasedRLEnv, envs: Tensor) -> Tensor:
    """Draw the object's size; returns the new over the old one (K,).

    Raises:
        ValueError: On PhysX, where all environments share one shape.
    """
    if not is_newton():
        raise ValueError("PhysX needs one cube_size_m for all environments")
    import warp
    from newton import ModelFlags

    shared = tracker(env)
    view = env.scene["cube"].root_view.get_attribute("shape_scale", _model(env))
    half_sizes = warp.to_torch(view[:, 0])  # (N, 1, 3)
    before = half_sizes[envs, 0, 0].clone()
    half = shared.draw("cube_size_m", envs) / 2
    shape = torch.tensor(shared.task.object.half_sizes_m(2.0), device=half.device)
    half_sizes[envs] = (half[:, None, None] * shape).expand(-1, half_sizes.shape[1], 3)
    env.sim.physics_manager.add_model_change(ModelFlags.SHAPE_PROPERTIES)
    return half / before


def newton_material(env: ManagerBasedRLEnv, asset: str, name: str) -> Tensor:
    """One of Newton's material arrays (N, shapes) of an asset; writing changes the model."""
    import warp

    view = env.scene[asset].root_view.get_attribute(f"shape_material_{name}", _model(env))
    return warp.to_torch(view[:, 0])


def _write_newton(
    env: ManagerBasedRLEnv, asset: str, name: str, envs: Tensor, values: Tensor
) -> None:
    from newton import ModelFlags

    newton_material(env, asset, name)[envs] = values[:, None]
    env.sim.physics_manager.add_model_change(ModelFlags.SHAPE_PROPERTIES)


def _model(env: ManagerBasedRLEnv) -> object:
    return env.sim.physics_manager.get_model()


def _differs(physics: Physics, name: str) -> bool:
    return getattr(physics, name) != getattr(NOMINAL, name)


def _randomize_physx(env: ManagerBasedRLEnv, asset: str, envs: Tensor, friction: Range) -> None:
    """Isaac Lab's own term; PhysX knows a limited number of materials, so it draws from a few."""
    settings = {
        "static_friction_range": friction,
        "dynamic_friction_range": friction,
        "restitution_range": (0.0, 0.0),
        "num_buckets": 250,
        "asset_cfg": SceneEntityCfg(asset),
        "make_consistent": True,
    }
    inner = EventTermCfg(params=settings)
    lab.randomize_rigid_body_material(inner, env)(env, envs, **settings)
