"""From eight corner measurements to a cube pose with its covariance."""
