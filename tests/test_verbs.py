"""`sernf <verb>`: every script is one, answered at once, and messages speak as the user does."""

import re
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import sernf_isaac
from sernf_isaac import __main__ as command
from sernf_isaac import install, verbs
from sernf_isaac.flags import ScriptParser
from sernf_isaac.run_folder import how_to_go_on, made_with
from sernf_isaac.verbs import GROUPS, VERBS, as_typed, script_of, verb_of

ROOT = Path(__file__).resolve().parents[1]
SLOW = ("torch", "numpy", "mujoco", "omegaconf", "gymnasium", "scipy")
HELP_CPU_S = 0.3


@pytest.fixture
def sernf(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[object, str, str]]:
    """Runs the command in this process; its status and what it printed."""

    def run(*arguments: object) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "argv", ["/somewhere/bin/sernf", *map(str, arguments)])
        monkeypatch.setattr(sys, "path", [*sys.path])
        monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
        try:
            command.main()
        except SystemExit as end:
            return (end.code, *capsys.readouterr())
        return (0, *capsys.readouterr())

    return run


def test_every_script_is_a_verb_of_one_group() -> None:
    scripts = sorted(verb_of(path.name) for path in (ROOT / "scripts").glob("*.py"))
    assert sorted(VERBS) == scripts
    assert all(script_of(verb).is_file() for verb in VERBS)


def test_the_page_of_the_scripts_says_the_same() -> None:
    page = (ROOT / "docs" / "reference" / "scripts.md").read_text()
    told: dict[str, dict[str, str]] = {}
    for group, rows in re.findall(r"^## (.+)\n\n((?:\|.*\n)+)", page, re.M):
        told[group] = {
            verb_of(name): re.sub(r"`|\[([^\]]+)\]\([^)]*\)", r"\1", does)
            for name, does in re.findall(r"^\| `(\w+\.py)` \| (.+?) \|", rows, re.M)
        }
    assert told == GROUPS


def test_help_lists_every_verb_without_slow_imports_and_in_no_time() -> None:
    program = (
        "import sys; from sernf_isaac.__main__ import main\nmain()\n"
        f"assert not [name for name in {SLOW!r} if name in sys.modules]"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", program, "--help"],
        **{"cwd": ROOT, "capture_output": True, "text": True, "check": False},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert all(group in lines for group in GROUPS)
    assert [line.split()[0] for line in lines if line.startswith("  ")] == [*VERBS, "--version"]
    assert max(map(len, lines)) <= 100
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert cpu_s < HELP_CPU_S  # other programs of this machine cost time, but not this time


def test_no_verb_is_help(sernf) -> None:
    assert sernf() == sernf("--help") == (0, f"{command.help_text()}\n", "")


def test_the_version_is_the_projects(sernf) -> None:
    assert sernf("--version") == (0, f"sernf-isaac {sernf_isaac.__version__}\n", "")
    assert f'version = "{sernf_isaac.__version__}"' in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("evalute", "evaluate"),
        ("train_teacher", "train-teacher"),
        ("scripts/run_hand.py", "run-hand"),
        ("teacher", "train-teacher"),
    ],
)
def test_an_unknown_verb_is_refused_with_the_nearest(sernf, word: str, near: str) -> None:
    code, out, said = sernf(word, "--episodes", 4)
    assert (code, out) == (2, "")
    assert said.startswith(f"sernf: error: '{word}' is no verb; did you mean sernf {near}?")


def test_a_word_like_no_verb_gets_no_guess(sernf) -> None:
    assert sernf("xyz") == (2, "", "sernf: error: 'xyz' is no verb (sernf --help lists them)\n")


@pytest.mark.parametrize("verb", VERBS)
def test_a_verbs_help_speaks_of_verbs(sernf, verb: str) -> None:
    code, out, _ = sernf(verb, "--help")
    assert code == 0
    assert out.startswith(f"usage: sernf {verb} ")
    assert f"    sernf {verb}" in out or f"\nsernf {verb}" in out  # an example to copy
    assert "scripts/" not in out


def test_a_verb_gets_its_arguments_and_its_errors_name_it(sernf) -> None:
    code, _, said = sernf("evaluate", "--episods", 4)
    assert code == 2
    assert said.startswith("sernf evaluate: error: '--episods' is no flag; did you mean --episodes")


def test_a_verb_runs_and_its_messages_are_in_verbs(sernf, tmp_path: Path) -> None:
    code, out, _ = sernf("evaluate", "--policy", tmp_path / "nothing.pt")
    assert out == ""
    assert str(code).startswith(f"error: no policy file at {tmp_path / 'nothing.pt'}")
    assert str(code).endswith("train one: sernf train-teacher")


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("python scripts/label.py --run x", "sernf label --run x"),
        ("train one: scripts/train_teacher.py", "train one: sernf train-teacher"),
        ("scripts/distill.py, scripts/rehearse.py", "sernf distill, sernf rehearse"),
        (
            "python scripts/sweep.py scripts/two_doors.py --seeds 0",
            "sernf sweep two-doors --seeds 0",
        ),
        (
            "torchrun --nproc_per_node 4 scripts/distill.py --sim isaac",
            "torchrun --nproc_per_node 4 -m sernf_isaac distill --sim isaac",
        ),
        (
            "isaaclab.sh -p scripts/train_teacher.py",
            "isaaclab.sh -p -m sernf_isaac train-teacher",
        ),
        ("my_scripts/x.py and tests/scripts.py", "my_scripts/x.py and tests/scripts.py"),
    ],
)
def test_commands_are_told_as_they_are_typed(
    monkeypatch: pytest.MonkeyPatch, text: str, typed: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["scripts/x.py"])
    assert as_typed(text) == text
    monkeypatch.setattr(sys, "argv", ["sernf x"])
    assert as_typed(text) == typed
    monkeypatch.setattr(sys, "argv", ["a_program_of_mine.py"])
    monkeypatch.setattr(verbs, "CLONE", None)
    assert as_typed(text) == typed


def test_a_run_notes_the_command_that_was_typed(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["sernf train-teacher", "--seed", "3", "name=a b"])
    assert made_with()["command"] == "sernf train-teacher --seed 3 'name=a b'"
    (tmp_path / "state.pt").touch()
    assert how_to_go_on(tmp_path).endswith(f"to go on: sernf train-teacher --resume {tmp_path}")
    monkeypatch.setattr(sys, "argv", ["sernf soak"])
    assert "to go on" not in how_to_go_on(tmp_path)


# Files shipped with the project ---------------------------------------------------------------


@pytest.fixture
def parser() -> ScriptParser:
    parser = ScriptParser("x", settings=True)
    for name in ("--policy", "--out", "--physics"):
        parser.add_argument(name)
    parser.add_argument("--detectors", type=Path, nargs="*")
    return parser


def test_what_is_shipped_is_found_from_everywhere(parser, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    line = (
        "--policy assets/student.pt --physics assets/worlds/tiny.yaml start_from=assets/teacher.pt"
    )
    args, settings = parser.parse_with_settings(
        [*line.split(), "--detectors", "assets/detector.pt"]
    )
    assets = install.ASSETS
    assert args.policy == assets / "student.pt"
    assert args.physics == str(assets / "worlds/tiny.yaml")
    assert args.detectors == [assets / "detector.pt"]
    assert settings == [f"start_from={assets / 'teacher.pt'}"]


def test_a_file_that_is_here_comes_first_and_a_missing_one_stays(
    parser, monkeypatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "student.pt").touch()
    assert parser.parse(["--policy", "assets/student.pt"]).policy == Path("assets/student.pt")
    assert parser.parse(["--policy", "assets/mine.pt"]).policy == Path("assets/mine.pt")


def test_what_will_be_written_is_written_here(parser, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert parser.parse(["--out", "assets/grasps.npz"]).out == Path("assets/grasps.npz")


def test_an_asset_is_made_anew_in_a_clone_or_below_here(monkeypatch) -> None:
    from tasks import assets

    assert assets.remade(assets.CUBE_FOLDER) == ROOT / "assets" / "cube"
    monkeypatch.setattr(assets, "CLONE", None)
    assert assets.remade(assets.CUBE_FOLDER) == Path("assets/cube")


@pytest.mark.parametrize("named", ["two-doors", "two_doors.py", "scripts/two_doors.py"])
def test_a_sweep_takes_a_verb_for_a_script(sernf, tmp_path: Path, named: str, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = sernf("sweep", named, "--grid", "lambda", "--seeds", 0, "--dry_run")
    assert code == 0
    assert f"{sys.executable} {ROOT / 'scripts' / 'two_doors.py'} --seed 0" in out


def test_a_sweep_of_no_script_is_refused(sernf) -> None:
    code, _, said = sernf("sweep", "two_dors", "--seeds", 0)
    assert code == 2
    assert "'two_dors' is no verb; did you mean sernf two-doors?" in said
