"""Distil your own teacher into a flow student: python examples/distill_my_teacher.py FOLDER"""

import sys
from pathlib import Path

import numpy as np
import torch
from my_simulator import Points, teacher

import sernf_isaac as sernf
from sernf_isaac.metrics import read_metrics

torch.set_num_threads(1)
features = {"place": 2, "target": 2}  # what the student sees, and how many numbers each has
spec = sernf.ChunkSpec(history=2, prefix=1, horizon=4, history_keys=("place",))
policy = sernf.PolicyConfig(token_dim=16, width=16, num_couplings=4, num_heads=2)
rates = sernf.OptimizerConfig(imitation_learning_rate=3e-3)
config = sernf.LearnerConfig(policy, optimizer=rates)
layout = sernf.PolicyLayout(features, 2, spec, config.policy, config.critic, seed=0)
learner = sernf.build_learner(layout, config)

# Physical units go in and come out; the normaliser maps these ranges to [-1, 1] for the networks.
ones = np.ones(2)
scale = sernf.Normalizer({name: (-ones, ones) for name in (*features, "action")})
student = sernf.ChunkPolicy(layout, learner.actor, None, scale)

schedule = sernf.DistillConfig(
    iterations=40, rollout_steps=40, updates_per_iteration=15, teacher_decay=0.9
)
folder = Path(sys.argv[1])
sernf.Distiller(
    Points(seed=0),
    teacher,
    student,
    learner,
    schedule,
    folder,
    batch_size=128,
    action_names=("x", "y"),
).run()

errors = [value for _, value in read_metrics(folder, "distill/action_error")]
print(f"the student's actions differ from the teacher's by {errors[0]:.2f}, then {errors[-1]:.2f}")
contract = sernf.Contract(
    kind="chunk_policy",
    task="points",
    joint_names=("x", "y"),
    joint_lower_rad=(-1.0, -1.0),
    joint_upper_rad=(1.0, 1.0),
    control_rate_hz=20.0,
    quaternion_order="xyzw",
    observations=features,
    action={"prefix": spec.prefix, "horizon": spec.horizon},
)
student.save(folder / "student.pt", contract, {"made by": "an example"})
