"""The paper's experiment on the twin: 15 minutes of robot time, an update, a test; seven times.

Robot and learner are those of a real session: the loop, the guard, the store, the checkpoint
channel. Only the clock is not: the twin's time goes as fast as it computes. Every test is a session
of its own: its grasps come from the same bank, its draws and its noise are never met in training.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

from sernf_isaac.data.store.channel import wanted_checkpoint
from sernf_isaac.data.store.files import read_json, sha256_of, write_json
from sernf_isaac.data.store.reader import RunReader
from sernf_isaac.deploy.actor.episode import EpisodeResult, RunnerSettings
from sernf_isaac.deploy.policy.local import DecisionSettings
from sernf_isaac.learning.finetune.presets import preset
from sernf_isaac.learning.finetune.run import FOLDER, FinetuneRun, finetune
from sernf_isaac.learning.staged_training import STATE_FILE
from sernf_isaac.policy import load_policy
from sernf_isaac.progress import MinutesBar
from sernf_isaac.run_folder import git_commit
from tasks.cube_spin.hand.curves import curve_figure
from tasks.cube_spin.hand.report import point
from tasks.cube_spin.hand.session import MakePoseSource, open_virtual_session, prepare
from tasks.cube_spin.hand.settings import HandRun, TwinOptions

SUPPORT_S = 3.0
HELD_OUT_SEED = 1_000_000_007
"""Tests begin here; the draws of training are counted from the run's own seed."""
SETTINGS_FILE = "rehearsal.json"


def _hand() -> HandRun:
    return HandRun(
        runner=RunnerSettings(supported_s=SUPPORT_S),
        decisions=DecisionSettings(candidates=24),
        twin=TwinOptions(physics="hard", support_s=SUPPORT_S),
    )


@dataclass
class RehearsalRun(FinetuneRun):
    """Everything that determines a rehearsal, besides the student: a learner's settings, and more.

    Its seed is that of the whole rehearsal; see `rehearsal` for settings that suit one CPU core.
    """

    minutes_per_test: float = 15.0
    """Robot time of each test."""
    hand: HandRun = field(default_factory=_hand)

    @property
    def finetuning(self) -> FinetuneRun:
        """What the learner is told."""
        return FinetuneRun(**{f.name: getattr(self, f.name) for f in fields(FinetuneRun)})


def rehearsal(name: str = "small") -> RehearsalRun:
    """With the learner's preset of this name.

    Raises:
        ValueError: For another name.
    """
    return RehearsalRun(**vars(preset(name)))


class Rehearsal:
    """A rehearsal in a folder; goes on where it was stopped.

    Args:
        run: Settings.
        student: The policy it begins with.
        out: Folder: `robot/` is the run as a real one leaves it, `tests/` what tests measured.
        tell: Where messages go.
        camera: Makes poses from pictures, for `hand.pose=camera`.
        device: Where the learner learns.

    Raises:
        ValueError: If the folder holds a rehearsal with other settings or another student.
    """

    def __init__(
        self,
        run: RehearsalRun,
        student: Path,
        out: Path,
        tell: Callable[[str], None],
        camera: MakePoseSource | None = None,
        device: str = "cpu",
    ) -> None:
        self._run, self._student, self._out, self._tell = run, student, out, tell
        self._camera, self._device = camera, device
        brings_critics = load_policy(student)[0].critics is not None
        self._frozen = run.warm_up_iterations * (run.fresh_critics or not brings_critics)
        self._robot = out / "robot"
        self._robot.mkdir(parents=True, exist_ok=True)
        self._about = _settings_kept(run, student, out)
        prepare(run.hand, self._robot, student)

    def play(self) -> list[dict]:
        """All iterations; returns the curve, which is written after every test."""
        self._test(0, self._student)
        settings = self._run.finetuning
        resume = (self._robot / FOLDER / STATE_FILE).is_file()
        finetune(settings, self._robot, device=self._device, resume=resume, wait=self._collect)
        done = len(settings.legs())
        self._test(done, self._learned(done))
        return self._curve()

    def _learned(self, iterations: int) -> Path:
        """What the robot could drive with after so many of them.

        New critics are not published before they are warm; what they would choose is tested.
        """
        if iterations <= self._frozen:
            return self._robot / FOLDER / "policy.pt"
        wanted = wanted_checkpoint(self._robot)
        assert wanted is not None, "the student was published first"
        return wanted.file.check(self._robot)

    def _collect(self, there: float, needed: float) -> None:
        """What the robot does while the learner waits: test what was learned, then more data."""
        done = round(needed / self._run.minutes_per_iteration) - 1
        if done >= max(self._frozen, 1):  # before, neither policy nor how it drives has changed
            self._test(done, self._learned(done))
        episodes = len(RunReader(self._robot).commits())
        hand = self._hand(self._run.seed + 1000 * (episodes + 1))
        name = f"iteration {done + 1}: data"
        self._session(hand, self._robot, needed - there, name)

    def _test(self, iteration: int, policy: Path) -> None:
        """Measure a policy on held-out starts, unless that was done before."""
        path = self._out / "tests" / f"{iteration}.json"
        if path.is_file():
            return
        folder = self._out / "tests" / f"{iteration}"
        folder.mkdir(parents=True, exist_ok=True)
        hand = self._hand(HELD_OUT_SEED + self._run.seed)
        prepare(hand, folder, policy)
        name = f"iteration {iteration}: test"
        results, wall_s = self._session(hand, folder, self._run.minutes_per_test, name)
        minutes = iteration * self._run.minutes_per_iteration
        row = {"iteration": iteration, "real_minutes": minutes}
        row["frozen"] = 0 < iteration <= self._frozen
        write_json(path, row | point(results, wall_s))
        self._curve()

    def _session(
        self, hand: HandRun, folder: Path, minutes: float, name: str
    ) -> tuple[list[EpisodeResult], float]:
        """Episodes for at least so many minutes; also the time they took with all resets."""
        results, left = [], minutes
        with (
            open_virtual_session(hand, folder, self._tell, camera=self._camera) as session,
            MinutesBar(minutes, name, leave=False) as bar,
        ):
            for result in session.episodes():
                results.append(result)
                spent = result.steps / hand.runner.control_rate_hz / 60.0
                left -= spent
                bar.add(spent)
                if left <= 0.0:
                    break
            return results, session.totals.wall_s

    def _hand(self, seed: int) -> HandRun:
        hand = self._run.hand
        return replace(hand, seed=seed, decisions=replace(hand.decisions, seed=seed))

    def _curve(self) -> list[dict]:
        paths = sorted((self._out / "tests").glob("*.json"), key=lambda path: int(path.stem))
        curve = [json.loads(path.read_text()) for path in paths]
        write_json(self._out / "curve.json", self._about | {"iterations": curve})
        curve_figure(self._out / "curve.png", {f"seed {self._run.seed}": curve})
        for row in curve[-1:]:
            self._tell(
                f"after {row['real_minutes']:.0f} minutes: {row['rpm_in_hand']:.2f} turns per "
                f"minute in the hand, {row['turns_per_run']:.2f} per run ({row['runs']} runs)"
            )
        return curve


def _settings_kept(run: RehearsalRun, student: Path, out: Path) -> dict:
    """What determines the rehearsal, written where it begins.

    Raises:
        ValueError: If it began with something else.
    """
    about = {"settings": asdict(run), "student": sha256_of(student), "commit": git_commit()}
    path = out / SETTINGS_FILE
    if not path.is_file():
        write_json(path, about)
        return about
    begun = read_json(path)
    for name in ("settings", "student"):
        if begun[name] != json.loads(json.dumps(about[name])):
            raise ValueError(f"that in {out} began with another '{name}'; take a new one")
    return begun
