"""A driver for a described hand whose motors only exist here; a real one talks to a bus instead.

    python scripts/run_hand.py --run runs/hand/mine --policy STUDENT.pt --pose still \\
        --hand examples/own_hand/driver.py:Driver --episodes 1
"""

import numpy as np

from sernf_isaac import HandDescription, HandReading

PERIOD_S = 0.025


class Driver:
    """What `sernf_isaac.HandDriver` asks for; joints in radians, in the description's order."""

    simulated = True  # a real hand leaves this out: then a person has to be at the terminal

    def __init__(self, hand: HandDescription):
        self._hand = hand  # .driver_names and .signs say how your bus may count the joints

    def connect(self):  # raise RuntimeError if this is not the hand you expect
        ends = np.array(self._hand.lower_rad), np.array(self._hand.upper_rad)
        self._joints = np.clip(np.zeros(self._hand.num_joints), *ends)
        self._target, self._strength = self._joints.copy(), 0.0

    def read(self):  # fresh=False if the bus did not answer
        before = self._joints.copy()
        if self._strength:
            self._joints += 0.5 * (self._target - self._joints)  # your motors do this
        return HandReading(self._joints.copy(), (self._joints - before) / PERIOD_S)

    def command(self, joint_target):  # 40 times a second, already limited by the guard
        self._target = np.array(joint_target)

    def set_strength(self, share):  # 0: no torque, 1: full current
        self._strength = share

    def check(self):  # raise RuntimeError for a hot motor, a tripped fuse, ...
        pass

    def place(self):  # True if the machine puts the object into the hand
        return False

    def rearm(self):  # forget tripped protections; a person asked for it
        pass

    def close(self):  # torque off
        self._strength = 0.0
