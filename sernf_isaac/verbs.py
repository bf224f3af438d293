"""The verbs of the command `sernf`, their scripts, and how a user speaks of them.

A verb is a script's name with dashes. Messages name commands in the form in which the user started
this one. Importing this is cheap.
"""

import re
import sys
from difflib import get_close_matches
from pathlib import Path

from sernf_isaac.install import CLONE, ROOT

SCRIPTS = ROOT / "scripts"
COMMAND = "sernf"
GROUPS = {
    "See it work": {
        "demo": "shows the whole story in six minutes: teacher, student, fine-tuning, eyes",
        "play": "films a policy on the twin, or shows it live: --view, or --browser to steer it",
        "doctor": "checks versions, assets, GPU, hand, camera, clock and disk",
    },
    "Teacher and student": {
        "train-teacher": "trains a teacher by PPO, on the twin or in Isaac Lab",
        "export-teacher": "makes a policy file of what isaaclab train leaves",
        "distill": "distils a teacher into a student: a flow over chunks, from noisy observations",
        "polish": "improves a student by RL in simulation, and gives it critics",
        "distill-mlp": "distils with RSL-RL into a network of single steps, to compare with",
        "evaluate": "plays whole episodes and prints metrics with 95 % intervals",
        "search-grasps": "finds the stable grasps of an object that episodes start from",
    },
    "Hand and arm": {
        "run-hand": "runs a policy on a hand: --hand twin, mock or orca",
        "run-arm": "runs a policy on an arm that carries the hand",
        "finetune": "learns from an episode store while it grows, and publishes policies",
        "sync-run": "keeps a run in step between the robot's machine and the learner's",
        "watch": "shows a running session on a page for browsers, read-only",
        "label": "serves a page on which a person reviews episodes and rewards",
        "rehearse": "plays the paper's experiment on the twin: seven times record, learn, test",
        "soak": "drives for hours and watches memory, underruns and errors",
    },
    "Eyes": {
        "draw-cube": "draws the object's pictures: texture, mesh, a page to print",
        "render-keypoints": "renders labelled pictures of the cube in a hand (--on: on a cluster)",
        "train-detector": "trains the corner detector",
        "evaluate-pose": "measures a detector on labelled, filmed or real pictures",
        "scale-covariance": "makes a detector's poses as uncertain as their errors are large",
        "export-detector": "writes the tracking part of a detector as ONNX",
        "record-camera": "films the spinning teacher or a stored episode, with true poses",
        "calibrate-camera": "calibrates a real camera below the hand",
    },
    "Recorded data and other tasks": {
        "import-data": "imports ROS 2 bags, robomimic and LeRobot data; exports to LeRobot",
        "example-bags": "writes ROS 2 bags as a lab would record them",
        "train-offline": "trains a policy from demonstrations: imitation, critics, offline RL",
        "two-doors": "runs all four stages on a point mass with two doors",
        "duck-bowl": "runs imitation, offline and online RL on a simulated table",
        "scissors-tape": "the same for scissors that cut a strip of tape",
        "run-ogbench": "runs the method on OGBench's manipulation tasks",
        "robomimic": "records and plays RoboMimic's tasks in robosuite",
        "sweep": "runs one script with many settings and seeds (--on: on a cluster)",
        "benchmark": "measures speed and safety on this machine",
        "gpu-report": "measures all that a GPU is for, part by part: the first hour",
    },
}
"""What each verb does, in groups; `docs/reference/scripts.md` says the same."""
VERBS = tuple(verb for group in GROUPS.values() for verb in group)
_LAUNCHED = re.compile(r"\b((?:torchrun|isaaclab\.sh -p)\b[^\n]*? )scripts/(\w+)\.py\b")
_TYPED = re.compile(r"(?:python )?\bscripts/(\w+)\.py\b(?: scripts/(\w+)\.py\b)?")
"""A script, perhaps with another one that it starts."""


def why_unknown(word: str) -> str:
    """What to type instead of a word that is no verb, in one line."""
    near = get_close_matches(verb_of(word), VERBS, n=1, cutoff=0.5)
    hint = f"; did you mean {COMMAND} {near[0]}?" if near else ""
    return f"'{word}' is no verb{hint} ({COMMAND} --help lists them)"


def verb_of(script: str) -> str:
    """ "train-teacher" for "train_teacher", "train_teacher.py" or "scripts/train_teacher.py"."""
    return Path(script).name.removesuffix(".py").replace("_", "-")


def script_of(verb: str) -> Path:
    """The file of a verb."""
    return SCRIPTS / f"{verb.replace('-', '_')}.py"


def started_as() -> list[str]:
    """What began this process: `sernf evaluate` or `python scripts/evaluate.py`, as words."""
    return sys.argv[0].split() if _is_verb() else ["python", sys.argv[0]]


def started_script() -> str:
    """File name of the script that this process runs, however it was started."""
    command = started_as()[-1]
    return script_of(command).name if _is_verb() else Path(command).name


def as_typed(text: str) -> str:
    """A text in which commands are in the form that this user types.

    Who has no clone, or started a verb, reads `sernf evaluate` for `python scripts/evaluate.py`.
    """
    if CLONE and not _is_verb():
        return text
    text = _LAUNCHED.sub(lambda found: f"{found[1]}-m {__package__} {verb_of(found[2])}", text)
    return _TYPED.sub(_as_verbs, text)


def _as_verbs(found: re.Match[str]) -> str:
    return " ".join([COMMAND, *(verb_of(name) for name in found.groups() if name)])


def _is_verb() -> bool:
    return sys.argv[0].startswith(f"{COMMAND} ")
