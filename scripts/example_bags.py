"""Write ROS 2 bags as a lab would record them of a task with an arm, and the layout to import them.

    python scripts/example_bags.py --task scissors_tape --out runs/example
    python scripts/import_data.py bags runs/example/demo_* --layout runs/example/layout.yaml \\
        --outcome success --out runs/demos
    python scripts/train_offline.py --task scissors_tape --data runs/demos --keys pose hand

Nothing is cut in them: the tool goes round in a circle and cameras send noise. They try out every
step from a bag to a driven arm (scripts/run_arm.py) before there are recordings, and the layout is
the one to fill in with your own topics.
"""

from sernf_isaac.cli import run_main
from sernf_isaac.flags import ScriptParser


def main() -> None:
    parser = ScriptParser(__doc__)
    add = parser.add_argument
    tasks = ("duck_bowl", "scissors_tape")
    add("--task", choices=tasks, default="scissors_tape", help="task that is recorded")
    add("--out", required=True, help="folder for bags and layout")
    add("--episodes", default=2, help="bags to write")
    add("--seconds", default=10.0, help="length of each [s]")
    add("--storage", choices=("mcap", "sqlite3"), default="mcap", help="kind of the bags' files")
    args = parser.parse()
    from tqdm import tqdm

    from sernf_isaac.data.bags.made_up import write_made_up_bag
    from tasks.arm.catalogue import TASKS
    from tasks.manipulation.definition import example_topics, layout_yaml, made_up_recording

    task = TASKS[args.task]
    topics = example_topics(task)
    args.out.mkdir(parents=True, exist_ok=True)
    for index in tqdm(range(args.episodes), desc="writing", unit="bag"):
        path, recording = args.out / f"demo_{index}", made_up_recording(topics)
        if path.exists():
            raise ValueError(f"{path} exists; choose another folder with --out")
        write_made_up_bag(path, recording, args.seconds, storage=args.storage, seed=index)
    layout = args.out / "layout.yaml"
    layout.write_text(layout_yaml(task.bag_layout(topics)))
    print(f"bags   -> {args.out}/demo_*\nlayout -> {layout}")


if __name__ == "__main__":
    run_main(main)
