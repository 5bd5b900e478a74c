"""Why it is quiet: silences, maintenance windows and dependencies; what they match, and until when."""
