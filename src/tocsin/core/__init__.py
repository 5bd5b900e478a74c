"""What every other part may use: time, ids, severity, text, errors. Nothing here does I/O."""
