"""What a session tells ROS 2, and whether it writes a bag."""

import re
from dataclasses import dataclass


@dataclass
class RosOptions:
    """Off by default; neither changes how a session runs."""

    publish: bool = False
    """Publish state and listen to the stop topic; needs ROS 2 in this environment."""
    record: bool = False
    """Write the same messages as an mcap bag into the run's folder; needs the extra `bags`."""
    namespace: str = "sernf"
    """What all topics begin with."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z]\w*(/[A-Za-z]\w*)*", self.namespace):
            raise ValueError(
                f"ros.namespace ({self.namespace!r}) must be names joined by /, such as lab/left"
            )
