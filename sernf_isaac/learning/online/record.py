"""What happened in N environments that run side by side, as one episode for each of them."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from sernf_isaac.data.episode import Episode
from sernf_isaac.models.actor_critic import Observation


class Record:
    """Takes every step of N environments, and notes how each of their episodes ended.

    Args:
        num_envs: N.
        max_steps: Episodes that are longer count as stopped from outside; None: no limit.
    """

    def __init__(self, num_envs: int, max_steps: int | None = None) -> None:
        self.running = torch.ones(num_envs, dtype=torch.bool)
        """(N,) whose episode goes on."""
        self._max_steps = max_steps
        self._observations: list[Observation] = []
        self._actions: list[Tensor] = []
        self._rewards: list[Tensor] = []
        self._decisions: list[bool] = []
        self._ends: dict[int, dict] = {}

    def add(
        self, seen: Observation, action: Tensor, outcome: list[Tensor], *, decision: bool
    ) -> None:
        """One step of all environments; those that are over are left out later.

        Args:
            seen: What was observed before the step, groups (N, ...).
            action: (N, A).
            outcome: Reward, terminated and truncated, each (N,).
            decision: Whether the policy decided on what was seen.
        """
        self._observations.append({key: value.cpu() for key, value in seen.items()})
        self._actions.append(action.cpu())
        self._rewards.append(outcome[0].cpu())
        self._decisions.append(decision)

    def close(
        self,
        observation: Observation,
        outcome: list[Tensor],
        succeeded: Tensor,
        planned: Callable[[int], Tensor],
    ) -> None:
        """Note the episodes that end with the step just added.

        Args:
            observation: After the step, groups (N, ...).
            outcome: Reward, terminated and truncated, each (N,).
            succeeded: (N,) bool.
            planned: What is still queued (Q, A) for an environment.
        """
        terminated, truncated = outcome[1].cpu(), outcome[2].cpu()
        stopped = self._max_steps is not None and len(self._actions) >= self._max_steps
        over = self.running & (terminated | truncated | stopped)
        for env_id in over.nonzero().flatten().tolist():
            cut = "timeout" if truncated[env_id] else "stopped"
            failed = "failure" if terminated[env_id] else cut
            self._ends[env_id] = {
                "length": len(self._actions),
                "terminated": bool(terminated[env_id]),
                "outcome": "success" if succeeded[env_id] else failed,
                "final": {key: value[env_id].cpu().numpy() for key, value in observation.items()},
                "planned": planned(env_id).cpu().numpy(),
            }
        self.running &= ~over

    def episode(self, env_id: int, policy: str, is_offline: bool) -> Episode:
        """The finished episode of an environment, by the policy of this name."""
        end = self._ends[env_id]
        steps = slice(end["length"])

        def of(rows: list[Tensor]) -> np.ndarray:
            return torch.stack([row[env_id] for row in rows[steps]]).numpy()

        last = np.arange(end["length"]) == end["length"] - 1
        return Episode(
            observation={
                key: of([seen[key] for seen in self._observations]) for key in end["final"]
            },
            action=of(self._actions),
            reward=of(self._rewards),
            terminated=last & end["terminated"],
            decision=np.array(self._decisions[steps]),
            final_observation=end["final"],
            planned=end["planned"],
            policy=policy,
            outcome=end["outcome"],
            is_offline=is_offline,
        )
