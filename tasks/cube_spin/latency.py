"""How late actions take effect in training: as the physics say, or else drawn by the run.

A lab that has measured its hand's latency writes it into its physics file. No run replaces that.
"""

from dataclasses import asdict, replace
from pathlib import Path

import yaml

from sernf_isaac.yaml_file import read_yaml
from tasks.cube_spin.held_object import HeldObject
from tasks.cube_spin.physics import NOMINAL, PRESETS, Physics
from tasks.cube_spin.physics_file import load_physics

KEY = "action_delay_steps"


def physics_with_latency(
    physics: str, latency_steps: int | None, usual: int, held: HeldObject | None = None
) -> Physics:
    """The physics a policy is trained in, on either simulator.

    Args:
        physics: Preset or YAML file.
        latency_steps: Largest latency, drawn per episode from 0 on [control steps of 50 ms]; 0 adds
            none; None: `usual`, unless the physics have a latency of their own.
        usual: Of this kind of training.
        held: What the presets' sizes and masses are scaled to.

    Raises:
        ValueError: If both say how late actions are, or as `load_physics`.
    """
    loaded = load_physics(physics, held)
    if says_latency(physics):
        if latency_steps:
            raise ValueError(
                f"latency_steps={latency_steps} would replace the {KEY} "
                f"{list(loaded.action_delay_steps)} of physics={physics}; leave latency_steps out, "
                f"or take {KEY} out of the file"
            )
        return loaded
    steps = usual if latency_steps is None else latency_steps
    return replace(loaded, action_delay_steps=(0.0, float(steps))) if steps else loaded


def physics_for_isaac(
    physics: str,
    latency_steps: int | None,
    usual: int,
    folder: Path,
    held: HeldObject | None = None,
) -> str:
    """The same for Isaac Lab, which is told a preset or a file: one in `folder`, if need be.

    Raises:
        ValueError: As `physics_with_latency`.
    """
    wanted = physics_with_latency(physics, latency_steps, usual, held)
    if wanted == load_physics(physics, held):
        return physics
    path = folder / "physics.yaml"
    plain = {n: list(v) if isinstance(v, tuple) else v for n, v in asdict(wanted).items()}
    path.write_text(yaml.safe_dump(plain, sort_keys=False))
    return str(path)


def says_latency(physics: str) -> bool:
    """Whether a preset or file says itself how late actions are, be it that they are not."""
    if physics in PRESETS:
        return PRESETS[physics].action_delay_steps != NOMINAL.action_delay_steps
    content = read_yaml(Path(physics))
    if not isinstance(content, dict):
        return False
    return KEY in content or says_latency(content.get("base", "nominal"))
