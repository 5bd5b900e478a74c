"""What the probes bring back, and what the rules make of it."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass


class Verdict(enum.StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"  # works, and should be looked at
    FAULT = "fault"  # does not work


@dataclass(frozen=True)
class Finding:
    """One thing that was checked: of which part, how it is, and what to do about it unless it is well."""

    part: str
    verdict: Verdict
    text: str
    cure: str | None = None


@dataclass(frozen=True)
class Folder:
    """The data folder. ``write_error`` is why a file cannot be made in it, None if it can."""

    path: str
    exists: bool
    is_folder: bool
    mode: int
    owner: str
    owned_by_me: bool
    write_error: str | None
    free: int
    total: int


@dataclass(frozen=True)
class Base:
    """The database. ``missing``: there is none yet. The errors are sentences, None where all is well."""

    where: str
    missing: bool
    error: str | None
    schema_fault: str | None
    faults: tuple[str, ...]
    wal_bytes: int
    write_error: str | None


@dataclass(frozen=True)
class Times:
    """The clock (ms), the newest moment that the database knows of, and how far the clocks of the senders are from ours."""

    now: int
    newest: int | None
    skews: Mapping[str, int]


@dataclass(frozen=True)
class Running:
    """Whether a server is there. ``status`` is its own word on its health; ``error`` is why it did not answer."""

    listen: str
    engine_runs: bool
    status: str | None
    error: str | None
    timed_out: bool
    shared_database: bool


@dataclass(frozen=True)
class Reach:
    """The addresses and contacts that decide whether a person is reached."""

    environment: str
    public_url: str
    host_is_loopback: bool
    kinds: tuple[str, ...]
    mail_target: str | None
    has_smtp: bool


@dataclass(frozen=True)
class Checked:
    """A contact, and why it cannot be written to now (None: it can)."""

    contact: str
    fault: str | None


@dataclass(frozen=True)
class Whmcs:
    """Whether WHMCS of a site answers our questions. ``version`` is its own; ``error`` and ``cure`` say why it does not."""

    version: str
    error: str | None
    cure: str
    site: str = "main"


@dataclass(frozen=True)
class Exporter:
    """An exporter that is asked. ``fault``: why it did not answer; None: it did."""

    name: str
    fault: str | None


@dataclass(frozen=True)
class Outbox:
    """What waits, what fails. Ages in milliseconds; ``failing``: the last error by contact."""

    waiting: int
    oldest_waiting: int | None
    failing: Mapping[str, str]
    failed_lately: int
    unknown_lately: int


@dataclass(frozen=True)
class Arrivals:
    """What did not come in as it should: quarantined members, and running numbers that are missing, by source."""

    quarantined: int
    missing: Mapping[str, int]


@dataclass(frozen=True)
class Accounts:
    """Who may get in."""

    keys: int
    users: int


@dataclass(frozen=True)
class Promised:
    """What does not come to something (in words), of how many alerts nobody could be told, and whether somebody outside watches."""

    broken: tuple[str, ...]
    alone: int
    has_heartbeat: bool


@dataclass(frozen=True)
class Policies:
    """How many policies there are, and of those whose levels would not reach everybody whom they name: what is wrong, by name."""

    count: int
    faults: Mapping[str, tuple[str, ...]]
