"""`import sernf_isaac` offers what a user needs, documented, typed, and without heavy imports."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import sernf_isaac
from tasks.assets import DEFAULT_STUDENT

HEAVY = ("mujoco", "matplotlib", "isaaclab", "pandas", "sklearn", "tensorboard")


@pytest.mark.parametrize("name", sernf_isaac.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(sernf_isaac, name)
    assert inspect.getdoc(value)
    for member_name, member in vars(value).items() if inspect.isclass(value) else ():
        if not member_name.startswith("_") and inspect.isfunction(member):
            assert inspect.getdoc(member), f"{name}.{member_name} has no docstring"


def test_the_list_of_public_names_is_the_one_that_type_checkers_see() -> None:
    source = Path(sernf_isaac.__file__).read_text()
    for name in sernf_isaac.__all__:
        assert source.count(f"{name},") + source.count(f"{name}\n") + source.count(f"{name})") >= 1
        assert f'"{name}"' in source
    assert sorted(sernf_isaac.__all__) == sorted(sernf_isaac._HOME_OF)
    assert (Path(sernf_isaac.__file__).parent / "py.typed").is_file()


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'load_polciy'"):
        _ = sernf_isaac.load_polciy


def test_importing_and_acting_load_no_simulator_and_no_plots() -> None:
    program = (
        "import sys, sernf_isaac\n"
        "assert 'torch' not in sys.modules\n"
        f"policy, _ = sernf_isaac.load_policy({str(DEFAULT_STUDENT)!r})\n"
        "policy.decide(*policy.example_inputs(), candidates=2)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_what_drives_a_hand_is_loaded_before_a_hand_can_wait_for_it() -> None:
    program = (
        "import sys\n"
        "from sernf_isaac import HandProcess\n"
        "before = set(sys.modules)\n"
        "from sernf_isaac import RunWriter, Station, run_episode\n"
        "print(sorted(set(sys.modules) - before))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_a_policy_describes_its_inputs_and_takes_its_own_examples() -> None:
    policy, _ = sernf_isaac.load_policy(DEFAULT_STUDENT)
    text = policy.describe()
    assert "takes history (B, 4, 24)" in text and "gives chunks (B, 6, 17)" in text
    observation, prefix = policy.example_inputs(3, torch.Generator().manual_seed(1))
    again, _ = policy.example_inputs(3, torch.Generator().manual_seed(1))
    assert all(torch.equal(observation[name], again[name]) for name in observation)
    assert policy.decide(observation, prefix, candidates=2).shape == (3, 6, 17)
