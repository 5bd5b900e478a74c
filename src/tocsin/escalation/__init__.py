"""Whom to tell next, and when: policies, and how far each alert has come in its own."""
