"""The SQL of policies and of alerts' progress."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import sqlalchemy as sa

from tocsin.core.errors import Conflict, NotFound
from tocsin.db import bulk, tables
from tocsin.db.engine import Question
from tocsin.db.writer import Tx
from tocsin.escalation.model import EscalationPolicy, Progress

COLUMNS: tuple[str, ...] = Progress.__struct_fields__
_MOVING = tuple(name for name in COLUMNS if name != "alert_number")
_REST = ("state", "next_at")
_POLICIES, _VERSIONS, _ESCALATIONS = tables.policies, tables.policy_versions, tables.escalations


# Progress.


def add(tx: Tx, fresh: Sequence[Progress]) -> None:
    """The progress of alerts that were opened in this transaction."""
    bulk.insert(tx, _ESCALATIONS, COLUMNS, [msgspec.structs.astuple(one) for one in fresh])


def put(tx: Tx, moved: Sequence[Progress]) -> None:
    """Progress as it now is, whether there was a row or not."""
    bulk.insert_new(tx, _ESCALATIONS, COLUMNS, [msgspec.structs.astuple(one) for one in moved])
    bulk.update(tx, _ESCALATIONS, _MOVING, [(*[getattr(one, name) for name in _MOVING], one.alert_number) for one in moved])


def stop(tx: Tx, numbers: Iterable[int], state: str) -> None:
    """These alerts escalate no further for now."""
    bulk.update(tx, _ESCALATIONS, _REST, [(state, None, number) for number in numbers])


def hurry(tx: Tx, alert_number: int, generation: int, now: int) -> None:
    """The next level is due now, if there is one and it was due later."""
    mark = "?" if tx.is_sqlite else "%s"
    sql = f"UPDATE escalations SET next_at = {mark} WHERE alert_number = {mark} AND generation = {mark} AND next_at > {mark}"  # noqa: S608
    tx.driver.execute(sql, (now, alert_number, generation, now))


def of(tx: Tx, numbers: Iterable[int]) -> dict[int, Progress]:
    """How far these alerts have come; those that have no row are left out."""
    return {row[0]: Progress(*row) for row in bulk.fetch(tx, _ESCALATIONS, COLUMNS, "alert_number", numbers)}


def due(tx: Tx, now: int, limit: int, only: int | None = None) -> list[Progress]:
    """Escalations whose next level is due, the most overdue first; they and their alerts are locked, what others hold is left to them.

    *only*: that of this alert.
    """
    mark, lock = ("?", "") if tx.is_sqlite else ("%s", " FOR UPDATE OF a, e SKIP LOCKED")
    columns = ", ".join(f"e.{name}" for name in COLUMNS)
    sql = (
        f"SELECT {columns} FROM escalations e JOIN alerts a ON a.number = e.alert_number"  # noqa: S608 - names from the code
        f" WHERE e.next_at <= {mark}{'' if only is None else f' AND e.alert_number = {mark}'} ORDER BY e.next_at LIMIT {mark}{lock}"
    )
    return [Progress(*row) for row in tx.driver.execute(sql, (now, *(() if only is None else (only,)), limit)).fetchall()]


def is_any_due(now: int) -> Question:
    """Whether the next level of one is due."""
    return Question("SELECT 1 FROM escalations WHERE next_at <= ?", (now,))


def is_anybody_waited_for() -> Question:
    """Whether there are alerts of which nobody could be told."""
    return Question("SELECT 1 FROM escalations WHERE state = 'alone'")


def alone(tx: Tx, limit: int) -> list[Progress]:
    """Escalations of alerts of which nobody could be told, the newest first; they and their alerts are locked."""
    mark, lock = ("?", "") if tx.is_sqlite else ("%s", " FOR UPDATE OF a, e SKIP LOCKED")
    columns = ", ".join(f"e.{name}" for name in COLUMNS)
    sql = (
        f"SELECT {columns} FROM escalations e JOIN alerts a ON a.number = e.alert_number"  # noqa: S608 - names from the code
        f" WHERE e.state = 'alone' ORDER BY e.alert_number DESC LIMIT {mark}{lock}"
    )
    return [Progress(*row) for row in tx.driver.execute(sql, (limit,)).fetchall()]


def read(connection: sa.Connection, numbers: Sequence[int]) -> dict[int, Progress]:
    """How far these alerts have come, for reading."""
    c = _ESCALATIONS.c
    rows = connection.execute(sa.select(*[c[name] for name in COLUMNS]).where(c.alert_number.in_(numbers)))
    return {row[0]: Progress(*row) for row in rows}


# Policies.


class Definition(msgspec.Struct, frozen=True):
    """A policy with what is known about it. Times in milliseconds."""

    policy: EscalationPolicy
    created_at: int
    updated_at: int


def all_policies(connection: sa.Connection) -> list[Definition]:
    """The newest version of every policy that was not deleted, by name."""
    joined = _POLICIES.join(_VERSIONS, sa.and_(_POLICIES.c.id == _VERSIONS.c.policy_id, _POLICIES.c.version == _VERSIONS.c.version))
    query = sa.select(_VERSIONS.c.definition, _POLICIES.c.created_at, _POLICIES.c.updated_at).select_from(joined)
    rows = connection.execute(query.where(_POLICIES.c.deleted_at.is_(None)).order_by(_POLICIES.c.name, _POLICIES.c.id))
    return [Definition(_decode(row[0]), row[1], row[2]) for row in rows]


def definition(connection: sa.Connection, policy_id: str) -> Definition:
    """One policy. Raises `NotFound`."""
    for found in all_policies(connection):
        if found.policy.id == policy_id:
            return found
    raise NotFound(f"there is no policy {policy_id[:40]}")


def version(connection: sa.Connection, policy_id: str, number: int) -> EscalationPolicy | None:
    """What one version of a policy said, whether the policy is still there or not."""
    c = _VERSIONS.c
    text = connection.execute(sa.select(c.definition).where(c.policy_id == policy_id, c.version == number)).scalar_one_or_none()
    return None if text is None else _decode(text)


def make(tx: Tx, policy: EscalationPolicy, actor: str, now: int) -> None:
    """Stores a new policy. Raises `Conflict` if the name is taken."""
    _must_be_free(tx, policy)
    tx.sql.execute(_POLICIES.insert().values(id=policy.id, name=policy.name, version=policy.version, created_at=now, updated_at=now))
    _add_version(tx, policy, actor, now)


def change(tx: Tx, policy: EscalationPolicy, actor: str, now: int) -> None:
    """Stores *policy*, the version after the newest. Raises `Conflict` if the name is taken."""
    _must_be_free(tx, policy)
    values = {"name": policy.name, "version": policy.version, "updated_at": now}
    tx.sql.execute(_POLICIES.update().where(_POLICIES.c.id == policy.id).values(**values))
    _add_version(tx, policy, actor, now)


def delete(tx: Tx, policy_id: str, now: int) -> None:
    """Takes a policy away; alerts that were opened with it keep to it. Raises `Conflict` if a site uses it."""
    sites = tables.sites
    users = tx.sql.execute(sa.select(sites.c.slug).where(sites.c.default_policy == policy_id).order_by(sites.c.slug)).scalars().all()
    if users:
        raise Conflict(f"the policy is the default of {', '.join(users[:5])}: give {'it' if len(users) == 1 else 'them'} another first")
    tx.sql.execute(_POLICIES.update().where(_POLICIES.c.id == policy_id).values(deleted_at=now))


def current(tx: Tx, policy_id: str) -> EscalationPolicy:
    """The newest version of a policy, locked. Raises `NotFound`."""
    query = sa.select(_POLICIES.c.version).where(_POLICIES.c.id == policy_id, _POLICIES.c.deleted_at.is_(None))
    number = tx.sql.execute(query if tx.is_sqlite else query.with_for_update()).scalar_one_or_none()
    found = None if number is None else version(tx.sql, policy_id, number)
    if found is None:
        raise NotFound(f"there is no policy {policy_id[:40]}")
    return found


def set_default(tx: Tx, site_id: int, policy_id: str | None) -> str | None:
    """Sets the default policy of a site and answers what it was."""
    sites = tables.sites
    before: str | None = tx.sql.execute(sa.select(sites.c.default_policy).where(sites.c.id == site_id)).scalar_one()
    tx.sql.execute(sites.update().where(sites.c.id == site_id).values(default_policy=policy_id))
    return before


def _must_be_free(tx: Tx, policy: EscalationPolicy) -> None:
    query = sa.select(_POLICIES.c.id).where(_POLICIES.c.name == policy.name, _POLICIES.c.deleted_at.is_(None), _POLICIES.c.id != policy.id)
    if tx.sql.execute(query).first() is not None:
        raise Conflict(f"there is already a policy named {policy.name}")


def _add_version(tx: Tx, policy: EscalationPolicy, actor: str, now: int) -> None:
    text = msgspec.json.encode(policy).decode()
    tx.sql.execute(
        _VERSIONS.insert().values(policy_id=policy.id, version=policy.version, definition=text, created_at=now, created_by=actor)
    )


def _decode(text: str) -> EscalationPolicy:
    return msgspec.json.decode(text, type=EscalationPolicy)


def by_site(connection: sa.Connection) -> Mapping[int, str]:
    """The default policy of each site that has one."""
    c = tables.sites.c
    return {row[0]: row[1] for row in connection.execute(sa.select(c.id, c.default_policy).where(c.default_policy.is_not(None)))}
