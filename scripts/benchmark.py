"""Speed figures, as ratios within one run on one machine.

python scripts/benchmark.py twin --isaac        # physics, all else, Isaac Lab on the same CPU
python scripts/benchmark.py isaac --device cuda:0 --num_envs 8192
python scripts/benchmark.py safety              # guard, watchdog, loop, killed robots and learners
python scripts/benchmark.py imports             # ROS 2 bags into a store, times real time
python scripts/benchmark.py learner             # at the paper's size; --device cuda --compile
python scripts/benchmark.py baselines           # parameters and cost of every kind of policy
"""

import argparse
import json
from pathlib import Path

import torch

from sernf_isaac.benchmarks.baselines import baseline_speed, baseline_table
from sernf_isaac.benchmarks.learner import SpeedRequest, learner_speed, speed_table
from sernf_isaac.benchmarks.safety import SafetyRequest, safety_figures, safety_table
from sernf_isaac.cli import resolve_device, run_main, use_tensor_cores
from tasks.cube_spin.runs.benchmark import isaac_speed, twin_speed
from tasks.cube_spin.runs.pair import pair_figures
from tasks.orca.description import HAND


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = ("twin", "isaac", "learner", "baselines", "safety", "imports")
    parser.add_argument("what", choices=kinds)
    parser.add_argument("--num_envs", type=int, default=256)
    parser.add_argument("--steps", type=int, default=200, help="timed control steps")
    parser.add_argument("--threads", type=int, default=None, help="physics threads (twin)")
    parser.add_argument("--isaac", action="store_true", help="compare with Isaac Lab (twin)")
    parser.add_argument("--isaac_envs", type=int, default=64)
    parser.add_argument("--device", default="cpu", help="device of Isaac Lab or the learner")
    parser.add_argument("--candidates", type=int, nargs="+", default=[24, 64, 128], help="learner")
    parser.add_argument("--imitation_batch", type=int, default=64, help="learner")
    parser.add_argument("--rl_batch", type=int, default=32, help="learner")
    parser.add_argument("--repetitions", type=int, default=3, help="of each update (learner)")
    parser.add_argument("--compile", action="store_true", help="compiled decisions, too (learner)")
    parser.add_argument("--fuzz", type=int, default=1_000_000, help="inputs to the guard (safety)")
    parser.add_argument("--trials", type=int, default=50, help="actors killed and stalled (safety)")
    parser.add_argument("--pairs", type=int, default=3, help="robots, learners killed (safety)")
    parser.add_argument("--json", type=Path, default=None)
    args = parser.parse_args()
    torch.set_num_threads(1)
    measure = {"safety": hand_figures, "imports": import_figures}
    measure |= dict.fromkeys(("learner", "baselines"), learner_figures)
    result = measure.get(args.what, environment_figures)(args)
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(result, indent=2) + "\n")


def environment_figures(args: argparse.Namespace) -> dict[str, float]:
    result = twin_speed(args.num_envs, args.steps, args.threads) if args.what == "twin" else {}
    if args.what == "isaac" or args.isaac:
        count = args.num_envs if args.what == "isaac" else args.isaac_envs
        result |= isaac_speed(count, max(10, args.steps // 4), args.device)
    if "twin_steps_per_s" in result and "isaac_steps_per_s" in result:
        result["twin_over_isaac"] = result["twin_steps_per_s"] / result["isaac_steps_per_s"]
    return shown(result)


def learner_figures(args: argparse.Namespace) -> dict[str, float]:
    use_tensor_cores(device := resolve_device(args.device))
    if args.what == "baselines":
        result = baseline_speed(args.imitation_batch, args.repetitions, device)
        print(baseline_table(result))
        return result
    sizes = (tuple(args.candidates), args.imitation_batch, args.rl_batch)
    repeat = {"step_repetitions": args.repetitions, "compile": args.compile}
    result = learner_speed(SpeedRequest(*sizes, **repeat, device=device))
    print(speed_table(result))
    return result


def hand_figures(args: argparse.Namespace) -> dict[str, float]:
    request = SafetyRequest(fuzz=args.fuzz, trials=args.trials)
    result = safety_figures(HAND, request) | pair_figures(args.pairs)
    print(safety_table(result))
    return result


def import_figures(_: argparse.Namespace) -> dict[str, float]:
    from sernf_isaac.benchmarks.imports import import_speed  # needs the extra "bags"

    return shown(import_speed())


def shown(result: dict[str, float]) -> dict[str, float]:
    for name, value in result.items():
        print(f"{name:36s} {value:12.4g}")
    return result


if __name__ == "__main__":
    run_main(main)
