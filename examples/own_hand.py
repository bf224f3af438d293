"""Your own hand behind guard, watchdog and runner: python examples/own_hand.py FOLDER

A hand that hears nothing from the runner for 0.1 s holds, opens and loses its torque.
"""

import sys
import time

import numpy as np
from my_driver import HAND, MyDriver

import sernf_isaac as sernf

SPEC = sernf.ChunkSpec(history=1, prefix=2, horizon=4, history_keys=())


class Pose:  # where your camera saw the object
    def latest(self):  # metres, quaternion xyzw
        return sernf.PoseReading(time.monotonic(), np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))

    def reset(self):
        pass


class Task:  # what your policy sees, and when the episode is over
    features = {"joints": 2, "goal": 1}  # noqa: RUF012

    def observe(self, joint_pos, sent, previous_action, pose, goal):
        return {"joints": joint_pos, "goal": np.array([goal])}

    def lost(self, pose):
        return bool(pose.position_m[2] < -0.1)


class Wave:  # stands for a `WorkerPolicy`: is asked for a chunk, hands it out once
    chunk, last_latency_s = None, 0.0

    def request(self, observation, prefix):  # the guard stops the index at its limit of 1 rad
        self.chunk = np.tile([0.3 + 0.2 * np.sin(time.monotonic()), 5.0], (SPEC.horizon, 1))

    def poll(self):  # (H, A) in radians, or None
        chunk, self.chunk = self.chunk, None
        return chunk


if __name__ == "__main__":
    sernf.create_run(folder := sys.argv[1], {"task": "mine", "control_rate_hz": 20.0})
    setup = sernf.HandSetup(MyDriver, HAND, open_pose=(0.0, 0.0))
    length = sernf.RunnerSettings(max_episode_s=2.0, counts_turns=False)
    with sernf.HandProcess(setup) as hand, sernf.RunWriter(folder, "actor") as writer:
        beside = (sernf.Unattended(hand.clear, print), sernf.MonotonicClock())
        station = sernf.Station(hand, HAND, Wave(), Pose(), Task(), *beside)
        hand.send(sernf.Request.RAMP, np.array([0.2, 0.2]))
        while hand.state().state is not sernf.State.READY:
            hand.alive()  # a sign of life
            time.sleep(0.02)
        result = sernf.run_episode(station, length, writer, spec=SPEC, policy_name="wave")
        index = hand.state().joint_pos[1]
        print(f"{result.steps} steps, {result.underruns} late, index {index:.2f}")
