"""`tocsin key`: making, listing and ending API keys."""

import sqlalchemy as sa

from tocsin.audit.model import Who
from tocsin.cli.output import say, show, show_json, show_table
from tocsin.cli.start import Start, actor, opened_store
from tocsin.core.errors import InvalidInput
from tocsin.core.times import to_text, to_text_or_none
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.events.rules import is_slug
from tocsin.identity import rules, service, store as key_store
from tocsin.identity.model import ApiKey


def add(start: Start, name: str, scopes: str, site: str | None, expires: str | None, *, as_json: bool) -> None:
    """Makes a key and shows it. Raises `InvalidInput`."""
    wanted = rules.read_scopes(scopes)
    expires_in = None if expires is None else rules.read_length(expires)
    if site is not None and not is_slug(site):
        raise InvalidInput.of("site", f"{site!r} must be a short name of lower-case letters, digits and dashes. Example: acme")
    with opened_store(start, make=True) as store:
        now = store.clock.now()

        def make(tx: Tx) -> tuple[service.NewKey, bool]:
            place, is_new_site = (None, False) if site is None else _site(tx, site, now)
            return service.make_key(tx, Who(actor()), name, wanted, place, expires_in, now), is_new_site

        new, is_new_site = store.writer.call(make)
    if is_new_site:
        say(f"The site {site} is new and has been made.")
    if as_json:
        show_json({"id": new.key.id, "key": new.secret})
    else:
        show(new.secret)
        say(f"This key is shown once: keep it safe. To end it: tocsin key revoke {new.key.id}")


def _site(tx: Tx, slug: str, now: int) -> tuple[tuple[int, str], bool]:
    """The site's id and slug, and whether it had to be made."""
    from tocsin.events import sites  # noqa: PLC0415 - brings the catalogue with it; most keys are not limited to a site

    is_new = tx.sql.execute(sa.select(tables.sites.c.id).where(tables.sites.c.slug == slug)).first() is None
    return (sites.ensure(tx, slug, now), slug), is_new


def show_keys(start: Start, *, as_json: bool) -> None:
    """All keys without their secrets."""
    with opened_store(start) as store, store.database.read() as connection:
        keys, now = key_store.list_keys(connection), store.clock.now()
    if as_json:
        show_json([_as_json(key, now) for key in keys])
        return
    rows = [
        (k.id, k.name, ",".join(sorted(k.scopes)), k.site or "all", state(k, now), to_text_or_none(k.last_used_at) or "never") for k in keys
    ]
    show_table(
        ("ID", "NAME", "SCOPE", "SITE", "STATE", "LAST USED"),
        rows,
        "There is no key yet. Make one: tocsin key add whmcs --scope ingest",
    )


def state(key: ApiKey, now: int) -> str:
    """Whether a key is good now, in words."""
    if key.revoked_at is not None:
        return f"revoked {to_text(key.revoked_at)}"
    if key.expires_at is None:
        return "good"
    return f"{'expired' if key.expires_at <= now else 'good until'} {to_text(key.expires_at)}"


def _as_json(key: ApiKey, now: int) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "site": key.site,
        "state": state(key, now).partition(" ")[0],
        "created_at": to_text(key.created_at),
        "expires_at": to_text_or_none(key.expires_at),
        "revoked_at": to_text_or_none(key.revoked_at),
        "last_used_at": to_text_or_none(key.last_used_at),
    }


def revoke(start: Start, key_id: str) -> None:
    """Ends a key. Raises `NotFound`."""
    with opened_store(start) as store:
        store.writer.call(lambda tx: service.revoke_key(tx, Who(actor()), key_id, store.clock.now()))
    say(f"The key {key_id} is revoked. A running server refuses it within two seconds.")
