"""Silences, maintenance and dependencies, as people look at them and make them."""
