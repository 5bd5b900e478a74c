"""What the past looks like: figures over a period, and why somebody was told or not. Reads what all features have stored."""
