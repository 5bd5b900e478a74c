"""The policies, kept in memory, refilled when something changed."""

from collections.abc import Mapping

import sqlalchemy as sa

from tocsin.escalation import rules, store
from tocsin.escalation.model import EscalationPolicy
from tocsin.escalation.store import Definition

MAX_OLD = 1_000


class PolicyBook:
    """Which policy holds for a new alert, and what the one said that an older alert keeps to. Readers see one consistent state."""

    def __init__(self) -> None:
        self._current: Mapping[str, EscalationPolicy] = {}
        self._by_site: Mapping[int, str] = {}
        self._versions: dict[tuple[str, int], EscalationPolicy] = {
            (rules.BUILT_IN, number): policy for number, policy in rules.BUILT_IN_VERSIONS.items()
        }
        self.definitions: tuple[Definition, ...] = ()

    def load(self, connection: sa.Connection) -> None:
        """Reads all policies and which site has which."""
        found = store.all_policies(connection)
        if len(self._versions) > MAX_OLD:
            self._versions = {place: policy for place, policy in self._versions.items() if place[0] == rules.BUILT_IN}
        self._versions.update({(d.policy.id, d.policy.version): d.policy for d in found})
        self._current = {d.policy.id: d.policy for d in found}
        self._by_site = store.by_site(connection)
        self.definitions = tuple(found)

    def of_site(self, site_id: int) -> EscalationPolicy:
        """The policy of a new alert at this site: the site's own default, else the built-in one."""
        return self._current.get(self._by_site.get(site_id, rules.BUILT_IN)) or rules.built_in()

    def default_of(self, site_id: int) -> str | None:
        """The id of the site's own default policy; None if it has none."""
        return self._by_site.get(site_id)

    def find(self, policy_id: str) -> EscalationPolicy | None:
        """The newest version of the policy with this id, the built-in one among them."""
        return rules.built_in() if policy_id == rules.BUILT_IN else self._current.get(policy_id)

    def version(self, connection: sa.Connection, policy_id: str, number: int) -> EscalationPolicy:
        """What a version said. One that cannot be found any more (a database put together by hand) gives the built-in policy."""
        known = self._versions.get((policy_id, number))
        if known is None:
            known = store.version(connection, policy_id, number) or rules.built_in()
            self._versions[policy_id, number] = known
        return known

    def name_of(self, policy_id: str, number: int) -> str | None:
        """The name that a version had, if it is in memory."""
        known = self._versions.get((policy_id, number))
        return None if known is None else known.name
