"""Servers that WHMCS knows, as hosts with checks that could be made for them. Pure functions."""

from typing import Literal

import msgspec

from tocsin.whmcs.model import Capacity

Kind = Literal["ping", "http", "tls", "panel"]
# Where the panels of WHMCS's modules answer, by TLS.
PANELS = {
    "cpanel": 2087,
    "cpanelextended": 2087,
    "plesk": 8443,
    "directadmin": 2222,
    "interworx": 2443,
    "virtualmin": 10000,
    "webmin": 10000,
}


class Offer(msgspec.Struct, frozen=True):
    """One check that a server could have: its name, what it looks at, and where."""

    name: str
    kind: Kind
    host: str
    port: int | None = None


def offers(server: Capacity) -> list[Offer]:
    """The checks for a server: that it is there, its web server, its certificate, and its panel if that is known. Without a host, none."""
    host = server.host
    if not host or " " in host or "/" in host:
        return []
    called = server.name or host
    found = [
        Offer(f"{called}: ping"[:100], "ping", host),
        Offer(f"{called}: web server"[:100], "http", host, 80),
        Offer(f"{called}: certificate"[:100], "tls", host, 443),
    ]
    panel = PANELS.get(server.module)
    return [*found, Offer(f"{called}: {server.module}"[:100], "panel", host, panel)] if panel else found
