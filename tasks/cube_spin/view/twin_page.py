"""The twin in a browser: a policy plays in real time, and whoever looks steers its spin."""

import time
from typing import TYPE_CHECKING, NoReturn

import numpy as np
import torch

from tasks.cube_spin.config import CONTROL_DT_S, platform_height_m
from tasks.cube_spin.student.environment import StudentEnv
from tasks.cube_spin.student.policy import Student
from tasks.cube_spin.teacher.policy import TeacherPolicy
from tasks.cube_spin.twin.camera import show
from tasks.cube_spin.twin.environment import CubeSpinTwin
from tasks.cube_spin.view.keys import PUSH, RESET, Keys
from tasks.cube_spin.view.scene import HandScene

if TYPE_CHECKING:
    import viser

MOST_RAD_S, SPIN_STEP_RAD_S = 3.0, 0.05
"""Of the slider; what a policy was not trained for may be tried."""
TEXT_EVERY = 4
"""Control steps between two texts."""


class TwinPage:
    """One world of a twin, drawn after every step; the slider commands its spin.

    Args:
        server: Of viser.
        policy: A teacher, or a student with what it sees and plans.
        twin: The world.
        env: What the policy acts in: the twin, or the camera around it.
    """

    def __init__(
        self,
        server: "viser.ViserServer",
        policy: TeacherPolicy | Student,
        twin: CubeSpinTwin,
        env: CubeSpinTwin | StudentEnv,
    ) -> None:
        self._policy, self._twin, self._env, self._server = policy, twin, env, server
        by_value = isinstance(policy, Student) and policy.policy.critics is not None
        self.scene = HandScene(
            server, twin.hand, "value" if by_value else "log-likelihood", twin.held
        )
        self._keys, self._step, self._turned_rad = Keys(twin), 0, 0.0
        gui = server.gui
        self.slider = gui.add_slider(
            "spin [rad/s]",
            -MOST_RAD_S,
            MOST_RAD_S,
            SPIN_STEP_RAD_S,
            round(float(twin.command[0]), 2),
            hint="drag it, or click it and use the arrow keys",
        )
        self.slider.on_update(lambda _: self._command(float(self.slider.value)))
        self.push = gui.add_button("push the cube")
        self.push.on_click(lambda _: self._keys.press(PUSH))
        self.again = gui.add_button("a new episode")
        self.again.on_click(lambda _: self._keys.press(RESET))
        self.text = gui.add_markdown("")

    @torch.inference_mode()
    def step(self) -> None:
        """One control step, and what it looks like."""
        self._keys.do()
        twin = self._twin
        self._env.step(self._policy(self._env.get_observations()))
        self._turned_rad += float(twin.state.spin[0, 2]) * CONTROL_DT_S
        if int(twin.episode_length_buf[0]) == 0:
            self._turned_rad = 0.0
        scene = self.scene
        with self._server.atomic():
            show(twin, 0, scene.model, scene.data)
            cube = scene.model.body("cube").id
            scene.show_hand(scene.data.qpos[: twin.num_actions].copy())
            size_m = 2.0 * float(scene.model.geom_size[scene.model.geom("cube").id, 0])
            place = scene.data.xpos[cube], scene.data.xquat[cube]
            scene.show_cube(np.concatenate(place), size_m)
            supported = bool(twin.support_left_s[0] > 0.0)
            height_m = platform_height_m(twin.hand, twin.held)
            scene.show_platform(height_m if supported else None)
            if isinstance(self._policy, Student):
                self._show_student(self._policy)
            if self._step % TEXT_EVERY == 0:
                self.text.content = self._told()
        self._step += 1

    def run(self) -> NoReturn:
        """In real time until interrupted."""
        while True:
            started = time.monotonic()
            self.step()
            time.sleep(max(0.0, CONTROL_DT_S - (time.monotonic() - started)))

    def _command(self, spin_rad_s: float) -> None:
        self._keys.spin_rad_s = spin_rad_s

    def _show_student(self, student: Student) -> None:
        """What it sees of the cube, what it plans, and what it chose among."""
        seen = self._env.get_observations()["history"][0, -1].double().numpy()
        offset, (x, y, z, w) = seen[-7:-4], seen[-4:]
        position = np.array(self._twin.hand.grasp_point_m) + offset
        self.scene.show_estimate(np.array([*position, w, x, y, z]))
        self.scene.show_plan(student.planned(0).double().numpy())
        if student.policy.scores is not None:
            self.scene.show_scores(student.policy.scores[0].double().numpy())

    def _told(self) -> str:
        twin = self._twin
        return (
            f"**{self._step * CONTROL_DT_S:.0f} s** of looking\n\n"
            f"spin {float(twin.state.mean_spin[0]):+.2f} of {float(twin.command[0]):+.2f} rad/s\n\n"
            f"{self._turned_rad / (2.0 * np.pi):+.2f} turns in this episode"
        )
