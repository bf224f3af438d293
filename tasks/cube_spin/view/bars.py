"""What candidates of a decision were ranked by, as bars in HTML."""

import numpy as np

WIDTH, ROW = 220, 7
"""Of the longest bar, and from one to the next, in pixels."""


def bars(scores: np.ndarray, title: str) -> str:
    """An HTML picture of the scores (K,), the best first; what was chosen stands out."""
    if not len(scores):
        return f"<p>{title}: none</p>"
    ranked = np.sort(scores)[::-1]
    spread = max(float(ranked[0] - ranked[-1]), 1e-9)
    lengths = 4.0 + (WIDTH - 4.0) * (ranked - ranked[-1]) / spread
    rows = "".join(
        f'<rect x="0" y="{ROW * i}" width="{length:.1f}" height="{ROW - 2}" '
        f'fill="{"#d63c3c" if i == 0 else "#8aa2b8"}"/>'
        for i, length in enumerate(lengths)
    )
    return (
        f"<p>{title}: best {ranked[0]:.3g}, of {len(ranked)} the least {ranked[-1]:.3g}</p>"
        f'<svg width="{WIDTH}" height="{ROW * len(ranked)}">{rows}</svg>'
    )
