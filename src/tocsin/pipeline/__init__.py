"""What happens to an event, to a person's action, and when time passes: each in one transaction, from decision to outbox."""
