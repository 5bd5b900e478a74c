"""The way out: one door for HTTP, with limits, verified TLS and errors that say whether anything may have left."""
