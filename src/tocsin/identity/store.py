"""The SQL of users, keys and sessions."""

import msgspec
import sqlalchemy as sa

from tocsin.core.errors import Conflict, NotFound
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.identity import permissions
from tocsin.identity.model import ApiKey, Contrast, Role, Scope, Session, Theme, User, Viewer

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


def add_user(tx: Tx, user: User, password_hash: str | None) -> None:
    """Stores a user. Raises `Conflict` if the address is taken."""
    table = tables.users
    if tx.sql.execute(sa.select(table.c.id).where(table.c.email == user.email)).first() is not None:
        raise Conflict(f"there is already a user {user.email}")
    tx.sql.execute(
        table.insert().values(
            id=user.id,
            email=user.email,
            name=user.name,
            role=user.role.value,
            time_zone=user.time_zone,
            created_at=user.created_at,
            password_hash=password_hash,
        )
    )


def list_users(connection: sa.Connection) -> list[User]:
    """All users by address."""
    rows = connection.execute(sa.select(tables.users).order_by(tables.users.c.email))
    return [User(r.id, r.email, r.name, Role(r.role), r.time_zone, r.created_at, r.disabled_at) for r in rows]


# --- Sessions


def add_session(tx: Tx, session: Session, digest: str) -> None:
    """Stores a session by the digest of its token."""
    tx.sql.execute(tables.sessions.insert().values(digest=digest, **msgspec.structs.asdict(session)))


def find_session(connection: sa.Connection, digest: str, csrf: str) -> tuple[Session, Viewer] | None:
    """The session with this digest, run out or not, and whose it is; None if there is none, or its user is disabled."""
    s, u = tables.sessions.c, tables.users.c
    joined = tables.sessions.join(tables.users, s.user_id == u.id)
    query = sa.select(*[s[name].label(f"s_{name}") for name in Session.__struct_fields__], *tables.users.c).select_from(joined)
    row = connection.execute(query.where(s.digest == digest, u.disabled_at.is_(None))).one_or_none()
    if row is None:
        return None
    r = row._mapping  # noqa: SLF001 - SQLAlchemy's public name for it
    session = Session(*[r[f"s_{name}"] for name in Session.__struct_fields__])
    role, every_site = Role(r["role"]), bool(r["every_site"])
    viewer = Viewer(
        user_id=r["id"],
        session_id=session.id,
        email=r["email"],
        name=r["name"],
        role=role,
        permissions=permissions.of_role(role, whole=every_site),
        site_ids=None if every_site else sites_of(connection, r["id"]),
        csrf=csrf,
        theme=Theme(r["theme"]),
        contrast=Contrast(r["contrast"]),
        locale=r["locale"],
        time_zone=r["time_zone"],
    )
    return session, viewer


def sites_of(connection: sa.Connection, user_id: str) -> frozenset[int]:
    """The sites that a user who may not see every site may see."""
    table = tables.user_sites
    return frozenset(connection.execute(sa.select(table.c.site_id).where(table.c.user_id == user_id)).scalars())


def note_sessions(tx: Tx, seen: dict[str, int]) -> None:
    """Writes when sessions were last used."""
    for session_id, at in seen.items():
        tx.sql.execute(tables.sessions.update().where(tables.sessions.c.id == session_id).values(seen_at=at))


def end_session(tx: Tx, session_id: str) -> None:
    """Ends a session; doing it again changes nothing."""
    tx.sql.execute(tables.sessions.delete().where(tables.sessions.c.id == session_id))


def find_login(connection: sa.Connection, email: str) -> tuple[str | None, str | None]:
    """The id and the password hash of the user with this address who is not disabled; None twice if there is none."""
    u = tables.users.c
    row = connection.execute(sa.select(u.id, u.password_hash).where(u.email == email, u.disabled_at.is_(None))).one_or_none()
    return (None, None) if row is None else (row.id, row.password_hash)
