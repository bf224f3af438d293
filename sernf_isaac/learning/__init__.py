"""Learning: losses, the learner, and the stages it goes through."""
