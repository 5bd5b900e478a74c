"""What hangs on what, kept in memory, so that a message that is just being written need not ask."""

from collections.abc import Callable, Mapping

import msgspec
import sqlalchemy as sa

from tocsin.whmcs import rules, store
from tocsin.whmcs.model import Connection, Impact


class _Gateway(msgspec.Struct):
    gateway: str | int | float | bool | None = None


_gateway = msgspec.json.Decoder(_Gateway).decode


class ImpactBook:
    """All impacts by site and by name. Readers see one consistent state; `load` puts a new one in its place."""

    def __init__(self) -> None:
        self._servers: Mapping[tuple[int, str], Impact] = {}
        self._gateways: Mapping[tuple[int, str], Impact] = {}
        self._weights: Mapping[tuple[int, str], int] = {}  # of the servers
        self._names: Mapping[str, int] = {}

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
        self._weights = {place: rules.weight(impact) for place, impact in servers.items()}
        # Of the same name at several sites the dearest stays: it comes last.
        by_weight = {name: weight for (_, name), weight in sorted(self._weights.items(), key=lambda item: item[1])}
        self._names = dict(sorted(by_weight.items(), key=lambda item: -item[1]))
        self._servers, self._gateways = servers, gateways

    def of(self, site_id: int, host: str | None, subject: str | None, attributes: str | None) -> Impact | None:
        """What an alert of this host and subject costs: its server's services, or the dues of the gateway in its attributes."""
        for name in (subject, host):
            if name and (found := self._servers.get((site_id, name.lower()))) is not None:
                return found
        return self._gateways.get((site_id, _gateway_of(subject, attributes)))

    @property
    def names(self) -> Mapping[str, int]:
        """The hosts and subjects, in lower case, that weigh anything, and how much at most, the dearest first. No gateways."""
        return self._names

    def weight(self, site_id: int, host: str | None, subject: str | None, attributes: str | None) -> int:
        """How much hangs on such an alert. It is asked of ten thousand alerts for one list."""
        weights = self._weights
        if not weights and not self._gateways:
            return 0
        if subject and (found := weights.get((site_id, subject.lower()))) is not None:
            return found
        if host and (found := weights.get((site_id, host.lower()))) is not None:
            return found
        name = _gateway_of(subject, attributes)
        return rules.weight(self._gateways.get((site_id, name))) if name else 0

    def figures(self, site_id: int, host: str | None, subject: str | None, attributes: str | None) -> Mapping[str, str]:
        """What rules see of the impact of such an event, as WHMCS last said."""
        return rules.figures(self.of(site_id, host, subject, attributes))


class ConnectionBook:
    """How WHMCS of each site is reached: as somebody has said, else (for one site) as the settings say."""

    def __init__(self, of_settings: Callable[[], Connection | None]) -> None:
        self._of_settings = of_settings
        self._known: Mapping[int, Connection] = {}

    def load(self, connection: sa.Connection) -> None:
        """Reads what people have said."""
        given = self._of_settings()
        found = {} if given is None else {given.site_id: given}
        self._known = found | {one.site_id: one for one in store.connections(connection)}

    def of(self, site_id: int) -> Connection | None:
        """How WHMCS of a site is reached, if it is."""
        return self._known.get(site_id)

    def all(self) -> list[Connection]:
        """All of them, by site."""
        return sorted(self._known.values(), key=lambda one: one.site_id)


def _gateway_of(subject: str | None, attributes: str | None) -> str:
    if subject and subject.startswith("gateway:"):
        return subject.removeprefix("gateway:").lower()
    if attributes is None or '"gateway"' not in attributes:
        return ""
    try:
        return str(_gateway(attributes).gateway or "").lower()
    except msgspec.DecodeError:
        return ""
