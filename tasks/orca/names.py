"""The names of the hands that are described in `descriptions/`; cheap to import, for scripts."""

FIRST_HAND = "orca_v1_right"
"""The hand of every file that is older than hands had names."""
MIRRORS = {"orca_v2_left": "orca_v2_right"}
"""Hands that are the mirror of another."""
HANDS = (FIRST_HAND, "orca_v2_right", *MIRRORS)
