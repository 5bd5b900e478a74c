"""All settings: read once, from the environment, then from a TOML file. A wrong value stops the start.

The order for each setting: ``NAME`` in the environment, the file named by ``NAME_FILE``, the systemd credential
``NAME``, the key ``NAME`` of the TOML file, the default. An empty value is no value. Documented in
``docs/reference/settings.md``.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from tocsin.core.errors import TocsinError
from tocsin.core.phone import TwilioAccount, VonageAccount
from tocsin.core.smtp import Smtp
from tocsin.core.text import without_credentials


class SettingsError(TocsinError):
    """A setting is wrong; the message names it, its value and a right example."""


@dataclass(frozen=True)
class Settings:
    """Every setting with its default; the metadata of each field says how it is read."""

    whmcs_env: str = "production"
    whmcs_url: str | None = None
    whmcs_api_id: str | None = field(default=None, repr=False)
    whmcs_api_secret: str | None = field(default=None, repr=False)
    data_dir: Path = Path("data")
    database_url: str = field(default="", repr=False)
    listen_host: str = "127.0.0.1"
    listen_port: int = 8400
    public_url: str = "http://127.0.0.1:8400"
    ntfy_server_url: str | None = None
    ntfy_topic: str = "whmcs-alerts"
    ntfy_token: str | None = field(default=None, repr=False)
    notification_email: str | None = None
    smtp: Smtp | None = None
    mail_from: str = "tocsin@localhost"
    tls_ca_file: Path | None = None
    slack_token: str | None = field(default=None, repr=False)
    telegram_token: str | None = field(default=None, repr=False)
    private_targets: bool = False
    twilio_sid: str | None = None
    twilio_token: str | None = field(default=None, repr=False)
    twilio_from: str | None = None
    vonage_application_id: str | None = None
    vonage_private_key: str | None = field(default=None, repr=False)
    vonage_signature_secret: str | None = field(default=None, repr=False)
    vonage_from: str | None = None
    phone_first: str = "twilio"
    spend_limit: int | None = None
    sms_price: int = 100_000
    call_price: int = 200_000
    messages_per_minute: int = 10
    message_burst: int = 10
    group_wait_seconds: int = 10
    ack_expiry_minutes: int = 240
    flap_window_minutes: int = 10
    heartbeat_url: str | None = field(default=None, repr=False)
    ping_mail_host: str | None = None
    ping_mail_port: int = 0
    ping_mail_domain: str = ""
    response_time_warning: int = 3_000
    response_time_critical: int = 5_000
    ssl_expiry_warning_days: int = 30
    cpu_warning: int = 80
    memory_warning: int = 90
    disk_warning: int = 85
    series_limit: int = 50_000
    scripts_dir: Path | None = None
    history_days: int = 90

    @property
    def twilio(self) -> TwilioAccount | None:
        """The account at Twilio, if there is one. `load` has seen to it that nothing of it is missing."""
        if self.twilio_sid is None or self.twilio_token is None or self.twilio_from is None:
            return None
        return TwilioAccount(self.twilio_sid, self.twilio_token, self.twilio_from)

    @property
    def vonage(self) -> VonageAccount | None:
        """The application at Vonage, if there is one."""
        if self.vonage_application_id is None or self.vonage_private_key is None:
            return None
        if self.vonage_signature_secret is None or self.vonage_from is None:
            return None
        return VonageAccount(self.vonage_application_id, self.vonage_private_key, self.vonage_signature_secret, self.vonage_from)

    @property
    def ping_mail(self) -> str | None:
        """The domain of the addresses to which jobs report by mail; None: no mail is taken in."""
        return None if self.ping_mail_host is None else self.ping_mail_domain or urlsplit(self.public_url).hostname

    @property
    def is_sqlite(self) -> bool:
        """Whether the embedded database is used."""
        return self.database_url.startswith("sqlite")

    @property
    def sqlite_path(self) -> Path:
        """The file of the embedded database."""
        return Path(self.database_url.removeprefix("sqlite:///"))


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return text

    return read


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return read


def _listen(text: str) -> tuple[str, int]:
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Fa-f:]+:[0-9A-Fa-f:.]*|[A-Za-z0-9._-]+):([0-9]{1,5})", text)
    if match is None or not 0 < int(match[2]) < 65536:
        raise ValueError("must be ADDRESS:PORT with a port from 1 to 65535")
    return match[1].strip("[]"), int(match[2])


def _http_url(text: str) -> str:
    parts = _split(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must start with http:// or https:// and name a host")
    if parts.query or parts.fragment:
        raise ValueError("must not have a query or fragment")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user or password")
    return text.rstrip("/")


def _call_url(text: str) -> str:
    """An address that is called as it is, query and all."""
    parts = _split(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must start with http:// or https:// and name a host")
    if parts.fragment or parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a fragment, user or password")
    return text


def _ntfy_url(text: str) -> str:
    if _split(text).path.strip("/"):
        raise ValueError("must be the server's address alone: the topic goes into NTFY_TOPIC")
    return _http_url(text)


def _split(text: str) -> SplitResult:
    """The parts of an address. What the library says about a bad one may quote a part of a password, so it is not passed on."""
    if re.search(r"[\s\x00-\x1f\x7f]", text):
        raise ValueError("must not hold spaces or line ends")
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        hint = "in a user name or password write # as %23, / as %2F, @ as %40"
        raise ValueError(f"is no address that can be read ({hint})") from None
    return parts


def _topic(text: str) -> str:
    if not re.fullmatch(r"[-_A-Za-z0-9]{1,64}", text):
        raise ValueError("may hold letters, digits, - and _ only, at most 64 of them")
    return text


def _token(text: str) -> str:
    if not re.fullmatch(r"[!-~]{1,256}", text):
        raise ValueError("must be one word of printable ASCII")
    return text


def _slack_token(text: str) -> str:
    if not re.fullmatch(r"xoxb-[A-Za-z0-9-]{10,250}", text):
        raise ValueError("must be the token of a bot: xoxb- and letters, digits and dashes")
    return text


def _telegram_token(text: str) -> str:
    if not re.fullmatch(r"[0-9]{5,20}:[A-Za-z0-9_-]{30,60}", text):
        raise ValueError("must be the token of a bot: its number, a colon, and some 35 letters and digits")
    return text


def _allowed(text: str) -> bool:
    return _one_of("refuse", "allow")(text) == "allow"


def _twilio_sid(text: str) -> str:
    if not re.fullmatch(r"AC[0-9a-f]{32}", text):
        raise ValueError("must be AC and 32 digits and letters from a to f")
    return text


def _twilio_from(text: str) -> str:
    return text if re.fullmatch(r"MG[0-9a-f]{32}", text) else _phone_sender(text)


def _phone_sender(text: str) -> str:
    """A number, or a name: up to eleven letters, digits and spaces, one of them a letter."""
    if not re.fullmatch(r"\+[1-9][0-9]{6,14}|(?=.*[A-Za-z])[A-Za-z0-9 ]{2,11}", text):
        raise ValueError("must be a number with its country, such as +4930123456, or a name of at most 11 letters and digits")
    return text


def _uuid(text: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text):
        raise ValueError("must be an id of the form 1a2b3c4d-0000-4000-8000-1a2b3c4d5e6f")
    return text.lower()


def _private_key(text: str) -> str:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415 - only who sets this pays for it
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    pem = text.replace("\\n", "\n")  # as it must be written where a value is one line
    try:
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError):
        raise ValueError("is no private key in PEM form without a password") from None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("is no RSA key")  # noqa: TRY004 - the value is wrong, and not its type
    return pem


def _money(text: str) -> int:
    """Millionths of a sum such as ``25`` or ``0.075``."""
    if not re.fullmatch(r"[0-9]{1,7}(\.[0-9]{1,6})?", text):
        raise ValueError("must be a sum such as 25 or 0.075, without a currency")
    whole, _, part = text.partition(".")
    return int(whole) * 1_000_000 + int(part.ljust(6, "0"))


def _email(text: str) -> str:
    if not re.fullmatch(r"[^@\s<>,;:\"()\[\]\\]{1,64}@[A-Za-z0-9.-]{1,253}", text):
        raise ValueError("must be one mail address")
    return text


def _domain(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63}){0,8}", text):
        raise ValueError("must be a domain")
    return text.lower()


def _mail_from(text: str) -> str:
    _email(text.rpartition("<")[2].rstrip(">").strip())
    if "\n" in text or "\r" in text:
        raise ValueError("must be one line")
    return text


def _smtp(text: str) -> Smtp:
    parts = _split(text)
    if parts.scheme not in ("smtp", "smtps", "smtp+plain") or not parts.hostname:
        raise ValueError("must be smtp://..., smtps://... or smtp+plain://... (no TLS at all)")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("must end after the port (in a password write # as %23, / as %2F, ? as %3F)")
    implicit = parts.scheme == "smtps"
    return Smtp(
        host=parts.hostname,
        port=parts.port or (465 if implicit else 587),
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        implicit_tls=implicit,
        plain=parts.scheme == "smtp+plain",
    )


def _database(text: str) -> str:
    if text.startswith("sqlite:///") and len(text) > len("sqlite:///"):
        return text
    parts = _split(text)
    if parts.scheme in ("postgresql", "postgres") and parts.path.strip("/"):
        return "postgresql" + text[len(parts.scheme) :]
    raise ValueError("must be sqlite:///PATH or postgresql://user:password@host/name")


def _existing_file(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise ValueError("is not a file")
    return path


def _authorities(text: str) -> Path:
    import ssl  # noqa: PLC0415 - only who sets this pays for it

    path = _existing_file(text)
    try:
        ssl.create_default_context().load_verify_locations(path)
    except ssl.SSLError:
        raise ValueError("holds no certificate in PEM form") from None
    except OSError:
        raise ValueError("cannot be read") from None
    return path


def _folder(text: str) -> Path:
    if "\0" in text:
        raise ValueError("must be a path")
    return Path(text)


def _scripts(text: str) -> Path:
    path = Path(text)
    if not path.is_absolute() or not path.is_dir():
        raise ValueError("must be a folder that exists, by its whole path")
    return path


@dataclass(frozen=True)
class Variable:
    """How one variable is read: ``parse`` raises ValueError with the reason; ``fields`` are those of `Settings`."""

    name: str
    fields: tuple[str, ...]
    parse: Callable[[str], Any]
    example: str
    meaning: str
    secret: bool = False


VARIABLES: tuple[Variable, ...] = (
    Variable(
        "WHMCS_ENV",
        ("whmcs_env",),
        _one_of("development", "staging", "production"),
        "production",
        "`development`, `staging` or `production`",
    ),
    Variable("WHMCS_URL", ("whmcs_url",), _http_url, "https://billing.example.com", "where WHMCS is: the first site"),
    Variable("WHMCS_API_ID", ("whmcs_api_id",), _token, "aBcDeFgHiJkLmNoPqRsTuVwXyZ", "identifier of its API credentials", secret=True),
    Variable("WHMCS_API_SECRET", ("whmcs_api_secret",), _token, "zYxWvUtSrQpOnMlKjIhGfEdCbA", "and their secret", secret=True),
    Variable("TOCSIN_DATA_DIR", ("data_dir",), _folder, "/var/lib/tocsin", "embedded database and generated secrets (mode 0700)"),
    Variable(
        "TOCSIN_DATABASE_URL",
        ("database_url",),
        _database,
        "postgresql://user:password@127.0.0.1/tocsin",
        "`sqlite:///PATH` or `postgresql://...`; default: SQLite in the data folder",
        secret=True,
    ),
    Variable("TOCSIN_LISTEN", ("listen_host", "listen_port"), _listen, "127.0.0.1:8400", "address and port"),
    Variable(
        "TOCSIN_PUBLIC_URL",
        ("public_url",),
        _http_url,
        "https://alarm.example.com",
        "what links and push buttons point to; default: `http://` + listen",
    ),
    Variable("NTFY_SERVER_URL", ("ntfy_server_url",), _ntfy_url, "https://ntfy.sh", "the ntfy server of the first push channel"),
    Variable("NTFY_TOPIC", ("ntfy_topic",), _topic, "whmcs-alerts", "its topic"),
    Variable("NTFY_TOKEN", ("ntfy_token",), _token, "tk_...", "its access token", secret=True),
    Variable("NOTIFICATION_EMAIL", ("notification_email",), _email, "ops@example.com", "the first email target"),
    Variable(
        "TOCSIN_SMTP_URL",
        ("smtp",),
        _smtp,
        "smtp://user:password@mail.example.com:587",
        "`smtp://` demands STARTTLS, `smtps://` is TLS from the start, `smtp+plain://` never encrypts",
        secret=True,
    ),
    Variable("TOCSIN_MAIL_FROM", ("mail_from",), _mail_from, "Tocsin <tocsin@example.com>", "sender of all mail"),
    Variable(
        "TOCSIN_TLS_CA_FILE",
        ("tls_ca_file",),
        _authorities,
        "/etc/ssl/private-ca.pem",
        "further certificate authorities to trust when sending (PEM)",
    ),
    Variable(
        "TOCSIN_SLACK_TOKEN", ("slack_token",), _slack_token, "xoxb-...", "bot token, to write to Slack channels by name", secret=True
    ),
    Variable("TOCSIN_TELEGRAM_TOKEN", ("telegram_token",), _telegram_token, "123456789:AAE...", "token of the Telegram bot", secret=True),
    Variable(
        "TOCSIN_PRIVATE_TARGETS",
        ("private_targets",),
        _allowed,
        "allow",
        "`refuse` or `allow`: whether webhooks and Apprise addresses may lead into one's own network",
    ),
    Variable("TOCSIN_TWILIO_ACCOUNT_SID", ("twilio_sid",), _twilio_sid, "AC0123456789abcdef0123456789abcdef", "the account at Twilio"),
    Variable("TOCSIN_TWILIO_AUTH_TOKEN", ("twilio_token",), _token, "0123456789abcdef0123456789abcdef", "its token", secret=True),
    Variable("TOCSIN_TWILIO_FROM", ("twilio_from",), _twilio_from, "+4930123456", "the number that texts and calls come from"),
    Variable(
        "TOCSIN_VONAGE_APPLICATION_ID",
        ("vonage_application_id",),
        _uuid,
        "1a2b3c4d-0000-4000-8000-1a2b3c4d5e6f",
        "the application at Vonage",
    ),
    Variable("TOCSIN_VONAGE_PRIVATE_KEY", ("vonage_private_key",), _private_key, "-----BEGIN PRIVATE KEY-----...", "its key", secret=True),
    Variable(
        "TOCSIN_VONAGE_SIGNATURE_SECRET",
        ("vonage_signature_secret",),
        _token,
        "aB3...",
        "what Vonage signs its call-backs with",
        secret=True,
    ),
    Variable("TOCSIN_VONAGE_FROM", ("vonage_from",), _phone_sender, "+4930123457", "the number that texts and calls come from"),
    Variable("TOCSIN_PHONE_FIRST", ("phone_first",), _one_of("twilio", "vonage"), "twilio", "which provider is asked first"),
    Variable("TOCSIN_SPEND_LIMIT", ("spend_limit",), _money, "25", "what texts and calls may cost in a calendar month"),
    Variable("TOCSIN_SMS_PRICE", ("sms_price",), _money, "0.10", "what one SMS is taken to cost"),
    Variable("TOCSIN_CALL_PRICE", ("call_price",), _money, "0.20", "what one call is taken to cost"),
    Variable(
        "TOCSIN_MESSAGES_PER_MINUTE",
        ("messages_per_minute",),
        _whole(1, 1_000_000),
        "10",
        "lasting rate of messages to one contact; what is over waits and is bundled",
    ),
    Variable(
        "TOCSIN_MESSAGE_BURST",
        ("message_burst",),
        _whole(1, 1_000_000),
        "10",
        "messages that one contact may get at once before the rate holds",
    ),
    Variable(
        "TOCSIN_GROUP_WAIT_SECONDS",
        ("group_wait_seconds",),
        _whole(0, 300),
        "10",
        "after the first message about a type of alert at a site, others wait so long for each other and leave as one; 0: never",
    ),
    Variable(
        "TOCSIN_ACK_EXPIRY_MINUTES",
        ("ack_expiry_minutes",),
        _whole(0, 43_200),
        "240",
        "an acknowledged alert opens again after this time; 0: never",
    ),
    Variable(
        "TOCSIN_FLAP_WINDOW_MINUTES",
        ("flap_window_minutes",),
        _whole(0, 1_440),
        "10",
        "a problem that returns this soon after it was resolved reopens its alert",
    ),
    Variable(
        "TOCSIN_SERIES_LIMIT",
        ("series_limit",),
        _whole(1, 10_000_000),
        "50000",
        "how many series of metrics a site may have; samples of further ones are refused",
    ),
    Variable(
        "TOCSIN_HISTORY_DAYS",
        ("history_days",),
        _whole(8, 3_650),
        "90",
        "how long each sample of a metric is kept; what hours come to stays two years, what days come to for good",
    ),
    Variable(
        "TOCSIN_HEARTBEAT_URL",
        ("heartbeat_url",),
        _call_url,
        "https://hc-ping.com/1a2b3c4d-0000-4000-8000-1a2b3c4d5e6f",
        "called each minute while Tocsin is well: a dead man's switch outside",
        secret=True,
    ),
    Variable(
        "TOCSIN_PING_MAIL_LISTEN",
        ("ping_mail_host", "ping_mail_port"),
        _listen,
        "127.0.0.1:2525",
        "where mail is taken in with which jobs report; default: nowhere",
    ),
    Variable(
        "TOCSIN_PING_MAIL_DOMAIN",
        ("ping_mail_domain",),
        _domain,
        "ping.example.com",
        "the domain of these addresses; default: the host of `TOCSIN_PUBLIC_URL`",
    ),
    Variable(
        "RESPONSE_TIME_WARNING",
        ("response_time_warning",),
        _whole(1, 600_000),
        "3000",
        "milliseconds from which on what a check asks is slow, where the check does not say it itself",
    ),
    Variable(
        "RESPONSE_TIME_CRITICAL",
        ("response_time_critical",),
        _whole(1, 600_000),
        "5000",
        "milliseconds from which on it is so slow that somebody must look",
    ),
    Variable(
        "SSL_EXPIRY_WARNING_DAYS",
        ("ssl_expiry_warning_days",),
        _whole(1, 365),
        "30",
        "how many days before its end people are first told of a certificate; again at 14, 7 and 1",
    ),
    Variable("CPU_WARNING_THRESHOLD", ("cpu_warning",), _whole(1, 100), "80", "`cpu_percent` from which is warned"),
    Variable("MEMORY_WARNING_THRESHOLD", ("memory_warning",), _whole(1, 100), "90", "`memory_percent` from which is warned"),
    Variable("DISK_WARNING_THRESHOLD", ("disk_warning",), _whole(1, 100), "85", "`disk_percent` from which is warned"),
    Variable("TOCSIN_SCRIPTS_DIR", ("scripts_dir",), _scripts, "/usr/local/lib/tocsin/checks", "the folder whose programs checks may run"),
)


def load(environment: Mapping[str, str], config: Path | None = None) -> Settings:
    """The settings of this start.

    Raises `SettingsError` for an unreadable file, an unknown key or a wrong value.
    """
    table = _toml(environment, config)
    values: dict[str, Any] = {}
    for variable in VARIABLES:
        text = _lookup(variable, environment, table)
        if text is None:
            continue
        parsed = _parsed(variable, text)
        values.update(zip(variable.fields, parsed if len(variable.fields) > 1 else (parsed,), strict=True))
    _refuse_halves(values)
    _refuse_reversed(values)
    return _with_derived(values)


# Settings that are of use only together.
_TOGETHER = (
    ("WHMCS_URL", "WHMCS_API_ID", "WHMCS_API_SECRET"),
    ("TOCSIN_TWILIO_ACCOUNT_SID", "TOCSIN_TWILIO_AUTH_TOKEN", "TOCSIN_TWILIO_FROM"),
    ("TOCSIN_VONAGE_APPLICATION_ID", "TOCSIN_VONAGE_PRIVATE_KEY", "TOCSIN_VONAGE_SIGNATURE_SECRET", "TOCSIN_VONAGE_FROM"),
)


def _refuse_halves(values: Mapping[str, Any]) -> None:
    known = {variable.name: variable for variable in VARIABLES}
    for names in _TOGETHER:
        missing = [name for name in names if known[name].fields[0] not in values]
        if 0 < len(missing) < len(names):
            there = next(name for name in names if name not in missing)
            name = missing[0]
            raise SettingsError(f"{there} is set, and {name} is not: they are needed together. Example: {name}={known[name].example}")


def _refuse_reversed(values: dict[str, Any]) -> None:
    warning = values.get("response_time_warning", Settings.response_time_warning)
    critical = values.setdefault("response_time_critical", max(warning, Settings.response_time_critical))
    if critical < warning:
        text = f"RESPONSE_TIME_CRITICAL is {critical}, which is below RESPONSE_TIME_WARNING, {warning}"
        raise SettingsError(f"{text}. Example: RESPONSE_TIME_CRITICAL={warning + 2_000}")


def _with_derived(values: dict[str, Any]) -> Settings:
    data_dir = values.get("data_dir", Settings.data_dir)
    values.setdefault("database_url", f"sqlite:///{data_dir / 'tocsin.db'}")
    host = values.get("listen_host", Settings.listen_host)
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound: a wildcard is no address to link to
        host = "127.0.0.1"
    if ":" in host:
        host = f"[{host}]"
    values.setdefault("public_url", f"http://{host}:{values.get('listen_port', Settings.listen_port)}")
    return Settings(**values)


def _parsed(variable: Variable, text: str) -> Any:
    try:
        return variable.parse(text)
    except ValueError as error:
        shown = "(hidden)" if variable.secret else repr(without_credentials(text))
        raise SettingsError(f"{variable.name} is {shown}, but {error}. Example: {variable.name}={variable.example}") from None


def _lookup(variable: Variable, environment: Mapping[str, str], table: Mapping[str, str]) -> str | None:
    if environment.get(variable.name):
        return environment[variable.name]
    named_file = environment.get(f"{variable.name}_FILE")
    if named_file:
        return _secret_file(f"{variable.name}_FILE names {named_file}, which", Path(named_file))
    folder = environment.get("CREDENTIALS_DIRECTORY")
    if folder and (Path(folder) / variable.name).is_file():
        return _secret_file(f"the systemd credential {variable.name}", Path(folder) / variable.name)
    return table.get(variable.name) or None


def _secret_file(subject: str, path: Path) -> str:
    try:
        text = path.read_text().strip()
    except OSError as error:
        raise SettingsError(f"{subject} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{subject} cannot be read: it is not text") from None
    if not text:
        raise SettingsError(f"{subject} is empty: write the value into it, or take the setting away")
    return text


def _toml_path(environment: Mapping[str, str], config: Path | None) -> Path:
    return config or Path(environment.get("TOCSIN_DATA_DIR") or Settings.data_dir) / "tocsin.toml"


def _toml(environment: Mapping[str, str], config: Path | None) -> Mapping[str, str]:
    path = _toml_path(environment, config)
    try:
        table = tomllib.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError) as error:
        if config is None:
            return {}
        raise SettingsError(f"the configuration file {path} cannot be read: {error.strerror}") from None
    except OSError as error:
        raise SettingsError(f"the configuration file {path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"the configuration file {path} is not TOML: {error}") from None
    return {key: _plain(path, key, value) for key, value in table.items()}


def _plain(path: Path, key: str, value: object) -> str:
    """A value of the TOML file as the text that the environment would hold."""
    examples = {variable.name: variable.example for variable in VARIABLES}
    if key not in examples:
        known = ", ".join(sorted(examples))
        raise SettingsError(f"the configuration file {path} sets {key}, which is no setting. Known: {known}")
    if isinstance(value, bool) or not isinstance(value, str | int):
        example = f'Example: {key} = "{examples[key]}"'
        raise SettingsError(f"the configuration file {path} sets {key} to neither a text nor a whole number. {example}")
    return str(value)


def open_secrets(environment: Mapping[str, str], config: Path | None = None) -> list[Path]:
    """The files that hold a secret of the settings and that everybody on this machine may read."""
    secret = [variable.name for variable in VARIABLES if variable.secret]
    files = [Path(environment[f"{name}_FILE"]) for name in secret if environment.get(f"{name}_FILE") and not environment.get(name)]
    if any(name in _toml(environment, config) for name in secret):
        files.append(_toml_path(environment, config))
    return [path for path in files if path.stat().st_mode & 0o004]


def misspelt(environment: Mapping[str, str]) -> list[tuple[str, str]]:
    """Variables that are no setting and look like one, each with the setting that is probably meant (or an empty text).

    All that begin with ``TOCSIN_``; of the others, which may be somebody else's, those that differ by a letter or two.
    """
    from difflib import get_close_matches  # noqa: PLC0415 - `doctor` only

    known = {variable.name for variable in VARIABLES}
    found = []
    for name in sorted(environment):
        if name.removesuffix("_FILE") not in known:
            ours = name.startswith("TOCSIN_")
            meant = get_close_matches(name, sorted(known), 1, 0.8 if ours else 0.9)
            if ours or meant:
                found.append((name, meant[0] if meant else ""))
    return found


def effective(settings: Settings) -> dict[str, str]:
    """Every setting as text with the secrets masked: for `doctor` and support requests."""
    return {variable.name: _shown(variable, settings) for variable in VARIABLES}


def _shown(variable: Variable, settings: Settings) -> str:
    value, *others = [getattr(settings, name) for name in variable.fields]
    if value is None:
        return "(not set)"
    if variable.parse is _money:
        return f"{value / 1_000_000:.2f}"
    if isinstance(value, bool):
        return "allow" if value else "refuse"
    if isinstance(value, Smtp):
        scheme = "smtps" if value.implicit_tls else "smtp+plain" if value.plain else "smtp"
        return f"{scheme}://{'(login)@' if value.user else ''}{value.host}:{value.port}"
    if variable.name == "TOCSIN_DATABASE_URL":
        return without_credentials(value).partition("?")[0]  # the query may hold a password, too
    return "(set)" if variable.secret else ":".join(map(str, (value, *others)))
