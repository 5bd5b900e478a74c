"""Escalation policies, as people look at them and change them."""
