"""Films of a rig: one camera and one room, strange fingers that stay a while."""

from dataclasses import replace

import numpy as np
import pytest

from perception.cameras.rendered import FINGERS_S, Rig
from perception.geometry import inverse, transform
from perception.samples import HAND_ID
from perception.synthetic.fingers import FingerConfig
from perception.synthetic.mujoco_renderer import Rendering, SceneState
from perception.synthetic.pictures import PictureConfig
from perception.synthetic.room import RoomConfig
from perception.synthetic.views import ViewConfig

SIZE = (64, 48)
STATE = SceneState(np.zeros(17), np.array([0.04, 0.18, -0.06]), np.array([0.0, 0.0, 0.0, 1.0]))


class EmptyRenderer:
    """Draws nothing, and remembers how it was asked to."""

    materials, textures_px = 2, (16, 16)

    def __init__(self, *, rooms: bool) -> None:
        self.size, self.any_intrinsics, self.draws_rooms = SIZE, not rooms, rooms
        self.looks = []

    def render_one(self, state, view, look):
        self.looks.append(look)
        cube = transform(state.cube_pos, state.cube_quat)
        pose = inverse(view.T_world_camera) @ cube
        blank = np.zeros((*SIZE[::-1], 3), np.uint8)
        ids = np.zeros(SIZE[::-1], np.uint8)
        return Rendering(blank, np.full(SIZE[::-1], 5.0, np.float32), ids, pose)


def config(**changes) -> PictureConfig:
    return replace(PictureConfig(room=RoomConfig(conditions=("dim",))), **changes)


def test_a_path_traced_film_stays_in_its_room() -> None:
    renderer = EmptyRenderer(rooms=True)
    rig = Rig(renderer, seed=3, config=config())
    frames = [rig.shoot(0.05 * k, STATE)[0] for k in range(3)]
    rooms = [look.room for look in renderer.looks]
    assert {room.condition for room in rooms} == {"dim"}
    assert all(room.lamps is rooms[0].lamps and room.lens is rooms[0].lens for room in rooms)
    assert len({room.noise_seed for room in rooms}) == 3
    np.testing.assert_array_equal(frames[0].intrinsics, frames[2].intrinsics)
    assert frames[0].intrinsics[0, 0] == frames[0].intrinsics[1, 1]  # a path tracer's pixels


@pytest.mark.parametrize("condition", ["moving", "distorted"])
def test_conditions_of_single_pictures_are_refused(condition: str) -> None:
    wrong = config(room=RoomConfig(conditions=("plain", condition)))
    with pytest.raises(ValueError, match=condition):
        Rig(EmptyRenderer(rooms=True), seed=0, config=wrong)
    assert Rig(EmptyRenderer(rooms=False), seed=0, config=wrong)


def test_strange_fingers_stay_and_then_others_come(monkeypatch) -> None:
    from perception.cameras import rendered

    covered = []
    monkeypatch.setattr(
        rendered, "compose", lambda drawing, behind: covered.append(drawing) or behind
    )
    rig = Rig(
        EmptyRenderer(rooms=False), seed=1, config=config(fingers=FingerConfig(probability=1.0))
    )
    for time_s in (0.0, FINGERS_S / 2, FINGERS_S):
        rig.shoot(time_s, STATE)
    first, second, third = (drawing.ids for drawing in covered)
    assert (first == HAND_ID).any()
    np.testing.assert_array_equal(first, second)
    assert (first != third).any()


def test_a_film_can_be_taken_straight_from_below() -> None:
    for seed in range(5):
        rig = Rig(EmptyRenderer(rooms=False), seed=seed, config=config(view=ViewConfig(tilt_deg=5)))
        tilt = np.degrees(np.arccos(rig.view.T_world_camera[2, 2]))
        assert tilt < 5.0 + 12.0  # and it may look past the cube


def test_a_rig_without_settings_is_as_it_was() -> None:
    plain, told = (
        Rig(EmptyRenderer(rooms=False), seed=4, config=c) for c in (None, PictureConfig())
    )
    np.testing.assert_array_equal(plain.view.T_world_camera, told.view.T_world_camera)
    first, second = (rig.shoot(0.0, STATE)[0].image for rig in (plain, told))
    np.testing.assert_array_equal(first, second)
