"""`tocsin audit`: whether the log of deeds is as it was written."""

from tocsin.audit import rules, store
from tocsin.cli.output import say, show, show_json
from tocsin.cli.start import Start, read_only


def verify(start: Start, head: str | None, *, as_json: bool) -> int:
    """Walks the chain; 1 if a link is broken. Raises `InvalidInput`, `NotFound`."""
    noted = None if head is None else rules.read_head(head)
    with read_only(start.settings()) as database, database.read() as connection:
        reached, broken = store.verify(connection, noted)
    if as_json:
        found = None if broken is None else {"entry": broken.number, "fault": broken.fault.name.lower(), "message": broken.fault.value}
        show_json({"ok": broken is None, "head": None if reached is None else str(reached), "broken": found})
    elif broken is not None:
        show(f"fault: entry {broken.number} {broken.fault}")
        say("tocsin: the audit log is not as it was written. Keep a copy of the database, and find out who could write to it.")
    elif reached is None:
        show("The audit log is empty.")
    else:
        show(str(reached))
        say(f"The audit log holds, up to entry {reached.number}. Note the line above somewhere else: it proves the log later.")
    return 0 if broken is None else 1
