"""The kinematic platform in Isaac Lab; the cube rests on it, the hand passes through it."""

from typing import TYPE_CHECKING

import isaaclab.sim as sim_utils
from isaaclab.assets import RigidObjectCfg
from isaaclab.physics import PhysicsEvent

from tasks.cube_spin.config import PLATFORM_HALF_SIZE_M, platform_height_m
from tasks.cube_spin.held_object import HeldObject
from tasks.orca.description import Hand
from tasks.orca.isaac import ROOT_HEIGHT_M

if TYPE_CHECKING:
    from pxr import Usd


def platform_place_m(hand: Hand, held: HeldObject | None = None) -> tuple[float, float, float]:
    """Where the platform's centre is while it supports the cube, from the environment's origin."""
    x, y, _ = hand.grasp_point_m
    return x, y, ROOT_HEIGHT_M + platform_height_m(hand, held)


def platform_cfg(hand: Hand, visible: bool = True) -> RigidObjectCfg:
    """The platform under the cube; invisible for pictures, it hides the cube from below."""
    length, width, height = (2.0 * half for half in PLATFORM_HALF_SIZE_M)
    return RigidObjectCfg(
        prim_path="{ENV_REGEX_NS}/Platform",
        spawn=sim_utils.CuboidCfg(
            func=spawn_platform,
            size=(length, width, height),
            rigid_props=[sim_utils.UsdPhysicsRigidBodyCfg(kinematic_enabled=True)],
            mass_props=[sim_utils.MassCfg(mass=1.0)],
            collision_props=[sim_utils.UsdPhysicsCollisionCfg()],
            visual_material=sim_utils.PreviewSurfaceCfg(diffuse_color=(0.35, 0.4, 0.45)),
            visible=visible,
        ),
        init_state=RigidObjectCfg.InitialStateCfg(pos=platform_place_m(hand)),
    )


def spawn_platform(
    prim_path: str, cfg: sim_utils.CuboidCfg, *args: object, **kwargs: object
) -> "Usd.Prim":
    """Spawn the box after the hand, and take it out of the hand's collisions."""
    spawned = sim_utils.spawn_cuboid(prim_path, cfg, *args, **kwargs)
    if is_newton():
        _simulation().physics_manager.register_callback(
            _filter_newton, PhysicsEvent.MODEL_INIT, wrap_weak_ref=False
        )
    else:
        _filter_usd(prim_path)
    return spawned


def is_newton() -> bool:
    """Whether the running simulation uses one of Newton's solvers."""
    kinds = type(_simulation().cfg.physics).__mro__
    return any(kind.__module__.startswith("isaaclab_newton") for kind in kinds)


def _simulation() -> sim_utils.SimulationContext:
    simulation = sim_utils.SimulationContext.instance()
    assert simulation is not None, "assets are spawned and events run inside a simulation"
    return simulation


def _filter_newton(_: object = None) -> None:
    """Newton imports assets one by one, so a filter between two of them goes into its builder."""
    from isaaclab_newton.physics.newton_manager_cfg import NewtonBuilderCfg
    from newton import ShapeFlags

    sim = _simulation()
    assert sim.cfg.physics is not None
    builder = sim.get_or_create_backend(NewtonBuilderCfg(physics_cfg=sim.cfg.physics))
    platforms: dict[int, int] = {}
    hands: list[tuple[int, int]] = []
    for shape, label in enumerate(builder.shape_label):
        if not builder.shape_flags[shape] & ShapeFlags.COLLIDE_SHAPES:
            continue
        world = builder.shape_world[shape]
        if "/Platform" in label:
            platforms[world] = shape
        elif "/Robot/" in label:
            hands.append((world, shape))
    for world, shape in hands:
        builder.add_shape_collision_filter_pair(platforms[world], shape)


def _filter_usd(prim_path: str) -> None:
    """What PhysX reads: pairs of bodies that ignore each other."""
    from pxr import Usd, UsdPhysics

    for platform in sim_utils.find_matching_prims(prim_path):
        ignored = UsdPhysics.FilteredPairsAPI.Apply(platform).CreateFilteredPairsRel()
        for part in Usd.PrimRange(platform.GetParent().GetChild("Robot")):
            if part.HasAPI(UsdPhysics.RigidBodyAPI):
                ignored.AddTarget(part.GetPath())
