"""``/settings``: how Tocsin is, what it makes of events, people, keys, the audit log, one's own account."""
