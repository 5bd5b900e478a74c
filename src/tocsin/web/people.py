"""How the dashboard names whoever did something."""

from collections.abc import Callable, Mapping

import sqlalchemy as sa

from tocsin.identity import store
from tocsin.notify.render import clean_line

Name = Callable[[str | None], str]


def namer(names: Mapping[str, str]) -> Name:
    """Turns the actor of a history line into words: a user's name, ``the key whmcs``, ``Tocsin``."""

    def name(actor: str | None) -> str:
        text = clean_line(actor or "somebody", 80)
        if text in names:
            return names[text]
        kind, colon, rest = text.partition(":")
        if colon and kind == "user":
            return names.get(rest, rest)
        if colon and kind == "key":
            return f"The key {rest}"
        return "Tocsin" if text == "tocsin" else text

    return name


def names(connection: sa.Connection) -> dict[str, str]:
    """The users' names by address and by id."""
    found: dict[str, str] = {}
    for user in store.list_users(connection):
        found[user.email] = found[user.id] = clean_line(user.name, 80)
    return found
