"""`tocsin contacts`: who can be told; and a contact without a code, for when nobody can be told yet."""

import msgspec
import sqlalchemy as sa

from tocsin.audit.model import Who
from tocsin.bootstrap import wanted_contacts
from tocsin.cli.output import say, show, show_json, show_table
from tocsin.cli.start import Start, actor, first_line, opened, opened_store
from tocsin.core.errors import NotFound
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.identity import store as user_store
from tocsin.notify import own
from tocsin.notify.queries import Person
from tocsin.notify.targets import read_target

MAX_LABEL = 100


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


def add(start: Start, email: str, kind: str, target: str, label: str, *, as_json: bool) -> None:
    """Makes a contact that counts as verified: whoever has the machine answers for it. Raises `NotFound`, `InvalidInput`, `Conflict`."""
    settings = start.settings()
    if target == "-":
        target = first_line("target")
    where, who = read_target(kind, target, private=settings.private_targets), Who(actor())
    with opened_store(start) as store:
        now = store.clock.now()

        def work(tx: Tx) -> Person:
            user = user_store.find_email(tx.sql, email.strip().lower())
            if user is None:
                raise NotFound(f"there is no user {email}: `tocsin user list` shows all")
            return own.add(tx, who, user.id, kind, where, label.strip()[:MAX_LABEL], now, verified=True)

        made = store.writer.call(work)
    if as_json:
        show_json({"id": made.id, "kind": made.kind, "target": made.target, "user": made.user_name})
    else:
        show(made.id)
        say(f"{made.user_name} is told by {made.kind} {made.target}, within five seconds if a server runs. No code was asked for.")


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
