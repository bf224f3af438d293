"""Overrides of Isaac Lab's settings win over flags and defaults; no simulator is needed."""

from types import SimpleNamespace

import pytest

from tasks.cube_spin.isaac.overrides import fill


def configs() -> dict[str, SimpleNamespace]:
    """As Isaac Lab has them after overrides; -1 stands for what an override wrote."""
    sim, scene = SimpleNamespace(device=-1), SimpleNamespace(num_envs=-1)
    env = SimpleNamespace(seed=-1, sim=sim, scene=scene)
    return {"env": env, "agent": SimpleNamespace(seed=-1, device=-1, max_iterations=-1)}


FLAGS = {
    "env.seed": 7,
    "agent.seed": 7,
    "env.sim.device": "cpu",
    "agent.device": "cpu",
    "env.scene.num_envs": 16,
    "agent.max_iterations": 3,
}


@pytest.mark.parametrize("key", FLAGS)
@pytest.mark.parametrize("prefix", ["", "+", "++"])
def test_an_override_wins_over_a_flag(key: str, prefix: str) -> None:
    found = configs()
    fill(found, FLAGS, [f"{prefix}{key}=5", "env.task.reward.tilt=-1"])
    values = {
        "env.seed": found["env"].seed,
        "agent.seed": found["agent"].seed,
        "env.sim.device": found["env"].sim.device,
        "agent.device": found["agent"].device,
        "env.scene.num_envs": found["env"].scene.num_envs,
        "agent.max_iterations": found["agent"].max_iterations,
    }
    assert values == FLAGS | {key: -1}


def test_what_no_flag_says_is_left_alone() -> None:
    found = configs()
    fill(found, dict.fromkeys(FLAGS), [])
    assert found["agent"].max_iterations == -1 and found["env"].scene.num_envs == -1
