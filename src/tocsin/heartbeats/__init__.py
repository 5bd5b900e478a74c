"""Jobs that report when they run: what is late, failed or never ends is told (M5)."""
