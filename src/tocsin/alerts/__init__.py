"""One alert per problem: open, repeat, acknowledge, snooze, resolve, reopen; and the history of every step."""
