"""Images in the imitation route: stored, read by a backbone, and part of the policy's file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("torchvision", reason="needs the extra 'vision'")
pytest.importorskip("timm", reason="needs the extra 'vision'")

from sernf_isaac.config import CriticConfig, LearnerConfig, OptimizerConfig, PolicyConfig
from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.images.bank import ImageBank, cameras_of
from sernf_isaac.data.store.writer import RunWriter, create_run
from sernf_isaac.data.windows import make_batch
from sernf_isaac.learning.offline import run as offline
from sernf_isaac.learning.offline.data import OfflineSampler, fit_normalizer, sizes_of
from sernf_isaac.learning.staged_training import STATE_FILE
from sernf_isaac.learning.stages import IMITATION, OFFLINE, Stage
from sernf_isaac.models.architecture import Architecture, VisionConfig
from sernf_isaac.models.eyes import Borrowed, untrained_warning
from sernf_isaac.models.vision import Dinov2Tokens
from sernf_isaac.policy import load_policy

pytestmark = pytest.mark.filterwarnings("ignore:the cameras")
SIZE, CAMERAS = 32, ("front", "left", "right")
SPEC = ChunkSpec(history=2, prefix=0, horizon=4, history_keys=("state",))
LEARNER = LearnerConfig(
    policy=PolicyConfig(token_dim=16, width=16, num_couplings=4, num_heads=2, imitation_dropout=0),
    critic=CriticConfig(token_dim=16, num_heads=2, num_layers=1, feedforward=16, num_bins=21),
    optimizer=OptimizerConfig(imitation_learning_rate=1e-2),
)
FROZEN = VisionConfig(backbone="resnet18", cache=True)


def episode(seed: int, *, steps: int = 14, cameras: tuple[str, ...] = CAMERAS) -> Episode:
    """What the front camera sees tells which way the actions go; the state does not."""
    draw = np.random.default_rng(seed)
    images = draw.integers(0, 40, (len(cameras), steps + 1, 3, SIZE, SIZE), dtype=np.uint8)
    side = 1.0 if seed % 2 else -1.0
    images[0] += 200 if seed % 2 else 0
    shown = dict(zip(cameras, images, strict=True)) | {"state": draw.normal(size=(steps + 1, 3))}
    return Episode(
        observation={name: value[:-1] for name, value in shown.items()},
        action=0.5 * side + 0.1 * draw.normal(size=(steps, 2)),
        reward=np.arange(steps) == steps - 1,
        terminated=np.arange(steps) == steps - 1,
        final_observation={name: value[-1] for name, value in shown.items()},
        outcome="success",
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("store") / "run"
    create_run(run, {"task": "test"})
    with RunWriter(run, "robot") as writer:
        for seed in range(4):
            writer.commit(episode(seed))
    return run


def run_of(store: Path, vision: VisionConfig, steps: int = 2) -> offline.OfflineRun:
    return offline.OfflineRun(
        data=[str(store)],
        control_rate_hz=10.0,
        batch_size=16,
        rl_batch_size=8,
        imitation_steps=steps,
        warm_up_steps=2,
        offline_steps=2,
        spec=SPEC,
        learner=LEARNER,
        architecture=Architecture(vision=vision),
        log_every=1,
        save_every=10,
    )


@pytest.fixture(scope="module")
def trained(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("trained")
    offline.train(run_of(store, FROZEN, steps=40), folder)
    torch.set_num_threads(threads)
    return folder


def observe(count: int = 3) -> dict[str, torch.Tensor]:
    images = torch.randint(256, (len(CAMERAS), count, 3, SIZE, SIZE), dtype=torch.uint8)
    return dict(zip(CAMERAS, images, strict=True)) | {"state": torch.randn(count, 2, 3)}


def weights(folder: Path, part: str) -> dict[str, torch.Tensor]:
    return torch.load(folder / STATE_FILE, weights_only=True)["learner"][part]


def test_three_cameras_go_through_stages_one_to_three_into_a_policy(trained: Path) -> None:
    policy, contract = load_policy(trained / offline.POLICY_FILE)
    again, _ = load_policy(trained / "policy_imitation.pt")
    assert policy.critics is not None and again.critics is None
    assert policy.layout.architecture.vision.cameras == {c: [3, SIZE, SIZE] for c in CAMERAS}
    assert contract.observations == {"state": 3} | {camera: 3 * SIZE**2 for camera in CAMERAS}
    seen = observe()
    for rank in ("value", "likelihood"):
        draw = torch.Generator().manual_seed(0)
        chunk = policy.decide(seen, torch.zeros(3, 0, 2), candidates=4, rank=rank, generator=draw)
        assert chunk.shape == (3, 4, 2)


def test_what_a_camera_shows_decides_what_is_done(trained: Path) -> None:
    policy, _ = load_policy(trained / "policy_imitation.pt")
    observation = {name: value[:2].clone() for name, value in observe().items()}
    for camera in CAMERAS:
        observation[camera] //= 7  # as dark as the data
    observation["front"][1] += 200
    chunks = policy.decide(
        *(observation, torch.zeros(2, 0, 2)),
        candidates=32,
        rank="likelihood",
        generator=torch.Generator().manual_seed(0),
    )
    assert chunks[0].mean() < 0 < chunks[1].mean()


def test_a_frozen_backbone_exists_once_and_stays_as_it_was(trained: Path, store: Path) -> None:
    before = offline._build_learner(*built(run_of(store, FROZEN)))
    actor, critics = before.actor.encoder.backbones, before.critics.encoder.backbones
    assert isinstance(critics["shared"].backbone, Borrowed)
    assert before.target.encoder.backbones["shared"].backbone is critics["shared"].backbone
    assert critics["shared"].backbone.module is actor["shared"].backbone
    names = [name for name in weights(trained, "actor") if "backbone.backbone" in name]
    assert names and not [name for name in weights(trained, "critics") if ".backbone." in name]
    started, ended = before.actor.state_dict(), weights(trained, "actor")
    assert all(torch.equal(started[name], ended[name]) for name in names)
    projector = "encoder.backbones.shared.projector.weight"
    assert not torch.equal(started[projector], ended[projector])


def built(run: offline.OfflineRun) -> tuple:
    sizes = sizes_of({"0": episode(0)})
    return offline.layout_of(run, sizes, run.learner), run.learner, "cpu"


def test_an_interrupted_run_ends_with_the_weights_of_one_that_was_not(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = replace(run_of(store, FROZEN), keys=["front", "state"])
    offline.train(run, tmp_path / "whole")
    update, calls = Stage.update, []

    def update_until_torn(stage: Stage, *args: object) -> dict:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return update(stage, *args)

    monkeypatch.setattr(Stage, "update", update_until_torn)
    with pytest.raises(KeyboardInterrupt):
        offline.train(run, tmp_path / "torn")
    monkeypatch.undo()
    offline.train(offline.load_run(tmp_path / "torn"), tmp_path / "torn", resume=True)
    for part in ("actor", "critics", "target"):
        whole, torn = (weights(tmp_path / name, part) for name in ("whole", "torn"))
        assert all(torch.equal(value, torn[name]) for name, value in whole.items())


def test_features_computed_before_give_the_same_tokens(store: Path) -> None:
    learner = offline._build_learner(*built(run_of(store, FROZEN)))
    episodes = {"0": episode(0), "1": episode(1)}
    normalizer = fit_normalizer(episodes.values(), {"state": 3}, 1e-3)
    run, tokens = run_of(store, FROZEN), []
    for vision in (FROZEN, replace(FROZEN, cache=False)):
        layout = offline.layout_of(
            replace(run, architecture=Architecture(vision=vision)), sizes_of(episodes), LEARNER
        )
        bank = offline.make_bank(layout.architecture, learner)
        batch = OfflineSampler(run, episodes, normalizer, bank).draw(OFFLINE)
        assert (batch.observation["front"].dtype == torch.uint8) == (not vision.cache)
        seen = batch.observation | {"prefix": batch.prefix}
        tokens.append(learner.actor.eval().encoder(seen))
    torch.testing.assert_close(*tokens, rtol=1e-2, atol=1e-2)  # kept in half precision


@pytest.mark.parametrize(("tuning", "shared"), [("norm", True), ("all", False)])
def test_backbones_that_train_belong_to_policy_and_critics_each(
    store: Path, tuning: str, shared: bool
) -> None:
    vision = VisionConfig(backbone="resnet18", tuning=tuning, shared=shared)
    run = run_of(store, vision)
    layout, config, device = built(run)
    cameras = {"front": [3, SIZE, SIZE]}
    eyes = replace(layout.architecture.vision, cameras=cameras)
    layout = replace(layout, architecture=Architecture(vision=eyes))
    learner = offline._build_learner(layout, config, device)
    episodes = {"0": episode(0, cameras=("front",))}
    normalizer = fit_normalizer(episodes.values(), {"state": 3}, 1e-3)
    sampler = OfflineSampler(run, episodes, normalizer)
    name = "encoder.backbones.{}.backbone.backbone.1.weight".format("shared" if shared else "front")
    before = [part.state_dict()[name].clone() for part in (learner.actor, learner.critics)]
    IMITATION.update(learner, sampler.draw(IMITATION))
    middle = [part.state_dict()[name].clone() for part in (learner.actor, learner.critics)]
    learner.update_critic(sampler.draw(OFFLINE))
    after = learner.critics.state_dict()[name]
    assert not torch.equal(before[0], middle[0]) and torch.equal(before[1], middle[1])
    assert not torch.equal(middle[1], after)


def test_dino_reads_several_cameras_with_one_backbone(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Dinov2Tokens, "IMAGE_SIZE", 56)  # 16 patches instead of 256
    vision = VisionConfig(variant="vit_small_patch14_reg4_dinov2", cache=True)
    create_run(tmp_path / "store", {"task": "test"})
    with RunWriter(tmp_path / "store", "robot") as writer:
        writer.commit(episode(1, steps=6, cameras=("front", "left")))
    run = replace(run_of(tmp_path / "store", vision, steps=1), warm_up_steps=0, offline_steps=0)
    policy, _ = load_policy(offline.train(run, tmp_path / "run"))
    seen = observe(1)
    chunk = policy.decide(seen, torch.zeros(1, 0, 2), candidates=2, rank="likelihood")
    assert chunk.shape == (1, 4, 2)
    assert list(policy.actor.encoder.backbones) == ["shared"]


def test_batches_show_the_images_of_their_windows() -> None:
    episodes = {str(seed): episode(seed) for seed in range(3)}
    normalizer = fit_normalizer(episodes.values(), {"state": 3}, 1e-3)
    sampler = OfflineSampler(run_of(Path("unused"), FROZEN), episodes, normalizer)
    drawn = sampler.draw(OFFLINE)
    direct = [normalizer.normalize_batch(make_batch(e, SPEC)) for e in episodes.values()]
    rows, wanted = (
        torch.cat([torch.cat([b.prefix, b.chunk], dim=1).flatten(1) for b in batches])
        for batches in (direct, [drawn])
    )
    for index, actions in enumerate(wanted):
        row = int((rows - actions).abs().amax(dim=1).argmin())
        for camera in CAMERAS:
            for name in ("observation", "next_observation"):
                expected = torch.cat([getattr(b, name)[camera] for b in direct])[row]
                assert torch.equal(getattr(drawn, name)[camera][index], expected)


def test_the_bank_keeps_each_image_once() -> None:
    stored = episode(0)
    bank = ImageBank(CAMERAS)
    taken = bank.take(stored)
    assert bank.num_bytes == len(CAMERAS) * (len(stored) + 1) * 3 * SIZE**2
    assert taken.observation["front"].shape == (len(stored), 1)
    assert ImageBank(()).take(stored) is stored


def test_untrained_eyes_are_told_of_with_the_file_that_is_missing(store: Path, tmp_path) -> None:
    run = replace(run_of(store, FROZEN, steps=1), warm_up_steps=0, offline_steps=0)
    with pytest.warns(UserWarning, match=r"random weights.*resnet18.*vision\.weights=FILE"):
        offline.train(run, tmp_path)
    assert untrained_warning(VisionConfig()) is None
    known = VisionConfig(weights="file.pth", cameras={"front": [3, SIZE, SIZE]})
    assert untrained_warning(known) is None
    with pytest.raises(FileNotFoundError, match=r"gone\.pth; put the state dict of torchvision's"):
        gone = replace(FROZEN, weights=str(tmp_path / "gone.pth"))
        offline.train(run_of(store, gone), tmp_path / "gone")


def test_what_cannot_be_is_refused(trained: Path, store: Path, tmp_path: Path) -> None:
    run = run_of(store, FROZEN)
    past = replace(run, spec=replace(SPEC, history_keys=("front",)))
    with pytest.raises(ValueError, match=r"history_keys \['front'\] are cameras"):
        offline.train(past, tmp_path)
    odd = episode(0)
    odd.observation["front"] = odd.observation["front"][:, :1]
    with pytest.raises(ValueError, match=r"group 'front' has shape .* images must be \(T, 3"):
        cameras_of(odd)
    small = replace(
        odd,
        observation=episode(0).observation | {"front": np.zeros((14, 3, 8, 8), np.uint8)},
        final_observation={},
    )
    with pytest.raises(ValueError, match=r"b has images .*8.*, a has"):
        sizes_of({"a": episode(0), "b": small})
    with pytest.raises(ValueError, match="cache needs tuning = 'frozen', not 'all'"):
        VisionConfig(cache=True, tuning="all")
    with pytest.raises(ValueError, match=r"vision\.backbone \('vgg'\) must be one of"):
        VisionConfig(backbone="vgg")
    policy, _ = load_policy(trained / offline.POLICY_FILE)
    prefix, good = torch.zeros(3, 0, 2), observe()
    for wrong in (good["left"].float(), good["left"][:, :, :8]):
        with pytest.raises(ValueError, match=r"left must be images \(B, 3, 32, 32\) uint8"):
            policy.decide(good | {"left": wrong}, prefix, candidates=1)
    with pytest.raises(ValueError, match="the observation lacks 'right'"):
        policy.decide({k: v for k, v in good.items() if k != "right"}, prefix, candidates=1)
