"""What a training run begins with, and how it grows to the whole task."""

from dataclasses import dataclass, replace

from tasks.cube_spin.config import CommandConfig
from tasks.cube_spin.physics import Physics


@dataclass
class Curriculum:
    """What is hard comes in once the cube turns without it.

    A function of the share of the run that is done and of nothing else, so that a resumed run
    continues exactly.
    """

    fastest_at_first_rad_s: float = 1.6
    """Upper end of the commands at first; nothing changes if the task's own is below."""
    randomised: tuple[float, float] = (0.0, 0.0)
    """Shares of the run at which worlds begin to differ as the paper's do, and at which they do
    fully; all are `nominal` before, except in what is drawn once."""
    begin: float = 0.15
    """Share of the run at which fast commands, latency and other contact laws come in ..."""
    end: float = 0.5
    """... and at which they are whole. Both 0: no curriculum."""

    def __post_init__(self) -> None:
        for name, (begin, end) in {
            "begin <= end": (self.begin, self.end),
            "randomised[0] <= randomised[1]": self.randomised,
        }.items():
            if not 0.0 <= begin <= end <= 1.0:
                raise ValueError(f"curriculum: need 0 <= {name} <= 1, not {begin} and {end}")

    def grown(self, done: float) -> float:
        """How much of the growth has happened, 0 to 1, after this share of the run."""
        return _passed(done, self.begin, self.end)

    def commands(self, whole: CommandConfig, done: float) -> CommandConfig:
        """The commands to draw from now."""
        slow, fast = whole.speed_rad_s
        first = min(fast, max(slow, self.fastest_at_first_rad_s))
        return replace(whole, speed_rad_s=(slow, first + self.grown(done) * (fast - first)))

    def physics(self, whole: Physics, done: float) -> Physics:
        """The parameters to draw from now: `nominal`, then the paper's, then what is beyond."""
        return whole.grown(self.grown(done), _passed(done, *self.randomised))


def _passed(done: float, begin: float, end: float) -> float:
    """How much of the way from `begin` to `end` is behind, 0 to 1."""
    return 1.0 if done >= end else max(0.0, (done - begin) / (end - begin))
