"""The migrations, one file each, in a chain."""
