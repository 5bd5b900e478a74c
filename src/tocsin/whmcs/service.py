"""Connecting a site with its WHMCS: checked, stored and audited in one transaction."""

from urllib.parse import urlsplit

from tocsin.audit import service as audit
from tocsin.audit.model import Who
from tocsin.core.errors import InvalidInput, NotFound
from tocsin.db.writer import Tx
from tocsin.whmcs import store
from tocsin.whmcs.model import Connection


def connect(tx: Tx, who: Who, slug: str, wanted: Connection, now: int) -> None:
    """How WHMCS of a site is reached from now on. Raises `InvalidInput`."""
    check(wanted)
    store.connect(tx, wanted, now)
    after = {"url": wanted.url, "identifier": wanted.identifier}
    audit.record(tx, who, "whmcs.connected", f"site:{slug}", now, after=after, site_id=wanted.site_id)


def disconnect(tx: Tx, who: Who, slug: str, site_id: int, now: int) -> None:
    """A site's WHMCS is not asked any more, unless the settings say how. Raises `NotFound` if it has no connection of its own."""
    if not store.disconnect(tx, site_id):
        raise NotFound(f"{slug} has no connection of its own")
    audit.record(tx, who, "whmcs.disconnected", f"site:{slug}", now, site_id=site_id)


def check(wanted: Connection) -> None:
    """Raises `InvalidInput` if it can be no connection."""
    try:
        parts = urlsplit(wanted.url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_good = False
    if not is_good or parts.query or parts.fragment or parts.username is not None or not _is_plain(wanted.url):
        text = "must be the address of WHMCS, without a query or password, such as https://billing.example.com"
        raise InvalidInput.of("url", text)
    for name in ("identifier", "secret"):
        if not _is_plain(getattr(wanted, name)):
            raise InvalidInput.of(name, "must be printable ASCII without spaces, as WHMCS shows it once")


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text
