"""The policies: kept in memory, refilled when something changed; and changing them."""

from collections.abc import Mapping

import msgspec
import sqlalchemy as sa

from tocsin.audit import service as audit
from tocsin.audit.model import Who
from tocsin.core.errors import Conflict, InvalidInput, NotFound
from tocsin.core.ids import new_id
from tocsin.db.writer import Tx
from tocsin.escalation import rules, store
from tocsin.escalation.model import EscalationPolicy, Step
from tocsin.escalation.rules import Known
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


# Changing policies.


class PolicyChange(msgspec.Struct, frozen=True):
    """What a policy shall say; None leaves a thing as it is. ``version``: the one that the change was made from, if that matters."""

    name: str | None = None
    steps: tuple[Step, ...] | None = None
    repeat: int | None = None
    entry: dict[int, int] | None = None
    version: int | None = None


def make(tx: Tx, who: Who, wanted: PolicyChange, known: Known, now: int) -> EscalationPolicy:
    """A new policy. Raises `InvalidInput` that names what it could not reach, `Conflict` if the name is taken."""
    empty = EscalationPolicy(new_id(now), "", ())
    made = _checked(_with(empty, wanted), known)
    store.make(tx, made, who.name, now)
    audit.record(tx, who, "policy.made", f"policy:{made.id}", now, after=msgspec.to_builtins(made, str_keys=True))
    return made


def change(tx: Tx, who: Who, policy_id: str, wanted: PolicyChange, known: Known, now: int) -> EscalationPolicy:
    """The next version of a policy. Alerts that are open keep to theirs. Raises `NotFound`, `InvalidInput`, `Conflict`."""
    old = store.current(tx, policy_id)
    if wanted.version not in (None, old.version):
        raise Conflict(f"the policy {old.name} was changed by somebody else: its version is {old.version}, not {wanted.version}")
    new = _with(old, wanted)
    if new == old:
        return old
    new = _checked(msgspec.structs.replace(new, version=old.version + 1), known)
    store.change(tx, new, who.name, now)
    before, after = msgspec.to_builtins(old, str_keys=True), msgspec.to_builtins(new, str_keys=True)
    audit.record_change(tx, who, "policy.changed", f"policy:{new.id}", now, before=before, after=after)
    return new


def delete(tx: Tx, who: Who, policy_id: str, now: int) -> None:
    """Takes a policy away. Raises `NotFound`, `Conflict` while a site uses it."""
    old = store.current(tx, policy_id)
    store.delete(tx, policy_id, now)
    audit.record(tx, who, "policy.removed", f"policy:{policy_id}", now, before=msgspec.to_builtins(old, str_keys=True))


def use_at_site(tx: Tx, who: Who, site_id: int, slug: str, policy_id: str | None, now: int) -> None:
    """Makes a policy (None: the built-in one) the default of a site, for alerts that open from now on. Raises `InvalidInput`."""
    if policy_id is not None:
        try:
            store.current(tx, policy_id)
        except NotFound as error:
            raise InvalidInput.of("default_policy", error.message) from None
    before = store.set_default(tx, site_id, policy_id)
    if before != policy_id:
        audit.record(
            tx,
            who,
            "site.policy_set",
            f"site:{slug}",
            now,
            before={"default_policy": before},
            after={"default_policy": policy_id},
            site_id=site_id,
        )


def _with(policy: EscalationPolicy, wanted: PolicyChange) -> EscalationPolicy:
    given = {name: value for name, value in msgspec.structs.asdict(wanted).items() if value is not None and name != "version"}
    if "name" in given:
        given["name"] = given["name"].strip()
    return msgspec.structs.replace(policy, **given)


def _checked(policy: EscalationPolicy, known: Known) -> EscalationPolicy:
    found = rules.faults(policy, known)
    if found:
        raise InvalidInput(found)
    return policy
