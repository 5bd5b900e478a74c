"""What is asked from outside: whether servers and services answer as they should, and how often they did (M2, M3, H5)."""
