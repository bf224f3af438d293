"""Reward terms: one manager term per entry of `terms.REWARD_TERMS`, plus the fall impulse."""

from isaaclab.envs import ManagerBasedRLEnv
from isaaclab.managers import RewardTermCfg
from torch import Tensor

from tasks.cube_spin import terms
from tasks.cube_spin.config import RewardConfig
from tasks.cube_spin.isaac.mdp.state import tracker


def task_reward(env: ManagerBasedRLEnv, term: str) -> Tensor:
    """Unweighted reward (N,) by its name in `terms.REWARD_TERMS`."""
    shared = tracker(env)
    return terms.REWARD_TERMS[term](shared.state, shared.constants, shared.task.reward)


def fall(env: ManagerBasedRLEnv) -> Tensor:
    """1 in the step in which the cube is lost (N,); the manager's dt makes it an impulse."""
    return tracker(env).lost.float()


def reward_terms(config: RewardConfig) -> dict[str, RewardTermCfg]:
    """The reward manager's terms with the task's weights; zero weights are left out."""
    table = {
        name: RewardTermCfg(func=task_reward, weight=getattr(config, name), params={"term": name})
        for name in terms.REWARD_TERMS
    }
    table["fall"] = RewardTermCfg(func=fall, weight=config.fall)
    return {name: term for name, term in table.items() if term.weight != 0.0}
