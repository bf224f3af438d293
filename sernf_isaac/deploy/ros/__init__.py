"""A session on ROS 2 topics, and in a bag; both on request."""
