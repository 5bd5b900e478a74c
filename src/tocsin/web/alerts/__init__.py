"""``/alerts``: the list, each alert's page, and what people do to alerts."""
