"""History of metrics: what was measured, when, and how it is kept small."""
