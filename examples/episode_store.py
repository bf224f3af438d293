"""Write episodes into a store that survives a pulled plug, and read them while it grows.

python examples/episode_store.py runs/example_store
"""

import sys
from pathlib import Path

import numpy as np

from sernf_isaac import Episode, RunReader, RunWriter, Step, StepLayout, create_run

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/example_store")
create_run(folder, {"task": "example", "control_rate_hz": 20.0})

with RunWriter(folder, actor="robot_1") as writer:
    writer.recover()  # finishes what a crash interrupted

    # An episode that is whole already, such as a demonstration: T = 50 steps, A = 2 actions.
    whole = Episode(
        observation={"state": np.zeros((50, 4))},
        action=np.zeros((50, 2)),
        reward=np.zeros(50),
        outcome="success",
        is_offline=True,
    )
    print("committed", writer.commit(whole))

    # An episode that is going on: every step is safe as soon as `append` returns.
    going_on = writer.begin(StepLayout({"state": 4}, action_dim=2, policy="mine"))
    for step in range(20):
        state, action = np.full(4, step / 20), np.array([0.1, -0.1])
        going_on.append(Step({"state": state}, action, reward=float(step == 19)), step / 20.0)
    print("committed", going_on.finish("success"))

reader = RunReader(folder)  # takes no lock: another machine may read while this one writes
for commit in reader.commits():
    episode = reader.load(commit)
    print(f"{commit.id}: {len(episode)} steps, reward {episode.reward.sum():g}, {commit.outcome}")
