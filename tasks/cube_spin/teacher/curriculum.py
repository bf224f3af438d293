"""What a training run begins with, and how it grows to the whole task."""

from dataclasses import dataclass, replace

from tasks.cube_spin.config import CommandConfig
from tasks.cube_spin.physics import Physics


@dataclass
class Curriculum:
    """Fast commands, latency and other contact laws come in once the cube turns without them.

    A function of the share of the run that is done and of nothing else, so that a resumed run
    continues exactly.
    """

    fastest_at_first_rad_s: float = 1.6
    """Upper end of the commands at first; nothing changes if the task's own is below."""
    begin: float = 0.15
    """Share of the run at which speeds and worlds start to grow ..."""
    end: float = 0.5
    """... and at which they are whole. Both 0: no curriculum."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.begin <= self.end <= 1.0:
            raise ValueError(
                f"curriculum: need 0 <= begin <= end <= 1, not {self.begin} and {self.end}"
            )

    def grown(self, done: float) -> float:
        """How much of the growth has happened, 0 to 1, after this share of the run."""
        if done >= self.end:
            return 1.0
        return max(0.0, (done - self.begin) / (self.end - self.begin))

    def commands(self, whole: CommandConfig, done: float) -> CommandConfig:
        """The commands to draw from now."""
        slow, fast = whole.speed_rad_s
        first = min(fast, max(slow, self.fastest_at_first_rad_s))
        return replace(whole, speed_rad_s=(slow, first + self.grown(done) * (fast - first)))

    def physics(self, whole: Physics, done: float) -> Physics:
        """The parameters to draw from now: those of the paper first, then what is beyond them."""
        return whole.grown(self.grown(done))
