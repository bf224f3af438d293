"""Whole sessions on orca_core's mocks, as run_hand.py --hand mock has them, on a virtual clock.

    python tests/helpers/orca_mock_sessions.py FOLDER CONFIG...

Prints a line of JSON per configuration. In a process of its own: orca_core keeps the joint names of
the first version it meets.
"""

import json
import sys
from pathlib import Path

import numpy as np
from tiny_student import save_tiny_student

from sernf_isaac.data.store.files import read_json
from sernf_isaac.data.store.reader import RunReader
from sernf_isaac.data.store.writer import RunWriter
from sernf_isaac.deploy.actor.episode import RunnerSettings
from sernf_isaac.deploy.actor.operators import Unattended
from sernf_isaac.deploy.actor.virtual import InProcessHand, InstantPolicy, VirtualClock
from sernf_isaac.deploy.hand.guard import GuardLimits
from sernf_isaac.deploy.hand.server import HandServer
from sernf_isaac.deploy.labelling.view import view_episode
from sernf_isaac.deploy.loop.states import SafetyTiming, State
from sernf_isaac.deploy.policy.local import DecisionSettings, LocalPolicy
from tasks.cube_spin.hand.pose_sources import StillPose
from tasks.cube_spin.hand.senses import sensors_of
from tasks.cube_spin.hand.session import hand_driver, prepare, session_at, student_check
from tasks.cube_spin.hand.settings import HandRun
from tasks.orca.hands import hand_of_config

PRESSED = {"index": [0.5, -0.2, 3.0]}
"""What a fingertip of the mock feels [N]."""


def play(config: str, folder: Path) -> dict:
    """Open, engage, one second of control, record, close; what came of it."""
    hand = hand_of_config(config)
    student = folder.parent / f"{hand.name}.pt"
    if not student.is_file():
        save_tiny_student(student, hand=hand)
    run = HandRun(hand="mock", pose="still", hand_config=config, model=hand.name)
    run.runner = RunnerSettings(max_episode_s=1.0)
    run.guard = GuardLimits(ramp_speed_rad_s=3.0)  # as quick as may be: each tick takes time here
    run.safety = SafetyTiming(hold_s=0.2, relax_s=0.2)
    run.decisions = DecisionSettings(candidates=1, first_candidates=1)
    prepare(run, folder, student)
    clock, told = VirtualClock(), []
    driver = hand_driver(run)(clock=clock.now)
    driver.connect()
    if driver.senses.fingertips:
        driver.senses.mock.forces |= PRESSED
    sizes = sensors_of(run).sizes(17)
    rest = np.array(hand.rest_rad)
    server = HandServer(
        driver, hand.driver, limits=run.guard, timing=run.safety, open_pose=rest, sensors=sizes
    )
    with RunWriter(folder, "actor") as writer:
        link = InProcessHand(server, clock)
        policy = InstantPolicy(LocalPolicy(run.decisions, student_check(run, folder)), clock.now)
        operator, source = Unattended(link.clear, told.append), StillPose(clock, hand.grasp_point_m)
        session = session_at(run, folder, writer, link, policy, source, operator, clock)
        result = next(iter(session.episodes(count=1)))
        clock.sleep_until(clock.now() + run.safety.hold_s + run.safety.relax_s + 0.2)
        state = link.state()
        torque = any(driver._orca.motor_client._torque_enabled.values())
        link.close()
    reader = RunReader(folder)
    (commit,) = reader.commits()
    episode = reader.load(commit)
    logged = {name: v for name, v in episode.observation.items() if name.startswith("log_")}
    joints = episode.observation["history"][:, :17]
    return {
        "model": Path(config).parent.name,
        "steps": result.steps,
        "outcome": result.outcome,
        "told": told,
        "off": state.state is State.OFF and not torque,
        "error": state.error,
        "sizes": {name: values.shape[1] for name, values in logged.items()},
        "measured": float(logged["log_measured"].mean()) if "log_measured" in logged else None,
        "from_motors": float(np.abs(joints - logged["log_motor_pos"]).max())
        if "log_motor_pos" in logged
        else None,
        "touch": logged["log_touch"][-1].tolist() if "log_touch" in logged else None,
        "plotted_touch": view_episode(reader, commit).get("touch_n"),
        "run": read_json(folder / "run.json"),
    }


if __name__ == "__main__":
    for number, path in enumerate(sys.argv[2:]):
        print("played", json.dumps(play(path, Path(sys.argv[1]) / str(number))))
