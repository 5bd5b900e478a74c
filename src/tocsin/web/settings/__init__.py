"""``/settings``: people, keys, the audit log, one's own account."""
