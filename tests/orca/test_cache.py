"""Cached folders are complete or absent, whoever builds them and however they fail."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest
from first_hand import V1

from tasks.orca import hand
from tasks.orca.cache import cache_root, cached_folder, content_hash

BUILDERS = 4


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SERNF_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_folder_is_built_once(own_cache: Path) -> None:
    calls = []

    def build(folder: Path) -> None:
        calls.append(folder)
        (folder / "a.txt").write_text("a")

    assert cached_folder("x", "1", build) == cached_folder("x", "1", build) == own_cache / "x-1"
    assert len(calls) == 1
    cached_folder("x", "2", build)
    assert len(calls) == 2


def test_concurrent_builders_publish_one_whole_folder(own_cache: Path) -> None:
    together = Barrier(BUILDERS)

    def build_as(number: int) -> Path:
        def build(folder: Path) -> None:
            (folder / "first").write_text(str(number))
            together.wait(timeout=10)  # nobody publishes before all have started
            (folder / "second").write_text(str(number))

        return cached_folder("x", "1", build)

    with ThreadPoolExecutor(BUILDERS) as pool:
        folders = set(pool.map(build_as, range(BUILDERS)))
    assert folders == {own_cache / "x-1"}
    assert (own_cache / "x-1/first").read_text() == (own_cache / "x-1/second").read_text()
    assert [path.name for path in own_cache.iterdir()] == ["x-1"], (
        "staging folders were left behind"
    )


def test_a_failed_build_leaves_nothing(own_cache: Path) -> None:
    def build(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        cached_folder("x", "1", build)
    assert list(own_cache.iterdir()) == []


def test_hash_depends_on_every_part_and_on_where_it_ends(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"content")
    assert content_hash(["ab", "c"]) != content_hash(["a", "bc"])
    assert content_hash([tmp_path / "f"]) == content_hash([b"content"])
    assert content_hash(["a"]) != content_hash(["b"])


def test_cache_root_can_be_moved(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_root() == own_cache
    monkeypatch.delenv("SERNF_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_root() == Path("/somewhere/sernf_isaac")


def test_only_what_shapes_the_hand_makes_users_fit_it_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = hand.source_hash(V1, "primitives")
    assert hand.source_hash(V1, "primitives") == before != hand.source_hash(V1, "hulls")
    beside = Path(hand.__file__).parent / "made_by_a_test.py"
    try:
        beside.write_text("x = 1\n")
        assert hand.source_hash(V1, "primitives") == before
    finally:
        beside.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(hand, "FRICTION_LOSS", 0.5)
        assert hand.source_hash(V1, "primitives") != before
    stiffer = (*V1.joints[:-1], replace(V1.joints[-1], stiffness=3.0))
    assert hand.source_hash(replace(V1, joints=stiffer), "primitives") != before
    elsewhere = replace(V1, grasp_point_m=(0.0, 0.2, -0.1))  # where a cube goes is no part of it
    assert hand.source_hash(elsewhere, "primitives") == before
    edited = tmp_path / "hand.py"
    edited.write_text(Path(hand.__file__).read_text() + "\n# another edit of the model\n")
    monkeypatch.setattr(hand, "__file__", str(edited))
    assert hand.source_hash(V1, "primitives") != before
