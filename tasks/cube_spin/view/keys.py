"""MuJoCo's interactive viewer on a twin, with keys for what one wants to try."""

from tasks.cube_spin.twin.environment import CubeSpinTwin

UP, DOWN, PUSH, RESET = 265, 264, ord("P"), ord("R")
"""Keys as GLFW numbers them: the arrows, and letters."""
SPIN_STEP_RAD_S = 0.25
PUSH_M_S = 0.3
HELP = "keys: up and down arrow change the spin, P pushes the cube, R starts again"


class Keys:
    """What keys do to the one world of a twin; they are collected and done between two steps.

    Args:
        twin: What is acted on.
    """

    def __init__(self, twin: CubeSpinTwin) -> None:
        self._twin = twin
        self._pressed: list[int] = []
        self.spin_rad_s: float | None = None
        """What was asked for by keys; None leaves the task's commands alone."""

    def press(self, key: int) -> None:
        """Remember a key; called by the viewer's thread."""
        self._pressed.append(key)

    def do(self) -> str | None:
        """Do what was pressed since the last call; says what was done."""
        said = None
        while self._pressed:
            said = self._do(self._pressed.pop(0)) or said
        if self.spin_rad_s is not None:
            self._twin.command_all(self.spin_rad_s)
        return said

    def _do(self, key: int) -> str | None:
        if key in (UP, DOWN):
            now = float(self._twin.command[0]) if self.spin_rad_s is None else self.spin_rad_s
            self.spin_rad_s = now + (SPIN_STEP_RAD_S if key == UP else -SPIN_STEP_RAD_S)
            return f"spin {self.spin_rad_s:+.2f} rad/s"
        if key == PUSH:
            self._twin.world.push_cube((PUSH_M_S, 0.0, 0.0))
            return f"a push of {PUSH_M_S:g} m/s"
        if key == RESET:
            self._twin.episode_length_buf[:] = self._twin.max_episode_length  # ends it
            self.spin_rad_s = None
            return "a new episode"
        return None
