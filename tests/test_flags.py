"""Every script's flags: answered at once, explained, and with one meaning each."""

import argparse
import json
import resource
import runpy
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from sernf_isaac.flags import SHARED, ScriptParser, why_not_writable

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "scripts"
NAMES = sorted(path.name for path in SCRIPTS.glob("*.py"))
SLOW = (
    "torch",
    "mujoco",
    "matplotlib",
    "cv2",
    "omegaconf",
    "scipy",
    "zarr",
    "tqdm",
    "ray",
    "submitit",
)
ANSWERED = """
import contextlib, io, json, runpy, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {slow}:
            raise AssertionError(f"{{name}} was imported before the flags were read")
sys.meta_path.insert(0, Refuse())
answers = []
for argv in {commands}:
    sys.argv, out, err, code = argv, io.StringIO(), io.StringIO(), None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            runpy.run_path(argv[0], run_name="__main__")
        except SystemExit as end:
            code = end.code
        except BaseException as error:
            code = repr(error)
    answers.append((code, out.getvalue(), err.getvalue()))
print(json.dumps(answers))
"""
Answer = tuple[object, str, str]


def run_without_slow_imports(*commands: list[str]) -> list[Answer]:
    """Exit status and output of scripts in a process where importing what is slow is an error."""
    commands_there = [[str(SCRIPTS / name), *arguments] for name, *arguments in commands]
    ended = subprocess.run(
        [sys.executable, "-c", ANSWERED.format(slow=SLOW, commands=commands_there)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return [tuple(answer) for answer in json.loads(ended.stdout)]


class _Collected(BaseException):  # an error would be explained
    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser


@cache
def parser_of(name: str) -> argparse.ArgumentParser:
    """The parser that a script builds."""

    def collect(parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        raise _Collected(parser)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [name])
        patch.setattr(argparse.ArgumentParser, "parse_known_args", collect)
        with pytest.raises(_Collected) as found:
            runpy.run_path(str(SCRIPTS / name), run_name="__main__")
    return found.value.parser


def parsers_of(name: str) -> Iterator[argparse.ArgumentParser]:
    """That parser and those of its sub-commands."""
    parser = parser_of(name)
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.values()


def flags_of(name: str) -> list[argparse.Action]:
    """All flags and arguments of a script but sub-commands."""
    return [
        action
        for parser in parsers_of(name)
        for action in parser._actions
        if not isinstance(action, argparse._SubParsersAction)
    ]


# At once ------------------------------------------------------------------------------------------


def test_help_is_answered_before_anything_slow_is_imported() -> None:
    answers = run_without_slow_imports(*([name, "--help"] for name in NAMES))
    for name, (code, out, err) in zip(NAMES, answers, strict=True):
        assert code == 0, (name, code, err)
        assert out.startswith(f"usage: {name}")
        assert "python scripts/" in out  # an example to copy


def test_a_misspelt_flag_is_named_before_anything_slow_is_imported() -> None:
    needed = {
        "benchmark.py": ["twin"],
        "evaluate_pose.py": ["--detector", "x.pt"],
        "example_bags.py": ["--out", "x"],
        "export_detector.py": ["--detector", "x.pt", "--out", "x.onnx"],
        "export_teacher.py": ["--model", "x", "--out", "x.pt"],
        "finetune.py": ["--run", "x"],
        "import_data.py": ["topics", "x"],
        "label.py": ["--run", "x"],
        "record_camera.py": ["--out", "x"],
        "robomimic.py": ["check"],
        "run_arm.py": ["--run", "x"],
        "scale_covariance.py": ["--detector", "x.pt", "--shards", "x", "--out", "x.pt"],
        "run_hand.py": ["--run", "x"],
        "sync_run.py": ["--run", "x", "--side", "robot", "--remote", "y"],
        "watch.py": ["--run", "x"],
    }
    names = [name for name in NAMES if name != "sweep.py"]  # which hands flags on
    commands = ([name, *needed.get(name, []), "--helpp"] for name in names)
    for name, (code, _, err) in zip(names, run_without_slow_imports(*commands), strict=True):
        assert code == 2, (name, code, err)
        assert "'--helpp' is n" in err and "did you mean --help?" in err and err.count("\n") == 1


def test_a_wrong_value_is_named_in_one_line_at_once() -> None:
    wrong = {
        ("evaluate.py", "--sim", "gazebo"): "invalid choice: 'gazebo'",
        ("train_offline.py", "--kind", "floww"): "invalid choice: 'floww'",
        ("run_hand.py", "--run", "x", "--hand", "left"): "invalid choice: 'left'",
        ("play.py", "--seconds", "long"): "invalid float value: 'long'",
        (
            "evaluate.py",
            "--threads",
            "0",
        ): "--threads: must be a whole number of at least 1, not '0'",
        ("play.py", "spin=1"): "'spin=1' is no flag",
        ("train_teacher.py", "num_envs"): "'num_envs' is neither a flag nor a key=value setting",
    }
    answers = run_without_slow_imports(*map(list, wrong))
    for said, (code, _, err) in zip(wrong.values(), answers, strict=True):
        assert code == 2 and said in err and err.count("\n") == 1, err


def test_help_takes_less_than_a_second_of_the_processor() -> None:
    before = _processor_s()
    run_without_slow_imports(["distill.py", "--help"])
    assert _processor_s() - before < 1.0


def _processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


# Explained ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_every_flag_is_explained_and_shows_its_default(name: str) -> None:
    for parser in parsers_of(name):
        text = " ".join(parser.format_help().split())
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                continue
            assert action.help and action.help != "==SUPPRESS==", (name, action.dest)
            if action.nargs != 0 and action.default not in (None, (), [], ""):
                assert "(default: " in text, (name, action.dest)
            if action.option_strings and action.nargs != 0 and action.default is None:
                shown = parser._get_formatter()._expand_help(action)
                assert "default: None" not in shown


@pytest.mark.parametrize("name", NAMES)
def test_scripts_with_settings_say_how_to_give_and_to_see_them(name: str) -> None:
    source = (SCRIPTS / name).read_text()
    parser = parser_of(name)
    takes_settings = "apply_overrides" in source or "overrides" in source
    assert takes_settings == ("--print_config" in parser.format_help()), name
    if takes_settings:
        assert "group.key=value" in parser.format_help()


# One meaning each ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_flag_has_one_type_in_all_scripts(name: str) -> None:
    for action in flags_of(name):
        for flag in action.option_strings:
            if flag in SHARED:
                assert action.type == SHARED[flag].get("type"), (name, flag)
                assert action.nargs == SHARED[flag].get("nargs"), (name, flag)


def test_flags_of_several_scripts_are_shared_or_agree() -> None:
    found: dict[str, dict[tuple[object, object], str]] = {}
    for name in NAMES:
        for action in flags_of(name):
            for flag in action.option_strings:
                found.setdefault(flag, {})[action.type, action.nargs] = name
    differing = {flag: kinds for flag, kinds in found.items() if len(kinds) > 1}
    # Pictures to read, to critics or as they are stored; one or several sources; a side or two;
    # a hand or its driver.
    assert set(differing) <= {"--images", "--data", "--image_size", "--hand"}, differing


@pytest.mark.parametrize("old", ["--student", "--envs", "--workers", "--count"])
def test_a_second_name_for_a_flag_is_not_used(old: str) -> None:
    for name in NAMES:
        assert old not in {flag for action in flags_of(name) for flag in action.option_strings}


def test_what_is_written_is_a_file_or_a_folder() -> None:
    for name in NAMES:
        for action in flags_of(name):
            if action.dest == "out":
                text = action.help or ""
                assert text.startswith(("file", "folder")), (name, text)


@pytest.mark.parametrize(
    ("name", "flag", "home"),
    [
        ("sweep.py", "on", "sernf_isaac.sweep.engines:ENGINES"),
        ("import_data.py", "outcome", "sernf_isaac.data.episode:OUTCOMES"),
        ("finetune.py", "preset", "sernf_isaac.learning.finetune.presets:PRESETS"),
        ("rehearse.py", "preset", "sernf_isaac.learning.finetune.presets:PRESETS"),
        ("train_offline.py", "task", "tasks.presets:PRESETS"),
        ("train_offline.py", "kind", "sernf_isaac.models.architecture:KINDS"),
        ("duck_bowl.py", "kind", "sernf_isaac.models.architecture:KINDS"),
        ("scissors_tape.py", "kind", "sernf_isaac.models.architecture:KINDS"),
        ("duck_bowl.py", "demonstrations_used", "tasks.table.comparison:USES"),
        ("run_arm.py", "task", "tasks.arm.catalogue:TASKS"),
        ("run_arm.py", "arm", "tasks.arm.settings:ARMS"),
        ("run_arm.py", "hand", "tasks.arm.settings:HANDS"),
        ("example_bags.py", "task", "tasks.arm.catalogue:TASKS"),
        ("run_hand.py", "pose", "tasks.cube_spin.hand.settings:POSES"),
        ("run_ogbench.py", "variant", "tasks.ogbench.variants:VARIANTS"),
        ("train_detector.py", "preset", "perception.detector.config:PRESETS"),
        ("evaluate_pose.py", "split", "perception.synthetic.views:SPLITS"),
    ],
)
def test_choices_are_those_of_the_code(name: str, flag: str, home: str) -> None:
    module, _, there = home.partition(":")
    known = getattr(import_module(module), there)
    found = [action.choices for action in flags_of(name) if action.dest == flag]
    assert found and all(set(choices) == set(known) for choices in found)


def test_the_physics_that_help_names_are_those_there_are() -> None:
    from tasks.cube_spin.physics import PRESETS

    for name in PRESETS:
        assert name in SHARED["--physics"]["help"]


def test_defaults_written_down_twice_agree() -> None:
    from perception.calibration.charuco import Board
    from perception.cube import CUBE_SIZE_M
    from perception.tracking.tracker import TrackerConfig
    from tasks.duck_bowl.table_task import DUCK_BOWL
    from tasks.scissors_tape.table_task import SCISSORS_TAPE

    def default(name: str, flag: str) -> object:
        return next(action.default for action in flags_of(name) if action.dest == flag)

    size = tuple(default("export_detector.py", side) for side in ("height", "width"))
    assert size == TrackerConfig().track_size
    board, script = Board(), "calibrate_camera.py"
    assert default("draw_cube.py", "size_mm") == 1000 * CUBE_SIZE_M
    for task in (DUCK_BOWL, SCISSORS_TAPE):
        assert default(f"{task.name}.py", "demonstrations") == task.demonstrations
        assert default(f"{task.name}.py", "rollouts") % task.rollouts_per_round == 0
    assert default(script, "columns") == board.columns and default(script, "rows") == board.rows
    assert default(script, "square") == board.square_m
    assert default(script, "marker") == board.marker_m
    assert default(script, "dictionary") == board.dictionary


# The parser ---------------------------------------------------------------------------------------


def test_a_script_cannot_give_a_shared_flag_another_meaning() -> None:
    with pytest.raises(TypeError, match="--seed means something else"):
        ScriptParser("x").add_argument("--seed", type=str)


def test_settings_may_stand_behind_flags_that_take_all_that_follows(tmp_path: Path) -> None:
    odd = tmp_path / "a=b"
    odd.mkdir()
    parser = ScriptParser("x", settings=True)
    parser.add_argument("--data", nargs="+", default=None)
    args, settings = parser.parse_with_settings(["--data", str(odd), "c", "x=1", "--", "y=2"])
    assert args.data == [str(odd), "c"] and settings == ["x=1", "y=2"]


def test_a_setting_with_two_values_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    parser = ScriptParser("x", settings=True)
    assert parser.parse_with_settings(["a.b=1", "a.b=1"])[1] == ["a.b=1", "a.b=1"]
    with pytest.raises(SystemExit):
        parser.parse_with_settings(["a.b=1", "c=2", "a.b=3"])
    assert "'a.b' is given twice, as 1 and as 3; keep one" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--out", "--json", "--figure"])
def test_what_cannot_be_written_is_found_before_the_work(
    flag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    parser = ScriptParser("x")
    parser.add_argument(flag, default=None)
    for place in (tmp_path / "file/below.png", Path("/proc/nowhere/run.png")):
        with pytest.raises(SystemExit) as ended:
            parser.parse([flag, str(place)])
        said = capsys.readouterr().err
        assert ended.value.code == 2 and f"{flag} {place}: " in said and said.count("\n") == 1
    parser.parse([flag, str(tmp_path / "new" / "x.png")])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_a_figure_of_an_unknown_kind_is_found_before_the_work(capsys) -> None:
    parser = ScriptParser("x")
    parser.add_argument("--figure")
    with pytest.raises(SystemExit):
        parser.parse(["--figure", "curve.txt"])
    assert "--figure curve.txt: a figure ends in one of .png" in capsys.readouterr().err


def test_a_file_that_may_not_be_written_is_named(tmp_path: Path, monkeypatch) -> None:
    file = tmp_path / "numbers.json"
    file.write_text("{}")
    assert why_not_writable(file) is None and why_not_writable(tmp_path) is None
    monkeypatch.setattr("os.access", lambda *_: False)
    assert "cannot be written" in str(why_not_writable(file))
