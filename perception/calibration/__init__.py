"""Where the camera is and how it sees: a printed board is enough."""
