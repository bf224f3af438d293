"""From poses of single images to a pose for every moment: filter, tracker, pose source."""
