# MuJoCo is a compiled module without type stubs: the type checker sees none of its names.
from typing import Any

def __getattr__(name: str) -> Any: ...
