"""The event catalogue: what each type of event is, how loud it is, what it is about, and what it resolves."""
