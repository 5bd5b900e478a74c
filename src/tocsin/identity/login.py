"""Logging in: throttled by address and by account, the same answer and the same time for whoever is not there."""

import asyncio
import base64
import enum
import hashlib
import hmac
from collections import OrderedDict

import msgspec

from tocsin.audit.refusals import Refusals, network_of
from tocsin.core.clock import MINUTE, Clock
from tocsin.db.engine import Database
from tocsin.db.writer import Tx, Writer
from tocsin.identity import logins, people, rules, totp
from tocsin.identity.logins import Secrets
from tocsin.identity.passwords import Passwords
from tocsin.identity.sessions import NewSession

TICKET_LASTS = 5 * MINUTE  # between password and code
ADDRESS_TRIES, ADDRESS_WINDOW = 30, 15 * MINUTE
MAX_ADDRESSES = 10_000


class Refused(enum.StrEnum):
    """Why a login was not let in."""

    WRONG = "wrong address or password"
    PAUSED = "too many failed logins for this account"
    ADDRESS_PAUSED = "too many failed logins from this address"
    CODE_WRONG = "wrong code"
    CODE_USED = "a code that was used before"
    TICKET = "the password was given too long ago"


class Knocker(msgspec.Struct, frozen=True):
    """Who knocks: from where, with which program, and with which session in the browser already."""

    address: str
    agent: str
    old_token: str = ""


class NotIn(msgspec.Struct, frozen=True):
    """Not logged in, and why; ``wait`` (ms) until the next try makes sense, ``left`` tries before a pause."""

    reason: Refused
    wait: int = 0
    left: int = 0


class HalfIn(msgspec.Struct, frozen=True):
    """The password was right; the second factor is asked for. ``ticket`` says so for five minutes."""

    ticket: str


class Addresses:
    """Failed logins by network, in memory: at most thirty in a quarter of an hour."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failed: OrderedDict[str, tuple[int, int]] = OrderedDict()  # by network: how many, since when

    def wait(self, address: str) -> int:
        """How long (ms) this address has to wait; 0: not at all."""
        count, since = self._failed.get(network_of(address), (0, 0))
        left = since + ADDRESS_WINDOW - self._clock.now()
        return left if count >= ADDRESS_TRIES and left > 0 else 0

    def failed(self, address: str) -> None:
        """One more."""
        now, network = self._clock.now(), network_of(address)
        count, since = self._failed.pop(network, (0, now))
        self._failed[network] = (count + 1, since) if now - since < ADDRESS_WINDOW else (1, now)
        while len(self._failed) > MAX_ADDRESSES:
            self._failed.popitem(last=False)


class Porter:
    """Lets people in, or says why not."""

    def __init__(self, database: Database, writer: Writer, clock: Clock, passwords: Passwords, refusals: Refusals, secret: bytes) -> None:
        self._database, self._writer, self._clock, self._passwords, self._refusals = database, writer, clock, passwords, refusals
        self._secret = secret
        self._addresses = Addresses(clock)

    async def knock(self, email: str, password: str, code: str, caller: Knocker) -> NewSession | HalfIn | NotIn:
        """Address and password, and perhaps the code at once. Raises `Unavailable`."""
        account = rules.account_key(email)
        wait = self._addresses.wait(caller.address)
        if wait:
            return self._refuse("login", caller, NotIn(Refused.ADDRESS_PAUSED, wait))
        found = await asyncio.to_thread(self._find, email=email.strip().lower())
        # People type passwords where an address belongs: who is not there is noted by the beginning of a digest.
        thing = f"user:{found.user_id}" if found else f"account:{account[:16]}"
        tried = await self._try(account)
        if tried.wait:
            return self._refuse(thing, caller, NotIn(Refused.PAUSED, tried.wait))
        fits = await self._passwords.fits(password, found.password_hash if found else None)
        if not fits or found is None:
            return self._refuse(thing, caller, NotIn(Refused.WRONG, rules.pause_after(tried.failures), tried.left))
        if found.totp_since is None:
            return await self._let_in(found, caller, "password")
        await self._writer.run(lambda tx: logins.give_back_try(tx, account))
        ticket = self._ticket(found)
        return await self.prove(ticket, code, caller) if code else HalfIn(ticket)

    async def prove(self, ticket: str, code: str, caller: Knocker) -> NewSession | NotIn:
        """The second factor, after the password."""
        found = await asyncio.to_thread(self._open, ticket)
        if found is None:
            return self._refuse("login", caller, NotIn(Refused.TICKET))
        thing, clean = f"user:{found.user_id}", rules.clean_code(code)
        wait = self._addresses.wait(caller.address)
        if wait:
            return self._refuse("login", caller, NotIn(Refused.ADDRESS_PAUSED, wait))
        tried = await self._try(rules.account_key(found.email))
        if tried.wait:
            return self._refuse(thing, caller, NotIn(Refused.PAUSED, tried.wait))
        refused = await self._take(found, clean)
        if refused is not None:
            return self._refuse(thing, caller, NotIn(refused, rules.pause_after(tried.failures), tried.left))
        return await self._let_in(found, caller, "password and code" if rules.is_totp(clean) else "password and recovery code")

    async def knows(self, user_id: str, password: str) -> bool:
        """Whether somebody who is logged in knows their password: asked before it, or the second factor, is changed."""
        found = await asyncio.to_thread(self._find, user_id=user_id)
        if found is None:
            return False
        account = rules.account_key(found.email)
        tried = await self._try(account)
        if tried.wait or not await self._passwords.fits(password, found.password_hash):
            return False
        await self._writer.run(lambda tx: logins.give_back_try(tx, account))
        return True

    async def _try(self, account: str) -> rules.Try:
        now = self._clock.now()
        return await self._writer.run(lambda tx: logins.take_try(tx, account, now))

    def _find(self, *, email: str | None = None, user_id: str | None = None) -> Secrets | None:
        with self._database.read() as connection:
            return logins.find_secrets(connection, email=email, user_id=user_id)

    async def _take(self, found: Secrets, code: str) -> Refused | None:
        """Takes a code, if it is good: none is taken twice."""
        if not rules.is_totp(code):
            taken = await self._writer.run(lambda tx: logins.take_code(tx, found.user_id, code))
            return None if taken else Refused.CODE_WRONG
        step = totp.step_of(found.totp_secret or "", code, self._clock.now())
        if step is None:
            return Refused.CODE_WRONG
        fresh = await self._writer.run(lambda tx: logins.take_step(tx, found.user_id, step))
        return None if fresh else Refused.CODE_USED

    async def _let_in(self, found: Secrets, caller: Knocker, how: str) -> NewSession:
        now = self._clock.now()

        def work(tx: Tx) -> NewSession:
            return people.log_in(tx, found.user_id, found.email, caller.old_token, caller.address, caller.agent, how, now)

        return await self._writer.run(work)

    def _refuse(self, thing: str, caller: Knocker, answer: NotIn) -> NotIn:
        if answer.reason not in (Refused.ADDRESS_PAUSED, Refused.TICKET):
            self._addresses.failed(caller.address)
        self._refusals.note("nobody", caller.address, "login.refused", thing, answer.reason.value)
        return answer

    # The ticket: who gave the right password, and when. It dies with that password.

    def _ticket(self, found: Secrets) -> str:
        body = msgspec.json.encode([found.user_id, self._clock.now() + TICKET_LASTS])
        return base64.urlsafe_b64encode(self._seal(body, found) + body).decode()

    def _open(self, ticket: str) -> Secrets | None:
        try:
            raw = base64.b64decode(ticket, altchars=b"-_", validate=True)
            user_id, until = msgspec.json.decode(raw[32:], type=tuple[str, int])
        except (ValueError, msgspec.DecodeError):
            return None
        found = self._find(user_id=user_id)
        good = found is not None and found.totp_since is not None and hmac.compare_digest(raw[:32], self._seal(raw[32:], found))
        return found if good and self._clock.now() < until else None

    def _seal(self, body: bytes, found: Secrets) -> bytes:
        return hmac.digest(self._secret, b"tocsin-ticket-1" + body + (found.password_hash or "").encode(), hashlib.sha256)
