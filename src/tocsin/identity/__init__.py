"""Who may do what: users, API keys and their scopes."""
