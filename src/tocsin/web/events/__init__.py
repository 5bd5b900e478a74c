"""``/events``: what came in, who sends it, and what could not be taken."""
