"""``/``: whether everything is all right, and who has it."""
