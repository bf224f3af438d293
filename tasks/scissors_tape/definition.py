"""Scissors and tape: take scissors out of a case and cut a hanging tape (paper IV-B, App. B, E)."""

from tasks.manipulation.definition import ManipulationTask, TestGrid

TASK = ManipulationTask(
    name="scissors_tape",
    instruction="take the scissors out of the case and cut the tape",
    cameras=("under_hand", "left_of_hand", "front"),
    rewards=("scissors retrieved: held securely, touching nothing but the hand", "tape in two"),
    ends=("tape cut", "scissors dropped", "arm in an unsafe or infeasible configuration"),
    time_limit_s=120.0,
    tests=TestGrid("scissors", 2, "tape holder", 5),
)
