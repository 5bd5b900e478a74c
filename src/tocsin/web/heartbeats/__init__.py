"""The pages about heartbeats."""
