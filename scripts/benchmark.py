"""Speed figures, as ratios within one run on one machine.

python scripts/benchmark.py twin --isaac        # physics, all else, Isaac Lab on the same CPU
python scripts/benchmark.py isaac --device cuda:0 --num_envs 8192
python scripts/benchmark.py safety              # guard, watchdog, loop, killed robots, learners
python scripts/benchmark.py imports             # ROS 2 bags into a store, times real time
python scripts/benchmark.py learner             # at the paper's size; --device cuda --compile
python scripts/benchmark.py baselines           # parameters and cost of every kind of policy
python scripts/benchmark.py growth              # with episodes, candidates, cameras, processes
"""

import argparse

from sernf_isaac.cli import resolve_device, run_main, save_numbers
from sernf_isaac.flags import ScriptParser

KINDS = ("twin", "isaac", "learner", "baselines", "safety", "imports", "growth")


def parse() -> argparse.Namespace:
    add = (parser := ScriptParser(__doc__)).add_argument
    add("what", choices=KINDS, help="what to measure")
    add("--num_envs", default=256, help="environments side by side (twin, isaac)")
    add("--steps", type=int, default=200, help="timed control steps (twin, isaac)")
    add("--threads", default=None, help="physics threads (twin); default: all")
    add("--isaac", action="store_true", help="compare with Isaac Lab (twin)")
    add("--isaac_envs", type=int, default=64, help="environments of that comparison")
    add("--device", default="cpu", help="device of Isaac Lab or the learner")
    add("--chunks", type=int, nargs="+", default=[24, 64, 128], help="to choose from (learner)")
    add("--imitation_batch", type=int, default=64, help="samples per update (learner, baselines)")
    add("--rl_batch", type=int, default=32, help="samples per update (learner)")
    add("--repetitions", type=int, default=3, help="of each update (learner, baselines)")
    add("--compile", action="store_true", help="compiled decisions, too (learner)")
    add("--fuzz", type=int, default=1_000_000, help="inputs to the guard (safety)")
    add("--trials", type=int, default=50, help="actors killed and stalled (safety)")
    add("--pairs", type=int, default=3, help="robots, learners killed (safety)")
    add("--json", default=None)
    add("--figure", default=None, help="picture to draw the curves in (growth)")
    return parser.parse()


def main() -> None:
    args = parse()
    import torch

    torch.set_num_threads(1)
    by_kind = {"safety": hand_figures, "imports": import_figures}
    by_kind |= {"learner": learner_figures, "baselines": learner_figures}
    save_numbers(args.json, by_kind.get(args.what, environment_figures)(args))


def environment_figures(args: argparse.Namespace) -> dict:
    from tasks.cube_spin.runs.benchmark import environment_speed, growth_curves

    if args.what == "growth":
        return growth_curves(args.figure)
    names = ("num_envs", "steps", "threads", "isaac_envs", "device")
    return shown(environment_speed(args.what, args.isaac, **{n: getattr(args, n) for n in names}))


def learner_figures(args: argparse.Namespace) -> dict[str, float]:
    from sernf_isaac.benchmarks.baselines import baseline_speed, baseline_table
    from sernf_isaac.benchmarks.learner import SpeedRequest, learner_speed, speed_table

    device = resolve_device(args.device)
    if args.what == "baselines":
        result = baseline_speed(args.imitation_batch, args.repetitions, device)
        print(baseline_table(result))
        return result
    sizes = (tuple(args.chunks), args.imitation_batch, args.rl_batch)
    repeat = {"step_repetitions": args.repetitions, "compile": args.compile, "device": device}
    print(speed_table(result := learner_speed(SpeedRequest(*sizes, **repeat))))
    return result


def hand_figures(args: argparse.Namespace) -> dict[str, float]:
    from sernf_isaac.benchmarks.safety import SafetyRequest, safety_figures, safety_table
    from tasks.cube_spin.runs.pair import pair_figures
    from tasks.orca.hands import load_hand

    request = SafetyRequest(fuzz=args.fuzz, trials=args.trials)
    result = safety_figures(load_hand().driver, request) | pair_figures(args.pairs)
    print(safety_table(result))
    return result


def import_figures(_: argparse.Namespace) -> dict[str, float]:
    from sernf_isaac.benchmarks.imports import import_speed

    return shown(import_speed())


def shown(result: dict[str, float]) -> dict[str, float]:
    for name, value in result.items():
        print(f"{name:36s} {value:12.4g}")
    return result


if __name__ == "__main__":
    run_main(main)
