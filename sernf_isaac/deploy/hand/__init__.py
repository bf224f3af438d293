"""Drivers of real hands; each is imported by the hand's process only."""
