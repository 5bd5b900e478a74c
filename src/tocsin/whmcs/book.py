"""What hangs on what, kept in memory, so that a message that is just being written need not ask."""

from collections.abc import Mapping

import msgspec
import sqlalchemy as sa

from tocsin.whmcs import rules, store
from tocsin.whmcs.model import Impact


class _Gateway(msgspec.Struct):
    gateway: str | int | float | bool | None = None


_gateway = msgspec.json.Decoder(_Gateway).decode


class ImpactBook:
    """All impacts by site and by name. Readers see one consistent state; `load` puts a new one in its place."""

    def __init__(self) -> None:
        self._servers: Mapping[tuple[int, str], Impact] = {}
        self._gateways: Mapping[tuple[int, str], Impact] = {}

    def load(self, connection: sa.Connection) -> None:
        """Reads what the last survey has found."""
        servers: dict[tuple[int, str], Impact] = {}
        gateways: dict[tuple[int, str], Impact] = {}
        for site_id, impacts in store.load(connection).items():
            for impact in impacts:
                if impact.kind == "gateway":
                    gateways[site_id, impact.key] = impact
                    continue
                servers[site_id, f"server:{impact.key}"] = impact
                for name in impact.names:
                    servers.setdefault((site_id, name), impact)
        self._servers, self._gateways = servers, gateways

    def of(self, site_id: int, host: str | None, subject: str | None, attributes: str | None) -> Impact | None:
        """What an alert of this host and subject costs: its server's services, or the dues of the gateway in its attributes."""
        for name in (subject, host):
            if name and (found := self._servers.get((site_id, name.lower()))) is not None:
                return found
        return self._gateways.get((site_id, _gateway_of(subject, attributes)))

    def weight(self, site_id: int, host: str | None, subject: str | None, attributes: str | None) -> int:
        """How much hangs on such an alert."""
        return rules.weight(self.of(site_id, host, subject, attributes))

    def figures(self, site_id: int, host: str | None, subject: str | None, attributes: str | None) -> Mapping[str, str]:
        """What rules see of the impact of such an event, as WHMCS last said."""
        return rules.figures(self.of(site_id, host, subject, attributes))


def _gateway_of(subject: str | None, attributes: str | None) -> str:
    if subject and subject.startswith("gateway:"):
        return subject.removeprefix("gateway:").lower()
    if attributes is None or '"gateway"' not in attributes:
        return ""
    try:
        return str(_gateway(attributes).gateway or "").lower()
    except msgspec.DecodeError:
        return ""
