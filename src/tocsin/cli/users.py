"""`tocsin user`: making and listing people."""

import getpass
import sys

from tocsin.cli.output import say, show, show_json, show_table
from tocsin.cli.start import Start, opened_store
from tocsin.core.errors import InvalidInput, TocsinError
from tocsin.core.times import to_text, to_text_or_none
from tocsin.identity import passwords, rules, service, store as user_store
from tocsin.identity.model import Role, User

MAX_LINE = 4096


def add(start: Start, email: str, name: str, role: str, *, as_json: bool) -> None:
    """Makes a user with the password on standard input. Raises `InvalidInput`, `Conflict`."""
    rules.check_email(email)
    hashed = passwords.hashed(_password())
    with opened_store(start, make=True) as store:
        user = store.writer.call(lambda tx: service.add_user(tx, email, name, Role(role), hashed, store.clock.now()))
    if as_json:
        show_json(_as_json(user))
    else:
        show(user.id)
        say(f"{user.name} <{user.email}> can log in as {user.role}.")


def _password() -> str:
    """The first line of standard input, without its end; at a terminal it is asked for and not shown."""
    try:
        line = _asked() if sys.stdin.isatty() else sys.stdin.buffer.readline(MAX_LINE).decode()
    except UnicodeDecodeError:
        raise TocsinError("the password on standard input is not UTF-8 text") from None
    password = line.rstrip("\r\n")
    if not password:
        raise TocsinError("there is no password on standard input: pass it as in `tocsin user add ... --password-stdin < password.txt`")
    try:
        return rules.check_password(password)
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
