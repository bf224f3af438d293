"""Friction events. A contact's friction is the mean of hand and cube, on every backend.

PhysX averages by itself. MuJoCo's solver takes the larger value unless one geometry has priority;
so on Newton the cube has it (`CUBE_PRIORITY`) and carries the mean.
"""

# pyright: reportAttributeAccessIssue=false
# Isaac Lab adds attributes to its configurations and managers that type checkers do not see.

import isaaclab.envs.mdp as lab
from isaaclab.envs import ManagerBasedRLEnv
from isaaclab.managers import EventTermCfg, SceneEntityCfg
from torch import Tensor

from tasks.cube_spin.isaac.mdp.events import EnvIds, selected
from tasks.cube_spin.isaac.mdp.state import tracker
from tasks.cube_spin.isaac.platform import is_newton
from tasks.cube_spin.physics import Range

CUBE_PRIORITY = 1
"""`mjc:priority` of the cube's collision shape; everything else has 0."""


def randomize_link_friction(env: ManagerBasedRLEnv, env_ids: EnvIds) -> None:
    """Friction of the hand's surface, one value per environment (startup)."""
    shared, envs = tracker(env), selected(env, env_ids)
    draw = shared.physics.sample("link_friction", (len(envs),), shared.generator)
    if is_newton():
        _write_newton(env, "robot", envs, draw)
    else:
        _randomize_physx(env, "robot", envs, shared.physics.link_friction)


def randomize_cube_friction(env: ManagerBasedRLEnv, env_ids: EnvIds) -> None:
    """Friction of the cube; on Newton its mean with the hand's."""
    shared, envs = tracker(env), selected(env, env_ids)
    if not is_newton():
        _randomize_physx(env, "cube", envs, shared.physics.cube_friction)
        return
    draw = shared.physics.sample("cube_friction", (len(envs),), shared.generator)
    _write_newton(env, "cube", envs, (draw + newton_friction(env, "robot")[envs, 0]) / 2)


def newton_friction(env: ManagerBasedRLEnv, asset: str) -> Tensor:
    """Newton's friction coefficients (N, shapes) of an asset; writing changes the model."""
    import warp

    model = env.sim.physics_manager.get_model()
    view = env.scene[asset].root_view.get_attribute("shape_material_mu", model)
    return warp.to_torch(view[:, 0])


def _write_newton(env: ManagerBasedRLEnv, asset: str, envs: Tensor, friction: Tensor) -> None:
    from newton import ModelFlags

    newton_friction(env, asset)[envs] = friction[:, None]
    env.sim.physics_manager.add_model_change(ModelFlags.SHAPE_PROPERTIES)


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
