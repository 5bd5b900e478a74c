"""What `tocsin serve` says at its start: where it is, whom it tells, and what to do next."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import structlog

from tocsin.settings import Settings


@dataclass(frozen=True)
class Facts:
    """What the banner is made of. ``setup_link`` makes the first administrator, once: it is shown on purpose, to who started this."""

    version: str
    does: str  # everything, requests only, engine only
    listen: str
    public_url: str
    database: str
    environment: str
    contacts: tuple[str, ...]
    has_key: bool
    has_user: bool
    program: str = "tocsin"
    setup_link: str | None = None


def next_steps(facts: Facts) -> list[str]:
    """What still has to be done, in the order of doing it; empty for an installation that is complete."""
    tocsin, steps = facts.program, []
    if facts.setup_link:
        steps.append(f"make your account, which is the administrator's: open {facts.setup_link} (works once, within 24 hours)")
    elif not facts.has_user:
        steps.append(f"add the first administrator: {tocsin} user add you@example.com --name You --role admin --password-stdin")
    if not facts.has_key:
        steps.append(f"make a key for the bridge or your programs: {tocsin} key add whmcs --scope ingest")
    if not facts.contacts:
        steps.append(
            "say whom to tell: set NTFY_SERVER_URL and NTFY_TOPIC (push) or NOTIFICATION_EMAIL and TOCSIN_SMTP_URL (mail), then start again"
        )
    if steps:
        steps.append(f"see that it arrives: {tocsin} test-alert")
    if not facts.has_key:
        steps.append(f"install the bridge in WHMCS, with this address ({facts.public_url}) and the key")
    return steps


def program(called: str, found: str | None) -> str:
    """How to write this program here: by its name if the shell finds it, else as it was *called*."""
    return called if found is None and Path(called).name == "tocsin" else "tocsin"


def facts_in_words(facts: Facts) -> list[tuple[str, str]]:
    """The banner's lines: name and value."""
    return [
        ("runs", facts.does),
        ("listens on", facts.listen),
        ("links point to", facts.public_url),
        ("database", facts.database),
        ("tells", ", ".join(facts.contacts) or "nobody yet"),
        ("environment", facts.environment),
    ]


def where(settings: Settings) -> str:
    """The database without its password."""
    if settings.is_sqlite:
        return f"SQLite, {settings.sqlite_path.resolve()}"
    place = settings.database_url.rpartition("@")[2].removeprefix("postgresql://").partition("?")[0]
    return f"PostgreSQL, {place}"


def is_loopback(host: str) -> bool:
    """Whether *host* is this machine under one of its inner names."""
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


def announce(facts: Facts) -> None:
    """To a person: a few readable lines. To a log: the same as entries of it, so that every line there stays JSON."""
    steps = next_steps(facts)
    if sys.stderr.isatty():
        _print(facts, steps)
        return
    log = structlog.get_logger()
    log.info("started", version=facts.version, **{name.replace(" ", "_"): value for name, value in facts_in_words(facts)})
    for number, step in enumerate(steps, 1):
        log.info("next step", number=number, do=step)


def _print(facts: Facts, steps: Sequence[str]) -> None:
    sys.modules.pop("rich", None)  # kept away from structlog, see cli/__init__.py
    from rich.console import Console  # noqa: PLC0415
    from rich.markup import escape  # noqa: PLC0415

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(f"\n[bold]Tocsin {facts.version}[/bold] is ready. Ctrl+C ends it.\n")
    for name, value in facts_in_words(facts):
        console.print(f"  [dim]{name:15}[/dim] {escape(value)}")
    if steps:
        console.print("\n[bold]What to do next[/bold]")
        for number, step in enumerate(steps, 1):
            console.print(f"  {number}. {escape(step)}")
    console.print()
