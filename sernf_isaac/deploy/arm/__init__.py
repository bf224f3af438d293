"""Arms that carry the hand: what the robot side expects of one, its guard, a fake, and drivers."""
