"""The hand as an Isaac Lab articulation, gains and limits from the joint table."""

import isaaclab.sim as sim_utils
from isaaclab.actuators import ImplicitActuatorCfg
from isaaclab.assets import ArticulationCfg
from isaaclab_newton.sim.schemas import NewtonArticulationCfg
from isaaclab_physx.sim.schemas import PhysxArticulationCfg

from tasks.orca.description import Hand
from tasks.orca.joints import ARMATURE, FRICTION_LOSS
from tasks.orca.usd import hand_usd

ROOT_HEIGHT_M = 0.5
"""Height of the hand's root above the environment's origin."""
SPEED_LIMIT_RAD_S = 20.0
"""Joint speed limit for PhysX, which needs one; far above what the servos reach."""


def hand_cfg(
    hand: Hand, prim_path: str = "{ENV_REGEX_NS}/Robot", collisions: str = "primitives"
) -> ArticulationCfg:
    """The palm-down hand with its root at `ROOT_HEIGHT_M`; converts the USD on first use.

    Args:
        hand: Which one.
        prim_path: Where to spawn it.
        collisions: As in `hand_spec`.
    """
    w, x, y, z = (float(value) for value in hand.palm_down_wxyz)
    return ArticulationCfg(
        prim_path=prim_path,
        spawn=sim_utils.UsdFileCfg(
            usd_path=str(hand_usd(hand, collisions)),
            articulation_props=[
                NewtonArticulationCfg(self_collision_enabled=True),
                PhysxArticulationCfg(
                    enabled_self_collisions=True,
                    solver_position_iteration_count=8,
                    solver_velocity_iteration_count=0,
                ),
            ],
            semantic_tags=[("class", "hand")],
        ),
        init_state=ArticulationCfg.InitialStateCfg(
            pos=(0.0, 0.0, ROOT_HEIGHT_M), rot=(x, y, z, w), joint_pos={".*": 0.0}
        ),
        actuators={"servos": _servos(hand)},
    )


def _servos(hand: Hand) -> ImplicitActuatorCfg:
    """PD servos of the joint table; the MJCF's passive damping moves into the servo's damping."""
    return ImplicitActuatorCfg(
        joint_names_expr=[joint.name for joint in hand.joints],
        stiffness={joint.name: joint.stiffness for joint in hand.joints},
        damping={joint.name: joint.damping for joint in hand.joints},
        joint_effort_limit={joint.name: joint.effort_limit for joint in hand.joints},
        joint_velocity_limit=SPEED_LIMIT_RAD_S,
        armature=ARMATURE,
        friction=FRICTION_LOSS,
        viscous_friction=0.0,
    )
