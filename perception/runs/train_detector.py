"""A training run from settings: data set in, detector file out."""

import os
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

import numpy as np
import torch
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch.utils.data import Subset
from torchvision.models.detection import MaskRCNN
from yaml import YAMLError

from perception.augmentation.augment import Augmenter
from perception.augmentation.config import AugmentConfig
from perception.detector.config import DetectorConfig, preset
from perception.detector.detector import CornerDetector, Detection
from perception.detector.examples import TrainingBatches
from perception.detector.files import DetectorFile, save_detector
from perception.detector.network import build_network
from perception.detector.pretrained import load_pretrained
from perception.detector.training import DetectorTraining
from perception.files import write_text
from perception.marked import MarkedObject
from perception.pose.solver import PoseConfig, solve_pose
from perception.report.frames import judge_frames
from perception.report.overlay import contact_sheet, draw_cube, draw_detection
from perception.report.summary import covariance_factor, split_by_visibility, summarize
from perception.samples import Sample
from perception.shards import ShardDataset
from perception.synthetic.backgrounds import Backgrounds

CONFIG_FILE, DETECTOR_FILE = "config.yaml", "detector.pt"
PICTURES = 12
MOST_ASIDE = 200
COUNTS = ("steps", "batch_size", "log_every", "save_every")
NOT_NEGATIVE = ("weight_decay", "warm_up_steps", "workers", "seed")
POSITIVE = ("learning_rate", "max_grad_norm")
PLACES = ("data", "weights", "backgrounds")
"""Settings that may be folders or files of this machine."""
WATCHED = (
    "no_pose_rate",
    "flip_rate",
    "rotation_mean_deg",
    "rotation_median_deg",
    "translation_mean_mm",
    "add_at_7p8mm",
    "corner_rmse_visible_px",
    "corner_rmse_occluded_px",
    "pck_visible_2px",
    "mask_iou",
    "nees_median",
)


@dataclass
class TrainingRun:
    """Everything that determines a training run of the detector (paper F.2)."""

    data: str = ""
    """Folder of a data set; its "train" split is used."""
    preset: str = "paper"
    """"paper", "laptop" or "tiny"."""
    weights: str = "none"
    """What to start from: "none", "imagenet", "coco" (ResNet-50 only) or a detector file."""
    steps: int = 200_000
    """Paper: 200,000."""
    batch_size: int = 16
    """Images per step and process; paper: 16."""
    learning_rate: float = 1e-4
    """Peak. The paper's 1e-8 would leave the weights where they began."""
    weight_decay: float = 1e-4
    """Of AdamW."""
    warm_up_steps: int = 1_000
    """Steps over which the learning rate rises."""
    max_grad_norm: float = 10.0
    """Bound on the gradient's norm."""
    window: tuple[int, int] | None = None
    """Height and width of the part of each image to learn from, at most all of it, which null
    takes. A window around the cube costs a third, and what lies far from it teaches little."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    backgrounds: str | None = None
    """Folder of pictures for backgrounds; without one they are drawn."""
    validation_images: int | None = None
    """Images of the training split kept aside, to watch the run and to scale the covariance. Null:
    a tenth of them, at most 200."""
    seed: int = 0
    """Of weights, batches and augmentation."""
    bf16: bool = False
    """Compute in bfloat16; for a GPU."""
    workers: int = 0
    """Processes that prepare images; 0 prepares them between the steps."""
    log_every: int = 20
    """Steps whose mean is one logged number."""
    save_every: int = 500
    """Steps between resume points, at which the images kept aside are judged."""


TINY = TrainingRun(
    preset="tiny",
    steps=6_000,
    learning_rate=3e-3,
    warm_up_steps=100,
    window=(160, 192),
)
"""For a CPU: a network that learns from scratch in an hour."""


def default_run(name: str) -> TrainingRun:
    """The settings that fit a preset."""
    return TINY if name == "tiny" else TrainingRun(preset=name)


def load_run(run_dir: Path) -> TrainingRun:
    """The settings a run was started with.

    Raises:
        FileNotFoundError: If the folder holds no run.
        ValueError: If the settings are damaged or incomplete; names the file.
    """
    path = run_dir / CONFIG_FILE
    if not path.is_file():
        raise FileNotFoundError(f"{run_dir} is no training run: it has no {CONFIG_FILE}")
    try:
        found = OmegaConf.load(path)
        lacking = sorted({f.name for f in fields(TrainingRun)} - set(found or {}))
        if lacking:
            raise ValueError(f"it lacks {', '.join(lacking)}")
        merged = OmegaConf.merge(OmegaConf.structured(TrainingRun), found)
        return OmegaConf.to_object(merged)  # type: ignore[return-value]  # typed loosely
    except (OmegaConfBaseException, YAMLError, ValueError) as error:
        raise ValueError(f"{path} does not hold the settings of a run: {error}") from error


def fit_to_data(run: TrainingRun) -> TrainingRun:
    """The settings with what the data set decides: images kept aside, and the window's bound.

    Raises:
        FileNotFoundError: If there is no data set.
        ValueError: Naming every setting that cannot be, at once.
    """
    if not run.data:
        raise ValueError("no data set was named: give --data FOLDER of render_keypoints.py")
    samples = ShardDataset(run.data, "train")
    images, (height, width) = len(samples), samples[0].image.shape[:2]
    if images < 2:
        raise ValueError(f"{run.data} holds 1 image to train on; at least 2 are needed")
    aside = run.validation_images
    aside = min(MOST_ASIDE, max(1, images // 10)) if aside is None else aside
    wrong = [f"{n} ({v}) must be >= 1" for n in COUNTS if (v := getattr(run, n)) < 1]
    wrong += [f"{n} ({v}) must be >= 0" for n in NOT_NEGATIVE if not (v := getattr(run, n)) >= 0]
    wrong += [f"{n} ({v}) must be > 0" for n in POSITIVE if not (v := getattr(run, n)) > 0]
    if not 0 < aside < images:
        wrong.append(f"validation_images ({aside}) must be 1 to {images - 1} of {images} images")
    if run.window and min(run.window) < 1:
        wrong.append(f"window {run.window} must be a height and a width in pixels")
    if wrong:
        raise ValueError("; ".join(wrong))
    window = run.window and (min(run.window[0], height), min(run.window[1], width))
    return replace(run, validation_images=aside, window=window)


def train(run: TrainingRun, run_dir: Path, *, device: str = "cpu", resume: bool = False) -> Path:
    """Train, or continue training, and return the detector file.

    Raises:
        FileNotFoundError: If data, weights or a resume point are missing.
        ValueError: If data and settings do not fit together.
    """
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    run = fit_to_data(run)
    config = preset(run.preset)
    data = ShardDataset(run.data, "train")
    learnt, kept_aside = _split(data, run.validation_images or 1)
    torch.manual_seed(run.seed)
    network = build_network(config)
    load_pretrained(network, run.weights)
    folder = Path(run.backgrounds) if run.backgrounds else None
    batches = TrainingBatches(
        learnt,
        Augmenter(run.augment, Backgrounds("train", folder)),
        box_padding=config.box_padding,
        batch_size=run.batch_size,
        steps=run.steps,
        seed=run.seed,
        window=run.window,
        rank=rank,
        world=world,
    )
    training = DetectorTraining(
        network.to(device),
        batches,
        run_dir,
        learning_rate=run.learning_rate,
        weight_decay=run.weight_decay,
        warm_up_steps=run.warm_up_steps,
        max_grad_norm=run.max_grad_norm,
        seed=run.seed,
        bf16=run.bf16,
        workers=run.workers,
        log_every=run.log_every,
        save_every=run.save_every,
        watch=lambda trained: _watch(trained, config, kept_aside, data.marked),
    )
    if resume:
        training.resume()
    elif rank == 0:
        write_text(run_dir / CONFIG_FILE, OmegaConf.to_yaml(OmegaConf.structured(run)))
    training.run()
    if rank == 0:
        _export(network, config, kept_aside, data.marked, run, training.step, run_dir)
    return run_dir / DETECTOR_FILE


def _split(samples: ShardDataset, aside: int) -> tuple[Subset[Sample], list[Sample]]:
    """Images to learn from and, first in the data set so that it may grow, images to watch."""
    learnt = Subset(samples, range(aside, len(samples)))
    return learnt, [samples[number] for number in range(aside)]


def _watch(
    network: MaskRCNN, config: DetectorConfig, samples: list[Sample], marked: MarkedObject
) -> tuple[dict[str, float], np.ndarray | None]:
    """Numbers over the visible cubes among the samples, and a picture of the first few."""
    detector = CornerDetector(network, config, next(network.parameters()).device)
    seen, _ = split_by_visibility(judge_frames(detector, samples, PoseConfig(), marked))
    if not seen:
        return {}, None
    summary = summarize(seen)
    numbers = {k: float(v) for k in WATCHED if (v := summary[k]) is not None}
    pictures = [_picture(detector.detect(s.image), s, marked) for s in samples[:PICTURES]]
    return numbers, contact_sheet(pictures, columns=4)


def _picture(detection: Detection | None, sample: Sample, marked: MarkedObject) -> np.ndarray:
    if detection is None:
        return sample.image
    result = solve_pose(detection.corners, marked.keypoints(), sample.camera)
    drawn = draw_detection(sample.image, detection)
    if result.T_camera_cube is None:
        return drawn
    return draw_cube(drawn, result.T_camera_cube, sample.camera, marked=marked)


def _export(
    network: MaskRCNN,
    config: DetectorConfig,
    samples: list[Sample],
    marked: MarkedObject,
    run: TrainingRun,
    steps: int,
    run_dir: Path,
) -> None:
    """Write the detector, its covariance scaled by the images kept aside."""
    detector = CornerDetector(network, config, next(network.parameters()).device)
    seen, _ = split_by_visibility(judge_frames(detector, samples, PoseConfig(), marked))
    size = samples[0].image.shape[:2]
    measured = [r for r in seen if np.isfinite(r.corner_nees).any()]
    factor = covariance_factor(measured) if measured else 1.0  # a run too short to find anything
    numbers = summarize(seen) if seen else {}
    told = {"run": _told(run), "steps": steps, "validation": numbers}
    file = DetectorFile(network, config, size, factor, told, marked)
    save_detector(run_dir / DETECTOR_FILE, file)


def _told(run: TrainingRun) -> dict:
    """Settings as plain values for others: of places on this machine, the names alone."""
    names = {key: Path(place).name for key in PLACES if (place := getattr(run, key))}
    return OmegaConf.to_container(OmegaConf.create(asdict(run) | names))  # type: ignore[return-value]  # typed loosely
