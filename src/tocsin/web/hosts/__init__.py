"""The pages about servers that report."""
