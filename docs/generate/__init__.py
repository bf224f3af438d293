"""Writes the parts of the documentation that the code itself knows: flags, settings, citations."""
