"""Recordings: a folder of pictures, or a video, each with its camera in a JSON file.

A folder holds `000000.png`, `000001.png`, ... (or .jpg) and `camera.json`; a video `x.mp4` has
`x.json` beside it. The JSON has `intrinsics` (3x3, continuous pixels), `distortion`, `size`
(width, height), `times_s` (one per image) and, where known, `poses` (T_camera_cube per image).
"""

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from perception.cameras.frames import Array, Frame

CAMERA_FILE = "camera.json"
PICTURES = (".png", ".jpg", ".jpeg")


class FrameRecorder:
    """Writes frames as a folder; `camera.json` comes last, so a folder with one is complete.

    Raises:
        FileExistsError: If the folder holds a recording already.
    """

    def __init__(self, folder: Path) -> None:
        if (folder / CAMERA_FILE).exists():
            raise FileExistsError(f"{folder} holds a recording already; choose another folder")
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._first: Frame | None = None
        self._times_s: list[float] = []
        self._poses: list[list] = []

    def write(self, frame: Frame, pose: Array | None = None) -> None:
        """Add an image and, for all images or none, the true `T_camera_cube`.

        Raises:
            ValueError: If the camera or the image size has changed.
        """
        first = self._first = self._first or frame
        same = np.allclose(frame.intrinsics, first.intrinsics)
        if frame.image.shape != first.image.shape or not same:
            raise ValueError(f"{self._folder}: the camera changed during the recording")
        path = self._folder / f"{len(self._times_s):06d}.png"
        if not cv2.imwrite(str(path), frame.image[..., ::-1]):
            raise ValueError(f"cannot write {path}")
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
        partial = self._folder / f".{CAMERA_FILE}.partial"
        partial.write_text(json.dumps(content, allow_nan=False))
        partial.replace(self._folder / CAMERA_FILE)


class Recording:
    """Plays a folder or a video; a `FrameSource` that does not wait.

    Args:
        path: A folder with `camera.json`, or a video with its JSON beside it.

    Raises:
        FileNotFoundError: If there is no such recording or it has no camera file.
        ValueError: If images and camera file do not belong together.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path / CAMERA_FILE if path.is_dir() else path.with_suffix(".json")
        if not path.exists() or not self._file.is_file():
            raise FileNotFoundError(f"no recording at {path}: it needs {self._file}")
        content = json.loads(self._file.read_text())
        missing = [k for k in ("intrinsics", "size", "times_s") if k not in content]
        if missing:
            raise ValueError(f"{self._file} lacks {', '.join(missing)}")
        self._intrinsics = np.array(content["intrinsics"], dtype=float)
        self._distortion = tuple(content.get("distortion", ()))
        self._size = tuple(content["size"])
        self.times_s: list[float] = content["times_s"]
        """Of all images."""
        poses = content.get("poses")
        self.poses = None if poses is None else np.array(poses, dtype=float)
        """(T, 4, 4) true `T_camera_cube` of all images, if they were recorded."""
        if self.poses is not None and self.poses.shape != (len(self.times_s), 4, 4):
            raise ValueError(f"{self._file}: poses must be one 4x4 matrix per image")
        self._images = self._folder_images() if path.is_dir() else self._video_images()
        self._next = 0

    def read(self) -> Frame | None:
        """The next image; None at the end.

        Raises:
            ValueError: If an image is damaged, missing or of another size.
        """
        if self._next == len(self.times_s):
            return None
        image = next(self._images, None)
        number = self._next
        self._next += 1
        if image is None or image.shape[1::-1] != self._size:
            found = "missing or damaged" if image is None else f"of size {image.shape[1::-1]}"
            raise ValueError(f"{self._path}: image {number} is {found}, expected {self._size}")
        rgb = np.ascontiguousarray(image[..., ::-1])
        return Frame(rgb, self._intrinsics, self.times_s[number], self._distortion)

    def close(self) -> None:
        """Nothing is held open between images."""

    def _folder_images(self) -> Iterator[Array | None]:
        paths = sorted(p for p in self._path.iterdir() if p.suffix.lower() in PICTURES)
        for path in paths:
            yield cv2.imread(str(path), cv2.IMREAD_COLOR)

    def _video_images(self) -> Iterator[Array | None]:
        video = cv2.VideoCapture(str(self._path))
        try:
            while True:
                found, image = video.read()
                if not found:
                    return
                yield image
        finally:
            video.release()
