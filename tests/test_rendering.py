"""Drawing without a display: the backend that works is found, and pictures show the cube."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from first_hand import V1

from tasks import rendering
from tasks.cube_spin.physics import NOMINAL
from tasks.cube_spin.runs.play import captioned, film
from tasks.cube_spin.twin.camera import Camera
from tasks.cube_spin.twin.environment import CubeSpinTwin
from tasks.rendering import BACKENDS, choose_gl_backend

HEADLESS = sys.platform == "linux"
only_linux = pytest.mark.skipif(not HEADLESS, reason="other systems draw through their own window")


@pytest.fixture
def no_choice_yet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Neither a display nor a backend chosen by the user, and no trace of ours afterwards."""
    before = {name: os.environ.get(name) for name in ("MUJOCO_GL", "PYOPENGL_PLATFORM")}
    for name in (*before, "DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(rendering.importlib, "reload", lambda module: module)
    yield
    for name, value in before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


@only_linux
@pytest.mark.usefixtures("no_choice_yet")
@pytest.mark.parametrize("working", BACKENDS)
def test_the_first_backend_that_works_is_chosen(working: str) -> None:
    tried = []

    def works(backend: str) -> bool:
        tried.append(backend)
        return backend == working

    assert choose_gl_backend(works) == working
    assert tried == list(BACKENDS[: BACKENDS.index(working) + 1])
    assert os.environ["MUJOCO_GL"] == os.environ["PYOPENGL_PLATFORM"] == working


@only_linux
@pytest.mark.usefixtures("no_choice_yet")
def test_nothing_more_is_tried_once_chosen() -> None:
    choose_gl_backend(lambda backend: backend == "osmesa")
    assert choose_gl_backend(lambda backend: pytest.fail("tried again")) == "osmesa"


@pytest.mark.usefixtures("no_choice_yet")
def test_the_users_choice_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "egl")
    assert choose_gl_backend(lambda backend: pytest.fail("asked anyway")) == "egl"
    assert os.environ["MUJOCO_GL"] == "egl" and "PYOPENGL_PLATFORM" not in os.environ


@only_linux
@pytest.mark.usefixtures("no_choice_yet")
@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("glfw", "MUJOCO_GL=glfw draws in a window, and there is no display"),
        ("GLX", "MUJOCO_GL=glx draws in a window"),
        ("off", "MUJOCO_GL=off forbids drawing"),
    ],
)
def test_a_choice_that_cannot_draw_says_what_to_set(monkeypatch, choice, message) -> None:
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("MUJOCO_GL", choice)
    with pytest.raises(ValueError, match=message):
        choose_gl_backend()
    if choice == "glfw":
        monkeypatch.setenv("DISPLAY", ":0")
        assert choose_gl_backend() == "glfw"


@pytest.mark.usefixtures("no_choice_yet")
def test_a_display_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    assert choose_gl_backend(lambda backend: pytest.fail("asked anyway")) == "window system"
    assert "MUJOCO_GL" not in os.environ


@only_linux
@pytest.mark.usefixtures("no_choice_yet")
def test_where_nothing_works_the_package_to_install_is_named() -> None:
    with pytest.raises(RuntimeError, match="apt-get install libosmesa6"):
        choose_gl_backend(lambda backend: False)
    assert "MUJOCO_GL" not in os.environ


@only_linux
def test_a_backend_that_does_not_exist_does_not_work() -> None:
    assert not rendering._works("no_such_backend")


# Pictures -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def camera() -> Iterator[Camera]:
    try:
        choose_gl_backend()
    except RuntimeError as error:
        pytest.skip(f"no way to draw on this machine: {error}")
    made = Camera(V1, size=192)
    yield made
    made.close()


@pytest.fixture
def twin(make_twin: Callable[..., CubeSpinTwin]) -> CubeSpinTwin:
    return make_twin(1, physics=NOMINAL)


def put_cube(twin: CubeSpinTwin, offset_m: float = 0.0, yaw_rad: float = 0.0) -> None:
    """Rest the hand in its first grasp, the cube beside it or turned."""
    bank = twin.bank.first(1)
    half = torch.tensor(yaw_rad) / 2
    quat = torch.stack([torch.tensor(0.0), torch.tensor(0.0), half.sin(), half.cos()])
    twin.world.write(
        np.array([0]),
        joint_pos=bank.joint_pos,
        cube_pos=bank.cube_pos + torch.tensor([0.0, 0.0, offset_m]),
        cube_quat=quat[None],
        cube_vel=torch.zeros(1, 3),
    )
    twin.support_left_s[:] = 0.0  # the platform would hide the cube from below


def test_both_views_show_the_cube(camera: Camera, twin: CubeSpinTwin) -> None:
    put_cube(twin)
    with_cube = camera.picture(twin)
    put_cube(twin, offset_m=-3.0)
    without = camera.picture(twin)
    assert with_cube.shape == (192, 384, 3) and with_cube.dtype == np.uint8
    changed = np.abs(with_cube.astype(int) - without).max(axis=2) > 20
    for view in (changed[:, :192], changed[:, 192:]):
        assert 0.02 < view.mean() < 0.5  # seen, and not the whole picture
    from_the_side = with_cube[:, 192:][changed[:, 192:]].astype(int)
    vivid = from_the_side.max(axis=1) - from_the_side.min(axis=1) > 60
    assert vivid.mean() > 0.2  # hand and background are grey, faces are not


def test_a_turn_can_be_seen_and_a_still_cube_looks_the_same(
    camera: Camera, twin: CubeSpinTwin
) -> None:
    put_cube(twin)
    picture = camera.picture(twin)
    assert np.array_equal(camera.picture(twin), picture)
    put_cube(twin, yaw_rad=torch.pi / 2)  # an unmarked cube would look the same
    turned = camera.picture(twin)
    assert (np.abs(turned.astype(int) - picture).max(axis=2) > 20).mean() > 0.01


def test_a_bigger_cube_looks_bigger(camera: Camera, make_twin: Callable[..., CubeSpinTwin]) -> None:
    areas = []
    for size in (0.04, 0.05):
        twin = make_twin(1, physics=replace(NOMINAL, cube_size_m=(size, size)))
        put_cube(twin)
        with_cube = camera.picture(twin).astype(int)
        put_cube(twin, offset_m=-3.0)
        areas.append((np.abs(with_cube - camera.picture(twin)).max(axis=2) > 20).sum())
    assert areas[1] > 1.2 * areas[0]


def test_a_video_and_its_trace_are_written(
    camera: Camera, twin: CubeSpinTwin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.cube_spin.runs.play.Camera", lambda *_, **__: camera)
    monkeypatch.setattr(camera, "close", lambda: None)
    trace = film(twin, lambda seen: torch.zeros(1, 17), tmp_path / "new" / "v.mp4", seconds=0.5)
    assert (tmp_path / "new" / "v.mp4").read_bytes()[4:8] == b"ftyp"
    assert {len(values) for values in trace.values()} == {10}
    np.testing.assert_allclose(trace["time_s"], 0.05 * np.arange(1, 11))
    assert set(trace) == {"time_s", "command_rad_s", "mean_spin_rad_s", "turns", "aloft"}


def test_a_frame_says_view_time_turns_and_spins() -> None:
    black = np.zeros((96, 192, 3), np.uint8)
    shown = captioned(black, ("below", "side"), (1.5, 1.0, 0.9, 0.25, 1.0))
    assert shown.shape == black.shape and shown.dtype == np.uint8
    top, bottom = shown[:20], shown[-20:]
    assert top[:, :96].max() > 200 and top[:, 96:].max() > 200  # a name above each view
    assert bottom.max() > 200 and not shown[30:70].any()
    other = captioned(black, ("below", "side"), (1.5, 1.0, -0.9, 0.25, 1.0))
    assert (other[-20:] != bottom).any()
