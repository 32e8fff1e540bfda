"""Decides: pure rules over facts gathered beforehand; time is always an argument."""
