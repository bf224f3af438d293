"""The simulated scissors, as what works on all tasks of the table takes them."""

import functools
from collections.abc import Mapping

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from tasks.manipulation.actions import HAND_GROUP, POSE_GROUP
from tasks.scissors_tape.configurations import FIXED, draw, evaluation_set
from tasks.scissors_tape.definition import TASK
from tasks.scissors_tape.demonstrator import ScissorsOperator
from tasks.scissors_tape.environment import FEATURES, ScissorsTape
from tasks.scissors_tape.preset import simulated
from tasks.scissors_tape.scene import HINGE_M, STRIP_WIDTH_M, scene_model
from tasks.scissors_tape.task import STAGES
from tasks.table.task import TableTask

_WXYZ = [3, 0, 1, 2]


def place(
    model: mujoco.MjModel, data: mujoco.MjData, observation: Mapping[str, np.ndarray]
) -> None:
    """Put a model of the scene into the observed state; the strip stays whole in it."""
    pose = np.asarray(observation[POSE_GROUP], np.float64)
    frame, tool = Rotation.from_quat(pose[3:]), np.asarray(observation["tool"], np.float64)
    middle = frame * Rotation.from_quat(tool[3:7])
    hinge = pose[:3] + frame.apply(tool[:3]) + middle.apply([HINGE_M, 0, 0])
    half = (middle * Rotation.from_euler("z", -tool[7] / 2)).as_quat()
    data.qpos[:] = np.concatenate(
        [pose[:3], pose[3:][_WXYZ], observation[HAND_GROUP], hinge, half[_WXYZ], tool[7:]]
    )
    yaw = frame.as_euler("ZYX")[0]
    for index, name in enumerate(("stand", "tape"), start=1):  # 0 is the carrier's target
        seen = np.asarray(observation[name], np.float64)
        turn = yaw + seen[3]
        place = (pose[:3] + frame.apply(seen[:3]))[:2]
        if name == "tape":  # back from where the cut goes on to the strip's near edge
            place = place + seen[4] * STRIP_WIDTH_M * np.array([np.cos(turn), np.sin(turn)])
        data.mocap_pos[index] = [*place, 0.0]
        data.mocap_quat[index] = [np.cos(turn / 2), 0.0, 0.0, np.sin(turn / 2)]
    mujoco.mj_forward(model, data)


SCISSORS_TAPE = TableTask(
    name=TASK.name,
    stages=STAGES,
    features=FEATURES,
    tables=ScissorsTape,
    draw=draw,
    evaluation_set=evaluation_set,
    operator=ScissorsOperator,
    settings=simulated,
    demonstrations=121,
    rollouts_per_round=10,
    fixed_tests=FIXED,
    scene=functools.cache(functools.partial(scene_model, visual=True)),
    place=place,
)
