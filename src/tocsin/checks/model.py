"""Checks: what is asked, what was found, and where a check stands."""

import enum
from ipaddress import ip_address
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta


class Status(enum.StrEnum):
    """What people are told of a check."""

    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"
    UNKNOWN = "unknown"  # nothing was learned of the target: our own trouble, or nobody looked
    PAUSED = "paused"
    MAINTENANCE = "maintenance"


class Level(enum.IntEnum):
    """How bad a finding is."""

    OK = 0
    WARNING = 1
    CRITICAL = 2  # it does what it should, so badly that somebody must look
    FAILED = 3


class Cause(enum.StrEnum):
    """Why a finding is what it is; lists, history and tests share these words."""

    FINE = "answers as it should"
    SLOW = "answers slowly"
    REFUSED = "refuses the connection"
    SILENT = "does not answer"
    BROKE_OFF = "breaks off"
    NO_NAME = "its name does not exist"
    TLS = "TLS fails"
    EXPIRED = "its certificate has expired"
    NOT_YET = "its certificate is not valid yet"
    WRONG_NAME = "its certificate is for another name"
    SELF_SIGNED = "its certificate is self-signed"
    CHAIN = "its certificate's chain is incomplete"
    UNTRUSTED = "its certificate is not trusted"
    WEAK = "its certificate is weak"
    UNREADABLE = "its certificate cannot be read"
    STATUS = "answers with the wrong status"
    KEYWORD = "its answer does not say what it should"
    NOT_JSON = "its answer is not JSON"
    VALUE = "a value of its answer is wrong"
    REDIRECTS = "redirects without end"
    PROTOCOL = "does not speak its protocol"
    LOSS = "loses packets"
    RECORD = "its DNS record is wrong"
    RESOLVING = "its name servers fail"
    LOGIN = "refuses the login"
    QUERY = "refuses the query"
    REGISTRATION = "its registration ends"
    SCRIPT = "its script says so"
    OUR_RESOLVER = "our own name server does not answer"
    OUR_NETWORK = "our own network is down"
    OUR_RULES = "we may not go there"
    OUR_FAULT = "Tocsin could not ask"
    REGISTRY = "its registry does not answer"
    FEW_VOTES = "too few locations have looked"

    @property
    def is_ours(self) -> bool:
        """Whether it says nothing about the target."""
        return self in _OURS


_OURS = frozenset({Cause.OUR_RESOLVER, Cause.OUR_NETWORK, Cause.OUR_RULES, Cause.OUR_FAULT, Cause.REGISTRY, Cause.FEW_VOTES})

HostName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=253,
        pattern=r"^[A-Za-z0-9._:-]+$",
        description="A name, or an IPv4 or IPv6 address.",
        examples=["www.example.com"],
    ),
]
Port = Annotated[int, Meta(ge=1, le=65_535, examples=[443])]
Text = Annotated[str, Meta(max_length=1_000)]


class HttpTarget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="http"):
    """A request by HTTP or HTTPS, and what its answer must be like."""

    url: Annotated[str, Meta(min_length=8, max_length=2_000, examples=["https://www.example.com/"])]
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = "GET"
    headers: Annotated[
        dict[Annotated[str, Meta(min_length=1, max_length=100)], Annotated[str, Meta(max_length=2_000)]], Meta(max_length=30)
    ] = {}
    body: Annotated[str, Meta(max_length=16_384)] | None = None
    statuses: Annotated[str, Meta(min_length=3, max_length=100, description="Which are right.", examples=["200", "200-299,401"])] = (
        "200-399"
    )
    keyword: Annotated[Text, Meta(min_length=1, description="Must stand in the body.")] | None = None
    no_keyword: Annotated[Text, Meta(min_length=1, description="Must not stand in the body.")] | None = None
    json_path: Annotated[Text, Meta(min_length=1, description="A value of a JSON answer.", examples=["$.queue[0].depth"])] | None = None
    json_op: Literal["=", "!=", ">", ">=", "<", "<=", "contains", "exists"] = "exists"
    json_value: Text | int | float | bool | None = None
    redirects: Annotated[int, Meta(ge=0, le=10, description="How many are followed.")] = 5
    trusted: Annotated[bool, Meta(description="Whether the certificate must be one that browsers trust.")] = True


class TcpTarget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="tcp"):
    """A port that must take connections."""

    host: HostName
    port: Port


class TlsTarget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="tls"):
    """A server whose certificate must be one that browsers trust."""

    host: HostName
    port: Port = 443
    starttls: Annotated[
        Literal["none", "smtp", "imap", "pop3"], Meta(description="What is said before TLS begins; `none`: TLS from the start.")
    ] = "none"
    name: Annotated[HostName, Meta(description="The name that the certificate must have. Default: the host.")] | None = None


class DnsTarget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="dns"):
    """A record of the DNS, and what it must hold."""

    host: Annotated[HostName, Meta(description="The name that is asked for.")]
    record: Literal["A", "AAAA", "CNAME", "MX", "NS", "TXT", "SOA", "PTR", "SRV", "CAA"] = "A"
    values: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=500)]],
        Meta(max_length=20, description="All of these must be among the answers.", examples=[["192.0.2.1"]]),
    ] = []
    server: Annotated[HostName, Meta(description="The name server that is asked, by its address. Default: the machine's own.")] | None = (
        None
    )
    port: Port = 53

    @property
    def name(self) -> str:
        """What is asked for: of an address, where its name is looked up, its place in the reverse tree."""
        if self.record != "PTR":
            return self.host
        try:
            return ip_address(self.host).reverse_pointer
        except ValueError:
            return self.host


class PingTarget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="ping"):
    """A machine that must answer: to ICMP, or where that is not possible to an attempt to connect."""

    host: HostName
    count: Annotated[int, Meta(ge=1, le=10, description="How many are sent.")] = 3
    loss_percent: Annotated[int, Meta(ge=1, le=100, description="From when on lost packets are a warning.")] = 34
    port: Annotated[Port, Meta(description="Where to connect if this machine may send no ICMP.")] = 443


_PORTS = {"smtp": (25, 465), "imap": (143, 993), "pop3": (110, 995), "ftp": (21, 990), "ssh": (22, 22)}  # without and with TLS


class BannerTarget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="banner"):
    """A server that must greet as its protocol demands."""

    host: HostName
    protocol: Literal["smtp", "imap", "pop3", "ftp", "ssh"]
    port: Annotated[Port, Meta(description="Default: the usual one of the protocol.")] | None = None
    tls: Annotated[bool, Meta(description="Whether TLS comes first, as on the ports 465, 993 and 995.")] = False
    keyword: Annotated[Text, Meta(min_length=1, description="Must stand in the greeting.")] | None = None

    @property
    def own_port(self) -> int:
        """The port that was given, or the usual one."""
        return self.port or _PORTS[self.protocol][self.tls]


class DomainTarget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="domain"):
    """The registration of a domain, asked at its registry by RDAP."""

    host: Annotated[HostName, Meta(description="The domain.", examples=["example.com"])]
    server: (
        Annotated[str, Meta(min_length=8, max_length=500, description="The registry's RDAP address. Default: as IANA lists it.")] | None
    ) = None


class DatabaseTarget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="database"):
    """A database that must take a login and answer a query."""

    host: HostName
    engine: Literal["mysql", "postgresql", "redis"]
    port: Annotated[Port, Meta(description="Default: the usual one of the engine.")] | None = None
    user: Annotated[str, Meta(max_length=100)] = ""
    password: Annotated[str, Meta(max_length=500, description="Shown as `(hidden)`.")] = ""
    database: Annotated[str, Meta(max_length=100)] = ""
    query: (
        Annotated[str, Meta(min_length=1, max_length=2_000, description="Default: `SELECT 1`, or `PING`.", examples=["SELECT 1"])] | None
    ) = None
    tls: Annotated[
        Literal["none", "encrypted", "trusted"], Meta(description="`trusted`: with a certificate that browsers would trust.")
    ] = "none"


class ScriptTarget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="script"):
    """A program of one's own, in the folder that `TOCSIN_SCRIPTS_DIR` allows: 0 fine, 1 warning, 2 failed, 3 unknown."""

    script: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=100,
            pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$",
            description="The name of its file.",
            examples=["check_raid"],
        ),
    ]
    arguments: Annotated[list[Annotated[str, Meta(max_length=500)]], Meta(max_length=30)] = []
    host: HostName = "localhost"


SERVER = "server"  # the location that is Tocsin itself

Target = HttpTarget | TcpTarget | TlsTarget | DnsTarget | PingTarget | BannerTarget | DomainTarget | DatabaseTarget | ScriptTarget


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """What people decide about a check. Lengths are seconds, response times milliseconds."""

    name: str
    target: Target
    host: str | None = None  # what alerts name; None: the target's own
    group: str | None = None
    interval: int = 60
    timeout: int = 10
    retries: int = 2
    retry_after: int = 20
    recoveries: int = 1
    warning_ms: int | None = None
    critical_ms: int | None = None
    severity: int = 4
    private: bool = False  # may lead into one's own network
    sla: float | None = None  # percent
    locations: tuple[str, ...] = ()  # from where: `SERVER`, and hosts whose agents look; none: the server alone
    agree: int | None = None  # how many of these must find that it fails; None: more than half

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts whose agents look at it."""
        return tuple(name for name in self.locations if name != SERVER)

    @property
    def is_asked_here(self) -> bool:
        """Whether the server itself looks at it."""
        return not self.locations or SERVER in self.locations

    @property
    def quorum(self) -> int:
        """How many locations must find that it fails."""
        return self.agree or len(self.locations) // 2 + 1

    @property
    def kind(self) -> str:
        """``http``, ``tcp``, ..."""
        return str(self.target.__struct_config__.tag)

    @property
    def place(self) -> str:
        """The host that alerts name."""
        return self.host or host_of(self.target)


def host_of(target: Target) -> str:
    """The host that a target is about."""
    if isinstance(target, HttpTarget):
        rest = target.url.partition("://")[2]
        authority = rest.partition("/")[0].partition("?")[0].partition("#")[0]
        if authority.startswith("["):
            return authority[1:].partition("]")[0].lower()
        return authority.partition(":")[0].lower()
    return target.host.lower()


_SECRETS = ("auth", "cookie", "token", "key", "secret", "password")


def is_secret(header: str) -> bool:
    """Whether a header of this name proves who we are: it is not shown again, and goes to the host that it was given for alone."""
    return any(word in header.lower() for word in _SECRETS)


def is_address(host: str) -> bool:
    """Whether it is an address, and no name."""
    return ":" in host or host.replace(".", "").isdigit()


class Expiry(msgspec.Struct, frozen=True):
    """Something that ends by itself. ``mark`` tells one from its successor."""

    what: Literal["certificate", "registration"]
    mark: str
    ends_at: int
    words: str = ""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one look found. ``level`` None: nothing about the target. ``heard``: something came back from it."""

    level: Level | None
    cause: Cause
    words: str
    ms: float | None = None
    phases: dict[str, float] = {}
    heard: bool = True
    evidence: dict[str, Any] = {}
    trace: tuple[tuple[float, str], ...] = ()
    expiry: Expiry | None = None
    address: str | None = None
    port: int | None = None


class Vote(msgspec.Struct, frozen=True, kw_only=True):
    """What a location found last. ``at`` None: it has not looked yet. ``due_at``: when its agent is to look next.

    ``mark`` tells for which target and limits; ``since``: from when on it has found the same level.
    """

    location: str
    at: int | None = None
    since: int = 0
    mark: str = ""
    due_at: int = 0
    finding: Finding | None = None


class Errand(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an agent is told about a check: where to look and how, nothing of what is expected there."""

    id: str
    mark: str
    kind: str
    in_ms: int
    timeout_seconds: int
    private: bool = False
    url: str = ""
    method: str = "GET"
    headers: dict[str, str] = {}
    redirects: int = 0
    max_body: int = 0
    trusted: bool = True
    host: str = ""
    port: int = 0
    name: str = ""
    count: int = 0
    protocol: str = ""
    secure: bool = False
    asked: bytes = b""


Phase = Literal["", "dns", "connect", "tls", "first byte", "body", "greeting", "ping", "query"]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent found: the facts, which are judged here. Every length is bounded."""

    check: Annotated[str, Meta(max_length=36)]
    mark: Annotated[str, Meta(max_length=32)]
    age_ms: Annotated[int, Meta(ge=0, le=3_600_000, description="How long ago it looked, by a clock that nobody sets.")]
    ms: Annotated[float, Meta(ge=0, le=600_000)]
    phases: Annotated[dict[Phase, Annotated[float, Meta(ge=0, le=600_000)]], Meta(max_length=8)] = {}
    at: Annotated[Phase, Meta(description="What was under way when it failed.")] = ""
    heard: bool = False
    address: Annotated[str, Meta(max_length=60)] | None = None
    port: Annotated[int, Meta(ge=0, le=65_535)] | None = None
    fault: (
        Literal[
            "no_name",
            "our_resolver",
            "our_rules",
            "our_network",
            "our_machine",
            "refused",
            "silent",
            "broke_off",
            "tls",
            "certificate",
            "timeout",
            "redirects",
            "not_http",
            "garbled",
        ]
        | None
    ) = None
    words: Annotated[str, Meta(max_length=500)] = ""
    code: Annotated[int, Meta(ge=0, le=1_000, description="OpenSSL's number of what is wrong with a certificate.")] = 0
    certificate: Annotated[bytes, Meta(max_length=16_384)] | None = None
    tls: Annotated[str, Meta(max_length=100)] = ""
    url: Annotated[str, Meta(max_length=2_000)] = ""
    status: Annotated[int, Meta(ge=100, le=999)] | None = None
    headers: Annotated[list[tuple[Annotated[str, Meta(max_length=100)], Annotated[str, Meta(max_length=500)]]], Meta(max_length=40)] = []
    body: Annotated[bytes, Meta(max_length=65_536)] = b""
    echoes: Annotated[list[Annotated[float, Meta(ge=0, le=600_000)]], Meta(max_length=10)] | None = None
    is_cut: bool = False
    trace: Annotated[list[tuple[Annotated[float, Meta(ge=0, le=600_000)], Annotated[str, Meta(max_length=300)]]], Meta(max_length=60)] = []


class Told(msgspec.Struct, frozen=True):
    """Of something that ends: what was seen last, and how near its end was when that was told."""

    mark: str
    ends_at: int
    step: int | None = None  # days; None: nothing was told


class State(msgspec.Struct, frozen=True):
    """What a check remembers from one look to the next.

    ``level`` is what was confirmed last (None: nothing yet). ``streak`` results in a row contradict it; ``leaning`` is what these
    have in common, since ``since``. ``told`` is the level that people know of.
    """

    level: Level | None = None
    is_unknown: bool = True
    streak: int = 0
    leaning: Level | None = None
    since: int = 0
    told: Level = Level.OK
    told_at: int = 0
    expiry: Told | None = None


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """A check as it is stored."""

    id: str
    site_id: int
    definition: Definition
    version: int
    is_paused: bool
    status: Status
    status_since: int
    state: State
    created_at: int
    created_by: str
    updated_at: int
    due_at: int | None = None
    fence: int = 0
    last_at: int | None = None
    last_ms: float | None = None
    last_words: str | None = None
    last_cause: str | None = None
    expires_at: int | None = None
    changed_at: int | None = None


class Reason(enum.StrEnum):
    """Why a look left a check where it is."""

    FIRST = "the first look"
    AS_BEFORE = "as before"
    ASKED_AGAIN = "one failure is no outage: it is asked again"
    CONFIRMED = "confirmed by asking again"
    GETTING_BETTER = "one good answer is no recovery: it is asked again"
    RECOVERED = "answers again"
    NOTHING_LEARNED = "nothing was learned of the target"
    WAITS = "those who must agree have not all looked again"


class Tell(msgspec.Struct, frozen=True, kw_only=True):
    """An event that follows. ``about`` names the problem among those of a check."""

    type: str
    status: Literal["problem", "recovery", "info"]
    about: str
    title: str
    message: str
    severity: int


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What follows from a finding: the new state, since when it holds, whom to tell what, when to look again (ms from now)."""

    state: State
    status: Status
    began: int
    reason: Reason
    tells: tuple[Tell, ...]
    again_in: int


class Span(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A stretch of time in one status. ``ends_at`` None: it lasts."""

    check_id: str
    status: Status
    starts_at: int
    ends_at: int | None
    cause: str
    words: str | None = None


class Total(msgspec.Struct, frozen=True, gc=False):
    """What the stretches in one status come to that touch a period: how many, how long in it (ms), the longest. ``since``: of one that
    lasts, which stands alone, when it began.
    """

    status: Status
    count: int
    time: int
    longest: int
    since: int | None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A look that was kept. ``evidence`` (JSON) is there where something was wrong or has changed."""

    at: int
    level: int | None
    status: Status
    cause: str
    words: str
    ms: float | None
    phases: str
    evidence: str | None
