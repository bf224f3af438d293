"""What stands in the Isaac Lab scene: hand, cube, platform, light; and the physics engines."""

import math

import isaaclab.sim as sim_utils
from isaaclab.assets import ArticulationCfg, AssetBaseCfg, RigidObjectCfg
from isaaclab.scene import InteractiveSceneCfg
from isaaclab.utils import configclass
from isaaclab_newton.physics import MJWarpSolverCfg, NewtonCfg
from isaaclab_newton.sim.schemas import MujocoCollisionCfg
from isaaclab_physx.physics import PhysxCfg
from isaaclab_tasks.utils import PresetCfg

from tasks.cube_spin.held_object import HeldObject
from tasks.cube_spin.isaac.mdp.contacts import CUBE_PRIORITY
from tasks.cube_spin.isaac.platform import platform_cfg, platform_place_m
from tasks.cube_spin.physics import NOMINAL, Physics
from tasks.orca.description import Hand
from tasks.orca.hands import load_hand
from tasks.orca.isaac import ROOT_HEIGHT_M, hand_cfg
from tasks.orca.names import FIRST_HAND


@configclass
class CubeSpinPhysicsCfg(PresetCfg):
    """Physics engines; choose one with `physics=NAME`."""

    newton_mjwarp = NewtonCfg(
        solver_cfg=MJWarpSolverCfg(
            solver="newton",
            integrator="implicitfast",
            cone="pyramidal",  # the elliptic cone is seven times slower on a CPU
            impratio=10.0,  # without it a held cube creeps out of the grasp
            njmax=200,
            nconmax=70,
        )
    )
    isaacsim_physx = PhysxCfg(
        bounce_threshold_velocity=0.2,
        gpu_max_rigid_contact_count=2**23,
        gpu_max_rigid_patch_count=2**23,
    )
    default = newton_mjwarp


def object_cfg(
    hand: Hand,
    held: HeldObject | None = None,
    size_m: float | None = None,
    *,
    elliptic: bool = False,
) -> RigidObjectCfg:
    """The object under a hand, uniform and solid; with elliptic cones it resists turning."""
    x, y, z = hand.grasp_point_m
    held = held or HeldObject()
    common = {
        "rigid_props": [sim_utils.UsdPhysicsRigidBodyCfg()],
        "mass_props": [sim_utils.MassCfg(mass=0.6 * held.mass_kg)],
        "collision_props": [
            sim_utils.UsdPhysicsCollisionCfg(),
            MujocoCollisionCfg(priority=CUBE_PRIORITY, condim=4 if elliptic else None),
        ],
        "visual_material": sim_utils.PreviewSurfaceCfg(diffuse_color=(0.85, 0.55, 0.2)),
        "semantic_tags": [("class", "cube")],
    }
    radius, half_height, _ = held.half_sizes_m(size_m)
    if held.shape == "cube":
        spawn = sim_utils.CuboidCfg(size=(2.0 * radius, 2.0 * radius, 2.0 * radius), **common)
    elif held.shape == "cylinder":
        spawn = sim_utils.CylinderCfg(radius=radius, height=2.0 * half_height, **common)
    else:
        spawn = sim_utils.SphereCfg(radius=radius, **common)
    return RigidObjectCfg(
        prim_path="{ENV_REGEX_NS}/Cube",
        spawn=spawn,
        init_state=RigidObjectCfg.InitialStateCfg(pos=(x, y, ROOT_HEIGHT_M + z)),
    )


@configclass
class CubeSpinSceneCfg(InteractiveSceneCfg):
    """Hand, cube, platform and light; `configure_scene` puts those of the task's hand in."""

    num_envs = 8192  # paper F.4a
    env_spacing = 0.6
    robot: ArticulationCfg | None = None
    cube: RigidObjectCfg = object_cfg(load_hand(FIRST_HAND))
    platform: RigidObjectCfg = platform_cfg(load_hand(FIRST_HAND))
    light = AssetBaseCfg(
        prim_path="/World/Light",
        spawn=sim_utils.DomeLightCfg(intensity=2000.0, color=(0.75, 0.75, 0.75)),
    )


def configure_scene(
    scene: CubeSpinSceneCfg, hand: Hand, physics: Physics, held: HeldObject
) -> None:
    """A hand and its object as the physics table says; the object at its largest, an event makes it
    smaller.

    All environments share the hand's collision shapes: those of most worlds.
    """
    collisions = "hulls" if physics.hull_collisions > 0.5 else "primitives"
    scene.robot = hand_cfg(hand, collisions=collisions)
    scene.platform.init_state.pos = platform_place_m(hand, held)
    elliptic = physics.elliptic_cone > 0.5
    scene.cube = object_cfg(hand, held, physics.cube_size_m[1], elliptic=elliptic)


def configure_solver(engine: object, physics: Physics) -> None:
    """Newton's friction as the physics table says, as far as it differs from nominal.

    All environments share cone and impedance ratio: elliptic if most worlds have it, and the
    geometric middle of the range. PhysX has neither.
    """
    solver = getattr(engine, "solver_cfg", None)
    if solver is None:
        return
    if physics.elliptic_cone > 0.5:
        solver.cone = "elliptic"
    if physics.impratio != NOMINAL.impratio:
        solver.impratio = math.sqrt(math.prod(physics.impratio))
    shared = {"elliptic_cone": physics.elliptic_cone, "hull_collisions": physics.hull_collisions}
    mixed = [name for name, share in shared.items() if 0.0 < share < 1.0]
    if mixed or physics.impratio[0] != physics.impratio[1]:
        print(
            f"Isaac Lab has one contact solver for all environments: cone {solver.cone}, impratio "
            f"{solver.impratio:g}, hulls {'yes' if physics.hull_collisions > 0.5 else 'no'}; the "
            "physics ask for a mixture"
        )
