"""In a clone, `sernf_isaac.tasks` is the folder `tasks/`: the names of a wheel work there, too.

A wheel has `tasks/` and `perception/` inside `sernf_isaac/`, so that nobody's own folders of these
names meet them. In a clone they lie at the top. Here the long name of each module leads to the same
module, and is not a second copy of it.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

PACKAGES = ("tasks", "perception")


class LongNames:
    """Finds `sernf_isaac.tasks.x` as the module `tasks.x` of a clone; finder and loader in one.

    Args:
        clone: The repository's folder.
        prefix: Of the long names; "sernf_isaac.".
    """

    def __init__(self, clone: Path, prefix: str) -> None:
        self._clone, self._prefix = clone, prefix
        self._specs: dict[str, ModuleSpec | None] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a long name; None if it is another's.

        Raises:
            ImportError: If the short name is another package's; says whose.
        """
        short = fullname.removeprefix(self._prefix)
        if short == fullname or short.partition(".")[0] not in PACKAGES:
            return None
        if short in PACKAGES:
            self._check_ours(short)
        if find_spec(short) is None:
            return None
        return ModuleSpec(fullname, self)  # type: ignore[arg-type]  # a loader without slow imports

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module of the short name, imported if nobody has yet."""
        module = import_module(spec.name.removeprefix(self._prefix))
        self._specs[spec.name] = module.__spec__  # importlib will write the long one over it
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give the module its own spec back; it has run before."""
        assert module.__spec__ is not None, "importlib has just set it"
        module.__spec__ = self._specs.pop(module.__spec__.name)

    def _check_ours(self, package: str) -> None:
        found = find_spec(package)
        ours = self._clone / package / "__init__.py"
        if found is None or found.origin is None or Path(found.origin).resolve() != ours:
            where = found.origin or "a folder without __init__.py" if found else "nothing"
            raise ImportError(
                f"'import {package}' finds {where} and not {ours}. Rename what is in the way, put "
                f"{self._clone} before it on PYTHONPATH, or install the wheel: pip install "
                f"{self._clone}",
                name=package,
            )


def offer_long_names(clone: Path) -> None:
    """Let `import sernf_isaac.tasks` find the folder `tasks/` of a clone, if nothing does yet."""
    if not any(isinstance(finder, LongNames) for finder in sys.meta_path):
        sys.meta_path.insert(0, LongNames(clone, f"{__package__}."))
