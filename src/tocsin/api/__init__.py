"""The HTTP API: one table of who may call what, one shape of errors, one document that describes it."""
