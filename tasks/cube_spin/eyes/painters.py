"""Who makes the samples of a shard: states from `tasks`, pictures from `perception`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import mujoco
import numpy as np
import torch

from perception.geometry import inverse, transform
from perception.marked import CUBE, MarkedObject
from perception.samples import BACKGROUND_ID, CUBE_ID, HAND_ID, Sample
from perception.synthetic.looks import Look
from perception.synthetic.mujoco_renderer import MujocoRenderer, Rendering, SceneState
from perception.synthetic.pictures import PictureConfig, Pictures, Renderer
from perception.synthetic.relight import Unlit, relight
from perception.synthetic.views import SPLITS, View
from tasks.cube_spin.eyes.marks import marked_model, marks_of
from tasks.cube_spin.held_object import HeldObject
from tasks.cube_spin.pictures.states import SOURCES, States, StateSource
from tasks.cube_spin.teacher.policy import load_teacher
from tasks.orca.description import Hand
from tasks.orca.hands import load_hand
from tasks.rendering import choose_gl_backend

if TYPE_CHECKING:
    from tasks.cube_spin.pictures.isaac import UnlitPictures

ISAAC_IDS = torch.tensor([BACKGROUND_ID, HAND_ID, CUBE_ID])
"""Our ids in the order of `tasks.cube_spin.pictures.isaac.KINDS`."""
SPARE = 1.25
"""States drawn per wanted sample: some hide the cube."""


class StatePainter:
    """Pictures of states from policy rollouts, grasps and drops.

    Args:
        renderer: Draws.
        config: Ranges of everything random.
        policy: Teacher file.
        seed: Of the data set.
        held: What is held; the policy's object by default.
    """

    def __init__(
        self,
        renderer: Renderer,
        config: PictureConfig,
        policy: Path,
        seed: int,
        held: HeldObject | None = None,
    ) -> None:
        self._renderer, self._seed = renderer, seed
        self._states = StateSource(load_teacher(policy), held=held)
        self._pictures = {split: Pictures(renderer, config, split, seed) for split in SPLITS}

    def shard(self, split: str, shard: int, count: int) -> Iterator[Sample]:
        """`count` samples of a shard."""
        made, first, attempt = 0, 0, 0
        while made < count:
            place = [self._seed, SPLITS.index(split), shard, attempt]
            seed = int(np.random.SeedSequence(place).generate_state(1)[0])
            states = self._states.draw(max(int(SPARE * (count - made)), 8), seed)
            attempt += 1
            for start in range(0, len(states), self._renderer.batch):
                stop = min(start + self._renderer.batch, len(states))
                scenes = [
                    SceneState(states.joint_pos[i], states.cube_pos[i], states.cube_quat[i])
                    for i in range(start, stop)
                ]
                notes = [{"source": SOURCES[states.source[i]]} for i in range(start, stop)]
                drawn = self._pictures[split].draw(scenes, notes, shard, first)
                first += len(scenes)
                yield from drawn[: count - made]
                made = min(made + len(drawn), count)
                if made == count:
                    return

    def close(self) -> None:
        """Free the renderer and the physics threads."""
        self._renderer.close()
        self._states.close()


class IsaacRenderer:
    """Isaac Lab's cameras as a `Renderer`: unlit pictures, lit by `relight`.

    Args:
        hand: Which hand.
        num_envs: Pictures per batch.
        size: Width and height in pixels.
        device: "cpu" or "cuda:N".
    """

    marked = CUBE
    name, any_intrinsics, draws_rooms, marked = "isaac", False, False, CUBE
    materials = 2
    textures_px: tuple[int, int] = (
        64,
        48,
    )  # looked up unfiltered: a tile as large as the cube seen

    def __init__(self, hand: Hand, num_envs: int, size: tuple[int, int], device: str) -> None:
        from tasks.cube_spin.pictures.isaac import IsaacCameras

        self._cameras, self.batch = IsaacCameras(hand, num_envs, size, device), num_envs

    def render(
        self, states: Sequence[SceneState], views: Sequence[View], looks: Sequence[Look]
    ) -> list[Rendering]:
        """One picture per entry, taken together."""
        fields = ("joint_pos", "cube_pos", "cube_quat")
        arrays = [np.stack([getattr(state, name) for state in states]) for name in fields]
        poses = np.stack([view.T_world_camera for view in views])
        camera = views[0].camera
        unlit = self._cameras.shoot(
            States(*arrays, source=np.zeros(len(states), dtype=int)),
            float(camera[0, 0]),
            torch.from_numpy(poses),
        )
        return [
            self._lit(unlit, i, state, view, look)
            for i, (state, view, look) in enumerate(zip(states, views, looks, strict=True))
        ]

    def close(self) -> None:
        """End the simulation."""
        self._cameras.close()

    @staticmethod
    def _lit(
        unlit: "UnlitPictures", number: int, state: SceneState, view: View, look: Look
    ) -> Rendering:
        cube = transform(state.cube_pos, state.cube_quat)
        depth, ids = unlit.depth_m[number], ISAAC_IDS.to(unlit.kind)[unlit.kind[number]]
        image = relight(
            Unlit(
                normal=unlit.normal[number],
                depth_m=depth,
                ids=ids,
                material=(unlit.albedo[number].mean(dim=-1) < 0.5).long(),  # skin and bones
                camera=view.camera,
                T_world_camera=view.T_world_camera,
                T_world_cube=cube,
            ),
            look,
        )
        return Rendering(
            image=image.cpu().numpy(),
            depth_m=depth.cpu().numpy(),
            ids=ids.cpu().numpy().astype(np.uint8),
            T_camera_cube=inverse(view.T_world_camera) @ cube,
        )


def hand_of_policy(policy: Path) -> Hand:
    """The hand that a teacher is for."""
    return load_hand(load_teacher(policy).task.hand)


def object_of_policy(policy: Path) -> HeldObject:
    """The object that a teacher is for."""
    return load_teacher(policy).task.object


@dataclass(frozen=True)
class TwinPainters:
    """Makes a `StatePainter` on the twin's renderer, in whatever process calls it."""

    config: PictureConfig
    policy: Path
    seed: int
    held: HeldObject | None = None
    """The policy's object by default."""
    renderer: ClassVar[str] = "twin"

    def __call__(self) -> StatePainter:
        torch.set_num_threads(1)
        choose_gl_backend()
        held = self.held or object_of_policy(self.policy)
        model = marked_model(hand_of_policy(self.policy), held)
        size = (self.config.view.width, self.config.view.height)
        renderer = self._renderer(model, size, marks_of(held))
        return StatePainter(renderer, self.config, self.policy, self.seed, held)

    def _renderer(
        self, model: mujoco.MjModel, size: tuple[int, int], marked: MarkedObject
    ) -> Renderer:
        return MujocoRenderer(model, size, marked)


class PathPainters(TwinPainters):
    """The same on a path tracer."""

    renderer: ClassVar[str] = "path"

    def _renderer(
        self, model: mujoco.MjModel, size: tuple[int, int], marked: MarkedObject
    ) -> Renderer:
        from perception.synthetic.path_renderer import PathRenderer

        return PathRenderer(model, size, self.config.room.samples, marked)


@dataclass(frozen=True)
class IsaacPainters:
    """Makes a `StatePainter` on Isaac Lab's cameras, in whatever process calls it."""

    config: PictureConfig
    policy: Path
    seed: int
    num_envs: int
    device: str
    held: HeldObject | None = None
    """The policy's object by default."""
    renderer: ClassVar[str] = "isaac"

    def __call__(self) -> StatePainter:
        torch.set_num_threads(1)
        size = (self.config.view.width, self.config.view.height)
        renderer = IsaacRenderer(hand_of_policy(self.policy), self.num_envs, size, self.device)
        return StatePainter(renderer, self.config, self.policy, self.seed)
