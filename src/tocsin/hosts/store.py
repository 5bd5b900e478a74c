"""The SQL of hosts, and of the tokens with which new ones fetch a key."""

from typing import Any

import msgspec
import sqlalchemy as sa

from tocsin.core.errors import NotFound
from tocsin.db import tables
from tocsin.db.engine import Question
from tocsin.db.writer import Tx
from tocsin.hosts.model import Host, Token

_HOSTS, _TOKENS = tables.hosts, tables.agent_tokens
_COLUMNS = tuple(_HOSTS.c[name] for name in Host.__struct_fields__)
_TOKEN = tuple(_TOKENS.c[name] for name in Token.__struct_fields__)


def hosts(
    connection: sa.Connection, site_ids: frozenset[int] | None = None, after: tuple[str, str] | None = None, limit: int | None = None
) -> list[Host]:
    """Those of these sites (None: all) by name; *after*: behind this name and id."""
    query = sa.select(*_COLUMNS).order_by(_HOSTS.c.name, _HOSTS.c.id).limit(limit)
    if site_ids is not None:
        query = query.where(_HOSTS.c.site_id.in_(sorted(site_ids)))
    if after is not None:
        query = query.where(sa.or_(_HOSTS.c.name > after[0], sa.and_(_HOSTS.c.name == after[0], _HOSTS.c.id > after[1])))
    return [Host(*row) for row in connection.execute(query)]


def get(connection: sa.Connection, host_id: str, site_ids: frozenset[int] | None = None) -> Host:
    """One by its id. Raises `NotFound`, also for what is of a site that the caller may not see."""
    row = connection.execute(sa.select(*_COLUMNS).where(_HOSTS.c.id == host_id)).one_or_none()
    if row is None or (site_ids is not None and row.site_id not in site_ids):
        raise NotFound(f"there is no host {host_id[:40]}")
    return Host(*row)


def lock(tx: Tx, host_id: str) -> Host | None:
    """The same for a change: who else would change it waits."""
    return _locked(tx, _HOSTS.c.id == host_id)


def lock_name(tx: Tx, site_id: int, name: str) -> Host | None:
    """A site's host of this name, for a change."""
    return _locked(tx, sa.and_(_HOSTS.c.site_id == site_id, _HOSTS.c.name == name))


def _locked(tx: Tx, which: sa.ColumnElement[bool]) -> Host | None:
    query = sa.select(*_COLUMNS).where(which)
    row = tx.sql.execute(query if tx.is_sqlite else query.with_for_update()).one_or_none()
    return None if row is None else Host(*row)


def other_name(tx: Tx, host: Host) -> str | None:
    """Under which other name the same agent has reported since."""
    h = _HOSTS.c
    since = (h.site_id == host.site_id, h.agent_id == host.agent_id, h.id != host.id, h.last_seen_at > host.last_seen_at)
    return tx.sql.execute(sa.select(h.name).where(*since).order_by(h.last_seen_at.desc()).limit(1)).scalar_one_or_none()


def is_any_due(now: int) -> Question:
    """Whether one's silence is to be told."""
    return Question("SELECT 1 FROM hosts WHERE due_at <= ?", (now,))


def due(connection: sa.Connection, now: int, limit: int) -> list[str]:
    """The ids of those whose silence is to be told, the longest first."""
    query = sa.select(_HOSTS.c.id).where(_HOSTS.c.due_at <= now).order_by(_HOSTS.c.due_at, _HOSTS.c.id).limit(limit)
    return list(connection.execute(query).scalars())


def expected(connection: sa.Connection) -> list[str]:
    """The ids of those that are waited for."""
    return list(connection.execute(sa.select(_HOSTS.c.id).where(_HOSTS.c.due_at.is_not(None)).order_by(_HOSTS.c.id)).scalars())


def count(connection: sa.Connection) -> int:
    """How many there are."""
    return connection.execute(sa.select(sa.func.count()).select_from(_HOSTS)).scalar_one()


def add(tx: Tx, host: Host) -> None:
    """Stores a new one."""
    tx.sql.execute(_HOSTS.insert().values(**_values(host)))


def save(tx: Tx, host: Host) -> None:
    """Stores it as it now is; the caller has locked it."""
    tx.sql.execute(_HOSTS.update().where(_HOSTS.c.id == host.id).values(**_values(host)))


def remove(tx: Tx, host_id: str) -> None:
    """Takes one away."""
    tx.sql.execute(_HOSTS.delete().where(_HOSTS.c.id == host_id))


def _values(host: Host) -> dict[str, Any]:
    return msgspec.structs.asdict(host)


# Tokens.


def add_token(tx: Tx, token: Token, digest: str) -> None:
    """Stores a new token by its digest."""
    tx.sql.execute(_TOKENS.insert().values(**msgspec.structs.asdict(token), digest=digest))


def find_token(tx: Tx, digest: str) -> Token | None:
    """The token with this digest, for its use."""
    query = sa.select(*_TOKEN).where(_TOKENS.c.digest == digest)
    row = tx.sql.execute(query if tx.is_sqlite else query.with_for_update()).one_or_none()
    return None if row is None else Token(*row)


def is_token(connection: sa.Connection, digest: str) -> bool:
    """Whether there is such a token, used or not."""
    return connection.execute(sa.select(_TOKENS.c.id).where(_TOKENS.c.digest == digest)).first() is not None


def use_token(tx: Tx, token_id: str, host: str, now: int) -> None:
    """Notes that a key was fetched with it."""
    tx.sql.execute(_TOKENS.update().where(_TOKENS.c.id == token_id).values(used_at=now, used_by=host))


def tidy_tokens(tx: Tx, before: int) -> None:
    """Lets go of tokens that ran out before a moment."""
    tx.sql.execute(_TOKENS.delete().where(_TOKENS.c.expires_at < before))
