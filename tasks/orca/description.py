"""A hand as data: all that simulators, guard, driver and documents know about one hand.

Frames: a body's pose is given in its parent's frame, the root's in the world when the hand hangs
palm down: fingers along +y, the palm's normal along -z, origin at the root.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from sernf_isaac.deploy.protocols import HandDescription
from tasks.orca.joints import Joint, index_of_names
from tasks.orca.shapes import Shape, Vector

Quaternion = tuple[float, float, float, float]


@dataclass(frozen=True)
class Hinge:
    """Where a body turns against its parent, in the body's frame."""

    joint: str
    """Name of the joint."""
    anchor_m: Vector
    axis: Vector


@dataclass(frozen=True)
class Body:
    """One rigid body of a hand that is built from figures."""

    name: str
    parent: str
    """Empty for the root."""
    pos_m: Vector
    quat_wxyz: Quaternion
    mass_kg: float
    shapes: tuple[Shape, ...]
    """What touches; the root's are drawn only."""
    hinge: Hinge | None = None
    """None: fixed to the parent."""
    hull_bounds_m: tuple[Vector, Vector] | None = None
    """Least and largest corner of the convex hull of the real body's meshes."""
    meshes: tuple[str, ...] = ()
    """Names of those meshes in the official description, of the side that it is built from."""


@dataclass(frozen=True)
class Fingertip:
    """The rounding of a finger's last body."""

    body: str
    centre_m: Vector
    """In the body's frame."""
    radius_m: float


@dataclass(frozen=True)
class OwnModel:
    """A hand that somebody else describes: a file of bodies, and a YAML file of facts."""

    key: str
    """Where the YAML file is, as settings keep it (`names.hand_key`)."""
    file: Path
    """MJCF or URDF with the bodies."""
    prefix: str
    """What names in the file begin with and ours do not."""
    root: str
    """The root body's name in the file."""
    grasps: Path
    """Where its grasp bank is."""
    welded: tuple[str, ...] = ()
    """Hinges of the file that do not turn here."""
    fitted: tuple[str, ...] = ()
    """Bodies whose collision meshes become one capsule; a box for the palm."""
    digest: str = ""
    """Of all that makes the hand's physics; a policy for other contents does not fit."""


@dataclass(frozen=True)
class Hand:
    """One hand, of the ORCA family or somebody's own."""

    name: str
    """For messages, as `orca_v2_right`."""
    version: str
    """Of the model in orca_core: "v1", "v2"; the name of an own hand."""
    side: str
    """ "right" or "left"."""
    source: str
    """Where its figures come from."""
    joints: tuple[Joint, ...]
    """In the order of every joint vector, which is that of the model."""
    root_body: str
    palm_body: str
    base_segments: tuple[str, ...]
    """Bodies buried in the palm that touch each other at rest: they only feel an object."""
    fingertips: tuple[Fingertip, ...]
    """Thumb first."""
    palm_down_wxyz: Quaternion
    """Rotation of the root that lets the hand hang palm down."""
    grasp_point_m: Vector
    """Where a held object should be: under the palm, between thumb and fingers, from the root."""
    camera_from_grasp_m: Vector
    """Eye of a camera that looks up at the object, from the grasp point."""
    search_from_rad: tuple[float, ...]
    """Joint angles of a relaxed closure around it, where a search for grasps begins."""
    typical_rad: tuple[float, ...]
    """Mean joint angles of the hand while it turns a cube."""
    rest_rad: tuple[float, ...]
    """Fingers straight: lets go of whatever it held."""
    bodies: tuple[Body, ...] = ()
    """Root first, parents before children; empty for a hand whose model is a file of `orca_sim`."""
    mesh_folder: Path | None = None
    """Where the bodies' meshes are, if there are any: they are then seen, and hulls are theirs."""
    mesh_mirror: float = 1.0
    """-1: the meshes are those of the other side, and x is turned around."""
    own: OwnModel | None = None
    """What an own hand is made from."""

    def __post_init__(self) -> None:
        for name in ("search_from_rad", "typical_rad", "rest_rad"):
            if (count := len(getattr(self, name))) != self.num_joints:
                raise ValueError(
                    f"{self.name}: {name} has {count} entries, expected {self.num_joints}"
                )
        if self.bodies:
            hinged = [body.hinge.joint for body in self.bodies if body.hinge]
            index_of_names(self.joint_names, hinged, self.name)

    @property
    def joint_names(self) -> tuple[str, ...]:
        """The order of every joint vector (A)."""
        return tuple(joint.name for joint in self.joints)

    @property
    def key(self) -> str:
        """What settings hold: the name, or where the file of an own hand is."""
        return self.own.key if self.own else self.name

    @property
    def label(self) -> str:
        """What policies and grasps are marked with: the name, and of an own hand its contents."""
        return f"{self.name}-{self.own.digest[:8]}" if self.own else self.name

    @property
    def has_two_shapes(self) -> bool:
        """Whether collision primitives and hulls are two things, of which worlds use either."""
        return self.own is None

    @property
    def num_joints(self) -> int:
        """A."""
        return len(self.joints)

    @property
    def num_fingertips(self) -> int:
        """F."""
        return len(self.fingertips)

    @cached_property
    def is_wrist(self) -> np.ndarray:
        """(A,) bool: the joints that carry the whole hand."""
        return _frozen([joint.wrist for joint in self.joints])

    @cached_property
    def lower_rad(self) -> np.ndarray:
        """(A,) lower limits of the joints."""
        return _frozen([joint.limits_rad[0] for joint in self.joints])

    @cached_property
    def upper_rad(self) -> np.ndarray:
        """(A,) upper limits of the joints."""
        return _frozen([joint.limits_rad[1] for joint in self.joints])

    @property
    def fingertip_bodies(self) -> tuple[str, ...]:
        """Bodies that carry the fingertips, thumb first."""
        return tuple(tip.body for tip in self.fingertips)

    @cached_property
    def fingertip_centres_m(self) -> np.ndarray:
        """(F, 3) centres of the fingertips' roundings in their bodies' frames."""
        return _frozen([tip.centre_m for tip in self.fingertips])

    @cached_property
    def driver(self) -> HandDescription:
        """The hand as the robot side knows it: joints, limits, the driver's names and signs."""
        return HandDescription(
            joint_names=self.joint_names,
            lower_rad=tuple(self.lower_rad.tolist()),
            upper_rad=tuple(self.upper_rad.tolist()),
            driver_names=tuple(joint.driver_name for joint in self.joints),
            signs=tuple(joint.sign for joint in self.joints),
            model=self.version,
            side=self.side,
        )

    def index_of(self, names: list[str] | tuple[str, ...]) -> list[int]:
        """Positions in `names` of this hand's joints, so that `values[index]` is in our order.

        Raises:
            ValueError: If a joint is missing, doubled or unknown; the message lists which.
        """
        return index_of_names(self.joint_names, names, self.name)


def _frozen(values: list) -> np.ndarray:
    array = np.array(values)
    array.setflags(write=False)
    return array
