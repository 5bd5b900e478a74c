"""Logins that last: a cookie holds a random token, the database its digest. Recognised in memory for two seconds each."""

from collections import OrderedDict
from collections.abc import Collection

import msgspec

from tocsin.core.clock import SECOND, Clock
from tocsin.core.errors import NotAuthenticated
from tocsin.core.ids import new_id
from tocsin.core.text import cut, one_line
from tocsin.db.engine import Database
from tocsin.db.writer import Tx
from tocsin.identity import logins, rules, store
from tocsin.identity.model import Role, Session, Viewer

FRESH_FOR = 2 * SECOND  # how long a session that was ended on another node may still work
MAX_CACHED = 10_000
MAX_AGENT = 200
MAX_NAMES = 3


class NewSession(msgspec.Struct, frozen=True):
    """A session just made: the only moment at which its token is known."""

    session: Session
    token: str


def begin(tx: Tx, user_id: str, address: str, agent: str, now: int) -> NewSession:
    """Logs a user in: a new token each time, so that a token planted beforehand is worth nothing."""
    token = rules.make_token()
    session = Session(
        new_id(now), user_id, now, now, now + rules.SESSION_LASTS, cut(one_line(address), 64), cut(one_line(agent), MAX_AGENT)
    )
    logins.add_session(tx, session, rules.digest(token))
    return NewSession(session, token)


class SessionBook:
    """Recognises sessions by their token. Those seen lately are remembered by digest, for two seconds each."""

    def __init__(self, database: Database, clock: Clock, public_url: str) -> None:
        self._database, self._clock = database, clock
        self.cookie = rules.cookie_name(public_url)
        self._known: OrderedDict[str, tuple[Viewer, int]] = OrderedDict()
        self.seen: dict[str, int] = {}  # by session: when it was last used; written to the database now and then

    def recall(self, token: str) -> Viewer | None:
        """Whose session it is, if it was looked up within the last two seconds. Costs a few microseconds."""
        now = self._clock.now()
        found = self._known.get(rules.digest(token))
        if found is None or found[1] < now:
            return None
        self.seen[found[0].session_id] = now
        return found[0]

    def look_up(self, token: str) -> Viewer:
        """The same from the database; blocks. Raises `NotAuthenticated` for a session that is not there or over, `Unavailable`."""
        now, digest = self._clock.now(), rules.digest(token)
        with self._database.read() as connection:
            found = logins.find_session(connection, digest, rules.csrf_token(token))
        if found is None:
            raise NotAuthenticated("you are not logged in")
        session, viewer = found
        if rules.session_is_over(session, self.last_seen(session), now):
            raise NotAuthenticated("your login has run out")
        self._known[digest] = (viewer, now + FRESH_FOR)
        while len(self._known) > MAX_CACHED:
            self._known.popitem(last=False)
        self.seen[session.id] = now
        return viewer

    def last_seen(self, session: Session) -> int:
        """When *session* was last used, as far as this process knows (ms)."""
        return max(session.seen_at, self.seen.get(session.id, 0))

    def who_has(self, roles: Collection[Role]) -> list[str]:
        """The names of some who have one of *roles* for every site: whom to ask. Blocks."""
        with self._database.read() as connection:
            users = store.list_users(connection)
        able = [user.name for user in users if user.role in roles and user.site_ids is None and user.disabled_at is None]
        return able[:MAX_NAMES]

    def forget(self) -> None:
        """Looks every session up anew: one has ended, or somebody's rights have changed."""
        self._known.clear()
