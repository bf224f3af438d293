"""Each format as readings for `import_run`: one per episode, read when its turn comes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from sernf_isaac.data.bags.file import check_installed
from sernf_isaac.data.bags.layout import BagLayout
from sernf_isaac.data.bags.load import load_bag
from sernf_isaac.data.episode import Episode
from sernf_isaac.data.group_names import rename
from sernf_isaac.data.images.fit import Fit
from sernf_isaac.data.importers.into_store import Reading
from sernf_isaac.data.importers.robomimic import describe_robomimic, load_demonstration
from sernf_isaac.data.lerobot.importer import LeRobotReader


def bag_readings(
    bags: Sequence[Path],
    layout: BagLayout,
    outcome: str,
    threads: int | None = None,
    *,
    is_offline: bool,
) -> tuple[dict[str, object], dict[str, Reading]]:
    """ROS 2 bags, an episode each.

    Returns:
        What to write in `run.json`, and the readings by path.

    Raises:
        ValueError: If the package that reads bags is missing, or a bag is named twice.
    """
    check_installed()
    if threads is not None and threads < 1:
        raise ValueError(f"threads ({threads}) must be >= 1")
    places = [bag.resolve() for bag in bags]
    if repeated := sorted({str(bag) for bag in bags if places.count(bag.resolve()) > 1}):
        raise ValueError(f"named twice: {', '.join(repeated)}")

    def read(bag: Path) -> tuple[Episode, dict]:
        found = load_bag(bag, layout, outcome=outcome, is_offline=is_offline, threads=threads)
        topics = {topic: asdict(report) for topic, report in found.topics.items()}
        return found.episode, {"topics": topics, "remarks": found.remarks()}

    return bag_info(layout), {str(bag): lambda bag=bag: read(bag) for bag in bags}


def bag_info(layout: BagLayout) -> dict[str, object]:
    """What `run.json` says about episodes of bags."""
    return {"kind": "rosbag2", "control_rate_hz": layout.rate_hz, "layout": asdict(layout)}


def robomimic_readings(
    path: Path,
    keys: Sequence[str],
    split: str | None,
    reward_shift: float,
    outcome: str | None = None,
    *,
    is_offline: bool,
) -> tuple[dict[str, object], dict[str, Reading]]:
    """Demonstrations of a robomimic file; noted are the filter keys each is in.

    An outcome that is given is that of all; None: what the file says of each. Names that cannot be
    learned are changed, and that is noted.

    Raises:
        FileNotFoundError, ValueError: As for `load_robomimic`, or if there is no such split.
    """
    found = describe_robomimic(path)
    if split is not None and split not in found.filter_keys:
        raise ValueError(f"{path}: no mask/{split}; it has {sorted(found.filter_keys)}")
    names = found.demonstrations if split is None else found.filter_keys[split]
    names_of = rename(keys)

    def read(name: str) -> tuple[Episode, dict]:
        episode = load_demonstration(
            path, name, keys=keys, reward_shift=reward_shift, is_offline=is_offline
        )
        remarks = renamed_remarks(names_of)
        if not found.has_rewards:
            remarks.append(f"no rewards in the file: {reward_shift:g} at every step")
        episode, more = with_outcome(renamed(episode, names_of), outcome)
        return episode, {"filter_keys": found.filter_keys_of(name), "remarks": remarks + more}

    info = {
        "kind": "robomimic",
        "env_name": found.env_name,
        "control_rate_hz": found.control_rate_hz,
        "keys": list(keys),
        "split": split,
        "reward_shift": reward_shift,
    }
    return info, {f"{path.name}/{name}": lambda name=name: read(name) for name in names}


def renamed(episode: Episode, names: Mapping[str, str]) -> Episode:
    """The episode with other names of its groups."""
    groups = (episode.observation, episode.final_observation)
    observation, final = ({names[k]: v for k, v in group.items()} for group in groups)
    return replace(episode, observation=observation, final_observation=final)


def renamed_remarks(names: Mapping[str, str]) -> list[str]:
    """One for each group that got another name."""
    changed = ((name, new) for name, new in names.items() if name != new)
    return [f"{name} is called {new} here: networks cannot have its name" for name, new in changed]


def with_outcome(episode: Episode, outcome: str | None) -> tuple[Episode, list[str]]:
    """The episode with the outcome that is asked for, and what to say if its file says another."""
    if outcome is None or outcome == episode.outcome:
        return episode, []
    told = episode.outcome
    remark = f"the file says {told}, --outcome {outcome} was taken"
    return replace(episode, outcome=outcome), [] if told == "unknown" else [remark]


def lerobot_readings(
    folder: Path,
    keys: Sequence[str] = (),
    image_size: Fit | None = None,
    outcome: str | None = None,
    *,
    is_offline: bool,
) -> tuple[dict[str, object], dict[str, Reading]]:
    """Episodes of a LeRobot v3 data set; noted are their tasks, and how near frames are to steps.

    An outcome that is given is that of all; None: what the data set says of each.

    Raises:
        FileNotFoundError, ValueError: As for `LeRobotReader`.
    """
    reader = LeRobotReader(folder, keys, image_size)
    about_all = reader.features.remarks()

    def read(index: int) -> tuple[Episode, dict]:
        found = reader.load(index, is_offline=is_offline)
        episode, more = with_outcome(found.episode, outcome)
        notes: dict = {"tasks": found.tasks, "remarks": [*about_all, *found.remarks, *more]}
        return episode, notes | ({"task_steps": found.task_steps} if found.task_steps else {})

    info = {
        "kind": "lerobot",
        "control_rate_hz": reader.rate_hz,
        "robot": reader.robot,
        "columns": reader.features.columns(),
    }
    return info, {
        f"{folder.name}/episode {index}": lambda index=index: read(index)
        for index in range(len(reader))
    }
