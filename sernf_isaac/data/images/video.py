"""Videos as streams of frames, through the encoder that comes with imageio."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import imageio_ffmpeg
import numpy as np

from sernf_isaac.data.episode import Array

CODEC, PIXELS, QUALITY, KEYFRAME_EVERY = "h264", "yuv420p", 18, 2
"""Nearly lossless; the many key frames are for data loaders that jump."""


class VideoWriter:
    """Writes an mp4 frame by frame; it is whole when `close` returns.

    Args:
        path: Must not exist.
        size: Height and width, even numbers.
        rate_hz: Frames per second.

    Raises:
        ValueError: If the size is odd, which the codec cannot store.
    """

    def __init__(self, path: Path, size: tuple[int, int], rate_hz: int) -> None:
        height, width = size
        if height % 2 or width % 2:
            raise ValueError(f"images of {height} x {width} need even sizes to become a video")
        self.path, self.size, self.frames = path, size, 0
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed when the process ends)
        self._process = subprocess.Popen(
            [
                *(imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-loglevel", "error", "-n"),
                *("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"),
                *("-framerate", str(rate_hz), "-i", "-"),
                *("-c:v", "libx264", "-preset", "fast", "-crf", str(QUALITY), "-bf", "0"),
                *("-pix_fmt", PIXELS, "-g", str(KEYFRAME_EVERY), "-threads", "1", str(path)),
            ],
            stdin=subprocess.PIPE,
            stderr=self._errors,
        )

    @property
    def bytes_written(self) -> int:
        """Size of the file so far; the encoder lags behind."""
        return self.path.stat().st_size if self.path.exists() else 0

    def append(self, images: Array) -> None:
        """Add (T, 3, height, width) uint8.

        Raises:
            ValueError: If the images have another size, or the encoder gave up.
        """
        if images.shape[1:] != (3, *self.size):
            raise ValueError(f"images have shape {images.shape[1:]}, expected {(3, *self.size)}")
        assert self._process.stdin is not None
        try:
            for image in images:
                self._process.stdin.write(np.ascontiguousarray(image.transpose(1, 2, 0)).data)
        except BrokenPipeError:
            self.close()
        self.frames += len(images)

    def close(self) -> None:
        """Finish the file.

        Raises:
            ValueError: If the encoder failed; with its words.
        """
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # the return code tells
            self._process.stdin.close()
        code = self._process.wait()
        self._errors.seek(0)
        words = self._errors.read().decode(errors="replace").strip()
        self._errors.close()
        if code:
            raise ValueError(f"{self.path}: the encoder failed: {words}")

    def abandon(self) -> None:
        """Stop without finishing; harmless after `close`."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def read_frames(path: Path, start: int, count: int, rate_hz: float) -> Iterator[Array]:
    """(height, width, 3) uint8 frames, `count` of them from number `start` on.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged or has fewer frames.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no video at {path}")
    seek_s = max(0.0, (start - 0.5) / rate_hz)  # between two frames, so that rounding is harmless
    reader = imageio_ffmpeg.read_frames(
        str(path),
        input_params=["-ss", f"{seek_s:.6f}", "-threads", "1"],
        output_params=["-frames:v", str(count), "-fps_mode", "passthrough"],
    )
    found = 0
    try:
        width, height = next(reader)["size"]
        for data in reader:
            found += 1
            yield np.frombuffer(data, np.uint8).reshape(height, width, 3)
    except (OSError, RuntimeError, StopIteration, KeyError) as error:
        raise ValueError(f"{path} is damaged or no video: {error}") from error
    finally:
        reader.close()
    if found != count:
        raise ValueError(f"{path} has {found} frames from number {start} on, expected {count}")
