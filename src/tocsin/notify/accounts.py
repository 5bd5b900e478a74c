"""Mails about accounts: an invitation, a link for a new password. Sent at once or not at all, since only the mail knows the link.

Such a link is worth an account; it stands in no outbox, and the database holds its digest.
"""

import asyncio
from collections import OrderedDict
from typing import Protocol

import msgspec
import structlog

from tocsin.audit.model import Who
from tocsin.core.clock import MINUTE, Clock
from tocsin.core.times import in_words
from tocsin.db.writer import Tx, Writer
from tocsin.identity import store
from tocsin.identity.model import PassKind, User
from tocsin.identity.people import NewPass, address, make_pass
from tocsin.identity.rules import account_key
from tocsin.notify.model import Outcome, Result
from tocsin.notify.render import Mail, clean_line, template

log = structlog.get_logger()

NOT_AGAIN = 5 * MINUTE
PAUSES = (5, 60)  # seconds before the mail server is tried again
MAX_UNDER_WAY, MAX_ASKED = 100, 10_000


class Writes(Protocol):
    """The mail channel, as far as it is needed here."""

    async def write(self, target: str, mail: Mail, mail_id: str, now: int) -> Outcome:
        """Sends one mail."""
        ...


class Words(msgspec.Struct, frozen=True):
    """What a mail of one kind says."""

    subject: str
    title: str
    reason: str
    button: str
    advice: str


def words(kind: PassKind, host: str, inviter: str | None) -> Words:
    """What the mail of this *kind* says; *inviter*: who asked for it, None: whoever typed the address into the login page."""
    if kind is PassKind.INVITE:
        return Words(
            f"Your account at Tocsin on {host}",
            "You are invited.",
            f"{inviter or 'An administrator'} has made an account for you at Tocsin on {host}: it watches servers and billing, and tells"
            " the right person when something breaks.",
            "Choose a password",
            "If you expected no invitation, ignore this mail: without a password nobody can use the account.",
        )
    asked = f"{inviter} asked" if inviter else "Somebody, most likely you, asked"
    return Words(
        f"A new password for Tocsin on {host}",
        "Choose a new password.",
        f"{asked} for a link to set a new password for your account at Tocsin on {host}.",
        "Set a new password",
        "If you did not ask for it, ignore this mail: your password stays as it is.",
    )


def compose(said: Words, name: str, link: str, lasts: int) -> Mail:
    """The mail with its link, which works once and for *lasts* milliseconds."""
    values = {"said": said, "name": clean_line(name, 60), "link": link, "lasts": in_words(-(-lasts // MINUTE) * MINUTE)}
    return Mail(said.subject, template("account.txt").render(values).strip() + "\n", template("account.html").render(values))


async def send_link(channel: Writes | None, user: User, made: NewPass, public_url: str, inviter: str | None, now: int) -> str | None:
    """Mails the link to *user*; None if the mail server took it, else why not, for whoever then hands it over by other means."""
    if channel is None:
        return "no mail server is set up"
    host = public_url.partition("://")[2]
    said = words(made.made.kind, host, None if inviter is None else clean_line(inviter, 60))
    mail = compose(said, user.name, address(public_url, made), made.made.expires_at - now)
    outcome = await channel.write(user.email, mail, made.made.id, now)
    return None if outcome.result in (Result.SENT, Result.UNKNOWN) else outcome.error or "the mail was not sent"


class Courier:
    """Sends links that people ask for at the login page, in the background: whoever asks learns nothing, not even by the time."""

    def __init__(self, writer: Writer, clock: Clock, channel: Writes | None, public_url: str) -> None:
        self._writer, self._clock, self._channel, self._public_url = writer, clock, channel, public_url
        self._asked: OrderedDict[str, int] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def reset(self, email: str, address: str) -> None:
        """Has a link mailed to *email*, if there is such an account, and none was asked for within five minutes."""
        if self._channel is None or len(self._tasks) >= MAX_UNDER_WAY or not self._may_ask(account_key(email)):
            return
        task = asyncio.create_task(self._reset(email.strip().lower(), Who("nobody", address), self._channel))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _may_ask(self, account: str) -> bool:
        now = self._clock.now()
        if now - self._asked.get(account, now - NOT_AGAIN) < NOT_AGAIN:
            return False
        self._asked[account] = now
        self._asked.move_to_end(account)
        while len(self._asked) > MAX_ASKED:
            self._asked.popitem(last=False)
        return True

    async def _reset(self, email: str, who: Who, channel: Writes) -> None:
        now = self._clock.now()

        def work(tx: Tx) -> tuple[User, NewPass] | None:
            user = store.find_email(tx.sql, email)
            if user is None or user.disabled_at is not None:
                return None
            return user, make_pass(tx, who, PassKind.RESET if user.has_password else PassKind.INVITE, user.id, now)

        found = await self._writer.run(work)
        if found is None:
            return
        for pause in (*PAUSES, None):
            reason = await send_link(channel, *found, self._public_url, None, now)
            if reason is None:
                return
            log.warning("a link for a new password could not be mailed", user=found[0].id, reason=reason, again_in=pause)
            if pause is not None:
                await asyncio.sleep(pause)

    async def settle(self) -> None:
        """Waits for what is under way."""
        await asyncio.gather(*self._tasks)

    async def close(self) -> None:
        """Ends what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
