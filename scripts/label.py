"""Review episodes in a browser: see what happened, accept or edit proposed rewards, judge.

    python scripts/label.py --run runs/hand/first
    python scripts/label.py --run runs/hand/first --agreement ann bob      # how well two agree

The page is served on this machine only, under an address with a token; from another machine use
`ssh -L 8765:127.0.0.1:8765`. Labels are revisions: nothing is ever overwritten.
"""

import secrets
from pathlib import Path

from sernf_isaac.cli import run_main
from sernf_isaac.flags import ScriptParser


def main() -> None:
    parser = ScriptParser(__doc__)
    parser.add_argument("--run", required=True)
    parser.add_argument("--port", type=int, default=8765, help="of the page; 0: any free one")
    parser.add_argument("--no_frames", action="store_true", help="curves only, no pictures")
    text = "print how well two annotators agree"
    parser.add_argument("--agreement", nargs=2, metavar="NAME", help=text)
    args = parser.parse()
    if args.agreement:
        report(args.run, *args.agreement)
        return
    serve(args.run, args.port, frames=not args.no_frames)


def report(run: Path, first: str, second: str) -> None:
    from sernf_isaac.deploy.labelling.view import agreement

    found = agreement(run, first, second)
    print(f"{found.episodes} episodes labelled by both")
    print(f"events: {found.both} by both, {found.only_first} by {first} only, ", end="")
    print(f"{found.only_second} by {second} only; F1 {found.f1:.3f}")
    print(f"same verdict on {found.same_verdict} of {found.episodes}")
    for problem in found.damaged:
        print(f"left out: {problem}")


def serve(run: Path, port: int, *, frames: bool) -> None:
    from sernf_isaac.deploy.labelling.server import listen, make_app
    from sernf_isaac.deploy.labelling.server import serve as answer

    draw = None
    if frames:
        from tasks.cube_spin.pictures.stored_episode import EpisodeView

        draw = EpisodeView(run).jpeg
    token = secrets.token_urlsafe(16)
    app, bound = make_app(run, token, draw), listen(port)
    address = f"http://127.0.0.1:{bound.getsockname()[1]}/?token={token}"
    print(f"label -> {address}", flush=True)  # nobody else can listen there any more
    answer(app, bound)


if __name__ == "__main__":
    run_main(main)
