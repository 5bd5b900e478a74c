"""The kinds of checks: one file for each, and one line here."""

from collections.abc import Awaitable, Callable
from typing import Any

from tocsin.checks.model import (
    BannerTarget,
    DatabaseTarget,
    DnsTarget,
    DomainTarget,
    Finding,
    HttpTarget,
    PingTarget,
    ScriptTarget,
    TcpTarget,
    TlsTarget,
)
from tocsin.checks.probes import banner, database, dns, domain, http, ping, script, tcp, tls
from tocsin.checks.probes.kit import Kit

Probe = Callable[[Any, Kit], Awaitable[Finding]]

PROBES: dict[type, Probe] = {
    HttpTarget: http.probe,
    TcpTarget: tcp.probe,
    TlsTarget: tls.probe,
    DnsTarget: dns.probe,
    PingTarget: ping.probe,
    BannerTarget: banner.probe,
    DomainTarget: domain.probe,
    DatabaseTarget: database.probe,
    ScriptTarget: script.probe,
}
