"""All tasks with an arm and a hand, by name."""

from tasks.duck_bowl.definition import TASK as DUCK_BOWL
from tasks.manipulation.definition import ManipulationTask
from tasks.scissors_tape.definition import TASK as SCISSORS_TAPE

TASKS: dict[str, ManipulationTask] = {task.name: task for task in (SCISSORS_TAPE, DUCK_BOWL)}


def task_called(name: str) -> ManipulationTask:
    """A task.

    Raises:
        ValueError: If there is none of this name; names those there are.
    """
    if name not in TASKS:
        raise ValueError(f"no task '{name}' with an arm; there are {', '.join(TASKS)}")
    return TASKS[name]
