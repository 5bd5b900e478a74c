"""Making keys and users, and recognising a key quickly."""

import asyncio
import hashlib
from collections import OrderedDict
from contextlib import suppress

import msgspec

from tocsin.audit import service as audit
from tocsin.audit.model import Who
from tocsin.core.clock import SECOND, Clock
from tocsin.core.errors import InvalidInput, NotAuthenticated, TocsinError
from tocsin.core.ids import new_id
from tocsin.core.times import to_text_or_none
from tocsin.db.engine import Database
from tocsin.db.writer import Tx
from tocsin.identity import people, rules, store
from tocsin.identity.model import ApiKey, Role, Scope, User

FRESH_FOR = 2 * SECOND  # how long a revoked key may still work
RENEWED_AFTER = SECOND  # a key that is in use is looked up again beside the requests, so that none of them waits for it
MAX_CACHED = 10_000
TOCSIN = Who("tocsin")


class NewKey(msgspec.Struct, frozen=True):
    """A key just made: the only moment at which its secret is known."""

    key: ApiKey
    secret: str


def make_key(
    tx: Tx, who: Who, name: str, scopes: frozenset[Scope], site: tuple[int, str] | None, expires_in: int | None, now: int
) -> NewKey:
    """Makes and stores a key. *site*: id and slug; *expires_in* in milliseconds. Raises `InvalidInput`."""
    if not 1 <= len(name.strip()) <= 100:
        raise InvalidInput.of("name", "must have 1 to 100 characters")
    secret = rules.make_secret()
    site_id, slug = site or (None, None)
    expires_at = None if expires_in is None else now + expires_in
    key = ApiKey(new_id(now), name.strip(), scopes, site_id, slug, now, expires_at, None, None)
    store.add_key(tx, key, rules.digest(secret))
    after = {"name": key.name, "scopes": sorted(scopes), "site": slug, "expires_at": to_text_or_none(expires_at)}
    audit.record(tx, who, "key.made", f"key:{key.id}", now, after=after, site_id=site_id)
    return NewKey(key, secret)


def revoke_key(tx: Tx, who: Who, key_id: str, now: int) -> None:
    """Ends a key; doing it again keeps the first moment. Raises `NotFound`."""
    key = store.revoke_key(tx, key_id, now)
    audit.record(tx, who, "key.revoked", f"key:{key_id}", now, before={"name": key.name}, site_id=key.site_id)


def add_user(tx: Tx, email: str, name: str, role: Role, password_hash: str | None, now: int) -> User:
    """A user who is simply there, made by Tocsin itself. Raises `InvalidInput`, `Conflict`."""
    return people.add(tx, TOCSIN, email, name, role, now, password_hash=password_hash)


class KeyRing:
    """Recognises keys. Those seen lately are remembered by digest, for two seconds from their look-up, so that revoking works at once."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._seen: OrderedDict[bytes, tuple[ApiKey, int]] = OrderedDict()
        self._renewing: set[bytes] = set()
        self.used: dict[str, int] = {}

    def recall(self, authorization: bytes) -> ApiKey | None:
        """The key of an ``Authorization`` header value, if it was looked up within the last two seconds. Costs about a microsecond.

        From the event loop, in whose threads a key that goes on being used is looked up again.
        """
        now = self._clock.now()
        digest = hashlib.sha256(authorization).digest()
        found = self._seen.get(digest)
        if found is None or found[1] < now:
            return None
        if found[1] - now < FRESH_FOR - RENEWED_AFTER and digest not in self._renewing:
            self._renewing.add(digest)
            asyncio.get_running_loop().run_in_executor(None, self._renew, authorization, digest)
        self.used[found[0].id] = now
        return found[0]

    def _renew(self, authorization: bytes, digest: bytes) -> None:
        """What fails here the next request hears of, once the key is not remembered any more."""
        try:
            with suppress(TocsinError):
                self.look_up(authorization)
        finally:
            self._renewing.discard(digest)

    def look_up(self, authorization: bytes) -> ApiKey:
        """The same from the database; blocks. Raises `NotAuthenticated` if there is no such key, `Unavailable`."""
        secret = bearer(authorization)
        now = self._clock.now()
        with self._database.read() as connection:
            key = store.find_key(connection, rules.digest(secret))
        if key is None:
            raise NotAuthenticated("this key is not known; make one with `tocsin key add`")
        self._remember(authorization, key, now)
        return key

    def _remember(self, authorization: bytes, key: ApiKey, now: int) -> None:
        self._seen[hashlib.sha256(authorization).digest()] = (key, now + FRESH_FOR)
        while len(self._seen) > MAX_CACHED:
            self._seen.popitem(last=False)
        self.used[key.id] = now

    def forget(self) -> None:
        """Looks every key up anew: something about keys has changed."""
        self._seen.clear()


def bearer(authorization: bytes) -> str:
    """The key in ``Bearer KEY``. Raises `NotAuthenticated`."""
    kind, _, secret = authorization.partition(b" ")
    if kind.lower() != b"bearer" or not secret.strip():
        raise NotAuthenticated("send the key as `Authorization: Bearer KEY`")
    return secret.strip().decode("latin-1")
