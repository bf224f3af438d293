"""What the small presets of simulated tasks share: a flow that is cheap for its sharpness, more
critics, and what is imitated beside seeking value.

Chosen on the simulated duck (docs/results/imitation.md); two doors take it as it is.
"""

from typing import Any

SMALL_FLOW: dict[str, Any] = {
    "base": "affine",
    "mixing": True,
    "scale_limit": 3.0,
    "num_couplings": 2,
}
"""Of `PolicyConfig`: as likely on held-out data as six couplings of the paper's kind, in a third of
their time."""
CRITICS: dict[str, Any] = {"ensemble": 4}
"""Of `CriticConfig`: more of them disagree where they know little, and the least one counts."""
HELD_OUT_SHARE = 0.1
IMPROVEMENT: dict[str, Any] = {
    "likelihood_rows": "successes",
    "scaled_value": True,
    "target_critics": 2,
}
"""Of `ImprovementConfig`; how far the policy may go is the task's own."""
