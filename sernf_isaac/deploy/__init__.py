"""The robot side: what runs a policy on a machine, in real time."""
