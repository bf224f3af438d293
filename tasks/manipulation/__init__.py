"""What tasks with an arm and a hand share: actions, definitions of tasks, test protocol."""
