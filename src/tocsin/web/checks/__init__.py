"""The pages about checks."""
