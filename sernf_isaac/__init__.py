"""SERNF: from a simulated teacher or demonstrations to a policy fine-tuned on a real hand.

What a user of the library calls; everything else is internal and may change. Importing this
package is cheap: each name loads its module when it is first used, and none of them loads a
simulator or a plotting library.

    from sernf_isaac import load_policy

    policy, contract = load_policy("assets/student.pt")
    print(policy.describe())

The simulated tasks are in `sernf_isaac.tasks`, the eyes in `sernf_isaac.perception`; in a clone
these are the folders `tasks/` and `perception/`.

To run a policy: `load_policy`, `ChunkPolicy`, `Contract`, `WorkerPolicy`.
To set sizes and rates: `ChunkSpec`, `LearnerConfig`, `PolicyConfig`, `CriticConfig`.
To build by hand: `PolicyLayout`, `build_learner`, `Normalizer`, `FlowPolicy`, `ChunkCritic`.
To learn from demonstrations and an environment: `FourStages`, `Problem`, `GymnasiumEnvs`, `act`.
To learn from stored episodes: `OfflineRun`, `train_offline`.
To distil a teacher: `Distiller`, `DistillConfig`.
To keep episodes: `create_run`, `RunWriter`, `RunReader`, `Episode`, `StepLayout`, `Step`.
To drive a hand: `HandDriver`, `HandDescription`, `HandProcess`, `HandSetup`, `Station`, `Session`.

`examples/` shows each of them in at most sixty lines.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from sernf_isaac.clone_names import offer_long_names
from sernf_isaac.install import CLONE, project_version

if TYPE_CHECKING:
    from sernf_isaac.config import CriticConfig, LearnerConfig, OptimizerConfig, PolicyConfig
    from sernf_isaac.data.chunks import ChunkSpec
    from sernf_isaac.data.episode import Episode
    from sernf_isaac.data.normalizer import Normalizer
    from sernf_isaac.data.store.reader import Commit, RunReader
    from sernf_isaac.data.store.steps import Step, StepLayout
    from sernf_isaac.data.store.writer import RunWriter, create_run
    from sernf_isaac.deploy.actor.clock import MonotonicClock
    from sernf_isaac.deploy.actor.episode import EpisodeResult, RunnerSettings
    from sernf_isaac.deploy.actor.operators import Unattended
    from sernf_isaac.deploy.actor.runner import run_episode
    from sernf_isaac.deploy.actor.session import Session
    from sernf_isaac.deploy.actor.station import Station
    from sernf_isaac.deploy.hand.guard import GuardLimits
    from sernf_isaac.deploy.hand.process import HandProcess, HandSetup
    from sernf_isaac.deploy.loop.states import Request, State
    from sernf_isaac.deploy.policy.local import DecisionSettings
    from sernf_isaac.deploy.policy.worker import WorkerPolicy
    from sernf_isaac.deploy.protocols import (
        HandDescription,
        HandDriver,
        HandReading,
        PoseReading,
        PoseSource,
    )
    from sernf_isaac.learning.acting import act
    from sernf_isaac.learning.build import build_learner
    from sernf_isaac.learning.distill.config import DistillConfig
    from sernf_isaac.learning.distill.distiller import Distiller
    from sernf_isaac.learning.distill.environment import DistillationEnv
    from sernf_isaac.learning.learner import Learner
    from sernf_isaac.learning.offline.config import OfflineRun
    from sernf_isaac.learning.offline.run import train as train_offline
    from sernf_isaac.learning.online.gymnasium_envs import GymnasiumEnvs
    from sernf_isaac.learning.online.in_memory import FourStageRun, FourStages, Milestone, Problem
    from sernf_isaac.learning.online.rollout import Environment, collect
    from sernf_isaac.learning.online.training import OnlineSchedule
    from sernf_isaac.models.critic import ChunkCritic
    from sernf_isaac.models.flow import FlowPolicy
    from sernf_isaac.models.layout import PolicyLayout
    from sernf_isaac.policy import ChunkPolicy, load_policy
    from sernf_isaac.spec import Contract

_HOMES = {
    "config": ("CriticConfig", "LearnerConfig", "OptimizerConfig", "PolicyConfig"),
    "data.chunks": ("ChunkSpec",),
    "data.episode": ("Episode",),
    "data.normalizer": ("Normalizer",),
    "data.store.reader": ("Commit", "RunReader"),
    "data.store.steps": ("Step", "StepLayout"),
    "data.store.writer": ("RunWriter", "create_run"),
    "deploy.actor.episode": ("EpisodeResult", "RunnerSettings"),
    "deploy.actor.runner": ("run_episode",),
    "deploy.actor.station": ("Station",),
    "deploy.actor.operators": ("Unattended",),
    "deploy.actor.clock": ("MonotonicClock",),
    "deploy.actor.session": ("Session",),
    "deploy.hand.guard": ("GuardLimits",),
    "deploy.hand.process": ("HandProcess", "HandSetup"),
    "deploy.loop.states": ("Request", "State"),
    "deploy.policy.local": ("DecisionSettings",),
    "deploy.policy.worker": ("WorkerPolicy",),
    "deploy.protocols": (
        "HandDescription",
        "HandDriver",
        "HandReading",
        "PoseReading",
        "PoseSource",
    ),
    "learning.acting": ("act",),
    "learning.build": ("build_learner",),
    "learning.distill.config": ("DistillConfig",),
    "learning.distill.distiller": ("Distiller",),
    "learning.distill.environment": ("DistillationEnv",),
    "learning.learner": ("Learner",),
    "learning.offline.config": ("OfflineRun",),
    "learning.offline.run": ("train_offline",),
    "learning.online.gymnasium_envs": ("GymnasiumEnvs",),
    "learning.online.in_memory": ("FourStageRun", "FourStages", "Milestone", "Problem"),
    "learning.online.rollout": ("Environment", "collect"),
    "learning.online.training": ("OnlineSchedule",),
    "models.critic": ("ChunkCritic",),
    "models.flow": ("FlowPolicy",),
    "models.layout": ("PolicyLayout",),
    "policy": ("ChunkPolicy", "load_policy"),
    "spec": ("Contract",),
}
_NAMED_OTHERWISE = {"train_offline": "train"}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_LOADED_WITH = {"HandProcess": ("run_episode", "Station", "RunWriter")}
"""Loading takes longer than a hand that is READY waits for signs of life: so it comes first."""

__all__ = [
    "ChunkCritic",
    "ChunkPolicy",
    "ChunkSpec",
    "Commit",
    "Contract",
    "CriticConfig",
    "DecisionSettings",
    "DistillConfig",
    "DistillationEnv",
    "Distiller",
    "Environment",
    "Episode",
    "EpisodeResult",
    "FlowPolicy",
    "FourStageRun",
    "FourStages",
    "GuardLimits",
    "GymnasiumEnvs",
    "HandDescription",
    "HandDriver",
    "HandProcess",
    "HandReading",
    "HandSetup",
    "Learner",
    "LearnerConfig",
    "Milestone",
    "MonotonicClock",
    "Normalizer",
    "OfflineRun",
    "OnlineSchedule",
    "OptimizerConfig",
    "PolicyConfig",
    "PolicyLayout",
    "PoseReading",
    "PoseSource",
    "Problem",
    "Request",
    "RunReader",
    "RunWriter",
    "RunnerSettings",
    "Session",
    "State",
    "Station",
    "Step",
    "StepLayout",
    "Unattended",
    "WorkerPolicy",
    "act",
    "build_learner",
    "collect",
    "create_run",
    "load_policy",
    "run_episode",
    "train_offline",
]


if CLONE:
    offer_long_names(CLONE)


def __getattr__(name: str) -> object:
    """Load a public name's module when the name is first used."""
    if name == "__version__":
        return project_version()
    if name not in _HOME_OF:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    module = import_module(f"{__name__}.{_HOME_OF[name]}")
    value = getattr(module, _NAMED_OTHERWISE.get(name, name))
    globals()[name] = value
    for other in _LOADED_WITH.get(name, ()):
        __getattr__(other)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
