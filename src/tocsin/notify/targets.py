"""What a contact may point to, by kind: read once, when somebody sets it, and refused there rather than at night.

Where the address itself is a secret it is kept apart from what is shown: see `Contact`.
"""

import re
import secrets
from collections.abc import Callable, Mapping
from urllib.parse import SplitResult, urlsplit

import msgspec

from tocsin.core.errors import InvalidInput

MAX_TARGET = 2_000
MIN_SIGNING_KEY = 16

_EMAIL = re.compile(r"[^@\s<>,;:\"()\[\]\\\x00-\x1f\x7f]{1,64}@[A-Za-z0-9.-]{1,253}")
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
_TOPIC = re.compile(r"[-_A-Za-z0-9]{1,64}")
_CHAT = re.compile(r"-?[0-9]{1,20}(:[0-9]{1,10})?|@[A-Za-z][A-Za-z0-9_]{3,31}")
_SLACK_CHANNEL = re.compile(r"[CDG][A-Z0-9]{6,20}|#[^\s#@,:<>]{1,79}")
_SLACK_PATH = re.compile(r"/(services/[A-Za-z0-9]+/[A-Za-z0-9]+|triggers/[A-Za-z0-9]+/[A-Za-z0-9]+|workflows/[A-Za-z0-9/]+)/[A-Za-z0-9]+")
_DISCORD_PATH = re.compile(r"/api/(v[0-9]{1,2}/)?webhooks/[0-9]{5,25}/[A-Za-z0-9_-]{20,120}")
_PAGERDUTY = re.compile(r"(eu:)?[A-Za-z0-9]{32}")
_OPSGENIE = re.compile(r"((eu|jsm):)?[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_APPRISE = re.compile(r"([A-Za-z0-9][A-Za-z0-9+.-]{1,30})://\S")
_LOCAL = frozenset({"blink1", "dbus", "file", "glib", "gnome", "growl", "kde", "macosx", "qt", "syslog", "windows"})
_UNFIT = re.compile(r"[\s\x00-\x1f\x7f-\x9f\ud800-\udfff]")

_DISCORD_HOSTS = ("discord.com", "discordapp.com", "ptb.discord.com", "canary.discord.com")
_SLACK_HOSTS = ("hooks.slack.com", "hooks.slack-gov.com")
_TEAMS_HOSTS = (".logic.azure.com", ".logic.azure.us", ".powerplatform.com", ".powerplatform.us", ".webhook.office.com")


class Target(msgspec.Struct, frozen=True):
    """A good target: what may be shown of it, and the whole of it where it must not be. ``made`` is a signing key made just now."""

    shown: str
    secret: str | None = None
    made: str | None = None


def read_target(kind: str, text: str, *, private: bool = False) -> Target:
    """*text* as the target of a contact of *kind*. *private*: addresses inside one's own network are allowed, and unencrypted ones.

    Raises `InvalidInput` that names the field and a right example, and repeats nothing of a secret.
    """
    if kind not in KINDS:
        raise InvalidInput.of("kind", f"must be one of {', '.join(KINDS)}")
    if len(text) > MAX_TARGET or _UNFIT.search(text):
        raise InvalidInput.of("target", f"must be one word of at most {MAX_TARGET} characters, without spaces or line ends")
    return _BY_NETWORK[kind](text, private=private) if kind in _BY_NETWORK else _READERS[kind](text)


def _wrong(message: str) -> InvalidInput:
    return InvalidInput.of("target", message)


def _ntfy(text: str) -> Target:
    if not _TOPIC.fullmatch(text):
        raise _wrong("must be a topic: letters, digits, - and _ only, at most 64 of them. Example: alerts-7f3k9q")
    return Target(text)


def _email(text: str) -> Target:
    if not _EMAIL.fullmatch(text):
        raise _wrong("must be one mail address. Example: ops@example.com")
    return Target(text)


def _number(text: str) -> Target:
    import phonenumbers  # noqa: PLC0415 - heavy, and only needed when somebody sets a number

    example = "Example: +4915123456789"
    if not _PHONE.fullmatch(text):
        raise _wrong(f"must be a telephone number with + and the country, without spaces. {example}")
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        raise _wrong(f"is no telephone number. {example}") from None
    if not phonenumbers.is_possible_number(number):
        raise _wrong(f"cannot be a number of its country: too long or too short. {example}")
    return Target(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _slack(text: str) -> Target:
    if _SLACK_CHANNEL.fullmatch(text):
        return Target(text)
    example = "https://hooks.slack.com/services/T.../B.../..., or, with TOCSIN_SLACK_TOKEN set, a channel such as C0123456789"
    parts = _https(text, example)
    if parts.hostname not in _SLACK_HOSTS or not _SLACK_PATH.fullmatch(parts.path):
        raise _wrong(f"must be the address of an incoming webhook of Slack. Example: {example}")
    return Target(parts.hostname, text)


def _teams(text: str) -> Target:
    example = "https://prod-00.westeurope.logic.azure.com/workflows/..., as the Workflows app of Teams shows it"
    parts = _https(text, example)
    if not (parts.hostname or "").endswith(_TEAMS_HOSTS):
        raise _wrong(f"must be the address of a Teams workflow. Example: {example}")
    return Target(parts.hostname or "", text)


def _discord(text: str) -> Target:
    example = "https://discord.com/api/webhooks/1234/..., from the settings of the channel, Integrations"
    parts = _https(text, example)
    if parts.hostname not in _DISCORD_HOSTS or not _DISCORD_PATH.fullmatch(parts.path):
        raise _wrong(f"must be the address of a webhook of Discord. Example: {example}")
    return Target(parts.hostname, text)


def _telegram(text: str) -> Target:
    if not _CHAT.fullmatch(text):
        raise _wrong("must be the number of a chat, or the @name of a public channel. Example: -1001234567890")
    return Target(text)


def _pagerduty(text: str) -> Target:
    if not _PAGERDUTY.fullmatch(text):
        raise _wrong(
            "must be the integration key of an Events API v2 integration: 32 letters and digits, with eu: before it in the EU region"
        )
    return Target("Europe" if text.startswith("eu:") else "Events API", text)


def _opsgenie(text: str) -> Target:
    if not _OPSGENIE.fullmatch(text):
        raise _wrong(
            "must be the key of an API integration, such as 1a2b3c4d-0000-4000-8000-1a2b3c4d5e6f, "
            "with eu: before it in the EU region, or jsm: for Jira Service Management"
        )
    return Target({"eu": "Europe", "jsm": "Jira Service Management"}.get(text.partition(":")[0], "Alert API"), text)


def _webhook(text: str, *, private: bool) -> Target:
    """The address, and after a ``#`` the key to sign with; one is made if there is none."""
    address, _, key = text.partition("#")
    parts = _split(address)
    if parts is None or parts.scheme not in (("https", "http") if private else ("https",)) or not parts.hostname:
        raise _wrong("must start with https:// and name a host. Example: https://hooks.example.com/tocsin")
    if parts.username is not None or parts.password is not None:
        raise _wrong("must not hold a user or password: what comes is signed, check the signature instead")
    if key and len(key) < MIN_SIGNING_KEY:
        raise _wrong(f"has a signing key (after the #) of less than {MIN_SIGNING_KEY} characters: leave it away, and one is made")
    made = None if key else f"whsec_{secrets.token_urlsafe(32)}"
    return Target(parts.hostname, f"{address}#{key or made}", made)


def _subscription(text: str, *, private: bool) -> Target:
    """What a browser hands out when somebody allows notifications: ``PushSubscription.toJSON()``, without spaces."""
    from tocsin.notify import sealing  # noqa: PLC0415 - heavy, and only needed when somebody subscribes

    wrong = _wrong("must be the subscription that a browser hands out: an object with endpoint, keys.p256dh and keys.auth")
    try:
        given = msgspec.json.decode(text, type=_Given)
        kept = sealing.Subscription(given.endpoint, given.keys.p256dh, given.keys.auth)
        sealing.check(kept)
    except (msgspec.DecodeError, ValueError):
        raise wrong from None
    parts = _split(given.endpoint)
    if parts is None or parts.scheme not in (("https", "http") if private else ("https",)) or not parts.hostname or parts.username:
        raise wrong
    return Target(parts.hostname, msgspec.json.encode(kept).decode())


def _apprise(text: str) -> Target:
    """What comes before ``://`` is all that is shown: with many services any other part is a key."""
    found = _APPRISE.match(text)
    if found is None:
        raise _wrong("must be an address as Apprise knows it, such as gotify://gotify.example.com/token")
    scheme = found[1].lower()
    if scheme in _LOCAL:
        raise _wrong(f"{scheme}:// is for the screen or the log of this machine, where nobody would see it")
    return Target(scheme, text)


class _GivenKeys(msgspec.Struct):
    p256dh: str
    auth: str


class _Given(msgspec.Struct):
    endpoint: str
    keys: _GivenKeys


def _https(text: str, example: str) -> SplitResult:
    parts = _split(text)
    if parts is None or parts.scheme != "https" or parts.username is not None or parts.fragment or parts.port not in (None, 443):
        raise _wrong(f"must start with https://. Example: {example}")
    return parts


def _split(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return None
    return parts


_READERS: Mapping[str, Callable[[str], Target]] = {
    "ntfy": _ntfy,
    "email": _email,
    "sms": _number,
    "voice": _number,
    "slack": _slack,
    "teams": _teams,
    "discord": _discord,
    "telegram": _telegram,
    "pagerduty": _pagerduty,
    "opsgenie": _opsgenie,
    "apprise": _apprise,
}

_BY_NETWORK: Mapping[str, Callable[..., Target]] = {"webhook": _webhook, "webpush": _subscription}

KINDS: tuple[str, ...] = (*_READERS, *_BY_NETWORK)
