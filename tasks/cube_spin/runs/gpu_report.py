"""The first hour on a GPU: what is measured, in which order, and what it should show.

Every part is called by its name in a process of its own (`sernf_isaac/benchmarks/parts.py`). With
`tiny`, all sizes are such that a CPU is through with them in a minute: that tries the report, not
the machine.
"""

import platform
import subprocess
import sys
import tempfile
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from sernf_isaac.benchmarks.full_size import SMALL
from sernf_isaac.benchmarks.parts import Numbers, Part, Tell
from sernf_isaac.devices import use_tensor_cores
from sernf_isaac.metrics import read_metrics
from sernf_isaac.verbs import SCRIPTS
from tasks.cube_spin.runs.benchmark import twin_speed
from tasks.cube_spin.runs.distill import distil
from tasks.cube_spin.student.settings import preset

HERE, LEARNER = __name__, "sernf_isaac.benchmarks.gpu"
ISAAC, EYES = "tasks.cube_spin.isaac.speed", "tasks.cube_spin.eyes.speed"
DETECTOR = "perception.runs.detector_speed"
PACKAGES = ("torch", "isaaclab", "newton", "warp-lang", "mujoco", "rsl-rl-lib", "torchvision")
ENVS = (1024, 4096, 8192, 16384)
"""Environments side by side, at which Isaac Lab is measured."""


def parts_of(device: str, out: Path, *, tiny: bool = False) -> list[Part]:
    """All parts, in order; the last one trains a teacher for as long as there is time.

    Args:
        device: Of everything but the twin.
        out: Folder of the teacher.
        tiny: Small sizes, for a CPU; Isaac Lab is left out.
    """
    there = {"device": device}
    small = {"small": True} if tiny else {}
    parts = [
        Part("machine", f"{HERE}:machine", there, 40, "versions and driver, to compare with"),
        Part("doctor", f"{HERE}:doctor", {}, 60, "everything that training needs is ok"),
        *_decisions(there | small, tiny),
        *_updates(there | small, tiny),
        Part(
            "replay",
            f"{LEARNER}:replay_to_device",
            there | small | {"batch": 8 if tiny else 512, "batches": 3 if tiny else 50},
            40,
            "sending costs an update nothing: it is done while the GPU computes",
        ),
    ]
    if not tiny:
        parts += [_collection(device, count) for count in ENVS]
    parts += [_distillation(device, tiny), *_detector(device, tiny)]
    parts += [_pictures(device, tiny), _twin(tiny)]
    return parts if tiny else [*parts, _teacher(device, out)]


def _decisions(settings: Numbers, tiny: bool) -> list[Part]:
    counts = [2] if tiny else [24, 64, 128]
    repetitions = 3 if tiny else 100
    expected = {
        "eager": "at most 20 ms: thousands of small kernels, launched one by one",
        "compiled": "a few milliseconds: the kernels are fused, but still launched one by one",
        "graphs": "at most 2 ms, far below the 100 ms that the queued actions last",
    }
    most_ms = {"eager": 20.0, "graphs": 2.0}
    return [
        Part(
            f"decisions_{way}",
            f"{LEARNER}:decisions",
            settings | {"candidates": counts, "way": way, "repetitions": repetitions},
            45 if way == "eager" else 120,
            expected[way],
            {f"{way}_{n}_p50_ms": most_ms[way] for n in counts if way in most_ms},
        )
        for way in expected
        if way == "eager" or not tiny  # compiling on a CPU takes minutes
    ]


def _updates(settings: Numbers, tiny: bool) -> list[Part]:
    repeat = {"repetitions": 1 if tiny else 10}
    rows = {"batch": 4} if tiny else {"batch": 512}
    counts = {"candidates": [1, 2] if tiny else [1, 24]}
    return [
        Part(
            "rl_updates",
            f"{LEARNER}:updates",
            settings | rows | counts | repeat,
            75,
            "two to three times the floor; a batch of 512 with 24 candidates is 7.3 TFLOP, on an "
            "H200 109 ms in single precision, 15 in TF32 and 7 in bfloat16 at the least",
        ),
        Part(
            "imitation_updates",
            f"{LEARNER}:updates",
            settings
            | repeat
            | {"batch": 4 if tiny else 1024, "candidates": [1], "stage": "imitation"},
            45,
            "two to three times the floor; a batch of 1,024 is 0.92 TFLOP",
        ),
    ]


def _collection(device: str, num_envs: int) -> Part:
    return Part(
        f"isaac_{num_envs}",
        f"{ISAAC}:collection",
        {"device": device, "num_envs": num_envs, "steps": 60, "iterations": 3},
        150 if num_envs == ENVS[0] else 75,  # the first one compiles the simulator's kernels
        "more steps per second with more environments, until the GPU is full; learning costs less "
        "than collecting",
    )


def _distillation(device: str, tiny: bool) -> Part:
    sizes = {"num_envs": 4, "rollout_steps": 10, "updates": 2, "batch_size": 4, "small": True}
    full = {"num_envs": 1024, "rollout_steps": 128, "updates": 118, "batch_size": 1024}
    simulator = {"device": "cpu", "sim": "twin"} if tiny else {"device": device, "sim": "isaac"}
    return Part(
        "distillation",
        f"{HERE}:distillation",
        (sizes if tiny else full) | simulator,
        90,
        "as many updates per second as imitation_updates, and rollouts as fast as isaac_1024",
    )


def _detector(device: str, tiny: bool) -> list[Part]:
    sizes = {"batch_size": 2, "steps": 1, "width": 96, "height": 64} if tiny else {}
    full = {"batch_size": 16, "steps": 20}
    return [
        Part(
            f"detector_{size}",
            f"{DETECTOR}:detector_speed",
            {"device": device, "size": size} | (sizes if tiny else full),
            60,
            "a picture is followed in less than the 62 ms between two of a camera at 16 Hz",
            {"track_ms": 62.0},
        )
        for size in (("tiny",) if tiny else ("tiny", "paper"))
    ]


def _pictures(device: str, tiny: bool) -> Part:
    settings = {"renderer": "twin", "num_envs": 1, "pictures": 2}
    if not tiny:
        settings = {"renderer": "isaac", "num_envs": 200, "pictures": 1000}
    return Part(
        "pictures",
        f"{EYES}:picture_speed",
        {"device": device} | settings,
        75,
        "ten times the twin's renderer on one core, or rendering is not the bottleneck",
    )


def _twin(tiny: bool) -> Part:
    settings = {"num_envs": 4, "steps": 5} if tiny else {"num_envs": 256, "steps": 100}
    return Part(
        "twin", f"{HERE}:twin", settings, 45, "some 4,000 control steps per second and core"
    )


def _teacher(device: str, out: Path) -> Part:
    return Part(
        "teacher",
        f"{ISAAC}:teacher",
        {"device": device, "num_envs": 8192, "out": str(out / "teacher")},
        120,
        "the cube is held longer from iteration to iteration, then turned; a teacher takes hours",
        takes_rest=True,
    )


# What the parts call ------------------------------------------------------------------------------


def machine(device: str, *, tell: Tell) -> None:
    """Versions of the libraries, the GPU and its driver."""
    tell({"python": platform.python_version(), "cuda": str(torch.version.cuda)})
    tell({name: _version(name) for name in PACKAGES})
    if torch.device(device).type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        tell({"gpu": properties.name, "gpu_memory_gib": properties.total_memory / 2**30})
        question = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        answer = subprocess.run(question, capture_output=True, text=True, check=False)
        tell({"driver": answer.stdout.strip(), "cudnn": str(torch.backends.cudnn.version())})


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def doctor(*, tell: Tell) -> None:
    """What `scripts/doctor.py` says, as text; it is not well without PyTorch, MuJoCo and so on."""
    found = subprocess.run(
        [sys.executable, str(SCRIPTS / "doctor.py")],
        capture_output=True,
        text=True,
        check=False,
    )
    tell({"table": found.stdout, "healthy": str(found.returncode == 0)})


def twin(*, num_envs: int, steps: int, tell: Tell) -> None:
    """Control steps per second of the twin on all cores of this machine."""
    tell(twin_speed(num_envs, steps, threads=None))


def distillation(
    device: str,
    *,
    sim: str,
    num_envs: int,
    rollout_steps: int,
    updates: int,
    batch_size: int,
    small: bool = False,
    tell: Tell,
) -> None:
    """Two iterations of the paper's distillation; the second one counts.

    Args:
        device: Of Isaac Lab and of the learning.
        sim: "isaac" or "twin".
        num_envs, rollout_steps: Of a rollout.
        updates, batch_size: Of the learning behind it.
        small: Tiny networks.
        tell: Hears steps and updates per second.
    """
    use_tensor_cores(device)
    run = preset("paper")
    learner = replace(run.learner, policy=SMALL[0], critic=SMALL[1]) if small else run.learner
    counts = {"iterations": 2, "rollout_steps": rollout_steps, "updates_per_iteration": updates}
    run = replace(
        run,
        num_envs=num_envs,
        batch_size=batch_size,
        eval_every=0,
        learner=learner,
        distill=replace(run.distill, **counts),
    )
    with tempfile.TemporaryDirectory() as folder:
        policy = distil(run, Path(folder), sim=sim, device=device)
        assert policy is not None, "there is one process"
        for name in ("time/steps_per_s", "time/updates_per_s", "memory/gpu_gib"):
            (_, value), *_ = reversed(read_metrics(policy.parent, name))
            tell({name.partition("/")[2]: value})
