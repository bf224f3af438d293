"""Changes training samples and their labels together (paper F.2); the cube is never mirrored."""
