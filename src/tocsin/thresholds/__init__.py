"""Thresholds (M6): when a measured value is a problem, and when it no longer is."""
