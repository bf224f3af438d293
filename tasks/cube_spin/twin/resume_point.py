"""What the twin's later steps depend on, as plain tensors."""

from typing import TYPE_CHECKING

from tensordict import TensorDict

from tasks.cube_spin.terms import TaskState

if TYPE_CHECKING:
    from tasks.cube_spin.twin.environment import CubeSpinTwin

_MEMORY = (
    *("episode_length_buf", "joint_target", "command", "_command_left_s", "support_left_s"),
    *("mean_spin", "_history", "_told"),
)


def saved(env: "CubeSpinTwin") -> dict:
    """Copies of everything; `restore` continues from it bit for bit."""
    return {
        "memory": {name: getattr(env, name).clone() for name in _MEMORY},
        "task_state": {name: value.clone() for name, value in vars(env.state).items()},
        "world": env.world.state_dict(),
        "actuation": env._actuation.state_dict(),
        "sensors": env.sensors.state_dict(),
        "recorder": env.recorder.state_dict(),
        "observations": {k: v.clone() for k, v in env._observations.items()},
        "generator": env.generator.get_state(),
        "diverged_count": env.diverged_count,
    }


def restore(env: "CubeSpinTwin", saved: dict) -> None:
    """Put an environment that was built with the same arguments where another one was saved."""
    for name in _MEMORY:
        setattr(env, name, saved["memory"][name].clone())
    env.state = TaskState(**{k: v.clone() for k, v in saved["task_state"].items()})
    env.world.load_state_dict(saved["world"])
    env._actuation.load_state_dict(saved["actuation"])
    env.sensors.load_state_dict(saved["sensors"])
    env.recorder.load_state_dict(saved["recorder"])
    env.diverged_count = saved["diverged_count"]
    # Observing again would draw new noise and push the history one step on.
    env._observations = TensorDict(saved["observations"], batch_size=[env.num_envs])
    env.generator.set_state(saved["generator"])
