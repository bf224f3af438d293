"""What the teacher would do, in the student's terms: the way of an action until it is a label.

The student's world speaks of joint targets [rad]. The teacher's observation holds its last action
in the teacher's own units, so that is translated before the teacher is asked, and its answer after.
"""

from collections.abc import Callable, Mapping
from itertools import takewhile

import torch
from tensordict import TensorDict
from torch import Tensor

from tasks.cube_spin.config import ObservationConfig
from tasks.cube_spin.observations import observation_sizes
from tasks.cube_spin.teacher.policy import OBSERVATION_GROUP, TeacherPolicy
from tasks.cube_spin.terms import actions_of, targets_of
from tasks.orca.description import Hand
from tasks.orca.hands import load_hand

LAST = "previous_action"


def label_with(teacher: TeacherPolicy) -> Callable[[Mapping[str, Tensor]], Tensor]:
    """The teacher as the distiller asks it: observation groups to joint targets (N, A) [rad]."""
    hand, there = load_hand(teacher.task.hand), teacher.action_centre.device
    columns = columns_of(LAST, teacher.task.observation, hand)
    constants = teacher.constants.to(there)

    def label(observations: Mapping[str, Tensor]) -> Tensor:
        seen = observations[OBSERVATION_GROUP].clone()
        last = actions_of(seen[:, columns], constants)
        seen[:, columns] = torch.where(observations["fresh"][:, None], 0.0, last)
        action = teacher(TensorDict({OBSERVATION_GROUP: seen}, batch_size=[len(seen)]))
        return targets_of(action, constants)

    return label


def columns_of(term: str, config: ObservationConfig, hand: Hand) -> slice:
    """Where a term stands in the teacher's observation."""
    sizes = observation_sizes(config, hand)
    first = sum(size for _, size in takewhile(lambda item: item[0] != term, sizes.items()))
    return slice(first, first + sizes[term])
