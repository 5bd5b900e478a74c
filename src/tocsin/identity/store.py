"""The SQL of users and keys."""

from collections.abc import Mapping

import sqlalchemy as sa

from tocsin.core.errors import Conflict, NotFound
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.identity.model import ApiKey, Contrast, Role, Scope, Theme, User

_USERS, _USER_SITES = tables.users, tables.user_sites
_KEYS = tables.api_keys.outerjoin(tables.sites, tables.api_keys.c.site_id == tables.sites.c.id)


def _key(row: sa.Row[tuple[object, ...]]) -> ApiKey:
    r = row._mapping  # noqa: SLF001 - SQLAlchemy's public name for it
    scopes = frozenset(Scope(word) for word in r["scopes"].split(","))
    return ApiKey(r["id"], r["name"], scopes, r["site_id"], r["slug"], r["created_at"], r["expires_at"], r["revoked_at"], r["last_used_at"])


def _select_keys() -> sa.Select[tuple[object, ...]]:
    return sa.select(*tables.api_keys.c, tables.sites.c.slug).select_from(_KEYS)


def find_key(connection: sa.Connection, digest: str) -> ApiKey | None:
    """The key with this digest, good or not."""
    row = connection.execute(_select_keys().where(tables.api_keys.c.digest == digest)).one_or_none()
    return None if row is None else _key(row)


def list_keys(connection: sa.Connection) -> list[ApiKey]:
    """All keys, the newest first."""
    return [_key(row) for row in connection.execute(_select_keys().order_by(tables.api_keys.c.id.desc()))]


def add_key(tx: Tx, key: ApiKey, digest: str) -> None:
    """Stores a key by the digest of its secret."""
    tx.sql.execute(
        tables.api_keys.insert().values(
            id=key.id,
            name=key.name,
            digest=digest,
            scopes=",".join(sorted(key.scopes)),
            site_id=key.site_id,
            created_at=key.created_at,
            expires_at=key.expires_at,
        )
    )


def revoke_key(tx: Tx, key_id: str, now: int) -> ApiKey:
    """Ends a key; doing it again keeps the first moment. Raises `NotFound`."""
    table = tables.api_keys
    row = tx.sql.execute(_select_keys().where(table.c.id == key_id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no key {key_id}")
    tx.sql.execute(table.update().where(table.c.id == key_id).values(revoked_at=sa.func.coalesce(table.c.revoked_at, now)))
    return _key(row)


def note_use(tx: Tx, used: dict[str, int]) -> None:
    """Writes when keys were last used."""
    for key_id, at in used.items():
        tx.sql.execute(tables.api_keys.update().where(tables.api_keys.c.id == key_id).values(last_used_at=at))


# --- People


def _users() -> sa.Select[tuple[object, ...]]:
    has_password = _USERS.c.password_hash.is_not(None).label("has_password")
    return sa.select(*[_USERS.c[name] for name in User.__struct_fields__ if name in _USERS.c], _USERS.c.every_site, has_password)


def _user(row: sa.Row[tuple[object, ...]], sites: Mapping[str, frozenset[int]]) -> User:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    every_site = values.pop("every_site")
    values["role"], values["theme"], values["contrast"] = Role(values["role"]), Theme(values["theme"]), Contrast(values["contrast"])
    values["has_password"] = bool(values["has_password"])
    return User(**values, site_ids=None if every_site else sites.get(values["id"], frozenset()))


def _sites(connection: sa.Connection, user_id: str | None = None) -> dict[str, frozenset[int]]:
    query = sa.select(_USER_SITES.c.user_id, _USER_SITES.c.site_id)
    found: dict[str, set[int]] = {}
    for row in connection.execute(query if user_id is None else query.where(_USER_SITES.c.user_id == user_id)):
        found.setdefault(row.user_id, set()).add(row.site_id)
    return {user: frozenset(ids) for user, ids in found.items()}


def list_users(connection: sa.Connection) -> list[User]:
    """All users by address."""
    sites = _sites(connection)
    return [_user(row, sites) for row in connection.execute(_users().order_by(_USERS.c.email))]


def find_user(connection: sa.Connection, user_id: str) -> User | None:
    """The user with this id, disabled or not."""
    row = connection.execute(_users().where(_USERS.c.id == user_id)).one_or_none()
    return None if row is None else _user(row, _sites(connection, user_id))


def find_email(connection: sa.Connection, email: str) -> User | None:
    """The user with this address, disabled or not."""
    user_id = connection.execute(sa.select(_USERS.c.id).where(_USERS.c.email == email)).scalar_one_or_none()
    return None if user_id is None else find_user(connection, user_id)


def get_user(connection: sa.Connection, user_id: str) -> User:
    """The user with this id, disabled or not. Raises `NotFound`."""
    user = find_user(connection, user_id)
    if user is None:
        raise NotFound(f"there is no user {user_id[:40]}")
    return user


def add_user(tx: Tx, user: User, password_hash: str | None) -> None:
    """Stores a user. Raises `Conflict` if the address is taken."""
    _refuse_taken(tx, user)
    tx.sql.execute(_USERS.insert().values(id=user.id, created_at=user.created_at, password_hash=password_hash, **_decided(user)))
    _set_sites(tx, user)


def save_user(tx: Tx, user: User) -> None:
    """Writes what can be changed of a user. Raises `Conflict` if the address is taken."""
    _refuse_taken(tx, user)
    tx.sql.execute(_USERS.update().where(_USERS.c.id == user.id).values(**_decided(user)))
    _set_sites(tx, user)


def _refuse_taken(tx: Tx, user: User) -> None:
    if tx.sql.execute(sa.select(_USERS.c.id).where(_USERS.c.email == user.email, _USERS.c.id != user.id)).first() is not None:
        raise Conflict(f"there is already a user {user.email}")


def _decided(user: User) -> dict[str, object]:
    names = ("email", "name", "time_zone", "disabled_at", "locale")
    enums = {name: getattr(user, name).value for name in ("role", "theme", "contrast")}
    return {**{name: getattr(user, name) for name in names}, **enums, "every_site": user.site_ids is None}


def _set_sites(tx: Tx, user: User) -> None:
    tx.sql.execute(_USER_SITES.delete().where(_USER_SITES.c.user_id == user.id))
    for site_id in sorted(user.site_ids or ()):
        tx.sql.execute(_USER_SITES.insert().values(user_id=user.id, site_id=site_id))


def admins(tx: Tx) -> frozenset[str]:
    """Who can log in and do everything; nobody else changes that before this transaction ends."""
    u = _USERS.c
    able = (u.role == Role.ADMIN.value, u.disabled_at.is_(None), u.every_site, u.password_hash.is_not(None))
    return frozenset(tx.sql.execute(sa.select(u.id).where(*able).order_by(u.id).with_for_update()).scalars())


def has_user(connection: sa.Connection) -> bool:
    """Whether there is a user at all."""
    return connection.execute(sa.select(_USERS.c.id).limit(1)).first() is not None


def remove_user(tx: Tx, user_id: str) -> bool:
    """Removes a user to whom nothing refers; False, and nothing is changed, if something does."""
    if any(tx.sql.execute(sa.select(sa.literal(1)).where(named).limit(1)).first() for named in _references(user_id)):
        return False
    for table in _OWN:
        tx.sql.execute(table.delete().where(table.c.user_id == user_id))
    tx.sql.execute(_USERS.delete().where(_USERS.c.id == user_id))
    return True


def _references(user_id: str) -> list[sa.ColumnElement[bool]]:
    """What is true of the rows that name a user: contacts, overrides, teams; schedules name theirs in their layers."""
    columns = [table.c.user_id for table in tables.metadata.sorted_tables if "user_id" in table.c and table not in _OWN]
    return [*[column == user_id for column in columns], tables.schedules.c.layers.contains(user_id)]


_OWN = (tables.user_sites, tables.sessions, tables.passes, tables.recovery_codes, tables.preferences)  # what goes with a user
