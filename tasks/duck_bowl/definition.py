"""Duck and bowl on a real robot, after the paper's project page; simulated in `environment.py`.

The page gives 30 demonstrations, 15 online rollouts and results, nothing else: rewards, ends and
tests follow the scissors task.
"""

from tasks.manipulation.definition import ManipulationTask, TestGrid

TASK = ManipulationTask(
    name="duck_bowl",
    instruction="pick up the duck and put it into the bowl",
    cameras=("under_hand", "beside_hand", "front"),
    rewards=("duck lifted: held, touching nothing but the hand", "duck in the bowl, let go"),
    ends=("duck in the bowl", "duck dropped or off the table", "arm in an unsafe configuration"),
    time_limit_s=20.0,
    tests=TestGrid("bowl", 2, "duck", 5),
)
