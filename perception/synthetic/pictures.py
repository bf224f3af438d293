"""From states to labelled pictures: draws camera, look and background, renders, projects labels."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from perception.geometry import intrinsics, inverse, transform
from perception.labels import label_corners, silhouette
from perception.marked import CUBE, MarkedObject
from perception.samples import BACKGROUND_ID, SILHOUETTE, Sample
from perception.synthetic.backgrounds import Backgrounds
from perception.synthetic.distortion import distorted
from perception.synthetic.fingers import FingerConfig, cover, draw_fingers
from perception.synthetic.looks import Look, LookConfig, draw_look
from perception.synthetic.mujoco_renderer import Rendering, SceneState
from perception.synthetic.room import RoomConfig, draw_room
from perception.synthetic.views import SPLITS, View, ViewConfig, draw_view

SURROUNDINGS_PX = 1024, 512
"""Size of the picture all around a room."""
LENS_BLUR_PX = 0.5
"""Standard deviation of the blur of every picture: drawn edges are sharper than any lens makes."""


@dataclass
class PictureConfig:
    """What pictures look like."""

    view: ViewConfig = field(default_factory=ViewConfig)
    look: LookConfig = field(default_factory=LookConfig)
    room: RoomConfig = field(default_factory=RoomConfig)
    """Of path-traced pictures."""
    fingers: FingerConfig = field(default_factory=FingerConfig)
    backgrounds: str | None = None
    """Folder of background pictures; None draws procedural ones."""
    min_visible_fraction: float = 0.1
    """Pictures that show less of the cube's silhouette are left out."""


class Renderer(Protocol):
    """What draws; `MujocoRenderer` and Isaac Lab's cameras do."""

    name: str
    materials: int
    """Differently coloured parts of the hand."""
    textures_px: tuple[int, int]
    """Edge of a hand texture and of a tile of the cube's atlas."""
    batch: int
    """Pictures drawn at once; they share their intrinsics."""
    any_intrinsics: bool
    """False if pixels must be square and the principal point the middle."""
    marked: MarkedObject
    """What is held."""
    draws_rooms: bool
    """Whether it draws what is behind the hand, in a room of its own; else it leaves that open."""

    def render(
        self, states: Sequence[SceneState], views: Sequence[View], looks: Sequence[Look]
    ) -> list[Rendering]:
        """One picture per entry."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


class Pictures:
    """Draws samples of one split with one renderer.

    Args:
        renderer: Draws.
        config: Ranges of everything random.
        split: "train" or "heldout"; decides on cameras, backgrounds and random numbers.
        seed: Seed of the whole data set.
    """

    def __init__(self, renderer: Renderer, config: PictureConfig, split: str, seed: int) -> None:
        self._renderer, self._config, self._split, self._seed = renderer, config, split, seed
        folder = Path(config.backgrounds) if config.backgrounds else None
        self._backgrounds = Backgrounds(split, folder)

    def draw(
        self, states: Sequence[SceneState], notes: Sequence[dict], shard: int, first: int = 0
    ) -> list[Sample]:
        """Labelled pictures of up to `batch` states; those that hide the cube are left out.

        Args:
            states: What to draw.
            notes: Kept with each sample: where the state comes from.
            shard: Number of the shard.
            first: Number of the first picture within the shard.
        """
        numbers = range(first, first + len(states))
        rngs = [self.generator(shard, number) for number in numbers]
        views = [draw_view(self._config.view, self._split, rng) for rng in rngs]
        camera = views[0].camera if self._renderer.any_intrinsics else plain_camera(views[0])
        views = [View(camera, view.T_world_camera, view.size) for view in views]
        sizes, materials = self._renderer.textures_px, self._renderer.materials
        looks = [draw_look(self._config.look, materials, sizes, rng) for rng in rngs]
        if self._renderer.draws_rooms:
            looks = [
                self._in_a_room(*entry) for entry in zip(looks, views, states, rngs, strict=True)
            ]
        drawn = self._renderer.render(states, views, looks)
        samples = []
        for number, state, view, look, rendering, note, rng in zip(
            numbers, states, views, looks, drawn, notes, rngs, strict=True
        ):
            about = note | {
                "renderer": self._renderer.name,
                "seed": [self._seed, SPLITS.index(self._split), shard, number],
                "T_camera_hand": inverse(view.T_world_camera).tolist(),
                "joint_pos": np.asarray(state.joint_pos).tolist(),
            }
            key = f"{self._split}-{shard:06d}-{number:05d}"
            samples.append(self._finished(key, rendering, view, look, about, rng))
        smallest = self._config.min_visible_fraction
        return [sample for sample in samples if sample.visible_fraction >= smallest]

    def _in_a_room(
        self, look: Look, view: View, state: SceneState, rng: np.random.Generator
    ) -> Look:
        cube = transform(np.asarray(state.cube_pos), np.asarray(state.cube_quat))
        around = self._backgrounds.draw(SURROUNDINGS_PX, rng)
        room = draw_room(self._config.room, len(look.hand), around, view.T_world_camera, cube, rng)
        return replace(look, room=room)

    def _finished(
        self,
        key: str,
        rendering: Rendering,
        view: View,
        look: Look,
        notes: dict,
        rng: np.random.Generator,
    ) -> Sample:
        """The sample, with fingers and a background, or with what its room's lens does."""
        marked = self._renderer.marked
        if look.room is not None:
            notes = notes | {"condition": look.room.condition}
            sample = labelled(key, rendering.image, rendering, view.camera, notes, marked)
            k1 = look.room.lens.k1
            return distorted(sample, k1) if k1 else sample
        for finger in draw_fingers(self._config.fingers, rendering.T_camera_cube, look, rng):
            rendering = cover(rendering, finger, view.camera, look, view.T_world_camera)
        image = compose(rendering, self._backgrounds.draw(view.size, rng))
        return labelled(key, image, rendering, view.camera, notes, marked)

    def generator(self, shard: int, number: int) -> np.random.Generator:
        """Random numbers of one picture; no two pictures or splits share theirs."""
        split = SPLITS.index(self._split)
        return np.random.default_rng([self._seed, split, shard, number])


def plain_camera(view: View) -> np.ndarray:
    """K (3, 3) with the view's horizontal focal length, square pixels and a centred axis."""
    width, height = view.size
    focal = float(view.camera[0, 0])
    return intrinsics((focal, focal), (width / 2, height / 2))


def labelled(
    key: str,
    image: np.ndarray,
    rendering: Rendering,
    camera: np.ndarray,
    notes: dict,
    marked: MarkedObject = CUBE,
) -> Sample:
    """A sample out of a finished picture (H, W, 3) and what its renderer knows."""
    pose = rendering.T_camera_cube
    labels = label_corners(camera, pose, rendering.depth_m, rendering.ids, marked)
    if marked.shape != "cube":
        notes = notes | {SILHOUETTE: silhouette(camera, pose, marked)}
    return Sample(
        key=key,
        image=image,
        ids=rendering.ids,
        camera=camera,
        T_camera_cube=pose,
        notes=notes,
        **vars(labels),
    )


def compose(rendering: Rendering, background: np.ndarray) -> np.ndarray:
    """The drawing in front of a background (H, W, 3), slightly blurred as by a lens."""
    front = (rendering.ids != BACKGROUND_ID)[..., None]
    image = np.where(front, rendering.image, background)
    return cv2.GaussianBlur(image, (3, 3), LENS_BLUR_PX)
