"""Between this project's joint vectors [rad] and a driver's [degrees], by name, never by index."""

import numpy as np

from sernf_isaac.deploy.protocols import Array, HandDescription


class JointMap:
    """Both directions for one driver.

    Args:
        hand: Names, signs and limits.
        driver_order: The driver's own order of its names.

    Raises:
        ValueError: If the driver has other joints; names them.
    """

    def __init__(self, hand: HandDescription, driver_order: list[str]) -> None:
        missing = sorted(set(hand.driver_names) - set(driver_order))
        unknown = sorted(set(driver_order) - set(hand.driver_names))
        if missing or unknown or len(driver_order) != len(set(driver_order)):
            raise ValueError(
                f"the driver's joints are not this hand's: missing {missing}, unknown {unknown}; "
                "is it another model or side?"
            )
        self._to_driver = [hand.driver_names.index(name) for name in driver_order]
        self._from_driver = np.argsort(self._to_driver)
        self._signs = np.array(hand.signs, np.float64)

    def to_driver(self, joint_pos: Array) -> Array:
        """Angles (A,) [rad] as the driver's degrees, in the driver's order."""
        return np.degrees(self._signs * joint_pos)[self._to_driver]

    def from_driver(self, degrees: Array) -> Array:
        """The inverse of `to_driver`."""
        return self._signs * np.radians(degrees)[self._from_driver]

    def in_order(self, values: Array) -> Array:
        """Numbers (A,) of joints in the driver's order as ours; they have no sign."""
        return values[self._from_driver]
