"""The kinds of checks: one file for each, and one line here."""

from collections.abc import Awaitable, Callable
from typing import Any

from tocsin.checks.model import Finding, HttpTarget, TcpTarget, TlsTarget
from tocsin.checks.probes import http, tcp, tls
from tocsin.checks.probes.kit import Kit

Probe = Callable[[Any, Kit], Awaitable[Finding]]

PROBES: dict[type, Probe] = {
    HttpTarget: http.probe,
    TcpTarget: tcp.probe,
    TlsTarget: tls.probe,
}
