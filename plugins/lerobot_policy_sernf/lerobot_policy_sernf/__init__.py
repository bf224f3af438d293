"""The flow policy of sernf-isaac in LeRobot, under the name "sernf".

LeRobot imports this package by itself where it is installed, and finds the rest by the names of
its files: `configuration_sernf`, `modeling_sernf`, `processor_sernf`.
"""

from lerobot_policy_sernf.configuration_sernf import SernfConfig

__all__ = ["SernfConfig"]
