"""Pictures from Isaac Lab: cube and hand are where the pinhole camera and the poses say."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from first_hand import V1
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation

from perception.cube import cube_corners
from perception.geometry import intrinsics, inverse, project, transform
from perception.synthetic.views import ViewConfig, draw_view
from tasks.cube_spin.grasps import load_grasps
from tasks.cube_spin.pictures.isaac import KINDS, IsaacCameras
from tasks.cube_spin.pictures.states import States

pytestmark = pytest.mark.sim
SIZE, FOCAL_PX, NUM_ENVS = (320, 240), 270.0, 3


@pytest.fixture(scope="module")
def cameras() -> Iterator[IsaacCameras]:
    made = IsaacCameras(V1, NUM_ENVS, SIZE)
    yield made
    made.close()


def some_states(count: int) -> States:
    bank, rng = load_grasps(V1), np.random.default_rng(0)
    falling = bank.cube_pos[:count].double().numpy() - (0.0, 0.0, 0.05)  # not behind a finger
    return States(
        joint_pos=bank.joint_pos[:count].double().numpy(),
        cube_pos=falling,
        cube_quat=Rotation.random(count, rng=rng).as_quat(),
        source=np.zeros(count, dtype=int),
    )


def some_poses(count: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    views = [draw_view(ViewConfig(target_m=0.01), "train", rng) for _ in range(count)]
    return np.stack([view.T_world_camera for view in views])


def test_the_cube_is_drawn_where_the_labels_say(cameras: IsaacCameras) -> None:
    states, poses = some_states(NUM_ENVS), some_poses(NUM_ENVS)
    unlit = cameras.shoot(states, FOCAL_PX, torch.from_numpy(poses))
    camera = intrinsics((FOCAL_PX, FOCAL_PX), (SIZE[0] / 2, SIZE[1] / 2))
    x, y = np.meshgrid(np.arange(SIZE[0]) + 0.5, np.arange(SIZE[1]) + 0.5)
    for i in range(NUM_ENVS):
        cube = transform(states.cube_pos[i], states.cube_quat[i])
        corners, depth = project(cube_corners(), camera, inverse(poses[i]) @ cube)
        planes = ConvexHull(corners).equations
        inside = (planes[:, :2] @ np.stack([x.ravel(), y.ravel()]) + planes[:, 2:] < 0).all(axis=0)
        expected = inside.reshape(SIZE[::-1])
        seen = (unlit.kind[i] == KINDS.index("cube")).numpy()
        assert not (seen & ~expected).sum() > 3 and seen.sum() > 0.9 * expected.sum()
        drawn = unlit.depth_m[i].numpy()[seen]
        assert depth.min() - 1e-3 < drawn.min() and drawn.max() < depth.max() + 1e-3
        assert (unlit.kind[i] == KINDS.index("hand")).sum() > 1000


def test_prints_and_normals_are_there(cameras: IsaacCameras) -> None:
    states, poses = some_states(NUM_ENVS), some_poses(NUM_ENVS)
    unlit = cameras.shoot(states, FOCAL_PX, torch.from_numpy(poses))
    cube = unlit.kind == KINDS.index("cube")
    assert unlit.albedo[cube].std(dim=0).min() > 0.1  # glyphs, not one colour
    torch.testing.assert_close(unlit.normal[cube].norm(dim=-1), torch.ones(int(cube.sum())))
    turned = Rotation.from_quat(states.cube_quat[0]).as_matrix().T
    local = unlit.normal[0][cube[0]].numpy() @ turned.T
    assert (np.abs(local).max(axis=1) > 0.99).all()  # along an axis of the cube


def test_too_many_states_are_refused(cameras: IsaacCameras) -> None:
    with pytest.raises(ValueError, match="4 states for 3 environments"):
        cameras.shoot(some_states(4), FOCAL_PX, torch.from_numpy(some_poses(4)))
