"""What came in: reading it, checking it, describing it, storing it."""
