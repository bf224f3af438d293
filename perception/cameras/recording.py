"""Recordings: a folder of pictures, or a video, each with its camera in a JSON file.

A folder holds `000000.png`, `000001.png`, ... (or .jpg) and `camera.json`; a video `x.mp4` has
`x.json` beside it. The JSON has `intrinsics` (3x3, continuous pixels), `distortion`, `size`
(width, height), `times_s` (one per image) and, where known, `poses` (T_camera_cube per image).
Pictures are matched to times by the numbers in their names (`perception.picture_files`).
"""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from perception import camera_checks as checks
from perception.cameras.frames import Array, Frame
from perception.files import read_json, required, write_json
from perception.picture_files import numbered, pictures_in, read_picture, write_picture

CAMERA_FILE = "camera.json"


class FrameRecorder:
    """Writes frames as a folder; `camera.json` comes last, so a folder with one is complete.

    Raises:
        FileExistsError: If the folder holds a recording or other pictures already.
    """

    def __init__(self, folder: Path) -> None:
        if (folder / CAMERA_FILE).exists():
            raise FileExistsError(f"{folder} holds a recording already; choose another folder")
        if folder.is_dir() and (there := pictures_in(folder)):
            raise FileExistsError(
                f"{folder} holds pictures already ({there[0].name}, ...), perhaps of a recording "
                "that was interrupted; remove them or choose another folder"
            )
        self._folder = folder  # made with the first picture: without a camera nothing is left
        self._first: Frame | None = None
        self._times_s: list[float] = []
        self._poses: list[list] = []

    def write(self, frame: Frame, pose: Array | None = None) -> None:
        """Add an image and, for all images or none, the true `T_camera_cube`.

        Raises:
            OSError: If the image cannot be written.
            ValueError: If the camera or the image size has changed, or time stands still.
        """
        first = self._first = self._first or frame
        same = np.allclose(frame.intrinsics, first.intrinsics)
        if frame.image.shape != first.image.shape or not same:
            raise ValueError(f"{self._folder}: the camera changed during the recording")
        if self._times_s and frame.time_s <= self._times_s[-1]:
            raise ValueError(
                f"{self._folder}: an image of {frame.time_s} s after one of {self._times_s[-1]} s"
            )
        self._folder.mkdir(parents=True, exist_ok=True)
        write_picture(self._folder / f"{len(self._times_s):06d}.png", frame.image)
        self._times_s.append(frame.time_s)
        if pose is not None:
            self._poses.append(pose.tolist())

    def close(self) -> None:
        """Write the camera's file.

        Raises:
            ValueError: If nothing was recorded, or only some images came with a pose.
        """
        if self._first is None:
            raise ValueError(f"{self._folder}: nothing was recorded")
        if self._poses and len(self._poses) != len(self._times_s):
            raise ValueError(f"{self._folder}: give a pose with every image or with none")
        content = {
            "intrinsics": self._first.intrinsics.tolist(),
            "distortion": list(self._first.distortion),
            "size": [self._first.image.shape[1], self._first.image.shape[0]],
            "times_s": self._times_s,
        }
        if self._poses:
            content["poses"] = self._poses
        write_json(self._folder / CAMERA_FILE, content)


class Recording:
    """Plays a folder or a video; a `FrameSource` that does not wait.

    Args:
        path: A folder with `camera.json`, or a video with its JSON beside it.

    Raises:
        FileNotFoundError: If there is no such recording or it has no camera file.
        ValueError: If the camera file is damaged or holds what no camera has, or if there is not
            exactly one picture per time.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        """Of the folder or video."""
        self._file = path / CAMERA_FILE if path.is_dir() else path.with_suffix(".json")
        if not path.exists():
            raise FileNotFoundError(f"no recording at {path}; it is a folder with {CAMERA_FILE}")
        if not self._file.is_file():
            raise FileNotFoundError(f"no recording at {path}: it needs {self._file}")
        content, where = read_json(self._file), f"{self._file}"
        matrix, size, times_s = required(content, ("intrinsics", "size", "times_s"), where)
        width, height = self._size = checks.picture_size(size, where)
        self._intrinsics = checks.intrinsics(matrix, (height, width), where)
        self._distortion = checks.distortion(content.get("distortion", []), where)
        self.times_s = checks.moments(times_s, where)
        """Of all images."""
        poses = content.get("poses")
        self.poses = None if poses is None else _poses(poses, len(self.times_s), where)
        """(T, 4, 4) true `T_camera_cube` of all images, if they were recorded."""
        self._images = self._folder_images() if path.is_dir() else self._video_images()
        self._next = 0

    def read(self) -> Frame | None:
        """The next image; None at the end.

        Raises:
            ValueError: If an image is damaged, of another size or of a kind that is refused.
        """
        if self._next == len(self.times_s):
            return None
        image, number = next(self._images, None), self._next
        self._next += 1
        if image is None or image.shape[1::-1] != self._size:
            found = "missing or damaged" if image is None else f"of size {image.shape[1::-1]}"
            raise ValueError(f"{self.path}: image {number} is {found}, expected {self._size}")
        return Frame(image, self._intrinsics, self.times_s[number], self._distortion)

    def close(self) -> None:
        """Nothing is held open between images."""

    def _folder_images(self) -> Iterator[Array]:
        paths = numbered(pictures_in(self.path), len(self.times_s), self.path)
        return (read_picture(path) for path in paths)

    def _video_images(self) -> Iterator[Array]:
        if (images := sum(1 for _ in _video(self.path, decode=False))) != len(self.times_s):
            raise ValueError(
                f"{self.path} holds {images} images, {self._file} has {len(self.times_s)} "
                "times_s; there must be one time per image"
            )
        return (np.ascontiguousarray(bgr[..., ::-1]) for bgr in _video(self.path))


def _poses(values: object, count: int, where: str) -> Array:
    """(count, 4, 4) rigid transforms of cubes before a camera."""
    if not isinstance(values, list) or len(values) != count:
        found = f"{len(values)} poses" if isinstance(values, list) else f"{values!r:.60}"
        raise ValueError(f"{where}: poses must be one 4x4 matrix per image ({count}), got {found}")
    reach_m = checks.CUBE_REACH_M
    poses = [checks.rigid(v, f"{where}: poses[{i}]", reach_m) for i, v in enumerate(values)]
    if behind := [i for i, pose in enumerate(poses) if pose[2, 3] <= 0.0]:
        raise ValueError(
            f"{where}: poses[{behind[0]}] puts the cube behind the camera; poses map the cube to "
            "the camera, whose z axis points forward"
        )
    return np.array(poses)


def _video(path: Path, *, decode: bool = True) -> Iterator[Array]:
    """Images (h, w, 3) BGR of a video; empty ones if they are only to be counted."""
    video = cv2.VideoCapture(str(path))
    try:
        while video.grab():
            image = video.retrieve()[1] if decode else np.zeros((0, 0, 3), np.uint8)
            if image is None:
                return
            yield image
    finally:
        video.release()
