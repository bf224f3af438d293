"""Your simulator and your teacher, as the distiller asks for them; see distill_my_teacher.py.

N points in the plane move to a target: the teacher knows where, the student's sensor is noisy.
"""

import torch

N = 64


class Points:  # a `sernf_isaac.DistillationEnv`; a new target every 20 steps
    num_envs = N

    def __init__(self, seed):
        self.draw, self.age = torch.Generator().manual_seed(seed), 0
        self.begin()

    def begin(self):
        self.target, self.age = 2 * torch.rand(N, 2, generator=self.draw) - 1, 0
        self.places = torch.zeros(N, 2, 2)  # the last two, oldest first

    def get_observations(self):
        noise = 0.05 * torch.randn(N, 2, generator=self.draw)  # of the student's sensor
        return {
            "place": self.places,
            "target": self.target + noise,
            "true_target": self.target,
            "hold": torch.zeros(N, 2),  # actions that keep still
            "fresh": torch.full((N,), self.age == 0),
        }

    def step(self, actions):
        now, self.age = self.places[:, -1] + 0.1 * actions.clamp(-1, 1), self.age + 1
        self.places = torch.stack([self.places[:, -1], now], dim=1)
        error_m, done = (now - self.target).norm(dim=1).mean(), self.age == 20
        if done:
            self.begin()
        log = {"log": {"error_m": error_m}}
        return self.get_observations(), torch.zeros(N), torch.full((N,), int(done)), log

    def state_dict(self):
        return {}  # this simulator cannot tell its state: a resumed run begins new episodes

    def load_state_dict(self, state):
        pass


def teacher(seen):
    return (3 * (seen["true_target"] - seen["place"][:, -1])).clamp(-1, 1)
