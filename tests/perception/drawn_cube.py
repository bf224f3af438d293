"""Pictures of the cube drawn face by face: enough for networks and solvers, no renderer needed."""

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from perception.cube import FACES, cube_corners
from perception.cube_art import face_picture
from perception.geometry import intrinsics, project, transform
from perception.samples import BACKGROUND_ID, CUBE_ID, OCCLUDED, OUTSIDE, VISIBLE, Sample

TILE_PX = 64
TILE = np.array([[0, TILE_PX], [TILE_PX, TILE_PX], [TILE_PX, 0], [0, 0]], dtype=np.float32)


def camera_for(width, height):
    """The OAK-D Lite's field of view at any size."""
    focal = 229.0 * width / 320.0
    return intrinsics((focal, focal), (width / 2, height / 2))


def random_pose(rng, depth_m=(0.22, 0.35), sideways_m=0.03):
    """T_camera_cube with any rotation, near the middle of the image."""
    position = [*rng.uniform(-sideways_m, sideways_m, 2), rng.uniform(*depth_m)]
    return transform(np.array(position), Rotation.random(random_state=rng).as_quat())


def drawn_sample(rng, width=320, height=240, pose=None, key="drawn"):
    """A labelled picture of the cube before a background of blocks."""
    pose = random_pose(rng) if pose is None else pose
    camera = camera_for(width, height)
    corners_px, _ = project(cube_corners(), camera, pose)
    blocks = rng.integers(40, 216, (6, 8, 3), dtype=np.uint8)
    image = cv2.resize(blocks, (width, height), interpolation=cv2.INTER_LINEAR)
    ids = np.full((height, width), BACKGROUND_ID, dtype=np.uint8)
    seen = np.zeros(8, dtype=bool)
    for face in FACES:
        normal = pose[:3, :3] @ face.axes[:, 2]
        if normal @ (pose[:3, 3] + 0.0225 * normal) >= 0:
            continue
        seen[list(face.corners)] = True
        _paste(image, ids, face_picture(face, TILE_PX), corners_px[list(face.corners)])
    inside = ((corners_px >= 0) & (corners_px <= [width, height])).all(axis=1)
    visibility = np.where(seen, VISIBLE, OCCLUDED)
    noise = rng.normal(0, 4, image.shape)
    return Sample(
        key=key,
        image=np.clip(image + noise, 0, 255).astype(np.uint8),
        ids=ids,
        camera=camera,
        T_camera_cube=pose,
        corners_px=corners_px,
        visibility=np.where(inside, visibility, OUTSIDE),
        depth_margin_m=np.zeros(8),
        amodal_box=np.concatenate([corners_px.min(0), corners_px.max(0)]),
        visible_fraction=1.0,
    )


def _paste(image, ids, tile, corners_px):
    # OpenCV's pixels are numbered at their centres, ours at their corners.
    warp = cv2.getPerspectiveTransform(TILE - 0.5, (corners_px - 0.5).astype(np.float32))
    size = image.shape[1::-1]
    drawn = cv2.warpPerspective(tile, warp, size, flags=cv2.INTER_LINEAR)
    covered = cv2.warpPerspective(np.ones(tile.shape[:2], np.uint8), warp, size) > 0
    image[covered] = drawn[covered]
    ids[covered] = CUBE_ID
