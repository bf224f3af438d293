"""Random cameras, looks and backgrounds; generation that can be interrupted at any moment."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from fake_samples import fake_sample
from PIL import Image

from perception.cube_art import atlas
from perception.files import PARTIAL
from perception.geometry import apply_homography, intrinsics, inverse, look_at, project, transform
from perception.samples import Sample
from perception.shards import (
    ShardDataset,
    committed,
    read_index,
    shard_name,
    verify,
    write_shard,
)
from perception.synthetic.backgrounds import Backgrounds, find_pictures, is_held_out
from perception.synthetic.generate import CLAIMS, generate, missing, plan_shards
from perception.synthetic.looks import LookConfig, draw_look, printed_cube
from perception.synthetic.views import ViewConfig, draw_view
from perception.synthetic.views import is_held_out as is_held_out_direction
from sernf_isaac.data.store.lock import claimed

# Cameras ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["train", "heldout"])
def test_cameras_see_the_workspace_from_below(split: str) -> None:
    config, rng = ViewConfig(), np.random.default_rng(0)
    workspace = np.array(config.workspace_m)
    for _ in range(200):
        view = draw_view(config, split, rng)
        (pixel,), (depth,) = project(workspace[None], view.camera, inverse(view.T_world_camera))
        assert config.distance_m[0] - 0.05 < depth < config.distance_m[1] + 0.05
        assert 30 < pixel[0] < 290 and 20 < pixel[1] < 220
        assert view.T_world_camera[2, 2] > np.cos(np.radians(config.tilt_deg)) - 1e-9


def test_training_and_held_out_cameras_look_from_different_directions() -> None:
    config, rng = ViewConfig(target_m=0.0), np.random.default_rng(1)
    workspace = np.array(config.workspace_m)
    shares = {}
    for split in ("train", "heldout"):
        views = [draw_view(config, split, rng) for _ in range(100)]
        held = [is_held_out_direction(v.T_world_camera[:3, 3] - workspace) for v in views]
        shares[split] = np.mean(held)
    assert shares == {"train": 0.0, "heldout": 1.0}
    with pytest.raises(ValueError, match=r"split 'test' is not one of \('train', 'heldout'\)"):
        draw_view(config, "test", rng)


def test_a_camera_sees_what_it_looks_at_in_the_middle_and_up_is_up() -> None:
    eye, target = np.array([0.1, -0.2, -0.3]), np.array([0.0, 0.2, 0.1])
    pose = look_at(eye, target, np.array([0.0, 1.0, 0.0]))
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1.0)
    points = np.stack([target, target + np.array([0.0, 0.01, 0.0])])
    pixels, depth = project(points, intrinsics((300, 300), (160, 120)), inverse(pose))
    np.testing.assert_allclose(pixels[0], (160, 120), atol=1e-9)
    assert pixels[1, 1] < 120 and depth[0] == pytest.approx(np.linalg.norm(target - eye))
    with pytest.raises(ValueError, match="has no up direction"):
        look_at(eye, target, target - eye)


def test_transforms_and_homographies_agree_with_their_inverses() -> None:
    pose = transform(np.array([1.0, 2.0, 3.0]), np.array([0.5, -0.1, 0.3, 0.8]))
    np.testing.assert_allclose(inverse(pose) @ pose, np.eye(4), atol=1e-12)
    homography = np.array([[1.2, 0.1, 3.0], [-0.2, 0.9, 5.0], [1e-4, 2e-4, 1.0]])
    pixels = np.random.default_rng(0).uniform(0, 300, (9, 2))
    back = apply_homography(np.linalg.inv(homography), apply_homography(homography, pixels))
    np.testing.assert_allclose(back, pixels, atol=1e-9)


# Looks and backgrounds ----------------------------------------------------------------------------


def test_prints_vary_but_stay_the_same_design() -> None:
    clean = atlas(32).astype(float)
    prints = [printed_cube(LookConfig(), 32, np.random.default_rng(i)) for i in range(8)]
    assert all(np.corrcoef(clean.ravel(), p.ravel())[0, 1] > 0.85 for p in prints)
    assert np.std([p.mean() for p in prints]) > 5.0


def test_looks_are_within_their_ranges() -> None:
    config = LookConfig()
    for seed in range(50):
        look = draw_look(config, 3, (16, 16), np.random.default_rng(seed))
        assert config.lights[0] <= len(look.lights) <= config.lights[1]
        total = np.sum([light.diffuse for light in look.lights])
        assert 3 * 0.9 * config.brightness[0] < total < 3 * 1.1 * config.brightness[1]
        assert sum(light.shadow for light in look.lights) <= 1
        assert len(look.hand) == len(look.hand_textures) == 3


@pytest.mark.parametrize("split", ["train", "heldout"])
def test_procedural_backgrounds_vary(split: str) -> None:
    backgrounds, rng = Backgrounds(split), np.random.default_rng(0)
    drawn = [backgrounds.draw((320, 240), rng) for _ in range(5)]
    assert all(picture.shape == (240, 320, 3) and picture.std() > 2.0 for picture in drawn)
    assert not np.array_equal(drawn[0], drawn[1])


def test_a_folder_of_pictures_is_divided_between_the_splits(tmp_path: Path) -> None:
    for number in range(40):
        folder = tmp_path / f"{number % 3}"
        folder.mkdir(exist_ok=True)
        Image.new("RGB", (90, 60), (number, 0, 0)).save(folder / f"{number}.png")
    train, held = (set(find_pictures(tmp_path, split)) for split in ("train", "heldout"))
    assert len(train | held) == 40 and not train & held and len(train) > len(held) > 0
    picture = Backgrounds("heldout", tmp_path, procedural_share=0.0).draw(
        (320, 240), np.random.default_rng(0)
    )
    assert picture.shape == (240, 320, 3)
    assert picture[0, 0, 0] in {int(path.stem) for path in held if is_held_out(path)}


def test_unusable_background_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no folder of backgrounds at"):
        Backgrounds("train", tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"no pictures .* of the train split below"):
        Backgrounds("train", tmp_path)
    names = [f"{i}.png" for i in range(9)]
    for name in names:
        (tmp_path / name).write_text("not a picture")
    broken = Backgrounds("train", tmp_path, procedural_share=0.0)
    with pytest.raises(ValueError, match=r"cannot be read as a picture.*remove it or convert it"):
        broken.draw((32, 24), np.random.default_rng(0))


# Generation ---------------------------------------------------------------------------------------


class FakePainter:
    """Samples that depend on split, shard and number only; slow enough to be killed."""

    def __init__(self, pause_s: float = 0.0) -> None:
        self.pause_s, self.closed = pause_s, False

    def shard(self, split: str, shard: int, count: int) -> Iterator[Sample]:
        for number in range(count):
            time.sleep(self.pause_s)
            sample = fake_sample(1000 * shard + number + (500 if split == "heldout" else 0))
            sample.key = f"{split}-{shard:06d}-{number:05d}"
            yield sample

    def close(self) -> None:
        self.closed = True


PLAN = {"train": 7, "heldout": 3}


def fill(folder: Path, pause_s: float = 0.0) -> None:
    generate(
        folder,
        plan_shards(folder, PLAN, per_shard=2),
        FakePainter if not pause_s else lambda: FakePainter(pause_s),
        {"seed": 1},
        claim=claimed,
    )


def start_filling(folder: Path, pause_s: float) -> subprocess.Popen:
    """A process of its own that does it."""
    code = f"from test_synthetic import *; fill(Path({str(folder)!r}), pause_s={pause_s})"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), "."])}
    return subprocess.Popen([sys.executable, "-c", code], env=environment)


def checksums(folder: Path) -> dict[str, str]:
    return {shard["name"]: shard["sha256"] for shard in read_index(folder)["shards"]}


def test_plans_cover_every_sample_once(tmp_path: Path) -> None:
    plans = plan_shards(tmp_path, PLAN, per_shard=2)
    counts = {s: sum(p.count for p in plans if p.split == s) for s in PLAN}
    assert counts == PLAN and len({plan.path for plan in plans}) == len(plans) == 6
    assert plans[0].split == "heldout"


def test_a_killed_generation_goes_on_and_ends_up_the_same(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    fill(whole)
    process = start_filling(killed, 0.05)
    deadline = time.monotonic() + 240
    while not list(killed.glob("train-*.tar")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    records = [committed(path) for path in killed.glob("*.tar")]
    before = {record["name"]: record["sha256"] for record in records if record}
    assert 0 < len(before) < len(checksums(whole))
    fill(killed)
    assert checksums(killed) == checksums(whole) and before.items() <= checksums(whole).items()
    assert verify(killed) == sum(PLAN.values()) and not list(killed.glob(PARTIAL))
    assert len(ShardDataset(killed, "train")) == PLAN["train"]


class SharedPainter(FakePainter):
    """Writes down which shard it makes."""

    made: ClassVar[list[tuple[str, int]]] = []

    def shard(self, split: str, shard: int, count: int) -> Iterator[Sample]:
        self.made.append((split, shard))
        return super().shard(split, shard, count)


def test_several_workers_make_each_shard_once(tmp_path: Path) -> None:
    """Threads stand for machines: a claim belongs to who has opened its file."""
    fill(tmp_path / "one")
    folder = tmp_path / "two"
    SharedPainter.made.clear()
    plans = plan_shards(folder, PLAN, per_shard=2)
    work = partial(generate, folder, plans, lambda: SharedPainter(0.01), {"seed": 1})
    with ThreadPoolExecutor(4) as pool:
        rates = [pool.submit(work, claim=claimed) for _ in range(4)]
    assert all(rate.result() >= 0 for rate in rates) and not missing(plans)
    assert sorted(SharedPainter.made) == sorted((plan.split, plan.shard) for plan in plans)
    assert checksums(folder) == checksums(tmp_path / "one")
    assert read_index(folder)["counts"] == PLAN and not list((folder / CLAIMS).iterdir())


def test_what_another_makes_is_left_to_it_until_it_dies(tmp_path: Path) -> None:
    plans = plan_shards(tmp_path, PLAN, per_shard=2)
    with claimed(tmp_path / CLAIMS / plans[0].path.name) as mine:
        assert mine
        fill(tmp_path)
        assert missing(plans) == plans[:1]
    fill(tmp_path)
    assert not missing(plans) and read_index(tmp_path)["counts"] == PLAN


def test_a_shard_is_committed_once_whoever_writes(tmp_path: Path) -> None:
    """Without claims: the second to finish takes the first one's and leaves nothing."""
    path = tmp_path / shard_name("train", 0)

    def slow() -> Iterator[Sample]:
        yield from FakePainter().shard("train", 0, 2)
        before.append(write_shard(path, FakePainter().shard("train", 7, 3)))

    before: list[dict] = []
    assert write_shard(path, slow()) == before[0] == committed(path)
    assert before[0]["count"] == 3 and not list(tmp_path.glob(PARTIAL))


def test_a_commit_is_completed_by_whoever_finds_it(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / shard_name("train", 0)
    with monkeypatch.context() as patch:
        patch.setattr("perception.shards._give_its_name", lambda *_: None)  # killed in between
        with pytest.raises(RuntimeError, match="removed by another process while it was made"):
            write_shard(path, FakePainter().shard("train", 0, 2))
    assert not path.exists() and not (tmp_path / "index.json").exists()
    record = committed(path)
    assert record is not None and record["count"] == 2 and path.is_file()


def test_a_shard_that_was_cut_is_made_again(tmp_path: Path) -> None:
    fill(tmp_path)
    before, path = checksums(tmp_path), tmp_path / shard_name("train", 1)
    path.write_bytes(path.read_bytes()[:-1])
    fill(tmp_path)
    assert checksums(tmp_path) == before and verify(tmp_path) == sum(PLAN.values())


def test_a_folder_made_in_another_way_is_not_continued(tmp_path: Path) -> None:
    fill(tmp_path)
    with pytest.raises(ValueError, match=r"seed was 1, now 2.*give another --out"):
        generate(tmp_path, [], FakePainter, {"seed": 2})


def test_a_folder_from_before_a_setting_came_is_continued(tmp_path: Path) -> None:
    plans = plan_shards(tmp_path, {"train": 3}, per_shard=2)
    now = {"config": {"old": 1, "late": {"share": 0.0, "range": (1, 2)}}}
    generate(tmp_path, plans, FakePainter, {"config": {"old": 1}})
    with pytest.raises(ValueError, match="made in another way"):
        generate(tmp_path, plans, FakePainter, now)
    generate(tmp_path, plans, FakePainter, now, defaults=now)
    changed = {"config": {"old": 1, "late": {"share": 0.5, "range": (1, 2)}}}
    with pytest.raises(ValueError, match="made in another way"):
        generate(tmp_path, plans, FakePainter, changed, defaults=now)


def test_a_finished_data_set_is_left_alone(tmp_path: Path) -> None:
    fill(tmp_path)
    path = tmp_path / shard_name("train", 0)
    before = path.stat().st_mtime_ns
    fill(tmp_path)
    assert path.stat().st_mtime_ns == before
