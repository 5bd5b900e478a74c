"""Stand-ins at the doors: a clock that is set by hand, a channel that keeps what it was given, a delivery that only notes."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from tocsin.core.clock import DAY
from tocsin.notify.announce import Leased
from tocsin.notify.model import Contact, Kind, Letter, Outcome, Presence, Result
from tocsin.notify.render import Mail

NOW = 1_764_028_800_000  # 2025-11-25 00:00:00 UTC, a Tuesday
SENT = Outcome(Result.SENT, receipt="r-1")
DOWN = Outcome(Result.TEMPORARY, "the server does not answer")
LOST = Outcome(Result.UNKNOWN, "the connection broke before the answer came")
WRONG_TOKEN = Outcome(Result.REFUSED, "the token was refused (401)")
NO_SUCH_ADDRESS = Outcome(Result.PERMANENT, "there is no such mailbox")


class FakeClock:
    """Stands still until it is moved."""

    def __init__(self, now: int = NOW) -> None:
        self.at = now

    def now(self) -> int:
        """Milliseconds since 1970."""
        return self.at

    def advance(self, ms: int) -> int:
        """Moves on by *ms* and answers the new time."""
        self.at += ms
        return self.at


class FakeChannel:
    """Keeps every letter. ``outcome`` is what sending comes to, unless ``script`` holds something for the next ones."""

    def __init__(self, kind: str, clock: FakeClock) -> None:
        self.kind = kind
        self.outcome: Outcome = SENT
        self.script: deque[Outcome] = deque()
        self.presence = Presence.CANNOT_TELL
        self.letters: list[Letter] = []
        self.looked_up: list[Letter] = []
        self.mails: list[tuple[str, Mail]] = []
        self.before_departure: Callable[[Letter], None] | None = None
        self.hangs_for: set[str] = set()
        self._clock = clock
        self._freed = asyncio.Event()

    async def send(self, letter: Letter, departing: Callable[[], None]) -> Outcome:
        """Keeps *letter* and answers what the test wants; hangs for the contacts in ``hangs_for``."""
        if self.before_departure is not None:
            self.before_departure(letter)
        if letter.contact.target in self.hangs_for:
            await self._freed.wait()
        outcome = self.script.popleft() if self.script else self.outcome
        if outcome.result is not Result.TEMPORARY:
            departing()
        self.letters.append(letter)
        await asyncio.sleep(0)
        return outcome

    async def write(self, target: str, mail: Mail, mail_id: str, now: int) -> Outcome:
        """Keeps a mail about an account, if it is to be taken."""
        if self.outcome is SENT:
            self.mails.append((target, mail))
        await asyncio.sleep(0)
        return self.outcome

    def link(self) -> str:
        """The path of the link in the last mail about an account."""
        _, mail = self.mails[-1]
        return "/" + mail.text.partition("alarm.example.com/")[2].split()[0]

    async def look_up(self, letter: Letter, attempted_at: int) -> Presence:
        """What the test says is at the provider."""
        assert attempted_at > self._clock.now() - 10 * DAY
        self.looked_up.append(letter)
        return self.presence

    async def check(self, contact: Contact) -> str | None:
        """Nothing is wrong."""
        _ = contact
        return None

    async def close(self) -> None:
        """Lets go of what hangs."""
        self.free()

    def free(self) -> None:
        """What hangs goes on."""
        self.hangs_for.clear()
        self._freed.set()

    @property
    def told(self) -> list[str]:
        """What the letters say, in the words of a story: ``opened Disk full``, ``digest of 3``."""
        return [in_words(letter) for letter in self.letters]


def in_words(letter: Letter) -> str:
    """``opened Disk full``, ``opened Disk full (perhaps again)``, ``digest of 3``."""
    if letter.message.kind == Kind.DIGEST:
        return f"digest of {1 + len(letter.others) + letter.more}"
    return f"{letter.message.kind} {letter.alert.title}" + (" (perhaps again)" if letter.message.maybe_repeated else "")


class FakeDispatch:
    """A delivery that leases all or nothing and only notes what it was given."""

    node = "this-node"

    def __init__(self, *, may_send: bool = True) -> None:
        self.may_send = may_send
        self.taken: list[Leased] = []
        self.woken = 0

    def may_send_now(self, contact_id: str, site_id: int, severity: int, now: int) -> bool:
        """What the test wants."""
        return self.may_send

    def hold(self, contacts: Sequence[Contact], site_id: int, cause: str, now: int) -> dict[str, int]:
        """Nothing waits for anything."""
        return {}

    def take(self, leased: Sequence[Leased]) -> Callable[[], None]:
        """Notes *leased* once the transaction is committed."""

        def after_commit() -> None:
            self.taken.extend(leased)
            self.woken += not leased

        return after_commit
