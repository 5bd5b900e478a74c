"""The SQL of logins: sessions, failed tries, the second factor, links that work once."""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from tocsin.core.clock import DAY
from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.identity import permissions, rules, store
from tocsin.identity.model import Pass, PassKind, Session, User, Viewer

KEEP_PASSES = 30 * DAY
MAX_ACCOUNTS = 50_000  # failed tries are kept for so many addresses

_SESSIONS, _PASSES, _FAILURES, _CODES, _USERS = (
    tables.sessions,
    tables.passes,
    tables.login_failures,
    tables.recovery_codes,
    tables.users,
)


# --- Sessions


def add_session(tx: Tx, session: Session, digest: str) -> None:
    """Stores a session by the digest of its token, and that its user logged in."""
    tx.sql.execute(_SESSIONS.insert().values(digest=digest, **msgspec.structs.asdict(session)))
    tx.sql.execute(_USERS.update().where(_USERS.c.id == session.user_id).values(last_login_at=session.created_at))


def find_session(connection: sa.Connection, digest: str, csrf: str) -> tuple[Session, Viewer] | None:
    """The session with this digest, run out or not, and whose it is; None if there is none, or its user is disabled."""
    row = connection.execute(_select_sessions().where(_SESSIONS.c.digest == digest)).one_or_none()
    user = None if row is None else store.find_user(connection, row.user_id)
    if row is None or user is None or user.disabled_at is not None:
        return None
    session = Session(*row)
    return session, viewer_of(user, session.id, csrf)


def viewer_of(user: User, session_id: str, csrf: str) -> Viewer:
    """A user who is logged in."""
    return Viewer(
        user_id=user.id,
        session_id=session_id,
        email=user.email,
        name=user.name,
        role=user.role,
        permissions=permissions.of_role(user.role, whole=user.site_ids is None),
        site_ids=user.site_ids,
        csrf=csrf,
        theme=user.theme,
        contrast=user.contrast,
        locale=user.locale,
        time_zone=user.time_zone,
    )


def _select_sessions() -> sa.Select[Any]:
    return sa.select(*[_SESSIONS.c[name] for name in Session.__struct_fields__])


def sessions_of(connection: sa.Connection, user_id: str) -> list[Session]:
    """A user's sessions, the one used last first."""
    query = _select_sessions().where(_SESSIONS.c.user_id == user_id).order_by(_SESSIONS.c.seen_at.desc(), _SESSIONS.c.id)
    return [Session(*row) for row in connection.execute(query)]


def note_sessions(tx: Tx, seen: dict[str, int]) -> None:
    """Writes when sessions were last used."""
    for session_id, at in seen.items():
        tx.sql.execute(_SESSIONS.update().where(_SESSIONS.c.id == session_id).values(seen_at=at))


def end_session(tx: Tx, session_id: str, user_id: str) -> bool:
    """Ends one session of a user; False if there is none."""
    return tx.sql.execute(_SESSIONS.delete().where(_SESSIONS.c.id == session_id, _SESSIONS.c.user_id == user_id)).rowcount > 0


def end_session_with(tx: Tx, digest: str) -> None:
    """Ends the session with this digest, if there is one."""
    tx.sql.execute(_SESSIONS.delete().where(_SESSIONS.c.digest == digest))


def end_sessions(tx: Tx, user_id: str, but: str | None = None) -> int:
    """Ends all sessions of a user, *but* one; how many there were."""
    query = _SESSIONS.delete().where(_SESSIONS.c.user_id == user_id)
    return tx.sql.execute(query if but is None else query.where(_SESSIONS.c.id != but)).rowcount


# --- Tries


def take_try(tx: Tx, account: str, now: int) -> rules.Try:
    """Counts a login of *account* as failed before it is tried, so that many at once are no more tries than one after the other."""
    if not tx.is_sqlite:  # which has one writer; here, nobody else tries this account before the commit
        tx.driver.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (account,))
    row = tx.sql.execute(sa.select(_FAILURES.c.failures, _FAILURES.c.last_at).where(_FAILURES.c.account == account)).one_or_none()
    judged = rules.judge_try(row.failures, row.last_at, now) if row is not None else rules.Try(0, 1)
    if judged.wait == 0:
        sql = (
            "INSERT INTO login_failures(account, failures, last_at) VALUES (?, ?, ?)"
            " ON CONFLICT(account) DO UPDATE SET failures = excluded.failures, last_at = excluded.last_at"
        )
        tx.driver.execute(sql if tx.is_sqlite else sql.replace("?", "%s"), (account, judged.failures, now))
    return judged


def give_back_try(tx: Tx, account: str) -> None:
    """One try did not fail after all, and the login is not complete either: the second factor comes."""
    tx.sql.execute(_FAILURES.update().where(_FAILURES.c.account == account).values(failures=_FAILURES.c.failures - 1))


def forget_tries(tx: Tx, account: str) -> None:
    """A login was complete."""
    tx.sql.execute(_FAILURES.delete().where(_FAILURES.c.account == account))


# --- Passwords and the second factor


class Secrets(msgspec.Struct, frozen=True):
    """What decides whether somebody may log in. ``totp_since`` None: no second factor, though one may have been begun."""

    user_id: str
    email: str
    name: str
    password_hash: str | None
    totp_secret: str | None
    totp_since: int | None


def find_secrets(connection: sa.Connection, *, email: str | None = None, user_id: str | None = None) -> Secrets | None:
    """Of the user with this address or id, unless they are disabled."""
    u = _USERS.c
    query = sa.select(u.id, u.email, u.name, u.password_hash, u.totp_secret, u.totp_since).where(u.disabled_at.is_(None))
    row = connection.execute(query.where(u.email == email if email is not None else u.id == user_id)).one_or_none()
    return None if row is None else Secrets(*row)


def set_password(tx: Tx, user_id: str, password_hash: str, now: int) -> None:
    """A new password; every link that was sent for an old one is void."""
    tx.sql.execute(_USERS.update().where(_USERS.c.id == user_id).values(password_hash=password_hash, password_changed_at=now))
    drop_passes(tx, user_id)


def set_totp(tx: Tx, user_id: str, secret: str | None, since: int | None, step: int | None = None) -> None:
    """Begins (*since* None), confirms or ends the second factor."""
    tx.sql.execute(_USERS.update().where(_USERS.c.id == user_id).values(totp_secret=secret, totp_since=since, totp_step=step))


def take_step(tx: Tx, user_id: str, step: int) -> bool:
    """Whether the code of this time step may be taken: none is taken twice, nor one that is older than the last."""
    u = _USERS.c
    fresh = sa.or_(u.totp_step.is_(None), u.totp_step < step)
    return tx.sql.execute(_USERS.update().where(u.id == user_id, fresh).values(totp_step=step)).rowcount > 0


def replace_codes(tx: Tx, user_id: str, codes: Sequence[str]) -> None:
    """New recovery codes in place of all old ones."""
    tx.sql.execute(_CODES.delete().where(_CODES.c.user_id == user_id))
    for code in codes:
        tx.sql.execute(_CODES.insert().values(user_id=user_id, digest=rules.digest(rules.clean_code(code))))


def take_code(tx: Tx, user_id: str, code: str) -> bool:
    """Whether this recovery code is one of the user's; it is gone with that."""
    return tx.sql.execute(_CODES.delete().where(_CODES.c.user_id == user_id, _CODES.c.digest == rules.digest(code))).rowcount > 0


def count_codes(connection: sa.Connection, user_id: str) -> int:
    """How many recovery codes a user has left."""
    return int(connection.execute(sa.select(sa.func.count()).select_from(_CODES).where(_CODES.c.user_id == user_id)).scalar_one())


# --- Links that work once


def add_pass(tx: Tx, made: Pass, digest: str) -> None:
    """Stores a link by the digest of its token; an older one of its kind for the same person is void."""
    if made.user_id is not None:
        tx.sql.execute(_PASSES.delete().where(_PASSES.c.user_id == made.user_id, _PASSES.c.kind == made.kind.value))
    tx.sql.execute(_PASSES.insert().values(digest=digest, **{**msgspec.structs.asdict(made), "kind": made.kind.value}))


def find_pass(connection: sa.Connection, digest: str) -> Pass | None:
    """The link with this digest, good or not."""
    row = connection.execute(
        sa.select(*[_PASSES.c[name] for name in Pass.__struct_fields__]).where(_PASSES.c.digest == digest)
    ).one_or_none()
    return None if row is None else Pass(row.id, PassKind(row.kind), *row[2:])


def use_pass(tx: Tx, pass_id: str, now: int) -> bool:
    """Uses a link up; False if somebody was first."""
    return tx.sql.execute(_PASSES.update().where(_PASSES.c.id == pass_id, _PASSES.c.used_at.is_(None)).values(used_at=now)).rowcount > 0


def drop_passes(tx: Tx, user_id: str) -> None:
    """Makes every link void that a user was sent and has not used."""
    tx.sql.execute(_PASSES.delete().where(_PASSES.c.user_id == user_id, _PASSES.c.used_at.is_(None)))


def invited(connection: sa.Connection, now: int) -> dict[str, int]:
    """Who has an invitation that can still be used, and until when."""
    p = _PASSES.c
    rows = connection.execute(
        sa.select(p.user_id, p.expires_at).where(p.kind == PassKind.INVITE.value, p.used_at.is_(None), p.expires_at > now)
    )
    return {row.user_id: row.expires_at for row in rows}


# --- Tidying


def tidy(tx: Tx, now: int) -> None:
    """Removes sessions that are over, old links, and tries that do not count any more."""
    s = _SESSIONS.c
    tx.sql.execute(_SESSIONS.delete().where(sa.or_(s.ends_at <= now, s.seen_at <= now - 2 * rules.SESSION_IDLE)))
    tx.sql.execute(_PASSES.delete().where(_PASSES.c.expires_at <= now - KEEP_PASSES))
    tx.sql.execute(_FAILURES.delete().where(_FAILURES.c.last_at <= now - rules.FORGOTTEN_AFTER))
    oldest = sa.select(_FAILURES.c.last_at).order_by(_FAILURES.c.last_at.desc()).offset(MAX_ACCOUNTS).limit(1).scalar_subquery()
    tx.sql.execute(_FAILURES.delete().where(_FAILURES.c.last_at <= oldest))
