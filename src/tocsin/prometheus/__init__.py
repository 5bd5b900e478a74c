"""Prometheus (M8): what it sends, what exporters show, and what that means in our names."""
