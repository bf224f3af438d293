"""Load a policy, see what it takes, and ask it for a chunk of actions.

python examples/drive_policy.py assets/student.pt
"""

import sys

import torch

from sernf_isaac import load_policy

policy, contract = load_policy(sys.argv[1] if len(sys.argv) > 1 else "assets/student.pt")
print(policy.describe())
print(
    f"for {contract.task} at {contract.control_rate_hz:g} Hz; joints {contract.joint_names[:3]} ..."
)

# In your own loop: what your sensors say, and the actions that are already queued. All numbers are
# in the units of the data (radians, metres), never scaled by hand.
observation, prefix = policy.example_inputs(batch=1, generator=torch.Generator().manual_seed(0))
chunk = policy.decide(observation, prefix, candidates=24)  # (1, H, A): the best of 24 candidates
print(f"the next {chunk.shape[1]} actions of joint 1: {chunk[0, :, 0].tolist()}")
