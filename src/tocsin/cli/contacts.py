"""`tocsin contacts`: who can be told."""

import msgspec
import sqlalchemy as sa

from tocsin.bootstrap import wanted_contacts
from tocsin.cli.output import say, show_json, show_table
from tocsin.cli.start import Start, opened
from tocsin.db import tables


class ContactLine(msgspec.Struct, frozen=True):
    """A contact as it is listed. ``state``: active, not verified, disabled."""

    id: str
    kind: str
    target: str
    label: str
    origin: str
    state: str


def show_contacts(start: Start, *, as_json: bool) -> None:
    """All contacts, and those that the settings name and no server has taken up yet."""
    with opened(start) as core, core.database.read() as connection:
        lines = all_contacts(connection)
        wanted = wanted_contacts(core.settings)
    if as_json:
        show_json([msgspec.structs.asdict(line) for line in lines])
    else:
        rows = [(line.kind, line.target, line.state, line.label, line.id) for line in lines]
        show_table(
            ("KIND", "TARGET", "STATE", "LABEL", "ID"),
            rows,
            "There is no contact yet. Set NTFY_SERVER_URL or NOTIFICATION_EMAIL.",
        )
    for kind, target in not_taken_up(lines, wanted):
        say(f"{kind} {target} is in the settings; `tocsin serve` takes it up at its next start.")


def all_contacts(connection: sa.Connection) -> list[ContactLine]:
    """All contacts, the oldest first."""
    table = tables.contacts
    rows = connection.execute(sa.select(table).order_by(table.c.created_at, table.c.id))
    return [ContactLine(r.id, r.kind, r.target, r.label, r.origin, _state(r.verified_at, r.disabled_at)) for r in rows]


def _state(verified_at: int | None, disabled_at: int | None) -> str:
    if disabled_at is not None:
        return "disabled"
    return "active" if verified_at is not None else "not verified"


def not_taken_up(lines: list[ContactLine], wanted: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The contacts of the settings that are not active in the database."""
    active = {(line.kind, line.target) for line in lines if line.state == "active"}
    return [contact for contact in wanted if contact not in active]
