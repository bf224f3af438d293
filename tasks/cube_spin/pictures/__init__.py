"""What synthetic pictures need of the simulators: scenes to draw and states worth drawing."""
