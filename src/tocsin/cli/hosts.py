"""`tocsin hosts`: servers that an agent reports for."""

import msgspec

from tocsin.audit.model import Who
from tocsin.cli.output import say, show, show_json, show_table
from tocsin.cli.start import Start, actor, opened
from tocsin.core.clock import SECOND
from tocsin.core.times import in_words, to_text, to_text_or_none
from tocsin.hosts import store


def show_hosts(start: Start, *, as_json: bool) -> None:
    """All hosts, by name."""
    with opened(start) as core, core.database.read() as connection:
        now = core.clock.now()
        found = [(one, core.sites.slug_of(one.site_id)) for one in store.hosts(connection)]
    if as_json:
        show_json(
            [
                {
                    "id": one.id,
                    "site": site,
                    "name": one.name,
                    "status": one.status.value,
                    "agent_version": one.version,
                    "interval_seconds": one.interval / SECOND,
                    "clock_off_seconds": one.clock_off / SECOND,
                    "last_seen_at": to_text(one.last_seen_at),
                    "silent_since": to_text_or_none(one.silent_at),
                    "facts": msgspec.json.decode(one.facts),
                }
                for one, site in found
            ]
        )
        return
    rows = [
        (one.name, one.status.value, site, f"{in_words(now - one.last_seen_at)} ago", in_words(one.interval), one.version, one.id)
        for one, site in found
    ]
    none = "No server reports yet; `tocsin hosts token` lets one in."
    show_table(("NAME", "STATUS", "SITE", "LAST HEARD", "EVERY", "AGENT", "ID"), rows, none)


def token(start: Start, site: str, *, as_json: bool) -> None:
    """Makes a token and prints it."""
    with opened(start) as core:
        site_id = core.sites.get(site).id
        made, secret = core.writer.call(lambda tx: core.roll.make_token(tx, Who(actor()), site_id))
        url = core.settings.public_url
    if as_json:
        show_json({"id": made.id, "token": secret, "site": site, "expires_at": to_text(made.expires_at)})
        return
    show(secret)
    say(f"Good for one server, until {to_text(made.expires_at)}. On the server: tocsin-agent --server {url} --register TOKEN")
