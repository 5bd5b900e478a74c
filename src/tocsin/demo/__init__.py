"""A made-up hosting company to look around in: ninety days of it, and what goes on happening. Nothing leaves the machine."""
