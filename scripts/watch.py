"""Watch a session in a browser: hand, seen cube, planned fingertips, candidates, status; read-only.

    python scripts/watch.py --run runs/hand/first
    python scripts/watch.py --run runs/hand/lab --actor left --port 8090

It reads the run's folder and sends nothing to the robot, so it may be started and ended at any
time, also on another machine that mounts the folder. The page is for browsers of this machine;
`ssh -L 8080:localhost:8080 ROBOT` brings it to another one. Needs the extra `viewer`.
"""

from sernf_isaac.cli import run_main
from sernf_isaac.flags import ScriptParser


def main() -> None:
    parser = ScriptParser(__doc__)
    parser.add_argument("--run", required=True)
    parser.add_argument("--actor", default="actor", help="which robot, where several share the run")
    parser.add_argument("--port", type=int, default=8080, help="of the page; 0: any free one")
    args = parser.parse()
    from tasks.cube_spin.view.scene import open_server
    from tasks.cube_spin.view.session_page import SessionPage, hand_of_run

    hand = hand_of_run(args.run)
    server = open_server(args.port, f"session of {args.actor}")
    page = SessionPage(server, args.run, args.actor, hand)
    print(f"page -> http://127.0.0.1:{server.get_port()} (Ctrl-C ends it)", flush=True)
    page.run()


if __name__ == "__main__":
    run_main(main, interrupted="nothing more to see; the session goes on")
