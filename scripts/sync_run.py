"""Keep a run in step between the robot's machine and the learner's, over any network.

    python scripts/sync_run.py --run runs/hand/first --side robot --remote lab:runs/first
    python scripts/sync_run.py --run runs/hand/first --side robot --remote s3://lab/first
    python scripts/sync_run.py --run runs/hand/first --side learner --remote s3://lab/first
    python scripts/sync_run.py --run runs/hand/first --side robot --remote /mnt/lab/first --once

--remote is a mounted folder, HOST:FOLDER (rsync over SSH), or s3://, gs:// or az:// with keys in
the environment (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, ...). Where it is the learner's own folder of
the run, as in the first line, only the robot's machine runs this. Goes on through times without a
network; may be stopped at any time.
"""

import argparse
from contextlib import closing

from sernf_isaac.cli import run_main
from sernf_isaac.flags import ScriptParser


def parse() -> argparse.Namespace:
    parser = ScriptParser(__doc__)
    add = parser.add_argument
    add("--run", required=True)
    add("--side", choices=("robot", "learner"), required=True, help="who works on this machine")
    places = "where both meet: FOLDER, HOST:FOLDER or s3://BUCKET/PREFIX"
    add("--remote", required=True, metavar="ADDRESS", help=places)
    add("--every", type=float, default=5.0, metavar="S", help="seconds between two rounds")
    add("--once", action="store_true", help="one round, then stop")
    return parser.parse()


def main() -> None:
    args = parse()
    from sernf_isaac.data.exchange.exchange import Exchange
    from sernf_isaac.data.exchange.remotes import remote_of
    from sernf_isaac.data.exchange.rounds import keep_in_step

    def tell(text: str) -> None:
        print(f"remark     {text}")

    with closing(Exchange(args.run, remote_of(args.remote), args.side, tell=tell)) as exchange:
        if args.once:
            print(exchange.round())
        else:
            print(f"in step    with {args.remote}, every {args.every:g} s")
            keep_in_step(exchange, args.every)


if __name__ == "__main__":
    run_main(main, interrupted="both sides keep what they have; start again to go on")
