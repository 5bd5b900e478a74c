"""Event rules: what people decide about events before they become alerts."""
