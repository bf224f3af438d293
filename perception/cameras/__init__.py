"""Where images come from: OAK cameras, recordings, simulated cameras; all look alike."""
