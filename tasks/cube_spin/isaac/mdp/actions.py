"""Action term: smoothed joint targets, as latency and play let them reach the joints."""

# pyright: reportAttributeAccessIssue=false
# Isaac Lab adds attributes to its configurations and managers that type checkers do not see.

import torch
from isaaclab.envs import ManagerBasedRLEnv
from isaaclab.managers import ActionTerm, ActionTermCfg
from isaaclab.utils import configclass
from torch import Tensor

from tasks.cube_spin import terms
from tasks.cube_spin.actuation import refuse_infinite
from tasks.cube_spin.isaac.mdp.state import tracker


class JointTargetAction(ActionTerm):
    """Servo targets by `terms.joint_targets`; nominal limits, whatever was randomised."""

    def __init__(self, cfg: "JointTargetActionCfg", env: ManagerBasedRLEnv) -> None:
        super().__init__(cfg, env)
        self._tracker = tracker(env)
        self._raw = torch.zeros(self.num_envs, self.action_dim, device=self.device)
        self._arriving = torch.zeros(self.num_envs, self.action_dim, device=self.device)
        self._envs = torch.arange(self.num_envs, device=self.device)

    @property
    def action_dim(self) -> int:
        """A."""
        return self._tracker.hand.num_joints

    @property
    def raw_actions(self) -> Tensor:
        """Actions (N, A) as the policy gave them."""
        return self._raw

    @property
    def processed_actions(self) -> Tensor:
        """Servo targets (N, A) [rad] of this step."""
        return self._arriving

    def process_actions(self, actions: Tensor) -> None:
        """Smooth the targets of actions (N, A).

        Raises:
            ValueError: If an action is not finite.
        """
        refuse_infinite(actions, self._tracker.hand)
        shared = self._tracker
        smoothing = shared.task.action.smoothing
        self._raw[:] = actions
        target = terms.joint_targets(actions, shared.joint_target, shared.constants, smoothing)
        shared.joint_target = target
        self._arriving = shared.actuation(target)

    def apply_actions(self) -> None:
        """Called before every physics step."""
        self._asset.set_joint_position_target_index(
            target=self.processed_actions, joint_ids=self._tracker.joint_ids
        )

    def reset(self, env_ids: Tensor | slice | None = None) -> None:
        """The reset event has set the targets already; nothing older is under way."""
        envs = self._envs if env_ids is None else self._envs[env_ids]
        self._raw[envs] = 0.0
        shared = self._tracker
        shared.actuation.reset(envs, shared.joint_target[envs], shared.physics)


@configclass
class JointTargetActionCfg(ActionTermCfg):
    """Settings of the action live in `TaskConfig.action`."""

    class_type: type = JointTargetAction
    asset_name: str = "robot"
