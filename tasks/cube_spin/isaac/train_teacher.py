"""Puts a teacher training run in Isaac Lab together: settings, folder, resume, policy file."""

# pyright: reportAttributeAccessIssue=false
# Isaac Lab adds attributes to its configurations and managers that type checkers do not see.

from contextlib import closing
from pathlib import Path

import yaml

from sernf_isaac.run_folder import git_commit, made_with, new_run_dir, writing
from tasks.cube_spin.isaac.environment import (
    isaac_configs,
    open_isaac_env,
    train_isaac,
    trained_policy,
)
from tasks.cube_spin.teacher.policy import POLICY_FILE, save_teacher

CONFIG_FILE = "isaac_config.yaml"


def train(
    root: Path,
    overrides: list[str],
    *,
    num_envs: int | None,
    iterations: int | None,
    seed: int | None,
    device: str,
    resume: str | None,
    start_from: Path | None = None,
    print_only: bool = False,
) -> Path | None:
    """Train with RSL-RL's runner and return the policy file; None if settings were only printed.

    Args:
        root: Folder of the runs.
        overrides: `env.*` and `agent.*` settings, and presets such as `physics=newton_mjwarp`.
        num_envs, iterations, seed: The task's own when None.
        device: "cpu" or "cuda:N", of simulation and learning.
        resume: A run folder, or "latest": goes on from its newest model for `iterations` more.
        start_from: A teacher file whose network to begin with.
        print_only: Show every setting and stop.

    Raises:
        ValueError: For an unknown setting.
        FileNotFoundError: If there is nothing to resume.
    """
    env_cfg, agent_cfg = isaac_configs(
        num_envs=num_envs,
        seed=seed or 0,
        device=device,
        iterations=iterations,
        overrides=overrides,
    )
    settings = {"env": env_cfg.to_dict(), "agent": agent_cfg.to_dict()}
    listing = yaml.safe_dump(settings, sort_keys=False, default_flow_style=None)
    if print_only:
        print(listing)
        return None
    model = newest_model(root, resume) if resume else None
    run_dir = model.parent if model else new_run_dir(root)
    notes = "".join(f"# {name}: {value}\n" for name, value in made_with().items())
    with writing(run_dir):
        (run_dir / CONFIG_FILE).write_text(notes + listing)
        with closing(open_isaac_env(env_cfg)) as env:
            runner = train_isaac(env, agent_cfg, run_dir, resume=model, start_from=start_from)
            about = {
                "seed": agent_cfg.seed,
                "iteration": runner.current_learning_iteration,
                "env_steps": runner.logger.tot_timesteps,
                "commit": git_commit(),
            }
            save_teacher(run_dir / POLICY_FILE, trained_policy(runner, env), about)
    return run_dir / POLICY_FILE


def newest_model(root: Path, resume: str) -> Path:
    """The last `model_*.pt` of a run folder, or of the newest run under `root` for "latest".

    Raises:
        FileNotFoundError: If there is none.
    """
    if resume == "latest":
        folders = sorted({path.parent for path in root.glob("*/model_*.pt")})
    else:
        folders = [Path(resume)]
    models = [path for folder in folders[-1:] for path in folder.glob("model_*.pt")]
    if not models:
        raise FileNotFoundError(f"no model_*.pt to resume in {folders[-1] if folders else root}")
    return max(models, key=lambda path: int(path.stem.split("_")[1]))
