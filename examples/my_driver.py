"""A driver for your own hand. This one has two joints that only exist here; see own_hand.py.

It runs in the hand's own process: import nothing slow here, and never wait longer than a tick.
"""

import numpy as np

from sernf_isaac import HandDescription, HandReading

HAND = HandDescription(
    ("thumb", "index"), (-0.5, -0.5), (1.0, 1.0), ("thumb", "index"), (1, 1)
)  # names, limits [rad], the driver's names and signs


class MyDriver:
    """What `sernf_isaac.HandDriver` asks for; joints in radians, in the description's order."""

    def connect(self):  # open the bus; raise RuntimeError if this is not the hand you expect
        self._place, self._target, self._strength = np.zeros(2), np.zeros(2), 0.0

    def read(self):  # what the sensors say; fresh=False if the bus did not answer
        before = self._place.copy()
        if self._strength:
            self._place += 0.5 * (self._target - self._place)  # your motors do this
        return HandReading(self._place.copy(), (self._place - before) * 40.0, fresh=True)

    def command(self, joint_target):  # called 40 times a second, already limited by the guard
        self._target = np.array(joint_target)

    def set_strength(self, share):  # 0: no torque, 1: full current
        self._strength = share

    def check(self):  # raise RuntimeError for an overheated motor, a tripped fuse, ...
        pass

    def place(self):  # True if the machine puts the object into the hand; else a person does
        return False

    def rearm(self):  # forget tripped protections; a person asked for it
        pass

    def close(self):  # torque off
        self._strength = 0.0
