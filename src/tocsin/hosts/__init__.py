"""Servers that an agent reports for: which there are, and which have fallen silent (M1)."""
