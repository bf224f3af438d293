"""Learning settings for Isaac Lab's RSL-RL entry points."""
