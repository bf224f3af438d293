"""Finds stable palm-down grasps: a cross-entropy search per cube yaw, then a bank of variations.

A candidate is a vector of joint targets. It is tried the way it will be used: fingers close from
slightly open onto a cube on the platform, the platform leaves, the cube must stay.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from tasks.cube_spin import rotations
from tasks.cube_spin.config import CONTROL_DT_S
from tasks.cube_spin.grasps import GraspBank, joint_limits
from tasks.cube_spin.held_object import HeldObject
from tasks.cube_spin.physics import Physics
from tasks.cube_spin.twin.grasp_start import reached
from tasks.cube_spin.twin.worlds import TwinPhysics
from tasks.orca.description import Hand
from tasks.orca.kinematics import FingertipKinematics

SEARCH_PHYSICS = Physics(
    link_friction=(0.8, 0.8), cube_friction=(0.8, 0.8), cube_mass_kg=(0.08, 0.08)
)
"""Heavy and not very rough: what holds here holds over most of the randomisation."""
CLOSE_S, SUPPORT_S, TRIAL_S = 0.5, 1.0, 3.0
OPENING_RAD, SPREAD_RAD = 0.25, 0.06
TOUCH_GAP_M = 0.002
LEAST_HEIGHT_M, SINKING_PRICE = -0.0008, 300.0
"""A grasp lifts the cube off the platform; a search on an own hand is paid for it."""
LEAST_TOUCHING = 3
"""Fingertips that a grasp of the bank has in contact, of a hand with as many."""


@dataclass
class Trial:
    """Outcome of N candidates after `TRIAL_S`."""

    joint_pos: Tensor  # (N, A)
    cube_pos: Tensor  # (N, 3)
    cube_quat: Tensor  # (N, 4)
    offset_m: Tensor  # (N,) distance from the origin
    tilt_rad: Tensor  # (N,)
    speed_m_s: Tensor  # (N,)
    touching: Tensor  # (N,) fingertips in contact
    height_m: Tensor  # (N,) above the origin
    sinking_price: float  # of the score, per metre below `LEAST_HEIGHT_M`
    least_touching: int  # fingertips that a stable grasp has in contact

    @property
    def score(self) -> Tensor:
        """Higher is better: at the origin, flat, still, held by many tips."""
        calm = -100.0 * self.offset_m - 3.0 * self.tilt_rad - 10.0 * self.speed_m_s.clamp_max(1.0)
        sunk = (LEAST_HEIGHT_M - self.height_m).clamp(0.0, 0.01)
        return calm + 0.3 * self.touching - self.sinking_price * sunk

    @property
    def stable(self) -> Tensor:
        """(N,) bool: good enough for the bank."""
        held = (self.height_m > LEAST_HEIGHT_M) & (self.height_m < 0.004) & (self.offset_m < 0.006)
        calm = (self.tilt_rad < 0.12) & (self.speed_m_s < 0.01)
        return held & calm & (self.touching >= self.least_touching)


@dataclass
class Generation:
    """How the last generation of a search did."""

    spread_rad: Tensor  # (A,) how far its best few are apart
    held_share: float
    """Of all candidates, those that are stable."""
    score: float
    settled_m: Tensor  # (3,) where the cube came to rest, from the origin


class GraspSearch:
    """Tries batches of grasps in the twin.

    Args:
        hand: Whose grasps.
        batch: Candidates per trial.
        seed: Seed of all draws.
        held: The object; the paper's cube by default.
    """

    def __init__(
        self, hand: Hand, batch: int = 256, seed: int = 0, held: HeldObject | None = None
    ) -> None:
        self.held = held or HeldObject()
        self.hand, self.generator = hand, torch.Generator().manual_seed(seed)
        physics = SEARCH_PHYSICS.for_object(self.held)
        self.world = TwinPhysics(hand, batch, physics, self.generator, held=self.held)
        self.world.randomize(np.arange(batch))
        self.tips_of = FingertipKinematics(self.world.nominal, hand)
        self.batch = batch
        self.generations: list[Generation] = []
        """The last one of every search."""
        self._lower, self._upper = joint_limits(hand)
        self._origin = torch.tensor(hand.grasp_point_m)
        opens = torch.tensor([float(joint.opens) for joint in hand.joints])
        closing = torch.tensor(hand.search_from_rad) >= torch.tensor(hand.rest_rad)
        self._opening = OPENING_RAD * torch.where(closing, opens, -opens)
        self._radius = torch.tensor([tip.radius_m for tip in hand.fingertips])

    def search(self, yaw_rad: float, generations: int, report: Callable[[], object]) -> Tensor:
        """Best joint targets (A,) for one cube yaw by the cross-entropy method."""
        mean = self.begin(yaw_rad)
        std = torch.full_like(mean, 0.15)
        std[torch.tensor(self.hand.is_wrist)] = 0.02
        elite = self.batch // 8
        for _ in range(generations):
            candidates = self._around(mean.expand(self.batch, -1), std)
            trial = self.attempt(candidates, self._yaw(yaw_rad))
            best = candidates[trial.score.topk(elite).indices]
            mean, std = best.mean(dim=0), best.std(dim=0) + 0.01
            report()
        settled = (trial.cube_pos - self._origin).median(dim=0).values
        held, score = float(trial.stable.float().mean()), float(trial.score.median())
        self.generations.append(Generation(std, held, score, settled))
        return mean

    def search_all(
        self, yaws_rad: Tensor, generations: int, report: Callable[[], object]
    ) -> tuple[Tensor, Tensor, Tensor | float]:
        """What `vary` takes: a grasp for each yaw (M,), and how far variations go.

        An own hand need not be able to hold the cube at every yaw: those where it cannot are left
        out, and variations stay as near as its best grasps are to each other.
        """
        found = [self.search(float(yaw), generations, report) for yaw in yaws_rad]
        if self.hand.own is None:
            return torch.stack(found), yaws_rad, SPREAD_RAD
        held = [last.held_share > 0.0 for last in self.generations]
        kept = [i for i, holds in enumerate(held) if holds or not any(held)]
        spread = torch.stack([self.generations[i].spread_rad for i in kept]).mean(dim=0)
        targets = torch.stack([found[i] for i in kept])
        return targets, yaws_rad[kept], spread.clamp(max=SPREAD_RAD)

    @property
    def advice(self) -> str:
        """What to do about an own hand that holds too little, for the end of a message."""
        if self.hand.own is None or not self.generations:
            return ""
        best = max(self.generations, key=lambda generation: generation.score)
        x, y, z = (1000.0 * best.settled_m).tolist()
        return (
            f", or correct {self.hand.key}: its best grasps leave the cube {x:.0f} {y:.0f} {z:.0f} "
            "mm from grasp_point_m; move that there, or bend search_from until fingertips touch"
        )

    def begin(self, yaw_rad: float) -> Tensor:
        """Joint targets (A,) that the search for a cube yaw begins with.

        Of an own hand the better of two: what its file says, and that bent until it touches.
        """
        said = torch.tensor(self.hand.search_from_rad)
        if self.hand.own is None:
            return said
        touching = reached(
            self.tips_of,
            said,
            (self._lower, self._upper),
            origin_m=self._origin,
            half_size_m=self.held.size_m / 2,
            radius_m=self._radius,
            still=torch.tensor(self.hand.is_wrist),
        )
        best, best_score = said, -torch.inf
        for guess in (said, touching):
            tried = self._around(guess.expand(self.batch, -1), torch.full_like(said, 0.03))
            score = float(self.attempt(tried, self._yaw(yaw_rad)).score.median())
            if score > best_score:
                best, best_score = guess, score
        return best

    def vary(
        self, targets: Tensor, yaws_rad: Tensor, spread_rad: Tensor | float = SPREAD_RAD
    ) -> GraspBank:
        """One batch of random variations of found grasps (M, A); only the stable ones are kept."""
        pick = torch.randint(len(targets), (self.batch,), generator=self.generator)
        spread = torch.as_tensor(spread_rad).expand(self.hand.num_joints)
        candidates = self._around(targets[pick], spread)
        yaw = yaws_rad[pick] + 0.1 * torch.randn(self.batch, generator=self.generator)
        trial = self.attempt(candidates, self._yaw(yaw))
        keep = trial.stable
        return GraspBank(
            trial.joint_pos[keep], candidates[keep], trial.cube_pos[keep], trial.cube_quat[keep]
        )

    def attempt(self, targets: Tensor, cube_quat: Tensor) -> Trial:
        """Close on the cube, take the platform away, and look at what is left."""
        start = targets - self._opening
        origin = self._origin.expand(self.batch, -1)
        self.world.write(
            np.arange(self.batch),
            joint_pos=start,
            cube_pos=origin,
            cube_quat=cube_quat,
            cube_vel=torch.zeros_like(origin),
        )
        for step in range(round(TRIAL_S / CONTROL_DT_S)):
            now = step * CONTROL_DT_S
            closing = torch.lerp(start, targets, min(now / CLOSE_S, 1.0))
            self.world.step(closing, torch.full((self.batch,), now < SUPPORT_S))
        return self._judge()

    def _judge(self) -> Trial:
        now = self.world.read()
        away = now["cube_pos"] - self._origin
        offset = torch.nan_to_num(away.norm(dim=1), nan=1.0).clamp_max(1.0)
        return Trial(
            joint_pos=now["joint_pos"],
            cube_pos=now["cube_pos"],
            cube_quat=now["cube_quat"],
            offset_m=offset,
            tilt_rad=torch.nan_to_num(
                rotations.tilt_rad(now["cube_quat"], self.held.shape), nan=1.0
            ),
            speed_m_s=torch.nan_to_num(now["cube_lin_vel"].norm(dim=1), nan=1.0),
            touching=self._touching(now),
            height_m=away[:, 2],
            sinking_price=SINKING_PRICE if self.hand.own else 0.0,
            least_touching=min(LEAST_TOUCHING, self.hand.num_fingertips),
        )

    def _touching(self, now: dict[str, Tensor]) -> Tensor:
        """Fingertips (N,) whose rounding reaches the object's surface."""
        towards = self.tips_of(now["joint_pos"]) - now["cube_pos"][:, None]  # (N, F, 3)
        rotation = torch.from_numpy(
            Rotation.from_quat(now["cube_quat"].numpy()).as_matrix()
        ).float()
        gap = self._outside(towards @ rotation) - self._radius
        return (gap < TOUCH_GAP_M).sum(dim=1).float()

    def _outside(self, points: Tensor) -> Tensor:
        """Distances (N, 5) [m] of points (N, 5, 3) in the object's frame from it; 0 inside."""
        half = torch.tensor(self.held.half_extents_m())
        if self.held.shape == "cube":
            beyond = points.abs() - half
        else:
            kept = 2 if self.held.shape == "cylinder" else 3
            across = points[..., :kept].norm(dim=2, keepdim=True) - half[0]
            beyond = torch.cat([across, points[..., kept:].abs() - half[kept:]], dim=2)
        return beyond.clamp_min(0.0).norm(dim=2)

    def _around(self, mean: Tensor, std: Tensor) -> Tensor:
        noise = torch.randn(mean.shape, generator=self.generator)
        return (mean + std * noise).clamp(self._lower, self._upper)

    def _yaw(self, yaw_rad: float | Tensor) -> Tensor:
        """Rotations (batch, 4) about the vertical."""
        half = torch.as_tensor(yaw_rad).expand(self.batch) / 2
        zero = torch.zeros(self.batch)
        return torch.stack([zero, zero, half.sin(), half.cos()], dim=1)
