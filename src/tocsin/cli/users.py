"""`tocsin user`: making and listing people."""

import getpass
import sys
from collections.abc import Sequence

import sqlalchemy as sa

from tocsin.audit.model import Who
from tocsin.cli.output import say, show, show_json, show_table
from tocsin.cli.start import Start, actor, opened_store
from tocsin.core.errors import InvalidInput, NotFound, TocsinError
from tocsin.core.times import to_text, to_text_or_none
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.identity import passwords, people, rules, store as user_store
from tocsin.identity.model import PassKind, Role, User
from tocsin.identity.people import address

MAX_LINE = 4096


def add(start: Start, email: str, name: str, role: str, sites: Sequence[str], time_zone: str, *, as_json: bool) -> None:
    """Makes a user with the password on standard input. Raises `InvalidInput`, `Conflict`."""
    rules.check_email(email)
    rules.check_time_zone(time_zone)
    hashed, who = passwords.hashed(_password(email)), Who(actor())
    with opened_store(start, make=True) as store:
        now = store.clock.now()

        def work(tx: Tx) -> User:
            site_ids = _site_ids(tx, sites) if sites else None
            return people.add(tx, who, email, name, Role(role), now, time_zone=time_zone, site_ids=site_ids, password_hash=hashed)

        user = store.writer.call(work)
    if as_json:
        show_json(_as_json(user))
    else:
        show(user.id)
        say(f"{user.name} <{user.email}> can log in as {user.role}.")


def _site_ids(tx: Tx, slugs: Sequence[str]) -> frozenset[int]:
    table = tables.sites
    found = {row.slug: row.id for row in tx.sql.execute(sa.select(table.c.slug, table.c.id).where(table.c.slug.in_(slugs)))}
    missing = [slug for slug in slugs if slug not in found]
    if missing:
        raise InvalidInput.of("site", f"there is no site {', '.join(missing)}")
    return frozenset(found.values())


def reset(start: Start, email: str, *, second_factor: bool, as_json: bool) -> None:
    """Makes a link for a new password, and shows it. Raises `NotFound`, `Conflict`."""
    who = Who(actor())
    with opened_store(start) as store:
        now = store.clock.now()

        def work(tx: Tx) -> people.NewPass:
            user = user_store.find_email(tx.sql, email.strip().lower())
            if user is None:
                raise NotFound(f"there is no user {email}: `tocsin user list` shows all")
            if second_factor:
                people.remove_totp(tx, who, user.id, None, now)
            return people.make_pass(tx, who, PassKind.RESET if user.has_password else PassKind.INVITE, user.id, now)

        made = store.writer.call(work)
        link = address(store.settings.public_url, made)
    if as_json:
        show_json({"link": link, "expires_at": to_text(made.made.expires_at)})
    else:
        show(link)
        say(f"This link is shown once and works once, until {to_text(made.made.expires_at)}. Whoever opens it chooses the password.")


def _password(email: str) -> str:
    """The first line of standard input, without its end; at a terminal it is asked for and not shown."""
    try:
        line = _asked() if sys.stdin.isatty() else sys.stdin.buffer.readline(MAX_LINE).decode()
    except UnicodeDecodeError:
        raise TocsinError("the password on standard input is not UTF-8 text") from None
    password = line.rstrip("\r\n")
    if not password:
        raise TocsinError("there is no password on standard input: pass it as in `tocsin user add ... --password-stdin < password.txt`")
    try:
        return rules.check_password(password, email)
    except InvalidInput as error:
        raise TocsinError(f"the password on standard input {error.errors[0].message}") from None


def _asked() -> str:
    """Twice, since nobody sees what is typed."""
    first = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != first:
        raise TocsinError("the two passwords differ; nothing was done")
    return first


def show_users(start: Start, *, as_json: bool) -> None:
    """All users."""
    with opened_store(start) as store, store.database.read() as connection:
        users = user_store.list_users(connection)
    if as_json:
        show_json([_as_json(user) for user in users])
        return
    rows = [(u.email, u.name, u.role, "disabled" if u.disabled_at else "active", to_text(u.created_at)) for u in users]
    nothing = "There is no user yet. Add one: tocsin user add EMAIL --name NAME --role admin --password-stdin"
    show_table(("EMAIL", "NAME", "ROLE", "STATE", "SINCE"), rows, nothing)


def _as_json(user: User) -> dict[str, object]:
    return {
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "role": user.role.value,
        "time_zone": user.time_zone,
        "created_at": to_text(user.created_at),
        "disabled_at": to_text_or_none(user.disabled_at),
    }
