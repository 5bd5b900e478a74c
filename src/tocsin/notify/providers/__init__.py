"""Who carries text messages and calls: one file each, and one line here."""

from tocsin.net.http import HttpDoor, is_public
from tocsin.notify.providers.model import Provider
from tocsin.notify.providers.twilio import Twilio
from tocsin.notify.providers.vonage import Vonage
from tocsin.settings import Settings

CALLBACKS = "/api/v1/callbacks"


def providers(settings: Settings, door: HttpDoor) -> list[Provider]:
    """Those that *settings* configure, the one to be asked first at the front."""
    back = f"{settings.public_url}{CALLBACKS}" if can_be_reached(settings.public_url) else None
    found: list[Provider] = []
    if settings.twilio is not None:
        found.append(Twilio(settings.twilio, door, back))
    if settings.vonage is not None:
        found.append(Vonage(settings.vonage, door, back))
    return sorted(found, key=lambda provider: provider.name != settings.phone_first)


def can_be_reached(public_url: str) -> bool:
    """Whether a provider's server could call *public_url*: a name with a dot, or a public address."""
    host = public_url.partition("://")[2].partition("/")[0].rpartition("@")[2]
    host = host[1 : host.index("]")] if host.startswith("[") else host.partition(":")[0]
    try:
        return is_public(host)
    except ValueError:
        return "." in host and not host.endswith((".local", ".internal", ".lan", ".localhost", ".test"))
