"""The page that looks back: how quickly people answered, what was noisy, whom it woke."""
