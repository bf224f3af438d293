"""Finds the cube in an image and measures its corners: Mask R-CNN with a corner head."""
