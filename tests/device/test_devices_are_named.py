"""No tensor of the simulations is made without saying where: what runs on the CPU here is on a GPU
there, and a forgotten device only shows where there is one."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CUBE_SPIN = ROOT / "tasks/cube_spin"
FACTORIES = frozenset(
    """arange as_tensor empty eye full linspace logspace ones rand randint randn randperm
    scalar_tensor tensor tril_indices triu_indices zeros Generator""".split()  # noqa: SIM905
)
FILES = sorted(
    path
    for place in ("isaac/mdp", "student")
    for path in (CUBE_SPIN / place).glob("*.py")
    if path.name != "__init__.py"
) + [
    CUBE_SPIN / name
    for name in ("terms.py", "observations.py", "sensors.py", "rotations.py", "episodes.py")
]


def without_device(source: str) -> list[str]:
    """Calls that make a tensor or a generator on torch's default device, `line: call`."""
    tree = ast.parse(source)
    moved = {
        id(node.func.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("to", "float")  # .float() of what is moved next
    }
    found = []
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        owner, name = node.func.value, node.func.attr
        if not (isinstance(owner, ast.Name) and owner.id == "torch"):
            continue
        named = any(keyword.arg in ("device", None) for keyword in node.keywords)
        named |= name == "Generator" and bool(node.args)
        if (name in FACTORIES and not named) or (name == "from_numpy" and id(node) not in moved):
            found.append(f"{node.lineno}: {ast.unparse(node)}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CUBE_SPIN)))
def test_every_tensor_is_made_on_a_device_that_is_named(path: Path) -> None:
    assert without_device(path.read_text()) == []


def test_all_files_that_run_on_the_simulators_device_are_looked_at() -> None:
    names = {str(path.relative_to(CUBE_SPIN)) for path in FILES}
    assert {"terms.py", "isaac/mdp/state.py", "student/environment.py"} <= names


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("torch.zeros(3)", 1),
        ("torch.zeros(3, device=there)", 0),
        ("torch.tensor([1.0]).to(there)", 1),  # made on the CPU and copied, at each call
        ("torch.from_numpy(values)", 1),
        ("torch.from_numpy(values).to(there)", 0),
        ("torch.from_numpy(values).float().to(there)", 0),
        ("torch.Generator()", 1),
        ("torch.Generator(there)", 0),
        ("torch.Generator(device=there)", 0),
        ("torch.zeros_like(x) + x.new_zeros(2)", 0),
        ("torch.as_tensor(values, **settings)", 0),  # may hold the device
        ("def f():\n    return torch.rand((2, 3), generator=draw)", 1),
    ],
)
def test_a_forgotten_device_would_be_seen(source: str, count: int) -> None:
    assert len(without_device(source)) == count
