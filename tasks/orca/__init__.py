"""The ORCA right hand: joint tables, simulation description (MJCF and USD), forward kinematics."""
