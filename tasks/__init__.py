"""The simulated tasks. Importing this registers them with Gymnasium; simulators load on use."""

import gymnasium as gym

_ENV_CFG = "tasks.cube_spin.isaac.env_cfg"
_RENDER_CFG = "tasks.cube_spin.isaac.render_cfg"
_PPO_CFG = "tasks.cube_spin.isaac.agents.rsl_rl_ppo_cfg:CubeSpinPpoCfg"
ISAAC_TASKS = {
    "Sernf-Orca-CubeSpin": f"{_ENV_CFG}:CubeSpinEnvCfg",
    "Sernf-Orca-CubeSpin-Play": f"{_ENV_CFG}:CubeSpinPlayEnvCfg",
    "Sernf-Orca-CubeSpin-Distill": f"{_ENV_CFG}:CubeSpinDistillEnvCfg",
    "Sernf-Orca-CubeSpin-Render": f"{_RENDER_CFG}:CubeSpinRenderEnvCfg",
}
"""Isaac Lab tasks and where their configurations are."""

for _task, _cfg in ISAAC_TASKS.items():
    if _task not in gym.registry:  # Kit imports this a second time while it starts
        gym.register(
            id=_task,
            entry_point="isaaclab.envs:ManagerBasedRLEnv",
            disable_env_checker=True,
            kwargs={
                "env_cfg_entry_point": _cfg,
                "rsl_rl_cfg_entry_point": _PPO_CFG,
                "default_agent": "rsl_rl",
            },
        )
