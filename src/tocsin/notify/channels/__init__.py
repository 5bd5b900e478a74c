"""The ways to reach people: one file each, and one line here."""

from tocsin.net.http import HttpDoor
from tocsin.notify.channels.email import Email
from tocsin.notify.channels.ntfy import Ntfy
from tocsin.notify.model import Channel
from tocsin.settings import Settings


def channels(settings: Settings, door: HttpDoor) -> dict[str, Channel]:
    """The channels that *settings* configure, by the kind of contact that they serve. What is not configured is missing."""
    known: dict[str, Channel | None] = {
        Ntfy.kind: Ntfy(settings.ntfy_server_url, settings.ntfy_token, door) if settings.ntfy_server_url else None,
        Email.kind: Email(settings.smtp, settings.mail_from, settings.tls_ca_file) if settings.smtp else None,
    }
    return {kind: channel for kind, channel in known.items() if channel is not None}
