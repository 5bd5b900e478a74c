"""What is done to people's accounts: each function changes, notes it in the audit log, and ends the logins that must end."""

from typing import Any

import msgspec

from tocsin.audit import service as audit
from tocsin.audit.model import Who
from tocsin.core.errors import Conflict, NotFound
from tocsin.core.ids import new_id
from tocsin.db.writer import Tx
from tocsin.identity import logins, rules, store
from tocsin.identity.model import Pass, PassKind, Role, User
from tocsin.identity.sessions import NewSession, begin


class NewPass(msgspec.Struct, frozen=True):
    """A link just made: the only moment at which its token is known."""

    made: Pass
    token: str


def add(
    tx: Tx,
    who: Who,
    email: str,
    name: str,
    role: Role,
    now: int,
    *,
    time_zone: str = "UTC",
    site_ids: frozenset[int] | None = None,
    password_hash: str | None = None,
) -> User:
    """Makes a user; without a password they cannot log in before they have used an invitation. Raises `InvalidInput`, `Conflict`."""
    user = User(
        id=new_id(now),
        email=rules.check_email(email),
        name=rules.check_name(name),
        role=role,
        time_zone=rules.check_time_zone(time_zone),
        created_at=now,
        site_ids=site_ids,
        has_password=password_hash is not None,
    )
    store.add_user(tx, user, password_hash)
    audit.record(tx, who, "user.made", f"user:{user.id}", now, after=state_of(user))
    return user


def change(tx: Tx, who: Who, user_id: str, now: int, **fields: Any) -> User:
    """Changes *fields* of a user: ``email``, ``name``, ``role``, ``time_zone``, ``site_ids``, ``theme``, ``contrast``, ``locale``.

    With another role or other sites, every login of theirs ends. Raises `NotFound`, `InvalidInput`, `Conflict`.
    """
    before = store.get_user(tx.sql, user_id)
    return _save(tx, who, "user.changed", before, _checked(msgspec.structs.replace(before, **fields)), now)


def _checked(user: User) -> User:
    return msgspec.structs.replace(
        user,
        email=rules.check_email(user.email),
        name=rules.check_name(user.name),
        time_zone=rules.check_time_zone(user.time_zone),
    )


def disable(tx: Tx, who: Who, user_id: str, now: int) -> User:
    """Shuts a user out at once; what they did stays under their name. Doing it again changes nothing. Raises `NotFound`, `Conflict`."""
    before = store.get_user(tx.sql, user_id)
    if before.disabled_at is not None:
        return before
    logins.drop_passes(tx, user_id)
    return _save(tx, who, "user.disabled", before, msgspec.structs.replace(before, disabled_at=now), now)


def enable(tx: Tx, who: Who, user_id: str, now: int) -> User:
    """Lets a disabled user in again. Raises `NotFound`."""
    before = store.get_user(tx.sql, user_id)
    return _save(tx, who, "user.enabled", before, msgspec.structs.replace(before, disabled_at=None), now)


def remove(tx: Tx, who: Who, user_id: str, now: int) -> None:
    """Removes a user who never logged in and whom nothing names; any other is disabled. Raises `NotFound`, `Conflict`."""
    user = store.get_user(tx.sql, user_id)
    rules.check_last_admin(store.admins(tx), msgspec.structs.replace(user, disabled_at=now))
    if user.last_login_at is None and store.remove_user(tx, user_id):
        audit.record(tx, who, "user.removed", f"user:{user_id}", now, before=state_of(user))
    else:
        disable(tx, who, user_id, now)


def _save(tx: Tx, who: Who, action: str, before: User, after: User, now: int) -> User:
    rules.check_last_admin(store.admins(tx), after)
    store.save_user(tx, after)
    audit.record_change(tx, who, action, f"user:{after.id}", now, before=state_of(before), after=state_of(after))
    if (before.role, before.site_ids, before.disabled_at) != (after.role, after.site_ids, after.disabled_at):
        logins.end_sessions(tx, after.id)
    return after


def state_of(user: User) -> dict[str, Any]:
    """A user as the audit log shows them."""
    names = ("email", "name", "time_zone", "theme", "contrast", "locale", "disabled_at")
    sites = "all" if user.site_ids is None else sorted(user.site_ids)
    return {**{name: getattr(user, name) for name in names}, "role": user.role.value, "sites": sites}


# --- Links that work once


def make_pass(tx: Tx, who: Who, kind: PassKind, user_id: str | None, now: int) -> NewPass:
    """A link for a user, or for whoever becomes the first one. Raises `NotFound`, `Conflict`."""
    if user_id is not None:
        user = store.get_user(tx.sql, user_id)
        if user.disabled_at is not None:
            raise Conflict(f"{user.email} is disabled: enable them first")
        if kind is PassKind.INVITE and user.has_password:
            raise Conflict(f"{user.email} has a password already: send a link for a new one instead")
    token = rules.make_token()
    made = Pass(new_id(now), kind, user_id, now, now + rules.LASTS[kind], None)
    logins.add_pass(tx, made, rules.digest(token))
    audit.record(tx, who, f"link.{kind}", f"user:{user_id or 'the first'}", now, after={"expires_at": made.expires_at})
    return NewPass(made, token)


def address(public_url: str, new: NewPass) -> str:
    """Where the link leads: the page has the name of its kind."""
    return f"{public_url}/{new.made.kind.value}/{new.token}"


def accept(tx: Tx, kind: PassKind, token: str, password_hash: str, address: str, now: int) -> User:
    """Uses an invitation or a link for a new password. Every login of the user ends. Raises `NotFound`."""
    found = rules.check_pass(logins.find_pass(tx.sql, rules.digest(token)), kind, now)
    if found.user_id is None or not logins.use_pass(tx, found.id, now):
        raise NotFound("this link was used a moment ago; each works once")
    user = store.get_user(tx.sql, found.user_id)
    if user.disabled_at is not None:
        raise NotFound("this account is disabled")
    logins.set_password(tx, user.id, password_hash, now)
    logins.end_sessions(tx, user.id)
    logins.forget_tries(tx, rules.account_key(user.email))
    audit.record(tx, Who(user.email, address), f"password.{kind}", f"user:{user.id}", now)
    return user


def set_up(tx: Tx, token: str, email: str, name: str, password_hash: str, time_zone: str, address: str, now: int) -> User:
    """Makes the first administrator. Raises `NotFound` if there is a user already, `InvalidInput`."""
    found = rules.check_pass(logins.find_pass(tx.sql, rules.digest(token)), PassKind.SETUP, now)
    if store.has_user(tx.sql) or not logins.use_pass(tx, found.id, now):
        raise NotFound("there is an administrator already; ask them for an invitation")
    who = Who(rules.check_email(email), address)
    return add(tx, who, email, name, Role.ADMIN, now, time_zone=time_zone, password_hash=password_hash)


# --- Password, second factor, sessions


def change_password(tx: Tx, who: Who, user_id: str, password_hash: str, keep_session: str | None, now: int) -> None:
    """Sets a new password; all logins but the one that asks for it end."""
    logins.set_password(tx, user_id, password_hash, now)
    ended = logins.end_sessions(tx, user_id, keep_session)
    audit.record(tx, who, "password.changed", f"user:{user_id}", now, after={"ended_sessions": ended})


def confirm_totp(tx: Tx, who: Who, user_id: str, secret: str, step: int, keep_session: str, now: int) -> list[str]:
    """Turns the second factor on; the recovery codes, shown this once. All logins but the one that asks for it end."""
    codes = rules.make_recovery_codes()
    logins.set_totp(tx, user_id, secret, now, step)
    logins.replace_codes(tx, user_id, codes)
    ended = logins.end_sessions(tx, user_id, keep_session)
    audit.record(tx, who, "second_factor.added", f"user:{user_id}", now, after={"ended_sessions": ended})
    return codes


def remove_totp(tx: Tx, who: Who, user_id: str, keep_session: str | None, now: int) -> None:
    """Turns the second factor off. All logins but the one that asks for it end."""
    logins.set_totp(tx, user_id, None, None)
    logins.replace_codes(tx, user_id, ())
    ended = logins.end_sessions(tx, user_id, keep_session)
    audit.record(tx, who, "second_factor.removed", f"user:{user_id}", now, after={"ended_sessions": ended})


def renew_codes(tx: Tx, who: Who, user_id: str, now: int) -> list[str]:
    """New recovery codes; the old ones are void."""
    codes = rules.make_recovery_codes()
    logins.replace_codes(tx, user_id, codes)
    audit.record(tx, who, "recovery_codes.renewed", f"user:{user_id}", now)
    return codes


def log_in(tx: Tx, user_id: str, email: str, old_token: str, address: str, agent: str, how: str, now: int) -> NewSession:
    """Begins a session, ends the one that the browser had, and forgets the tries before."""
    if old_token:
        logins.end_session_with(tx, rules.digest(old_token))
    made = begin(tx, user_id, address, agent, now)
    logins.forget_tries(tx, rules.account_key(email))
    audit.record(tx, Who(email, address), "login", f"user:{user_id}", now, after={"session": made.session.id, "by": how, "agent": agent})
    return made


def end_session(tx: Tx, who: Who, user_id: str, session_id: str, now: int, action: str = "session.ended") -> None:
    """Ends one session of a user. Raises `NotFound`."""
    if not logins.end_session(tx, session_id, user_id):
        raise NotFound(f"there is no session {session_id[:40]}")
    audit.record(tx, who, action, f"user:{user_id}", now, before={"session": session_id})


def end_sessions(tx: Tx, who: Who, user_id: str, now: int, but: str | None = None) -> int:
    """Ends all sessions of a user, *but* one; how many there were."""
    ended = logins.end_sessions(tx, user_id, but)
    if ended:
        audit.record(tx, who, "session.ended", f"user:{user_id}", now, before={"sessions": ended})
    return ended
