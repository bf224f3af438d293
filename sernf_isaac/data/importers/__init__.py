"""Data sets in other people's formats, read into episodes: all of a file, or an error."""
