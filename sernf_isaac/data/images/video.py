"""Videos as streams of frames, through the encoder that comes with imageio."""

import functools
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np

from sernf_isaac.data.checks import check_file
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


def frame_times_s(path: Path) -> Array:
    """(N,) when each frame is shown, in order, on the video's own clock; nothing is decoded.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, or holds no frames.
    """
    check_file(path, "video")
    about = path.stat()
    return _frame_times_s(path, about.st_mtime_ns, about.st_size)


@functools.lru_cache(maxsize=64)
def _frame_times_s(path: Path, *_changes: int) -> Array:
    """Many episodes are in one file."""
    quiet = (imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-loglevel", "error")
    copied = ("-map", "0:v:0", "-c", "copy", "-f", "framecrc", "-")
    done = subprocess.run([*quiet, "-copyts", "-i", str(path), *copied], capture_output=True)
    lines = done.stdout.decode(errors="replace").splitlines()
    units = [line.split(":")[1] for line in lines if line.startswith("#tb 0:")]
    shown = [int(line.split(",")[2]) for line in lines if line[:1].isdigit()]
    if done.returncode or not units or not shown:
        raise ValueError(f"{path} is damaged or no video: {_last_words(done.stderr)}")
    return np.sort(np.asarray(shown, np.float64)) * float(Fraction(units[0].strip()))


def _last_words(log: bytes) -> str:
    lines = [line for line in log.decode(errors="replace").splitlines() if line.strip()]
    return re.sub(r"^\[[^\]]*\] *", "", lines[-1]) if lines else "it has no frames"


def read_frames(path: Path, numbers: Array) -> Iterator[Array]:
    """(height, width, 3) uint8 frames of these numbers (T,), which must not decrease.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged or has fewer frames.
    """
    times_s = frame_times_s(path)
    first, last = int(numbers[0]), int(numbers[-1])
    if last >= len(times_s):
        raise ValueError(f"{path} has {len(times_s)} frames, expected at least {last + 1}")
    repeats = np.bincount(np.asarray(numbers) - first)
    found = first
    for frame in _decoded(path, times_s, first, last - first + 1):
        for _ in range(repeats[found - first]):
            yield frame
        found += 1
    if found <= last:
        raise ValueError(f"{path} ends at frame {found}, expected {last + 1}: it is damaged")


def _decoded(path: Path, times_s: Array, first: int, count: int) -> Iterator[Array]:
    """Seeks between two frames, so that rounding is harmless."""
    halfway_s = (times_s[first] + times_s[first - 1]) / 2 - times_s[0] if first else 0.0
    reader = imageio_ffmpeg.read_frames(
        str(path),
        input_params=["-ss", f"{halfway_s:.6f}", "-threads", "1"],
        output_params=["-frames:v", str(count), "-fps_mode", "passthrough"],
    )
    try:
        width, height = next(reader)["size"]
        for data in reader:
            yield np.frombuffer(data, np.uint8).reshape(height, width, 3)
    except (OSError, RuntimeError, StopIteration, KeyError) as error:
        said = _last_words(str(error).encode())
        raise ValueError(f"{path} is damaged or no video: {said}") from error
    finally:
        reader.close()
