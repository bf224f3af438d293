"""The simulated duck, as what works on all tasks of the table takes it."""

import functools
from collections.abc import Mapping

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from tasks.duck_bowl.configurations import draw, evaluation_set
from tasks.duck_bowl.definition import TASK
from tasks.duck_bowl.demonstrator import DuckOperator
from tasks.duck_bowl.environment import FEATURES, DuckBowl
from tasks.duck_bowl.preset import simulated
from tasks.duck_bowl.scene import scene_model
from tasks.duck_bowl.task import STAGES
from tasks.manipulation.actions import HAND_GROUP, POSE_GROUP
from tasks.table.task import TableTask

_WXYZ = [3, 0, 1, 2]


def place(
    model: mujoco.MjModel, data: mujoco.MjData, observation: Mapping[str, np.ndarray]
) -> None:
    """Put a model of the scene into the observed state."""
    pose = np.asarray(observation[POSE_GROUP], np.float64)
    frame, duck = Rotation.from_quat(pose[3:]), np.asarray(observation["duck"], np.float64)
    duck_turn = (frame * Rotation.from_quat(duck[3:])).as_quat()
    data.qpos[:] = np.concatenate(
        [
            *(pose[:3], pose[3:][_WXYZ], observation[HAND_GROUP]),
            *(pose[:3] + frame.apply(duck[:3]), duck_turn[_WXYZ]),
        ]
    )
    data.mocap_pos[1] = pose[:3] + frame.apply(observation["bowl"])
    mujoco.mj_forward(model, data)


DUCK_BOWL = TableTask(
    name=TASK.name,
    stages=STAGES,
    features=FEATURES,
    tables=DuckBowl,
    draw=draw,
    evaluation_set=evaluation_set,
    operator=DuckOperator,
    settings=simulated,
    demonstrations=30,
    rollouts_per_round=5,
    fixed_tests=0,
    scene=functools.cache(functools.partial(scene_model, visual=True)),
    place=place,
)
