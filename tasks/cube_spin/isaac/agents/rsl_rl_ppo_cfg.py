"""PPO settings of the teacher: the paper's Table IV."""

import torch
from isaaclab.utils import configclass
from isaaclab_rl.rsl_rl import RslRlMLPModelCfg, RslRlOnPolicyRunnerCfg, RslRlPpoAlgorithmCfg

HIDDEN = [512, 512, 256, 128]  # paper F.4e


@configclass
class CubeSpinPpoCfg(RslRlOnPolicyRunnerCfg):
    """RSL-RL runner and PPO (paper F.4e, Table IV)."""

    num_steps_per_env = 24
    max_iterations = 10_000
    save_interval = 100
    experiment_name = "sernf_orca_cube_spin"
    device = "cuda:0" if torch.cuda.is_available() else "cpu"
    obs_groups: dict[str, list[str]] = {"actor": ["teacher"], "critic": ["teacher"]}  # noqa: RUF012
    # Random initial episode lengths would start most environments without the platform.
    init_at_random_ep_len = False
    actor = RslRlMLPModelCfg(
        hidden_dims=HIDDEN,
        activation="elu",
        obs_normalization=True,
        distribution_cfg=RslRlMLPModelCfg.GaussianDistributionCfg(init_std=1.0, std_type="log"),
    )
    critic = RslRlMLPModelCfg(hidden_dims=HIDDEN, activation="elu", obs_normalization=True)
    algorithm = RslRlPpoAlgorithmCfg(
        num_learning_epochs=5,
        num_mini_batches=4,
        learning_rate=1e-4,
        schedule="adaptive",
        desired_kl=0.01,
        gamma=0.99,
        lam=0.95,
        clip_param=0.2,
        entropy_coef=1e-4,
        value_loss_coef=1.0,
        use_clipped_value_loss=True,
        max_grad_norm=1.0,
    )
