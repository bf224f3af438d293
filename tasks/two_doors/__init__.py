"""Two doors: the smallest task with two right answers whose mean is wrong. Needs no simulator."""
