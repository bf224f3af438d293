"""OGBench's manipulation tasks: a public benchmark, with its own simulator, data and rewards."""
