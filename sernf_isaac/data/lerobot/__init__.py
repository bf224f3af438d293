"""Episodes in other people's formats: a whole data set, or none."""
