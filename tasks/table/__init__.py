"""What simulated tasks on a table share: the hand on its carrier, physics, operators, stages."""
