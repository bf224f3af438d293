"""The flags that all experiments on the table have; importing this is cheap."""

from pathlib import Path

from sernf_isaac.flags import ScriptParser
from sernf_isaac.models.architecture import KINDS

USES = ("successful", "all")
"""Which demonstrations are imitated. The stages with critics learn from all of them either way."""
IMAGE_SIZE = 84
"""Edge of a policy's pictures in pixels, as in RoboMimic."""


def table_parser(
    description: str | None,
    root: Path,
    *,
    demonstrations: int,
    rollouts: int,
    per_round: int,
    episodes: int,
) -> ScriptParser:
    """The parser of a task's script.

    Args:
        description: The script's docstring.
        root: Where its runs go.
        demonstrations: Default of `--demonstrations`.
        rollouts: Default of `--rollouts`.
        per_round: What rollouts are a multiple of.
        episodes: Default of `--episodes`.
    """
    parser = ScriptParser(description, settings=True)
    add, variant = parser.add_argument, f"{root}/[VARIANT/]seed_SEED"
    add("--seed", default=0)
    add("--kind", choices=KINDS, default="flow", help="of policy; the last two only imitate")
    add("--data", type=Path, default=root / "demonstrations", help="episode store")
    add("--demonstrations", type=int, default=demonstrations, help="episodes to learn from")
    add("--demonstrations_used", choices=USES, default=USES[0], help="which are imitated")
    add("--imitation_only", action="store_true", help="stop after stage I")
    add("--rollouts_of", type=Path, default=None, help="imitate this run's successes too")
    add("--start_from", type=Path, default=None, help="run whose offline stages are taken over")
    add("--rollouts", type=int, default=rollouts, help=f"online, a multiple of {per_round}")
    add("--episodes", default=episodes, help="episodes per evaluation")
    add("--tests", type=int, default=0, help="which draw of the tests; settings were chosen on 0")
    add("--out", default=None, help=f"folder to write; default: {variant}")
    add("--summary", default=None, help="compare these finished runs and stop")
    add("--evaluate", type=Path, nargs="+", default=None, help="policy files to try; stop")
    add("--picture", type=Path, default=None, help="draw the scene and stop")
    add("--draw", type=Path, default=None, help="new store with pictures; stop")
    add("--image_size", type=int, default=IMAGE_SIZE, help="of --draw [pixels]")
    add("--json", default=None, help="file for all trials of --evaluate")
    return parser
