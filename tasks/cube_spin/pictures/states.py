"""States worth a picture: the shipped teacher at work, random grasps, cubes that fall."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from tasks.cube_spin.config import evaluation_task
from tasks.cube_spin.grasps import joint_limits, task_constants
from tasks.cube_spin.held_object import HeldObject
from tasks.cube_spin.teacher.policy import TeacherPolicy
from tasks.cube_spin.twin.environment import CubeSpinTwin
from tasks.orca.description import Hand

SOURCES = ("policy", "grasp", "drop")
SETTLE_STEPS = 2
DROP_STEPS = 5
STRIDE_STEPS = 20
"""Control steps between two pictures of one rollout: a second, so that they differ."""
REACH_M = (0.08, 0.14)
"""How far from its place the cube may be, horizontally and downwards, to be worth a picture."""


@dataclass(frozen=True)
class States:
    """M states in the hand's root frame; the cube's rotation is xyzw."""

    joint_pos: np.ndarray  # (M, A) [rad]
    cube_pos: np.ndarray  # (M, 3) [m]
    cube_quat: np.ndarray  # (M, 4)
    source: np.ndarray  # (M,) index into SOURCES

    def __len__(self) -> int:
        return len(self.joint_pos)

    def picked(self, index: np.ndarray) -> "States":
        """The states `index` (K,), or where a mask (M,) is true."""
        return States(*(getattr(self, name)[index] for name in self.__dataclass_fields__))

    @classmethod
    def joined(cls, parts: list["States"]) -> "States":
        """One set out of several."""
        names = cls.__dataclass_fields__
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


class StateSource:
    """Draws mixed states; the same seed gives the same states.

    Args:
        policy: A loaded teacher.
        shares: Shares of policy rollouts, random grasps and drops.
        num_envs: Worlds stepped together.
        spread_rad: Standard deviation of the joints around a stable grasp.
        held: What is held, in its own grasps; the policy's object by default.
    """

    def __init__(
        self,
        policy: TeacherPolicy,
        shares: tuple[float, float, float] = (0.6, 0.25, 0.15),
        num_envs: int = 32,
        spread_rad: float = 0.15,
        held: HeldObject | None = None,
    ) -> None:
        if min(shares) < 0.0 or sum(shares) <= 0.0:
            raise ValueError(f"shares of {SOURCES} must not be negative nor all zero: {shares}")
        task = evaluation_task(policy.task)
        task = replace(task, episode=replace(task.episode, support_s=(0.3, 4.0)))
        self._policy, self._spread_rad = policy, spread_rad
        self._shares = np.array(shares) / sum(shares)
        constants = policy.constants
        if held is not None and held.label != task.object.label:
            task = replace(task, object=held)
            constants = task_constants(task)
        self._twin = CubeSpinTwin(num_envs, task, threads=1, constants=constants)

    def draw(self, count: int, seed: int) -> States:
        """`count` states in random order."""
        self._twin.seed(seed)
        rng = np.random.default_rng(seed)
        wanted = np.round(self._shares * count).astype(int)
        wanted[0] = count - wanted[1:].sum()
        makers = (self._rolled_out, self._grasped, self._dropped)
        parts = [self._collect(make, n) for make, n in zip(makers, wanted, strict=True) if n]
        return States.joined(parts).picked(rng.permutation(count))

    def close(self) -> None:
        """Stop the physics threads."""
        self._twin.close()

    def _collect(self, make: Callable[[bool], States], count: int) -> States:
        """`count` states of one kind that are in view, from as many batches as it takes."""
        found: list[States] = []
        start = True
        while sum(map(len, found)) < count:
            batch = make(start)
            found.append(batch.picked(in_view(batch.cube_pos, self._twin.hand)))
            start = False
        return States.joined(found).picked(np.arange(count))

    @torch.inference_mode()
    def _rolled_out(self, start: bool) -> States:
        """The policy's worlds a second later."""
        if start:
            self._twin.reset()
        for _ in range(STRIDE_STEPS):
            self._twin.step(self._policy(self._twin.get_observations()))
        return self._seen(SOURCES.index("policy"))

    def _grasped(self, start: bool) -> States:
        """Fingers around a cube of any rotation, pushed apart by the physics."""
        target = self._write_random()
        self._advance(target, SETTLE_STEPS, supported=True)
        return self._seen(SOURCES.index("grasp"))

    def _dropped(self, start: bool) -> States:
        """The hand opens; the cube is somewhere on its way down."""
        generator = self._twin.generator
        target = self._write_random()
        opening = torch.rand((len(target), 1), generator=generator) * target.clamp_min(0.0)
        self._advance(target, SETTLE_STEPS, supported=True)
        steps = int(torch.randint(1, DROP_STEPS + 1, (1,), generator=generator))
        self._advance(target - opening, steps, supported=False)
        return self._seen(SOURCES.index("drop"))

    def _write_random(self) -> Tensor:
        """Put all worlds into random grasps; returns their joint targets (N, A)."""
        twin, generator, count = self._twin, self._twin.generator, self._twin.num_envs
        envs = np.arange(count)
        pick = torch.randint(len(twin.bank), (count,), generator=generator)
        noise = self._spread_rad * torch.randn((count, twin.num_actions), generator=generator)
        target = (twin.bank.joint_target[pick] + noise).clamp(*joint_limits(twin.hand))
        quat = torch.randn((count, 4), generator=generator)
        nudge = 0.005 * torch.randn((count, 3), generator=generator)
        twin.world.randomize(envs)
        twin.world.write(
            envs,
            joint_pos=target,
            cube_pos=twin.bank.cube_pos[pick] + nudge,
            cube_quat=quat / quat.norm(dim=1, keepdim=True),
            cube_vel=torch.zeros(count, 3),
        )
        return target

    def _advance(self, target: Tensor, steps: int, *, supported: bool) -> None:
        for _ in range(steps):
            self._twin.world.step(target, torch.full((len(target),), supported))

    def _seen(self, source: int) -> States:
        """The worlds that did not diverge, as they are now."""
        world = self._twin.world
        now, good = world.read(), ~world.diverged().numpy()
        arrays = (now[name].double().numpy()[good] for name in ("joint_pos", "cube_pos"))
        joint_pos, cube_pos = arrays
        quat = Rotation.from_quat(now["cube_quat"].double().numpy()[good]).as_quat()
        return States(joint_pos, cube_pos, quat, np.full(len(joint_pos), source))


def in_view(cube_pos: np.ndarray, hand: Hand) -> np.ndarray:
    """(M,) bool: cubes (M, 3) near enough to their place to be in a camera's view."""
    offset = cube_pos - np.array(hand.grasp_point_m)
    across, down = REACH_M
    return (
        np.isfinite(cube_pos).all(axis=1)
        & (np.abs(offset[:, :2]).max(axis=1) < across)
        & (np.abs(offset[:, 2]) < down)
    )
