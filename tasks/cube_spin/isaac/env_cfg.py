"""The cube-spin task for Isaac Lab: managers around the mathematics of `terms.py`.

Settings come from two places only: `env.task` (a `TaskConfig`) and `env.randomization` (a preset of
`physics.py` or a YAML file). `validate_config`, which Isaac Lab calls when it builds the
environment, turns them into rewards, horizon, hand and cube.
"""

from dataclasses import fields, is_dataclass
from difflib import get_close_matches

import isaaclab.envs.mdp as lab
from isaaclab.envs import ManagerBasedRLEnvCfg
from isaaclab.managers import (
    EventTermCfg,
    ObservationGroupCfg,
    ObservationTermCfg,
    TerminationTermCfg,
)
from isaaclab.sim import SimulationCfg
from isaaclab.utils import configclass
from isaaclab_tasks.utils import PresetCfg

from tasks.cube_spin.config import (
    DECIMATION,
    HISTORY,
    PHYSICS_DT_S,
    TaskConfig,
    paper_task,
    tuned_task,
    wide_task,
)
from tasks.cube_spin.isaac import mdp
from tasks.cube_spin.isaac.scene_cfg import (
    CubeSpinPhysicsCfg,
    CubeSpinSceneCfg,
    configure_scene,
    configure_solver,
)
from tasks.cube_spin.physics_file import load_physics
from tasks.orca.hands import load_hand

SLOW_EVENT_STEPS = 640
"""Control steps between changes of servos, limits and cubes; each costs Newton a model update."""


@configclass
class TaskPresetCfg(PresetCfg):
    """`env.task=paper` (or `presets=paper`) gives the paper's literal task.

    `env.task=wide` is the shipped teacher's: both directions, told what world it is in.
    """

    default: TaskConfig = tuned_task()
    wide: TaskConfig = wide_task()
    paper: TaskConfig = paper_task()


@configclass
class CommandsCfg:
    """The wanted spin first: it owns the state the other terms share."""

    spin = mdp.SpinCommandCfg()
    support = mdp.SupportCommandCfg()


@configclass
class ActionsCfg:
    """Seventeen joint targets."""

    joint_target = mdp.JointTargetActionCfg()


@configclass
class TeacherGroupCfg(ObservationGroupCfg):
    """Full state. The sensors report it, but they are perfect in training (paper F.4b)."""

    teacher = ObservationTermCfg(func=mdp.teacher, params={"sensed": True})


@configclass
class StudentHistoryGroupCfg(ObservationGroupCfg):
    """Four steps of joints and cube pose (N, 4, 24), oldest first."""

    history = ObservationTermCfg(func=mdp.student_history, params={"sensed": True})
    history_length = HISTORY
    flatten_history_dim = False
    history_order = "time"


@configclass
class StudentCurrentGroupCfg(ObservationGroupCfg):
    """Previous action, joint command and goal (N, 35)."""

    current = ObservationTermCfg(func=mdp.student_current, params={"sensed": True})


@configclass
class ObservationsCfg:
    """The teacher alone."""

    teacher: TeacherGroupCfg = TeacherGroupCfg()


@configclass
class DistillationObservationsCfg(ObservationsCfg):
    """The teacher sees the truth, the student what the sensors report."""

    student_history: StudentHistoryGroupCfg = StudentHistoryGroupCfg()
    student_current: StudentCurrentGroupCfg = StudentCurrentGroupCfg()


@configclass
class EventsCfg:
    """Randomisation of the paper (F.4d); ranges in `physics.py`."""

    link_friction = EventTermCfg(func=mdp.randomize_link_friction, mode="startup")
    link_mass = EventTermCfg(func=mdp.randomize_link_mass, mode="startup")
    gains = EventTermCfg(
        func=mdp.randomize_gains, mode="reset", min_step_count_between_reset=SLOW_EVENT_STEPS
    )
    joint_limits = EventTermCfg(
        func=mdp.randomize_joint_limits, mode="reset", min_step_count_between_reset=SLOW_EVENT_STEPS
    )
    motors = EventTermCfg(
        func=mdp.randomize_motors, mode="reset", min_step_count_between_reset=SLOW_EVENT_STEPS
    )
    cube = EventTermCfg(
        func=mdp.randomize_cube, mode="reset", min_step_count_between_reset=SLOW_EVENT_STEPS
    )
    contact_law = EventTermCfg(func=mdp.randomize_contact_law, mode="reset")
    cube_friction = EventTermCfg(func=mdp.randomize_cube_friction, mode="reset")
    gravity = EventTermCfg(
        func=mdp.RandomizeGravity,  # type: ignore[arg-type]  # classes are welcome, not typed
        mode="reset",
    )
    grasp = EventTermCfg(func=mdp.reset_to_grasp, mode="reset")


@configclass
class TerminationsCfg:
    """Time, or the cube."""

    time_out = TerminationTermCfg(func=lab.time_out, time_out=True)
    cube_lost = TerminationTermCfg(func=mdp.cube_lost)


@configclass
class CubeSpinEnvCfg(ManagerBasedRLEnvCfg):
    """Teacher training."""

    task: TaskPresetCfg = TaskPresetCfg()
    """The task's settings (`TaskConfig`)."""
    randomization: str = "randomized"
    """A preset of `physics.PRESETS` or a YAML file."""

    decimation: int = DECIMATION
    episode_length_s: float = 0.0  # from `task`
    sim: SimulationCfg = SimulationCfg(
        dt=PHYSICS_DT_S,
        render_interval=DECIMATION,
        physics=CubeSpinPhysicsCfg(),  # type: ignore[arg-type]  # resolved to one of its presets
    )
    scene: CubeSpinSceneCfg = CubeSpinSceneCfg()
    commands: CommandsCfg = CommandsCfg()
    actions: ActionsCfg = ActionsCfg()
    observations: ObservationsCfg = ObservationsCfg()
    rewards: dict = {}  # noqa: RUF012  # a configclass field; filled from `task`
    terminations: TerminationsCfg = TerminationsCfg()
    events: EventsCfg = EventsCfg()

    def validate_config(self) -> None:
        """Refuse unknown settings, then derive what depends on `task` and `randomization`."""
        refuse_unknown(self, "env")
        self.task.__post_init__()  # overrides bypass its checks
        held = self.task.object
        physics = load_physics(self.randomization, held)
        self.rewards = mdp.reward_terms(self.task.reward)
        self.episode_length_s = self.task.episode.length_s
        self.is_finite_horizon = self.task.episode.finite_horizon
        configure_scene(self.scene, load_hand(self.task.hand), physics, held)
        configure_solver(self.sim.physics, physics)

    def play_mode(self) -> None:
        """A few environments at nominal physics."""
        super().play_mode()
        self.scene.num_envs = 16
        self.randomization = "nominal"


@configclass
class CubeSpinPlayEnvCfg(CubeSpinEnvCfg):
    """A few environments at nominal physics, for watching."""

    def __post_init__(self) -> None:
        self.play_mode()


@configclass
class CubeSpinDistillEnvCfg(CubeSpinEnvCfg):
    """Teacher and student observations together; the student's are noisy."""

    randomization: str = "distillation"
    observations: DistillationObservationsCfg = DistillationObservationsCfg()

    def __post_init__(self) -> None:
        self.observations.teacher.teacher.params["sensed"] = False
        self.scene.num_envs = 1024  # paper F.5


def refuse_unknown(config: object, path: str) -> None:
    """Raise for attributes that are no fields: what a misspelt `env.key=value` leaves behind.

    Raises:
        ValueError: With the full name and the closest known one.
    """
    if not is_dataclass(config):
        return
    known = {field.name for field in fields(config)}
    for name, value in vars(config).items():
        if name not in known and not hasattr(type(config), name):
            close = get_close_matches(name, known, n=1)
            hint = f"; did you mean '{path}.{close[0]}'?" if close else ""
            raise ValueError(f"unknown setting '{path}.{name}'{hint}")
        refuse_unknown(value, f"{path}.{name}")
